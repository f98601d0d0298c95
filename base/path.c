/* base/path — see the header. */
#include "base/path.h"

#include <stdint.h>
#include <string.h>

/* Takes the last name off what stands behind root; false when there is none that may go. */
static bool drop_last(struct buf *out, size_t root)
{
    size_t n = out->len;

    while (n > root && out->data[n - 1] != '/')
        n--;
    if (out->len == root || strcmp(out->data + n, "..") == 0)
        return false;
    if (n > root)
        n--;
    out->len = n;
    out->data[n] = '\0';
    return true;
}

void path_clean(struct buf *out, const char *path)
{
    bool rooted = *path == '/';
    size_t root;

    if (rooted)
        buf_addc(out, '/');
    root = out->len;
    while (*path && !out->full) {
        size_t n = strcspn(path, "/");

        if (n == 2 && memcmp(path, "..", 2) == 0) {
            if (!drop_last(out, root) && !rooted) {
                buf_adds(out, out->len > root ? "/.." : "..");
            }
        } else if (n > 0 && !(n == 1 && *path == '.')) {
            if (out->len > root)
                buf_addc(out, '/');
            buf_add(out, path, n);
        }
        path += n + (path[n] == '/');
    }
    if (out->len == 0)
        buf_addc(out, '.');
}

void path_join(struct buf *out, const char *directory, const char *path)
{
    CLEANUP(buf_release) struct buf whole = BUF_INIT(out->max);

    buf_addf(&whole, "/%s/%s", directory, path);
    if (buf_str(&whole)[0])
        path_clean(out, buf_str(&whole));
    out->full = out->full || whole.full;
}
