/* templates/zip_directory — the central directory of a ZIP (APPNOTE.TXT 6.3.10, sections 4.3, 4.5).
 *
 * All that is said of members stands there, whatever order they are in and whether their local
 * headers know their sizes, so members can be read in any order. */
#ifndef TEMPLATES_ZIP_DIRECTORY_H
#define TEMPLATES_ZIP_DIRECTORY_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct zip_member {
    const char *name; /* NUL-terminated; borrowed for the call */
    mode_t mode;      /* with its type */
    uint32_t uid, gid;
    int64_t mtime;
    bool encrypted;
    uint16_t method;
    uint32_t crc;
    uint64_t local; /* where the local header is */
    uint64_t packed, size;
};

/* Calls each for every member, in the directory's order.  ERR_INPUT when there is no whole ZIP. */
MUST_CHECK int zip_directory_read(int fd, uint64_t file_size,
                                  int (*each)(void *self, const struct zip_member *m,
                                              struct error *err),
                                  void *self, struct error *err);

/* Where a member's bytes begin. */
MUST_CHECK int zip_directory_data(int fd, uint64_t file_size, uint64_t local, uint64_t packed,
                                  uint64_t *ret, struct error *err);

#endif
