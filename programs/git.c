/* programs/git — fetches a git source inside a jail that may talk to its server. */
#include <signal.h>
#include <sys/resource.h>

#include "base/fs.h"
#include "base/sanitized.h"
#include "base/text.h"
#include "programs/commands.h"
#include "uploads/uploads.h"

#define DIRECTORY  "/kiln/tmp/git"
#define OUTPUT_MAX (16 << 20)           /* bytes of JSON */
#define FILE_SLACK (UINT64_C(64) << 20) /* a tar is larger than what is in it */
#define MEMORY_MAX (UINT64_C(2) << 30)  /* an object, what it is a change of, and both packed */

struct order {
    struct upload_git_limits limits;
    struct upload_git source;
};

static int read_order(int argc, char **argv, struct order *ret, struct error *err)
{
    ret->limits = upload_git_limits_default;
    ret->limits.may_ask = builder_may_fetch_from;
    if (argc != 5 || !text_to_u64(argv[1], UINT64_MAX, &ret->limits.bytes_max) ||
        !text_to_u64(argv[2], UINT64_MAX, &ret->limits.tree_bytes_max) ||
        !text_to_u64(argv[3], UINT64_MAX, &ret->limits.entries_max))
        return error_set(err, ERR_SYSTEM, "git: wants three numbers and a source");
    return upload_git_parse(argv[4], &ret->source, err);
}

/* Behind the limits that libgit2 is held to, the kernel's: no file, be it pack or tar, gets larger
 * than twice what may be in it (a tar has a header for each entry), and a small pack cannot ask for
 * all memory (an object may be stored as changes of another, and says itself how large it gets). */
int git_limit_process(const struct upload_git_limits *limits, struct error *err)
{
    uint64_t most =
        limits->bytes_max > limits->tree_bytes_max ? limits->bytes_max : limits->tree_bytes_max;
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
    struct rlimit files = {RLIM_INFINITY, RLIM_INFINITY};

    if (!__builtin_mul_overflow(most, 2, &most) && !__builtin_add_overflow(most, FILE_SLACK, &most))
        files.rlim_cur = files.rlim_max = (rlim_t)most;
    /* A write that is refused is an error like any other. */
    if (setrlimit(RLIMIT_FSIZE, &files) < 0 || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR || (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0))
        return error_set(err, ERR_SYSTEM, "limit memory and the size of files");
    return 0;
}

static int fetch(int argc, char **argv, struct upload_report *report, struct error *err)
{
    struct error ignored = ERROR_INIT;
    struct order order;
    int result;

    if (read_order(argc, argv, &order, err) < 0 || git_limit_process(&order.limits, err) < 0)
        return -1;
    result = upload_git_fetch(&order.source, DIRECTORY, STDIN_FILENO, &order.limits, report, err);
    if (fs_remove_tree(AT_FDCWD, DIRECTORY, result < 0 ? &ignored : err) < 0)
        return -1;
    return result;
}

int inner_git(int argc, char **argv)
{
    CLEANUP(upload_report_release) struct upload_report report;
    CLEANUP(buf_release) struct buf json = BUF_INIT(OUTPUT_MAX);
    struct error failure = ERROR_INIT;
    struct error err = ERROR_INIT;
    bool failed;

    upload_report_init(&report);
    failed = fetch(argc, argv, &report, &failure) < 0;
    if (upload_report_write(&report, failed ? &failure : NULL, &json, &err) < 0 ||
        fs_write_all(STDOUT_FILENO, buf_str(&json), json.len, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
