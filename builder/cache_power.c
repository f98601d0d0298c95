/* builder/cache_power — steps write their files without waiting for the disk (stack.c: overlays are
 * volatile), so after a power cut a record may be there whose files are not.
 *
 * <cache>.boot holds the kernel's boot id and the time up to which all was synced while that ran.
 * When another kernel runs, what is younger than that time is not to be believed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "builder/cache_keeper.h"

#define BOOT_ID     "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 64

static int read_boot_id(char ret[BOOT_ID_MAX], struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BOOT_ID_MAX - 1);

    if (fs_read_file(AT_FDCWD, BOOT_ID, &text, err) < 0)
        return error_wrap(err, "is /proc mounted?");
    (void)snprintf(ret, BOOT_ID_MAX, "%.*s", (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
    return 0;
}

static void name_file(const char *cache, char ret[PATH_MAX + 8])
{
    (void)snprintf(ret, PATH_MAX + 8, "%s.boot", cache);
}

int cache_power_read(const char *cache, bool *ret_booted, int64_t *ret_synced, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(256);
    char now[BOOT_ID_MAX], then[BOOT_ID_MAX] = "";
    char path[PATH_MAX + 8];
    struct error ignored = ERROR_INIT;

    if (read_boot_id(now, err) < 0)
        return -1;
    name_file(cache, path);
    *ret_synced = 0;
    if (fs_read_file(AT_FDCWD, path, &text, &ignored) < 0 ||
        sscanf(buf_str(&text), "%63s %" SCNd64, then, ret_synced) != 2)
        *ret_synced = 0;
    *ret_booted = strcmp(now, then) != 0;
    return 0;
}

int cache_power_write(const char *cache, int64_t synced, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(256);
    char now[BOOT_ID_MAX];
    char path[PATH_MAX + 8];

    if (read_boot_id(now, err) < 0)
        return -1;
    name_file(cache, path);
    buf_addf(&text, "%s %" PRId64 "\n", now, synced);
    return fs_write_file(AT_FDCWD, path, buf_str(&text), text.len, 0600, err);
}
