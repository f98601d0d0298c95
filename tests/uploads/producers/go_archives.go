// Writes what the Go clients write: go run go_archives.go DIRECTORY
//
// push.zip is PROTOCOL.md 1.8, deploy.zip is 2.9, template.tar is 2.7, each with Go's own packages.
package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

var when = time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func addZip(w *zip.Writer, name string, mode fs.FileMode, method uint16, content []byte) {
	h := &zip.FileHeader{Name: name, Method: method, Modified: when}
	h.SetMode(mode)
	f, err := w.CreateHeader(h)
	check(err)
	if !strings.HasSuffix(name, "/") {
		_, err = f.Write(content)
		check(err)
	}
}

// As bl adds its own files: no mode, no time, no creator.
func inject(w *zip.Writer, name, content string) {
	f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	check(err)
	_, err = f.Write([]byte(content))
	check(err)
}

func save(path string, write func(b *bytes.Buffer)) {
	var b bytes.Buffer
	write(&b)
	check(os.WriteFile(path, b.Bytes(), 0o644))
}

func push(b *bytes.Buffer) {
	w := zip.NewWriter(b)
	addZip(w, "Dockerfile", 0o644, zip.Deflate, []byte("FROM outer\n"))
	addZip(w, "blaxel.toml", 0o644, zip.Deflate, []byte("type = \"sandbox\"\n"))
	addZip(w, "empty/", fs.ModeDir|0o755, zip.Store, nil)
	addZip(w, "entrypoint.sh", 0o755, zip.Deflate, []byte("#!/bin/sh\nexec sandbox-api\n"))
	addZip(w, "private.key", 0o600, zip.Deflate, []byte("key\n"))
	addZip(w, "shared.txt", 0o664, zip.Deflate, []byte("group may write\n"))
	addZip(w, "sub/", fs.ModeDir|0o750, zip.Store, nil)
	addZip(w, "sub/caf\u00e9.txt", 0o644, zip.Deflate, []byte("composed\n"))
	addZip(w, "sub/cafe\u0301.txt", 0o644, zip.Deflate, []byte("decomposed\n"))
	addZip(w, "sub/back\\slash.txt", 0o644, zip.Deflate, []byte("a legal byte\n"))
	addZip(w, "back\\slash.txt", 0o644, zip.Deflate, []byte("here too\n"))
	addZip(w, "sub/zero", 0o644, zip.Deflate, nil)
	addZip(w, "tool", fs.ModeSetuid|fs.ModeSetgid|0o755, zip.Deflate, []byte("setuid\n"))
	addZip(w, "blaxel.toml", 0o644, zip.Deflate, []byte("type = \"agent\"\n"))
	addZip(w, "Dockerfile", 0o644, zip.Deflate, []byte("FROM inner\n"))
	inject(w, ".docker/config.json", `{"auths":{"r.example":{"auth":"dTpw"}}}`)
	inject(w, ".env.build", "TOKEN=abc\nMODE=x\n")
	inject(w, "no-mode.txt", "default mode\n")
	check(w.Close())
}

// filepath.Walk tells of the link, os.Open reads the file behind it.
func deploy(b *bytes.Buffer) {
	link := fs.ModeSymlink | 0o777
	noise := make([]byte, 70000)
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	w := zip.NewWriter(b)
	addZip(w, "app.js", 0o644, zip.Deflate, []byte("console.log(1)\n"))
	addZip(w, "bin/cli.js", link, zip.Deflate, []byte("#!/usr/bin/env node\nrequire('../app')\n"))
	addZip(w, "bin/nul", link, zip.Deflate, []byte("ab\x00cd"))
	addZip(w, "bin/long", link, zip.Deflate, []byte(strings.Repeat("long/", 2000)))
	addZip(w, "bin/empty", link, zip.Deflate, nil)
	addZip(w, "bin/latin1", link, zip.Deflate, []byte("caf\xe9"))
	addZip(w, "bin/noise", link, zip.Deflate, noise)
	addZip(w, "bin/real", link, zip.Deflate, []byte("../app.js"))
	check(w.Close())
}

func addTar(w *tar.Writer, h tar.Header, content string) {
	h.ModTime = when
	h.Uid, h.Gid, h.Uname, h.Gname = 1000, 1000, "user", "group"
	if h.Typeflag == 0 {
		h.Typeflag = tar.TypeReg
	}
	h.Size = int64(len(content))
	check(w.WriteHeader(&h))
	_, err := w.Write([]byte(content))
	check(err)
}

func template(b *bytes.Buffer) {
	w := tar.NewWriter(b)
	addTar(w, tar.Header{Name: ".git/", Typeflag: tar.TypeDir, Mode: 0o755}, "")
	addTar(w, tar.Header{Name: ".git/HEAD", Mode: 0o644}, "ref: refs/heads/main\n")
	addTar(w, tar.Header{Name: "caf\u00e9.txt", Mode: 0o644}, "composed\n")
	addTar(w, tar.Header{Name: "cafe\u0301.txt", Mode: 0o644}, "decomposed\n")
	addTar(w, tar.Header{Name: "link\u00e9", Typeflag: tar.TypeSymlink, Linkname: "caf\u00e9.txt", Mode: 0o777}, "")
	addTar(w, tar.Header{Name: strings.Repeat("deep/", 30) + "file", Mode: 0o755}, "far down\n")
	addTar(w, tar.Header{Name: "slabs", Typeflag: tar.TypeSymlink, Linkname: "/nonexistent/hosts", Mode: 0o777}, "")
	addTar(w, tar.Header{Name: "up", Typeflag: tar.TypeSymlink, Linkname: "../../up", Mode: 0o777}, "")
	addTar(w, tar.Header{Name: "down", Typeflag: tar.TypeSymlink, Linkname: ".git/../deep", Mode: 0o777}, "")
	check(w.Close())
}

func main() {
	dir := os.Args[1]
	save(dir+"/go_push.zip", push)
	save(dir+"/go_deploy_links_as_content.zip", deploy)
	save(dir+"/go_template.tar", template)
	fmt.Println("go archives written")
}
