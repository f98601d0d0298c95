//go:build ignore

package gen
