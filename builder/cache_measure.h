/* builder/cache_measure — how much of the disk a directory takes. */
#ifndef BUILDER_CACHE_MEASURE_H
#define BUILDER_CACHE_MEASURE_H

#include <stdint.h>

/* Bytes of all that is at dir/name, no link followed.  A file with several names counts in parts,
 * one for each name, so once where all of them are there.  What cannot be looked at, or lies deeper
 * than 256 directories, counts for nothing. */
uint64_t cache_measure(int dir, const char *name);

/* The same without regular files, which are not looked at: of what is made of files whose bytes are
 * known. */
uint64_t cache_measure_but_files(int dir, const char *name);

#endif
