/* objects/url — the names of buckets, and of what is in them. */
#include <string.h>

#include "base/text.h"
#include "objects/store.h"

#define KEY_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:=@-/"

/* No component is empty or begins with a dot: libcurl would take "." and ".." out. */
bool store_path_is_valid(const char *path)
{
    if (path[strspn(path, KEY_CHARS)] != '\0' || *path == '\0')
        return false;
    for (const char *p = path;; p = strchr(p, '/') + 1) {
        if (*p == '.' || *p == '/' || *p == '\0')
            return false;
        if (!strchr(p, '/'))
            return true;
    }
}

/* "Bucket naming rules", Amazon S3 User Guide. */
static bool is_bucket(const char *name, size_t len)
{
    return len >= 3 && len <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") >= len &&
           name[0] != '.' && name[0] != '-' && name[len - 1] != '.' && name[len - 1] != '-';
}

bool objects_url_is_valid(const char *url)
{
    const char *bucket = url + strlen(STORE_SCHEME);
    size_t len;

    if (!text_starts(url, STORE_SCHEME))
        return false;
    len = strcspn(bucket, "/");
    return is_bucket(bucket, len) &&
           (!bucket[len] || !bucket[len + 1] ||
            (store_path_is_valid(bucket + len + 1) && strlen(bucket + len) < STORE_PREFIX - 1));
}
