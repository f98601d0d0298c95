/* feature — see the header. */
#include "feature.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

#define CONTENT_MAX 200
#define LISTING_MAX (16 << 20)

/* ---- what the layers hold ---- */

struct line {
    char *path, *text;
};

struct tree {
    struct line *v;
    size_t n, cap;
};

static void put(struct tree *t, const char *path, const char *text)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->v[i].path, path) != 0)
            continue;
        free(t->v[i].text);
        t->v[i].text = strdup(text);
        return;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->v = reallocarray(t->v, t->cap, sizeof(*t->v));
        assert_non_null(t->v);
    }
    t->v[t->n++] = (struct line){strdup(path), strdup(text)};
}

static void add_content(struct archive *in, struct buf *out)
{
    char bytes[CONTENT_MAX];
    la_ssize_t n = archive_read_data(in, bytes, sizeof(bytes));

    assert_true(n >= 0);
    buf_addc(out, '"');
    for (la_ssize_t i = 0; i < n; i++) {
        if (bytes[i] == '\n')
            buf_adds(out, "\\n");
        else if (isprint((unsigned char)bytes[i]))
            buf_addc(out, bytes[i]);
        else
            buf_addf(out, "\\x%02x", (unsigned char)bytes[i]);
    }
    buf_addc(out, '"');
}

static void describe(struct archive *in, struct archive_entry *e, const char *path, struct buf *out)
{
    char kind = S_ISDIR(archive_entry_mode(e)) ? 'd' : S_ISREG(archive_entry_mode(e)) ? 'f' : 'o';

    if (archive_entry_hardlink(e)) {
        buf_addf(out, "h %s = %s", path, archive_entry_hardlink(e));
        return;
    }
    if (S_ISLNK(archive_entry_mode(e))) {
        buf_addf(out, "l %s -> %s", path, archive_entry_symlink(e));
        return;
    }
    buf_addf(out, "%c %o %d:%d %s", kind, archive_entry_mode(e) & 07777, (int)archive_entry_uid(e),
             (int)archive_entry_gid(e), path);
    if (kind == 'f') {
        buf_addc(out, ' ');
        add_content(in, out);
    }
}

static void add_layer(const struct buf *blob, struct tree *t)
{
    struct archive *in = archive_read_new();
    struct archive_entry *e;

    archive_read_support_filter_gzip(in);
    archive_read_support_format_tar(in);
    assert_int_equal(archive_read_open_memory(in, blob->data, blob->len), ARCHIVE_OK);
    while (archive_read_next_header(in, &e) == ARCHIVE_OK) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
        char path[8192];
        size_t n;

        (void)snprintf(path, sizeof(path), "%s", archive_entry_pathname(e));
        n = strlen(path);
        if (n > 1 && path[n - 1] == '/')
            path[n - 1] = '\0';
        describe(in, e, path, &text);
        put(t, path, buf_str(&text));
    }
    assert_int_equal(archive_errno(in), 0);
    archive_read_free(in);
}

static int by_path(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static void look(const struct machine *m, struct attempt *a, struct seen *ret)
{
    struct tree t = {.n = 0};

    *ret = (struct seen){.config = BUF_INIT(1 << 20), .files = BUF_INIT(LISTING_MAX)};
    buf_add(&ret->config, a->image.config.data, a->image.config.len);
    for (size_t i = 0; i < a->image.n_layers; i++) {
        CLEANUP(buf_release) struct buf blob = BUF_INIT(256 << 20);

        if (a->image.layers[i].base)
            continue;
        machine_fetch_blob(m, a->push_to, a->image.layers[i].digest, &blob);
        add_layer(&blob, &t);
        ret->n_layers++;
    }
    if (t.n)
        qsort(t.v, t.n, sizeof(*t.v), by_path);
    for (size_t i = 0; i < t.n; i++) {
        buf_addf(&ret->files, "%s\n", t.v[i].text);
        free(t.v[i].path);
        free(t.v[i].text);
    }
    free(t.v);
}

/* ---- for comparisons ---- */

static void leave_file(const char *dir, const char *name, const char *text)
{
    char path[2048];
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    *strrchr(path, '/') = '\0';
    assert_int_equal(fs_mkdirs(path, 0755, &err), 0);
    path[strlen(path)] = '/';
    assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err), 0);
}

