/* builder/packages_rpm_bdb — a hash database of Berkeley DB 4 to 5.3 (dbinc/db_page.h there).
 *
 * Which bucket a page belongs to does not matter here: all pages are looked at, and those of the
 * hash's type have pairs of a key (the package's number) and a value (its header).  Page 0 says how
 * large pages are.  Numbers are in the order of the machine that wrote it. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "builder/packages_rpm.h"

#define META          72 /* bytes of page 0 that are looked at */
#define PAGE_MIN      512
#define PAGE_MAX      65536
#define PAGE_HEADER   26
#define MAGIC         0x00061561U
#define VERSION_MIN   8
#define VERSION_MAX   10
#define TYPE_OLD      2 /* a hash's page whose pairs are not sorted */
#define TYPE_OVERFLOW 7
#define TYPE_META     8
#define TYPE_HASH     13
#define ITEM_DATA     1
#define ITEM_OFFPAGE  3
#define OFFPAGE       12 /* bytes of an item that lies on pages of its own */

struct reader {
    struct packages_rpm *r;
    bool big; /* its numbers are big-endian */
    uint32_t page_size, last;
    unsigned char *page, *overflow;
};

struct item {
    const unsigned char *at;
    size_t len;
};

static uint32_t get32(const struct reader *b, const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return b->big ? be32toh(v) : le32toh(v);
}

static uint16_t get16(const struct reader *b, const unsigned char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return b->big ? be16toh(v) : le16toh(v);
}

/* ---- pages ---- */

static bool read_page(const struct reader *b, uint32_t number, unsigned char *page)
{
    return number > 0 && number <= b->last &&
           packages_rpm_read(b->r, page, b->page_size, (uint64_t)number * b->page_size);
}

/* What lies on pages of its own, one after another; each has something of it. */
static bool read_chain(const struct reader *b, uint32_t number, unsigned char *to, size_t len)
{
    while (len > 0) {
        size_t n;

        if (!read_page(b, number, b->overflow) || b->overflow[25] != TYPE_OVERFLOW)
            return false;
        n = get16(b, b->overflow + 22);
        if (n == 0 || n > len || n > b->page_size - PAGE_HEADER)
            return false;
        memcpy(to, b->overflow + PAGE_HEADER, n);
        to += n;
        len -= n;
        number = get32(b, b->overflow + 16);
    }
    return true;
}

/* ---- pairs ---- */

/* Items are laid from the end of the page towards its beginning. */
static bool find_item(const struct reader *b, size_t i, struct item *ret)
{
    const unsigned char *index = b->page + PAGE_HEADER + 2 * i;
    const size_t at = get16(b, index);
    const size_t end = i ? get16(b, index - 2) : b->page_size;

    if (at < PAGE_HEADER || at >= end || end > b->page_size)
        return false;
    *ret = (struct item){b->page + at, end - at};
    return true;
}

/* Beside the packages there is the number 0, whose value is the highest number. */
static bool is_package(const struct item *key)
{
    static const unsigned char zero[4] = {0};

    return key->len != 1 + sizeof(zero) || memcmp(key->at + 1, zero, sizeof(zero)) != 0;
}

static bool add_value(const struct reader *b, const struct item *value)
{
    CLEANUP_FREE unsigned char *blob = NULL;
    uint32_t len;

    if (value->at[0] == ITEM_DATA) {
        if (!packages_rpm_take(b->r, value->len))
            return false;
        packages_rpm_add(b->r, value->at + 1, value->len - 1);
        return true;
    }
    if (value->at[0] != ITEM_OFFPAGE || value->len != OFFPAGE)
        return false;
    len = get32(b, value->at + 8);
    if (!packages_rpm_take(b->r, len))
        return false;
    blob = malloc((size_t)len + 1);
    if (!blob || !read_chain(b, get32(b, value->at + 4), blob, len))
        return false;
    packages_rpm_add(b->r, blob, len);
    return true;
}

static bool read_pairs(const struct reader *b)
{
    const size_t n = get16(b, b->page + 20);

    if (PAGE_HEADER + 2 * n > b->page_size)
        return false;
    for (size_t i = 0; i + 1 < n; i += 2) {
        struct item key, value;

        if (!find_item(b, i, &key) || !find_item(b, i + 1, &value) || key.at[0] != ITEM_DATA)
            return false;
        if (is_package(&key) && !add_value(b, &value))
            return false;
    }
    return true;
}

static bool read_pages(const struct reader *b)
{
    for (uint32_t number = 1; number <= b->last; number++) {
        if (!read_page(b, number, b->page))
            return false;
        if ((b->page[25] == TYPE_HASH || b->page[25] == TYPE_OLD) && !read_pairs(b))
            return false;
    }
    return true;
}

/* ---- page 0 ---- */

static bool read_meta(struct reader *b)
{
    unsigned char meta[META];
    uint32_t version;

    if (!packages_rpm_read(b->r, meta, META, 0))
        return false;
    b->big = get32(b, meta + 12) != MAGIC;
    version = get32(b, meta + 16);
    b->page_size = get32(b, meta + 20);
    b->last = get32(b, meta + 32);
    return version >= VERSION_MIN && version <= VERSION_MAX && meta[24] == 0 /* not encrypted */ &&
           meta[25] == TYPE_META && b->page_size >= PAGE_MIN && b->page_size <= PAGE_MAX &&
           (b->page_size & (b->page_size - 1)) == 0 && b->last < b->r->size / b->page_size;
}

bool packages_rpm_read_bdb(struct packages_rpm *r)
{
    CLEANUP_FREE unsigned char *page = NULL;
    CLEANUP_FREE unsigned char *overflow = NULL;
    struct reader b = {.r = r};

    if (!read_meta(&b))
        return false;
    b.page = page = malloc(b.page_size);
    b.overflow = overflow = malloc(b.page_size);
    return page && overflow && read_pages(&b);
}
