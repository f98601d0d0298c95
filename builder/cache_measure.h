/* builder/cache_measure — how much of the disk a directory takes. */
#ifndef BUILDER_CACHE_MEASURE_H
#define BUILDER_CACHE_MEASURE_H

#include <stdint.h>

/* Bytes of all that is at dir/name, no link followed; a file with several names counts for each,
 * and what cannot be looked at, or lies deeper than 256 directories, for nothing. */
uint64_t cache_measure(int dir, const char *name);

#endif