/* With $KILN_KEEP_FEATURES the Dockerfile and its context stay below that directory, for
 * tests/compare to build them by others. */
static void leave_case(const struct attempt *a)
{
    static unsigned n;
    CLEANUP(buf_release) struct buf args = BUF_INIT(1 << 20);
    const char *keep = getenv("KILN_KEEP_FEATURES");
    char dir[1024], link_path[2048];

    if (!keep)
        return;
    (void)snprintf(dir, sizeof(dir), "%s/%s-%02u", keep, program_invocation_short_name, ++n);
    leave_file(dir, "Dockerfile", a->dockerfile);
    if (a->ignore)
        leave_file(dir, ".dockerignore", a->ignore);
    for (size_t i = 0; a->build_args && i < a->build_args->n; i++)
        buf_addf(&args, "%s\n", a->build_args->v[i]);
    if (args.len)
        leave_file(dir, ".env.build", buf_str(&args));
    for (const char *const *f = a->files; f && f[0]; f += 2)
        leave_file(dir, f[0], f[1]);
    for (const char *const *l = a->links; l && l[0]; l += 2) {
        (void)snprintf(link_path, sizeof(link_path), "%s/%s", dir, l[0]);
        assert_int_equal(symlink(l[1], link_path), 0);
    }
}

void features_build(const struct machine *m, struct attempt *a, struct seen *ret)
{
    leave_case(a);
    if (!a->push_to)
        a->push_to = "ws/features/image";
    attempt_run(m, a);
    assert_built(a);
    look(m, a, ret);
}

void features_build_on(const struct machine *m, struct builder_job *job, struct attempt *a,
                       struct seen *ret)
{
    if (!a->push_to)
        a->push_to = "ws/features/image";
    (void)snprintf(a->registry, sizeof(a->registry), "http://%s", m->address);
    attempt_run_on(job, a);
    assert_built(a);
    look(m, a, ret);
}

void features_release(struct attempt *a, struct seen *s)
{
    buf_release(&s->config);
    buf_release(&s->files);
    attempt_release(a);
}

/* ---- judging ---- */

void assert_files(const struct attempt *a, const struct seen *s, const char *lines)
{
    if (strcmp(buf_str(&s->files), lines) == 0)
        return;
    print_error("%s\n", buf_str(&a->log)); /* each is cut at 1 KiB */
    print_error("expected files:\n%s", lines);
    print_error("found:\n%s", buf_str(&s->files));
    fail_msg("the image does not hold what was expected");
}

void assert_config(const struct seen *s, const char *member, const char *json)
{
    json_auto_t *root = json_loadb(buf_str(&s->config), s->config.len, 0, NULL);
    const json_t *at = root;
    char names[128];
    char *rest = names, *text;

    assert_non_null(root);
    (void)snprintf(names, sizeof(names), "%s", member);
    for (char *name = strsep(&rest, "."); name; name = strsep(&rest, "."))
        at = json_object_get(at, name);
    text = at ? json_dumps(at, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("null");
    if (strcmp(text, json) != 0)
        fail_msg("%s is %s and not %s", member, text, json);
    free(text);
}

void assert_refused(const struct machine *m, struct attempt *a, const char *words)
{
    attempt_run(m, a);
    if (a->result < 0 && a->err.kind == ERR_INPUT && strcmp(a->at, "build") == 0) {
        if (!strstr(a->err.msg, words))
            fail_msg("refused with: %s", a->err.msg);
        return;
    }
    assert_outcome(a, "build", BUILDER_FAILED);
    if (!strstr(a->failure.reason, words))
        fail_msg("failed with: %s", a->failure.reason);
}

/* ---- commands ---- */

void features_command(const char *program, ...)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    const struct process_request req = {.argv = &argv, .stdin_fd = -1, .timeout_ms = 300000};
    struct process_end end;
    struct error err = ERROR_INIT;
    va_list words;

    argv_push1(&argv, program);
    va_start(words, program);
    for (const char *w = va_arg(words, const char *); w; w = va_arg(words, const char *))
        argv_push1(&argv, w);
    va_end(words);
    assert_int_equal(process_run(&req, &end, &err), 0);
    assert_true(process_succeeded(&end));
}
