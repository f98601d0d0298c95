/* What comes from an archive through a jail: the first line says what is read ("report", "docker",
 * "env"), the rest is it. */
#include <string.h>

#include "base/text.h"
#include "uploads/uploads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is taken can be written, and is taken again. */
static void try_report(const char *text, size_t len)
{
    CLEANUP(upload_report_release) struct upload_report report;
    CLEANUP(upload_report_release) struct upload_report again;
    CLEANUP(buf_release) struct buf out = BUF_INIT(64 << 20);
    struct error err = ERROR_INIT;

    upload_report_init(&report);
    upload_report_init(&again);
    if (upload_report_read(text, len, &report, &err) < 0) {
        must(err.kind != ERR_NONE);
        return;
    }
    must(strlen(report.revision) < UPLOAD_REVISION);
    must(upload_report_write(&report, NULL, &out, &err) == 0);
    must(upload_report_read(buf_str(&out), out.len, &again, &err) == 0);
    must(again.entries == report.entries && again.warnings.n == report.warnings.n);
    must(again.env_build.len == report.env_build.len);
}

static void try_docker(const char *text, size_t len)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf again = BUF_INIT(2 << 20);
    struct error err = ERROR_INIT;

    if (upload_clean_docker_config(text, len, &clean, &err) < 0) {
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT || clean.full);
        return;
    }
    must(upload_clean_docker_config(buf_str(&clean), clean.len, &again, &err) == 0);
    must(strcmp(buf_str(&clean), buf_str(&again)) == 0);
}

static void try_env(const char *text, size_t len)
{
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    struct error err = ERROR_INIT;

    if (upload_parse_env(text, len, &env, &err) < 0) {
        must(err.kind == ERR_INPUT && text_starts(err.msg, ".env.build: line "));
        return;
    }
    for (size_t i = 0; i < env.n; i++)
        must(strchr(env.v[i], '=') > env.v[i] && !strchr(env.v[i], '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        void (*try)(const char *text, size_t len);
    } kinds[] = {{"report\n", try_report}, {"docker\n", try_docker}, {"env\n", try_env}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const size_t n = strlen(kinds[i].name);

        if (size >= n && memcmp(data, kinds[i].name, n) == 0)
            kinds[i].try((const char *)data + n, size - n);
    }
    return 0;
}
