/* templates/address — see the header.  The one user of xxHash. */
#include "templates/address.h"

#include <xxhash.h>

#include "templates/bytes.h"

struct address hasher_address(const struct hasher *h, const void *data, size_t len)
{
    XXH128_hash_t v = XXH3_128bits_withSecret(data, len, h->secret, SECRET_SIZE);
    struct address a = {.low = v.low64, .high = v.high64};

    if (h->bits < 128)
        a.high = h->bits <= 64 ? 0 : a.high & ((UINT64_C(1) << (h->bits - 64)) - 1);
    if (h->bits < 64)
        a.low &= (UINT64_C(1) << h->bits) - 1;
    return a;
}

uint64_t hasher_checksum(const struct hasher *h, const void *data, size_t len)
{
    return XXH3_64bits_withSecret(data, len, h->secret, SECRET_SIZE);
}

struct address address_next(struct address a)
{
    a.low++;
    a.high += a.low == 0;
    return a;
}

bool address_equal(struct address a, struct address b)
{
    return a.low == b.low && a.high == b.high;
}

int address_compare(struct address a, struct address b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

bool hasher_verify(const struct hasher *h, struct address a, const void *data, size_t len)
{
    struct address plain = hasher_address(h, data, len);
    uint64_t low = a.low - plain.low;
    uint64_t high = a.high - plain.high - (a.low < plain.low);

    return high == 0 && low < PROBES_MAX;
}

struct address address_get(const void *bytes)
{
    return (struct address){.low = bytes_get64(bytes),
                            .high = bytes_get64((const char *)bytes + 8)};
}

void address_put(void *bytes, struct address a)
{
    bytes_put64(bytes, a.low);
    bytes_put64((char *)bytes + 8, a.high);
}
