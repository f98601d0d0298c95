/* layer_driver write DIFF BLOBS THREADS: prints what the layer is, for measuring. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "builder/layer.h"

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct layer l;
    int diff = -1, blobs = -1;

    if (argc != 5)
        return 2;
    if (fs_open_dir(AT_FDCWD, argv[2], &diff, &err) < 0 ||
        fs_open_dir(AT_FDCWD, argv[3], &blobs, &err) < 0 ||
        layer_write(diff, blobs,
                    &(struct layer_options){.threads = (int)strtol(argv[4], NULL, 10), .epoch = -1},
                    &l, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    printf("%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", l.diff_id, l.digest, l.size, l.tar_size,
           l.entries);
    return 0;
}
