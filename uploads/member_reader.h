/* uploads/member_reader — the members of an archive, one after the other, by libarchive.
 *
 * ZIP, and tar plain or compressed with gzip or zstd.  Names and targets are the archive's bytes,
 * whatever the process's locale. */
#ifndef UPLOADS_MEMBER_READER_H
#define UPLOADS_MEMBER_READER_H

#include <sys/types.h>

#include "uploads/uploads.h"

struct member_reader;

enum member_type {
    MEMBER_FILE,
    MEMBER_DIRECTORY,
    MEMBER_SYMLINK,
    MEMBER_HARDLINK,
    /* ZIP says symbolic link; the data is its target, or the content of the file linked to. */
    MEMBER_LINK_OR_FILE,
    MEMBER_SPECIAL, /* a device, FIFO or socket */
};

struct member {
    enum member_type type;
    const char *name;   /* borrowed until the next call of next */
    const char *target; /* of a symlink or hard link, likewise; NULL for the others */
    mode_t mode;        /* permission bits, 07777 at most; 0 where the archive gives none */
    bool has_mtime;     /* false where there is none or no clock ever showed it */
    struct timespec mtime;
    bool encrypted;
    uint64_t size; /* as declared, which may be a lie; 0 when unknown */
};

/* fd is read with pread from 0 to its size, and stays the caller's.  ERR_INPUT when it is no
 * archive of these kinds. */
MUST_CHECK int member_reader_open(int fd, uint64_t size, uint64_t entries_max,
                                  struct member_reader **ret, struct error *err);
void member_reader_free(struct member_reader *r);

/* *ret_end: there was no further member, and ret is untouched. */
MUST_CHECK int member_reader_next(struct member_reader *r, struct member *ret, bool *ret_end,
                                  struct error *err);

/* The next piece of the current member's data, borrowed until the next call.  offset: where in the
 * member it goes; a gap is a hole.  At the end *ret_data is NULL and *ret_offset the whole size.
 * Checksums are verified before the end is told. */
MUST_CHECK int member_reader_data(struct member_reader *r, const void **ret_data, size_t *ret_len,
                                  uint64_t *ret_offset, struct error *err);

/* Bytes taken so far out of the decompressor that surrounds a tar; 0 for a ZIP. */
uint64_t member_reader_unpacked(const struct member_reader *r);

#endif
