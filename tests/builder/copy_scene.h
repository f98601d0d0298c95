/* copy_scene — what the tests of copying stand on: a directory with a source, a view and a diff. */
#ifndef TESTS_BUILDER_COPY_SCENE_H
#define TESTS_BUILDER_COPY_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <sys/stat.h>

#include "base/buf.h"
#include "builder/copy.h"

#define SCENE_MTIME 1600000000 /* of everything in source and view */

struct scene {
    char path[64];
    int root, source, view, diff; /* "source", "view", "diff" in path */
    struct argv sources, exclude;
    struct copy_request
        req; /* root of the source to the diff, over the view; as scene_clear left it
              */
    struct copy_result result;
    struct error err;
};

int scene_setup(void **state);
int scene_teardown(void **state);

/* Empties all three, and makes the request a plain COPY of no source to "/". */
void scene_clear(struct scene *s);

/* Makes what a line says in dirfd, with parents: "a/b = text", "a/b/" (a directory), "a/b ->
 * target" (a link), "a/b == c" (a hard link to c); before it maybe a mode in octal: "0600 a =
 * text". */
void scene_make(int dirfd, const char *line);

/* Gives everything in dirfd the time SCENE_MTIME. */
void scene_age(int dirfd);

/* COPY of these sources, parted by blanks, to dest; what it returned. */
int scene_copy(struct scene *s, const char *sources, const char *dest);

/* The same, which fails the test unless it succeeds, or fails with that kind and words. */
void scene_copies(struct scene *s, const char *sources, const char *dest);
void scene_refuses(struct scene *s, const char *sources, const char *dest, enum error_kind kind,
                   const char *words);

/* The diff holds exactly these, sorted, parted by blanks: "a/" (a directory), "a/b=text",
 * "l->target".  Names and texts have no blanks. */
void scene_holds(const struct scene *s, const char *expected);

/* What is at path in dirfd, links not followed. */
struct stat scene_stat(int dirfd, const char *path);
#define scene_mode(dirfd, path) ((int)(scene_stat((dirfd), (path)).st_mode & 07777))

#endif
