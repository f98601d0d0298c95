/* templates/overlay_layout — where things are in an overlay, for overlay.c and overlay_file.c. */
#ifndef TEMPLATES_OVERLAY_LAYOUT_H
#define TEMPLATES_OVERLAY_LAYOUT_H

#include "templates/overlay.h"

#define HEADER_SUMMED 512           /* bytes of the header; their SHA-256 follows */
#define BITMAP_AT     OVERLAY_BLOCK /* 2^29 bytes are enough for 2^44 */
#define BLOCKS_AT     (UINT64_C(1) << 30)
#define PAGE_BITS     (UINT64_C(8) * OVERLAY_BLOCK)
#define PAGE_WORDS    (OVERLAY_BLOCK / 8)

/* All of it, or -1; a read past the end is one of zeros. */
MUST_CHECK int overlay_pread(int fd, uint64_t at, void *data, size_t len, struct error *err);
MUST_CHECK int overlay_pwrite(int fd, uint64_t at, const void *data, size_t len, struct error *err);

#endif
