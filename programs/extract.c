/* programs/extract — unpacks an archive and plans its build, inside a jail, where what is hostile
 * in it can harm nobody. */
#include "base/fs.h"
#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "programs/commands.h"
#include "uploads/uploads.h"

#define OUTPUT_MAX (16 << 20) /* bytes of JSON */

struct order {
    struct upload_limits limits;
    const char *sandbox_image;
    const char *type;
};

static int read_order(int argc, char **argv, struct order *ret, struct error *err)
{
    ret->limits = upload_limits_default;
    if (argc != 5 || !text_to_u64(argv[1], UINT64_MAX, &ret->limits.bytes_max) ||
        !text_to_u64(argv[2], UINT64_MAX, &ret->limits.entries_max))
        return error_set(err, ERR_SYSTEM, "extract: wants two numbers, an image and a type");
    ret->sandbox_image = argv[3];
    ret->type = argv[4];
    return 0;
}

static int unpack(const struct order *order, struct upload_report *report, struct error *err)
{
    CLEANUP_CLOSE int context = -1;

    if (fs_open_dir(AT_FDCWD, "/context", &context, err) < 0)
        return -1;
    if (upload_extract(STDIN_FILENO, context, &order->limits, report, err) < 0)
        return -1;
    upload_git_revision(context, report->revision);
    return 0;
}

/* What the build does not see need not be there. */
static int prune(int context, const struct buf *rules, struct error *err)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;

    if (!rules->len)
        return 0;
    if (dockerfile_ignore_parse(buf_str(rules), rules->len, &ignore, err) < 0)
        return -1;
    return dockerfile_context_prune(context, ignore, err);
}

static int plan(const struct order *order, const struct upload_report *report, struct buf *out,
                struct error *err)
{
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;
    CLEANUP(argv_release) struct argv build_args = ARGV_INIT;
    CLEANUP_CLOSE int context = -1;
    struct dockerfile_source source;
    const struct dockerfile_plan_request req = {.source = &source,
                                                .dirfd = &context,
                                                .type = order->type,
                                                .build_args = &build_args,
                                                .sandbox_image = order->sandbox_image};

    dockerfile_plan_init(&p);
    if (fs_open_dir(AT_FDCWD, "/context", &context, err) < 0)
        return -1;
    source = dockerfile_source_directory(&context);
    if (report->has_env_build &&
        upload_parse_env(buf_str(&report->env_build), report->env_build.len, &build_args, err) < 0)
        return -1;
    if (dockerfile_plan_make(&req, &p, err) < 0 ||
        (p.failure.kind == ERR_NONE && prune(context, &p.ignore, err) < 0))
        return -1;
    return dockerfile_plan_write(&p, out, err);
}

static int extract(int argc, char **argv, struct upload_report *report, struct buf *planned,
                   struct error *err)
{
    struct order order;

    if (read_order(argc, argv, &order, err) < 0 || unpack(&order, report, err) < 0)
        return -1;
    return plan(&order, report, planned, err);
}

int inner_extract(int argc, char **argv)
{
    CLEANUP(upload_report_release) struct upload_report report;
    CLEANUP(buf_release) struct buf json = BUF_INIT(OUTPUT_MAX);
    CLEANUP(buf_release) struct buf planned = BUF_INIT(OUTPUT_MAX);
    struct error failure = ERROR_INIT;
    struct error err = ERROR_INIT;
    bool failed;

    /* Times in a ZIP have no zone; unset, two calls a file would look for /etc/localtime. */
    (void)setenv("TZ", "UTC0", 1);
    upload_report_init(&report);
    failed = extract(argc, argv, &report, &planned, &failure) < 0;
    if (upload_report_write(&report, failed ? &failure : NULL, &json, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    if (!failed)
        buf_addf(&json, "\n%s", buf_str(&planned));
    if (buf_check(&json, "the report on the archive", &err) < 0 ||
        fs_write_all(STDOUT_FILENO, buf_str(&json), json.len, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
