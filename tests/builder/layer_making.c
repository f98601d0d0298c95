/* tests/builder/layer_making — see the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "tests/builder/layer_making.h"

/* ---- making a diff ---- */

void layer_set_time(int dir, const char *path, int64_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 5},
                                      {.tv_sec = seconds, .tv_nsec = 123456789}};

    assert_int_equal(utimensat(dir, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

void layer_put_bytes(int dir, const char *path, const void *data, size_t len)
{
    CLEANUP_CLOSE int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct error err = ERROR_INIT;

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, data, len, &err), 0);
    layer_set_time(dir, path, 1700000000);
}

void layer_put(int dir, const char *path, const char *text)
{
    layer_put_bytes(dir, path, text, strlen(text));
}

void layer_put_dir(int dir, const char *path)
{
    assert_int_equal(mkdirat(dir, path, 0755), 0);
}

void layer_put_whiteout(int dir, const char *path)
{
    assert_int_equal(mknodat(dir, path, S_IFCHR, 0), 0);
}

/* Bytes that compress to about a half. */
void layer_put_large(int dir, const char *path, size_t len)
{
    CLEANUP_FREE unsigned char *data = malloc(len);
    unsigned seed = 7;

    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245u + 12345u;
        data[i] = (unsigned char)((seed >> 16) & 15);
    }
    layer_put_bytes(dir, path, data, len);
}

/* ---- there and back ---- */

struct layer layer_write_with(const struct layer_scratch *s, int threads, int64_t epoch)
{
    const struct layer_options options = {.threads = threads, .epoch = epoch};
    struct error err = ERROR_INIT;
    struct layer l;

    if (layer_write(s->diff, s->blobs, &options, &l, &err) < 0)
        fail_msg("%s", err.msg);
    return l;
}

void layer_unpack_back(struct layer_scratch *s, const struct layer *l)
{
    struct error err = ERROR_INIT;

    layer_scratch_clear(s, "back");
    if (layer_unpack(s->blobs, l, true, s->back, &err) < 0)
        fail_msg("%s", err.msg);
}

struct layer layer_check_round_trip(struct layer_scratch *s)
{
    CLEANUP(buf_release) struct buf before = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf after = BUF_INIT(1 << 20);
    struct layer l = layer_write_with(s, 2, -1);

    layer_unpack_back(s, &l);
    layer_scratch_list(s->diff, &before);
    layer_scratch_list(s->back, &after);
    assert_string_equal(buf_str(&after), buf_str(&before));
    assert_true(layer_scratch_is_contained(s));
    return l;
}

int layer_count(int dir)
{
    CLEANUP_CLOSE int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **entries = NULL;
    int n = scandirat(fd, ".", &entries, NULL, NULL);

    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return n - 2;
}
