/* programs/extract — unpacks an archive inside a jail, where it can harm nobody. */
#include "base/fs.h"
#include "base/text.h"
#include "programs/commands.h"
#include "uploads/uploads.h"

#define REPORT_MAX (8 << 20) /* bytes of JSON */

static int read_limits(int argc, char **argv, struct upload_limits *ret, struct error *err)
{
    *ret = upload_limits_default;
    if (argc != 3 || !text_to_u64(argv[1], UINT64_MAX, &ret->bytes_max) ||
        !text_to_u64(argv[2], UINT64_MAX, &ret->entries_max))
        return error_set(err, ERR_SYSTEM, "extract: wants two numbers");
    return 0;
}

static int unpack(int argc, char **argv, struct upload_report *report, struct error *err)
{
    CLEANUP_CLOSE int context = -1;
    struct upload_limits limits;

    if (read_limits(argc, argv, &limits, err) < 0 ||
        fs_open_dir(AT_FDCWD, "/context", &context, err) < 0)
        return -1;
    return upload_extract(STDIN_FILENO, context, &limits, report, err);
}

int inner_extract(int argc, char **argv)
{
    CLEANUP(upload_report_release) struct upload_report report;
    CLEANUP(buf_release) struct buf json = BUF_INIT(REPORT_MAX);
    struct error failure = ERROR_INIT;
    struct error err = ERROR_INIT;
    bool failed;

    upload_report_init(&report);
    failed = unpack(argc, argv, &report, &failure) < 0;
    if (upload_report_write(&report, failed ? &failure : NULL, &json, &err) < 0 ||
        fs_write_all(STDOUT_FILENO, buf_str(&json), json.len, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}
