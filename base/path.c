/* base/path — see the header. */
#include "base/path.h"

#include <stdint.h>
#include <string.h>

bool path_next(const char **path, const char **ret_name, size_t *ret_len)
{
    const char *p = *path;
    size_t n = 0;

    do {
        p += n;
        p += strspn(p, "/");
        n = strcspn(p, "/");
    } while (n == 1 && *p == '.');
    *path = p + n;
    *ret_name = p;
    *ret_len = n;
    return n > 0;
}

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
    const char *name;
    size_t root, n;

    if (rooted)
        buf_addc(out, '/');
    root = out->len;
    while (!out->full && path_next(&path, &name, &n)) {
        if (n == 2 && memcmp(name, "..", 2) == 0) {
            if (!drop_last(out, root) && !rooted)
                buf_adds(out, out->len > root ? "/.." : "..");
        } else {
            if (out->len > root)
                buf_addc(out, '/');
            buf_add(out, name, n);
        }
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
