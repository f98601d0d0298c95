/* builder/cache_measure — see the header. */
#include "builder/cache_measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 256

static uint64_t measure(int dir, const char *name, bool but_files, int depth)
{
    const struct dirent *e;
    uint64_t sum = 0;
    struct stat st;
    DIR *d;
    int fd;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    sum = (uint64_t)st.st_blocks * 512;
    if (!S_ISDIR(st.st_mode))
        return st.st_nlink > 1 ? (sum + st.st_nlink - 1) / st.st_nlink : sum;
    if (depth == DEPTH_MAX)
        return sum;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return sum;
    }
    while ((e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            !(but_files && e->d_type == DT_REG))
            sum += measure(dirfd(d), e->d_name, but_files, depth + 1);
    (void)closedir(d);
    return sum;
}

uint64_t cache_measure(int dir, const char *name)
{
    return measure(dir, name, false, 0);
}

uint64_t cache_measure_but_files(int dir, const char *name)
{
    return measure(dir, name, true, 0);
}
