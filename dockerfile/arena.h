/* dockerfile/arena — memory that a parsed file owns and gives back all at once.
 *
 * A Dockerfile becomes thousands of short strings that live and die together; one by one they
 * would cost more than the parsing.  Out of memory is sticky: arena_check says so at the end, and
 * until then failed allocations yield NULL. */
#ifndef DOCKERFILE_ARENA_H
#define DOCKERFILE_ARENA_H

#include <stddef.h>

#include "base/argv.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *next, *end;           /* the free part of the newest */
    bool failed;
};

void arena_release(struct arena *a);

/* Zeroed, aligned for any object. */
void *arena_alloc(struct arena *a, size_t size);

/* Bytes to write text to: neither zeroed nor aligned. */
char *arena_room(struct arena *a, size_t size);

/* A NUL-terminated copy of len bytes. */
char *arena_string(struct arena *a, const char *s, size_t len);

/* Appends s itself to a list whose vector lives in the arena: such a list is never released by
 * argv_release. */
void arena_push(struct arena *a, struct argv *list, char *s);

/* For an array in the arena that holds n elements of that size and needs room for one more: the
 * array, moved and doubled when it was full. */
void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size);

MUST_CHECK int arena_check(const struct arena *a, struct error *err);

#endif
