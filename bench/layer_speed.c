/* bench/layer_speed — how fast a diff directory becomes a layer, and a layer a directory again.
 *
 *     layer_speed DIFF BLOBS [THREADS [BACK]]
 *
 * Writes the layer of DIFF to BLOBS with THREADS threads that compress (default 2), and unpacks it
 * into BACK, an empty directory, when one is given.  The blob stays: an equal one that is there
 * already is not written again, but costs as much to make. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/layer.h"

static int fail(const struct error *err)
{
    fprintf(stderr, "layer_speed: %s\n", err->msg);
    return 1;
}

static double seconds_since(int64_t start)
{
    return (double)(clock_monotonic() - start) / (double)NS_PER_SEC;
}

static void print(const char *what, int64_t start, const struct layer *l)
{
    double seconds = seconds_since(start);
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    printf("%-7s %7.2f s  %7.1f MB/s of tar  %ld MiB at most, %.2f s of processor so far\n", what,
           seconds, (double)l->tar_size / 1e6 / seconds, used.ru_maxrss / 1024,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
    struct layer_options options = {.threads = 2, .epoch = -1};
    CLEANUP_CLOSE int diff = -1, blobs = -1, back = -1;
    struct error err = ERROR_INIT;
    int64_t start;
    uint64_t threads = 2;
    struct layer l;

    if (argc < 3 || argc > 5 || (argc > 3 && !text_to_u64(argv[3], 64, &threads))) {
        fprintf(stderr, "usage: layer_speed DIFF BLOBS [THREADS [BACK]]\n");
        return 2;
    }
    options.threads = (int)threads;
    if (fs_open_dir(AT_FDCWD, argv[1], &diff, &err) < 0 ||
        fs_open_dir(AT_FDCWD, argv[2], &blobs, &err) < 0 ||
        (argc > 4 && fs_open_dir(AT_FDCWD, argv[4], &back, &err) < 0))
        return fail(&err);
    start = clock_monotonic();
    if (layer_write(diff, blobs, &options, &l, &err) < 0)
        return fail(&err);
    printf("%" PRIu64 " entries, %.1f MB of tar, %.1f MB of blob\n%s\n%s\n", l.entries,
           (double)l.tar_size / 1e6, (double)l.size / 1e6, l.diff_id, l.digest);
    print("write", start, &l);
    if (back < 0 || l.entries == 0)
        return 0;
    start = clock_monotonic();
    if (layer_unpack(blobs, &l, true, back, &err) < 0)
        return fail(&err);
    print("unpack", start, &l);
    return 0;
}
