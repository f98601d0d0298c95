//go:build tools

// Package tools names the programs of others that tests are made with, for `go mod tidy` to find
// what they need.  tests/go/build makes them.
package tools

import (
	_ "github.com/olareg/olareg/cmd/olareg"
	_ "github.com/opencontainers/distribution-spec/conformance"
)
