/* builder/cache_measure — see the header. */
#include "builder/cache_measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 256

static uint64_t measure(int dir, const char *name, int depth)
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
        return sum / (st.st_nlink ? st.st_nlink : 1);
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
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            sum += measure(dirfd(d), e->d_name, depth + 1);
    (void)closedir(d);
    return sum;
}

uint64_t cache_measure(int dir, const char *name)
{
    return measure(dir, name, 0);
}
