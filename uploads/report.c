/* uploads/report — what an archive held, and the same as JSON to cross a process boundary.
 *
 *   {"failure":{"kind":"input","message":"…"}}
 *   {"counts":{"entries":3,…},"docker_config":null,"env_build":"4b3d76","revision":"",
 *    "warnings":["…"]}
 *
 * File contents are bytes of any kind, so they travel in hexadecimal; null is a file that was not
 * there.  The writer runs in a jail with a hostile archive, so the reader trusts no length. */
#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "uploads/uploads.h"

#define SECRET_MAX (1 << 20)

void upload_report_init(struct upload_report *r)
{
    *r = (struct upload_report){
        .docker_config = BUF_INIT(SECRET_MAX),
        .env_build = BUF_INIT(SECRET_MAX),
    };
}

void upload_report_release(struct upload_report *r)
{
    if (!r)
        return;
    buf_release(&r->docker_config);
    buf_release(&r->env_build);
    argv_release(&r->warnings);
}

/* ---- writing ---- */

/* JSON holds text only.  Messages are ours, but one that was cut at its ceiling may end within a
 * character. */
static json_t *json_from_text(const char *text)
{
    CLEANUP_FREE char *copy = strdup(text);
    size_t len = copy ? strlen(copy) : 0;

    for (size_t i = 0; copy && !text_is_utf8(copy, len) && i < len; i++)
        if (copy[i] & 0x80)
            copy[i] = '?';
    return copy ? json_stringn(copy, len) : NULL;
}

static json_t *json_from_file(bool present, const struct buf *content)
{
    CLEANUP_FREE char *hex = NULL;

    if (!present)
        return json_null();
    hex = malloc(2 * content->len + 1);
    if (!hex)
        return NULL;
    digest_hex((const unsigned char *)buf_str(content), content->len, hex);
    return json_string(hex);
}

static json_t *json_from_warnings(const struct argv *warnings)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < warnings->n; i++) {
        if (json_array_append_new(list, json_from_text(warnings->v[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *json_from_report(const struct upload_report *r)
{
    return json_pack("{s:{s:I,s:I,s:I,s:I,s:I},s:o,s:o,s:s,s:o}", "counts", "entries",
                     (json_int_t)r->entries, "files", (json_int_t)r->files, "directories",
                     (json_int_t)r->directories, "symlinks", (json_int_t)r->symlinks, "bytes",
                     (json_int_t)r->bytes, "docker_config",
                     json_from_file(r->has_docker_config, &r->docker_config), "env_build",
                     json_from_file(r->has_env_build, &r->env_build), "revision", r->revision,
                     "warnings", json_from_warnings(&r->warnings));
}

int upload_report_write(const struct upload_report *r, const struct error *failure, struct buf *out,
                        struct error *err)
{
    json_auto_t *document = NULL;
    CLEANUP_FREE char *dump = NULL;

    if (failure)
        document = json_pack("{s:{s:s,s:o}}", "failure", "kind", error_kind_name(failure->kind),
                             "message", json_from_text(failure->msg));
    else
        document = json_from_report(r);
    dump = document ? json_dumps(document, JSON_COMPACT) : NULL;
    if (!dump)
        return error_set(err, ERR_SYSTEM, "report on the archive: out of memory");
    buf_adds(out, dump);
    return buf_check(out, "the report on the archive", err);
}

/* ---- reading ---- */

static int bad_report(const char *what, struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read the report on the archive: %s", what);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool file_from_json(const json_t *j, bool *ret_present, struct buf *out)
{
    const char *hex = json_string_value(j);
    size_t len = json_string_length(j);

    *ret_present = hex != NULL;
    if (!hex)
        return json_is_null(j);
    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = hex_digit(hex[i]);
        int low = hex_digit(hex[i + 1]);

        if (high < 0 || low < 0)
            return false;
        buf_addc(out, (char)(high << 4 | low));
    }
    return len % 2 == 0 && !out->full;
}

static bool count_from_json(const json_t *counts, const char *name, uint64_t *ret)
{
    const json_t *j = json_object_get(counts, name);

    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(j);
    return true;
}

static bool counts_from_json(const json_t *counts, struct upload_report *r)
{
    return count_from_json(counts, "entries", &r->entries) &&
           count_from_json(counts, "files", &r->files) &&
           count_from_json(counts, "directories", &r->directories) &&
           count_from_json(counts, "symlinks", &r->symlinks) &&
           count_from_json(counts, "bytes", &r->bytes);
}

static bool warnings_from_json(const json_t *list, struct argv *out)
{
    size_t i;
    json_t *line;

    if (!json_is_array(list))
        return false;
    json_array_foreach (list, i, line) {
        if (!json_is_string(line))
            return false;
        argv_push1(out, json_string_value(line));
    }
    return !out->failed;
}

/* "" or a commit's id, and nothing else: it becomes a label. */
static bool revision_from_json(const json_t *j, char ret[UPLOAD_REVISION])
{
    const char *text = json_string_value(j);
    size_t len = json_string_length(j);

    if (!text || (len != 0 && len != UPLOAD_REVISION - 1) ||
        strspn(text, "0123456789abcdef") != len)
        return false;
    memcpy(ret, text, len + 1);
    return true;
}

static bool report_from_json(const json_t *j, struct upload_report *r)
{
    return counts_from_json(json_object_get(j, "counts"), r) &&
           file_from_json(json_object_get(j, "docker_config"), &r->has_docker_config,
                          &r->docker_config) &&
           file_from_json(json_object_get(j, "env_build"), &r->has_env_build, &r->env_build) &&
           revision_from_json(json_object_get(j, "revision"), r->revision) &&
           warnings_from_json(json_object_get(j, "warnings"), &r->warnings);
}

static int failure_from_json(const json_t *failure, struct error *err)
{
    static const enum error_kind kinds[] = {ERR_INPUT, ERR_LIMIT, ERR_REMOTE, ERR_SYSTEM};
    const char *kind = json_string_value(json_object_get(failure, "kind"));
    const char *message = json_string_value(json_object_get(failure, "message"));

    if (!kind || !message)
        return bad_report("a failure without kind and message", err);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, error_kind_name(kinds[i])) == 0)
            return error_set(err, kinds[i], "%s", message);
    return bad_report("a failure of an unknown kind", err);
}

int upload_report_read(const char *json, size_t len, struct upload_report *ret, struct error *err)
{
    CLEANUP(upload_report_release) struct upload_report r;
    json_auto_t *document = NULL;
    json_t *failure;

    upload_report_init(&r);
    document = json_loadb(json, len, 0, NULL);
    if (!json_is_object(document))
        return bad_report("not a JSON object", err);
    failure = json_object_get(document, "failure");
    if (failure)
        return failure_from_json(failure, err);
    if (!report_from_json(document, &r))
        return bad_report("a member is missing or malformed", err);
    upload_report_release(ret);
    *ret = r;
    upload_report_init(&r);
    return 0;
}
