/* dockerfile/generate/go_package — what the files of one directory say about its package. */
#ifndef DOCKERFILE_GENERATE_GO_PACKAGE_H
#define DOCKERFILE_GENERATE_GO_PACKAGE_H

#include "dockerfile/generate/generator.h"

struct go_file {
    bool built; /* not left out by its name or its build constraint */
    bool main;  /* "package main" */
    bool cgo;   /* import "C" */
};

/* From the beginning of a file: constraint, package clause and imports are all that is read. */
void go_file_read(const char *name, const char *text, size_t len, struct go_file *ret);

struct go_package {
    bool main;
    char cgo[128]; /* the name, if it can be shown, of a file with import "C"; "" without */
};

/* Reads the Go files of a directory ("": the root) that a build for Linux takes in. */
MUST_CHECK int go_package_read(struct generator *g, const char *dir, struct go_package *ret,
                               struct error *err);

#endif
