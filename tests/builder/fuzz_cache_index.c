/* Any text as an index of cached steps, and as the description of a cache mount: what is taken can
 * be written, within its bounds, and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "builder/cache_index.h"
#include "builder/cache_mount.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP(cache_index_release) struct cache_index x = {.n = 0}, again = {.n = 0};
    CLEANUP(buf_release) struct buf text = BUF_INIT(16 << 20);
    struct error err = ERROR_INIT;
    struct cache_mount mount;

    (void)!cache_mount_read((const char *)data, len, &mount, &err);
    if (cache_index_read((const char *)data, len, &x, &err) < 0)
        return 0;
    cache_index_trim(&x, INT64_C(1) << 40, 1000);
    if (cache_index_write(&x, &text, &err) < 0 ||
        cache_index_read(buf_str(&text), text.len, &again, &err) < 0 || again.n != x.n)
        abort();
    for (size_t i = 0; i < x.n; i++)
        if (!cache_index_find(&again, x.v[i].key))
            abort();
    return 0;
}
