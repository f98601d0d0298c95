/* Replays a corpus through a libFuzzer target in builds without it: replay FILE|DIRECTORY... */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(64 << 20);
    struct error err;

    if (fs_read_file(AT_FDCWD, path, &content, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    (void)LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&content), content.len);
    return 1;
}

/* The number of inputs replayed, -1 when one could not be read. */
static int replay(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    if (!dir)
        return replay_file(path);
    for (struct dirent *e = readdir(dir); e && count >= 0; e = readdir(dir)) {
        char child[4096];
        int n;

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        n = replay(child);
        count = n < 0 ? -1 : count + n;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);

        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
