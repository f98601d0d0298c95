/* layer_making — makes diffs, and layers of them; fails the test where that does not work. */
#ifndef TESTS_BUILDER_LAYER_MAKING_H
#define TESTS_BUILDER_LAYER_MAKING_H

#include "tests/builder/layer_scratch.h"

#define NAME_50  "12345678901234567890123456789012345678901234567890"
#define NAME_250 NAME_50 NAME_50 NAME_50 NAME_50 NAME_50

/* Modification time, with some nanoseconds. */
void layer_set_time(int dir, const char *path, int64_t seconds);

/* Files of mode 0644 and one fixed time. */
void layer_put_bytes(int dir, const char *path, const void *data, size_t len);
void layer_put(int dir, const char *path, const char *text);
/* Bytes that compress to about a half. */
void layer_put_large(int dir, const char *path, size_t len);

void layer_put_dir(int dir, const char *path);
void layer_put_whiteout(int dir, const char *path);

/* diff to a blob in blobs. */
struct layer layer_write_with(const struct layer_scratch *s, int threads, int64_t epoch);

/* A blob to back, which is emptied first. */
void layer_unpack_back(struct layer_scratch *s, const struct layer *l);

/* There and back: back is then what diff is. */
struct layer layer_check_round_trip(struct layer_scratch *s);

/* Entries of a directory. */
int layer_count(int dir);

#endif
