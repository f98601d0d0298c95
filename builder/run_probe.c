/* builder/run_probe — whether runc works here: the jail's own /usr as an image, and true run in it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builder/run_inside.h"

#define IMAGE  "/tmp/image"
#define BUNDLE "/tmp/bundle"

/* The links that lead to /usr, where programs look for their loader. */
static int link_usr(void)
{
    static const char *const names[] = {"lib", "lib32", "lib64", "libx32"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char from[16];
        char to[32];
        char target[PATH_MAX];
        ssize_t n;

        (void)snprintf(from, sizeof(from), "/%s", names[i]);
        (void)snprintf(to, sizeof(to), IMAGE "/%s", names[i]);
        n = readlink(from, target, sizeof(target) - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        if (symlink(target, to) < 0)
            return -1;
    }
    return 0;
}

static int run_true(struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const struct run_mount usr = {
        .type = RUN_MOUNT_BIND, .target = "/usr", .source = "/usr", .read_only = true};
    const struct run_request req = {.rootfs = IMAGE,
                                    .bundle = BUNDLE,
                                    .argv = &argv,
                                    .env = &env,
                                    .cwd = "",
                                    .user = "",
                                    .mounts = &usr,
                                    .n_mounts = 1,
                                    .no_network = true};
    struct run_end end;

    argv_push(&argv, "/usr/bin/true", NULL);
    if (mkdir(IMAGE, 0755) < 0 || mkdir(BUNDLE, 0700) < 0 || link_usr() < 0)
        return error_errno(err, errno, "make an image");
    if (run_command(&req, &end, err) < 0)
        return -1;
    if (end.how != RUN_EXITED || end.code != 0)
        return error_set(err, ERR_SYSTEM, "%s ended with %d", argv.v[0], end.code);
    return 0;
}

int run_probe_main(int argc, char **argv)
{
    struct error err = ERROR_INIT;

    (void)argc;
    (void)argv;
    if (run_true(&err) == 0)
        return 0;
    (void)fprintf(stderr, "%s\n", err.msg);
    return 1;
}
