/* builder/packages_rpm_ndb — rpm's own database (lib/backend/ndb/rpmpkg.c of rpm 4.18): a header,
 * pages of slots, and blobs, which begin at blocks of 16 bytes.  Numbers are little-endian.
 *
 *   header  "RpmP", version 0, generation, number of slot pages, next package; 32 bytes in all
 *   slot    "Slot", package, first block (0: it is free), number of blocks
 *   blob    "BlbS", package, generation, length; the bytes; Adler-32, length, "BlbE" at the end of
 *           the last block */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "builder/packages_rpm.h"

#define PAGE      4096
#define PAGES_MAX 1024 /* of slots: for 262,142 packages */
#define HEADER    32
#define SLOT      16
#define BLOCK     16
#define HEAD      16
#define TAIL      12

static uint32_t get32(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static bool read_blob(struct packages_rpm *r, const unsigned char *slot)
{
    const uint64_t at = (uint64_t)get32(slot + 8) * BLOCK;
    const uint64_t room = (uint64_t)get32(slot + 12) * BLOCK;
    CLEANUP_FREE unsigned char *blob = NULL;
    unsigned char head[HEAD], tail[TAIL];
    uint32_t len;

    if (room < HEAD + TAIL || !packages_rpm_read(r, head, HEAD, at) ||
        memcmp(head, "BlbS", 4) != 0 || memcmp(head + 4, slot + 4, 4) != 0)
        return false;
    len = get32(head + 12);
    if (len > room - HEAD - TAIL || !packages_rpm_take(r, len) ||
        !packages_rpm_read(r, tail, TAIL, at + room - TAIL) || memcmp(tail + 8, "BlbE", 4) != 0 ||
        get32(tail + 4) != len)
        return false;
    blob = malloc((size_t)len + 1);
    if (!blob || !packages_rpm_read(r, blob, len, at + HEAD))
        return false;
    packages_rpm_add(r, blob, len);
    return true;
}

static bool read_page(struct packages_rpm *r, uint32_t number)
{
    unsigned char page[PAGE];

    if (!packages_rpm_read(r, page, PAGE, (uint64_t)number * PAGE))
        return false;
    for (size_t i = number ? 0 : HEADER; i < PAGE; i += SLOT) {
        if (memcmp(page + i, "Slot", 4) != 0)
            return false;
        if (get32(page + i + 8) && !read_blob(r, page + i))
            return false;
    }
    return true;
}

bool packages_rpm_read_ndb(struct packages_rpm *r)
{
    unsigned char header[HEADER];
    uint32_t pages;

    if (!packages_rpm_read(r, header, HEADER, 0) || get32(header + 4) != 0)
        return false;
    pages = get32(header + 12);
    if (pages > PAGES_MAX)
        return false;
    for (uint32_t i = 0; i < pages; i++)
        if (!read_page(r, i))
            return false;
    return true;
}
