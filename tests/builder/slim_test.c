/* Slimming of trees: what is found in them, what is found twice, and what a layer is then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "builder/slim.h"
#include "builder/slim_scan.h"
#include "builder/slim_store.h"
#include "tests/builder/layer_making.h"

#define DIFF "1111111111111111111111111111111111111111111111111111111111111111"

/* ---- what is in a tree ---- */

static void put_dirs(int dir, const char *path)
{
    char part[4096];

    for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
        (void)snprintf(part, sizeof(part), "%.*s", (int)n, path);
        (void)mkdirat(dir, part, 0755);
        if (!path[n])
            return;
    }
}

static void put_file(int dir, const char *path, const char *text)
{
    char parent[4096];

    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
    put_dirs(dir, parent);
    layer_put(dir, path, text);
}

struct found {
    struct slim_config config;
    struct slim_facts facts;
    struct slim_twins *twins;
};

static void scan(int diff, int below, bool removes, const char *config, struct found *ret)
{
    struct slim_scan_request req = {
        .config = &ret->config, .diff = diff, .below = below, .removes = removes, .epoch = -1};
    struct error err = ERROR_INIT;

    assert_int_equal(slim_config_read(config, &ret->config, &err), 0);
    if (slim_scan(&req, &ret->facts, &ret->twins, &err) < 0)
        fail_msg("%s", err.msg);
}

static void release_found(struct found *f)
{
    slim_config_release(&f->config);
    slim_facts_release(&f->facts);
    slim_twins_free(f->twins);
}

static const struct slim_root *root_at(const struct found *f, const char *path)
{
    for (size_t i = 0; i < f->facts.n_roots; i++)
        if (strcmp(f->facts.roots[i].path, path) == 0)
            return &f->facts.roots[i];
    fail_msg("%s was not found", path);
    return NULL;
}

static void test_files_are_counted_and_hard_links_once(void **state)
{
    const struct layer_scratch *s = *state;
    struct found f;

    put_file(s->diff, "var/log/dpkg.log", "12345");
    put_file(s->diff, "var/log/apt/history.log", "123");
    put_file(s->diff, "var/log/app.log", "stays");
    put_file(s->diff, "var/lib/dpkg/status-old", "1");
    put_file(s->diff, "var/lib/dpkg/status", "stays");
    put_file(s->diff, "root/.cache/uv/a/b", "1234567");
    assert_int_equal(linkat(s->diff, "root/.cache/uv/a/b", s->diff, "root/.cache/uv/c", 0), 0);
    put_file(s->diff, "root/.cache/uv/d", "12345678");
    assert_int_equal(linkat(s->diff, "root/.cache/uv/d", s->diff, "venv", 0), 0);
    scan(s->diff, -1, true, "{}", &f);
    assert_int_equal(f.facts.n_roots, 4);
    assert_int_equal(root_at(&f, "var/log")->files, 1);
    assert_int_equal(root_at(&f, "var/log")->bytes, 5);
    assert_int_equal(root_at(&f, "var/log/apt")->bytes, 3);
    assert_int_equal(root_at(&f, "var/lib/dpkg")->files, 1);
    assert_int_equal(root_at(&f, "root/.cache/uv")->files, 3);
    assert_int_equal(root_at(&f, "root/.cache/uv")->bytes, 7);
    release_found(&f);
    scan(s->diff, -1, false, "{}", &f); /* as a COPY's */
    assert_int_equal(f.facts.n_roots, 0);
    release_found(&f);
}

static void test_a_place_that_is_no_directory_is_left(void **state)
{
    const struct layer_scratch *s = *state;
    struct found f;

    put_file(s->diff, "root/.cache/pip", "a file");
    put_dirs(s->diff, "var/cache");
    assert_int_equal(symlinkat("/data", s->diff, "var/cache/apt"), 0);
    scan(s->diff, -1, true, "{}", &f);
    assert_int_equal(f.facts.n_roots, 0);
    release_found(&f);
}

static void test_what_replaces_another_file_below_keeps_its_place(void **state)
{
    const struct layer_scratch *s = *state;
    struct found f;

    put_file(s->back, "var/cache/apt/archives/lock", "");
    put_file(s->back, "var/lib/apt/lists/index", "old");
    put_file(s->diff, "var/cache/apt/archives/lock", "");
    put_file(s->diff, "var/cache/apt/archives/x.deb", "deb");
    put_file(s->diff, "var/lib/apt/lists/index", "newer");
    scan(s->diff, s->back, true, "{}", &f);
    assert_false(root_at(&f, "var/cache/apt")->covers);
    assert_true(root_at(&f, "var/lib/apt/lists")->covers);
    release_found(&f);
    assert_int_equal(fchmodat(s->diff, "var/cache/apt/archives", 0700, 0), 0);
    scan(s->diff, s->back, true, "{}", &f);
    assert_false(root_at(&f, "var/cache/apt")->covers);
    assert_true(root_at(&f, "var/cache/apt")->marks); /* so that it is 0700 in the image */
    assert_true(root_at(&f, "var/lib/apt/lists")->covers);
    release_found(&f);
}

static void test_links_within_a_cache_keep_nothing_and_others_do(void **state)
{
    const struct layer_scratch *s = *state;
    const struct slim_rule *rule = NULL;
    struct found f;
    size_t len = 0;

    put_dirs(s->diff, "root/.cache/uv/links");
    assert_int_equal(symlinkat("../x", s->diff, "root/.cache/uv/links/x"), 0);
    assert_int_equal(symlinkat("/root/.cache/uv/y", s->diff, "root/.cache/uv/links/y"), 0);
    scan(s->diff, -1, true, "{}", &f);
    assert_int_equal(f.facts.pins.at.n, 0);
    release_found(&f);
    assert_int_equal(symlinkat("../../pip/x", s->diff, "root/.cache/uv/links/z"), 0);
    put_file(s->diff, "app/.pnp.cjs", "");
    scan(s->diff, -1, true, "{}", &f);
    assert_int_equal(f.facts.pins.at.n, 2);
    assert_true(argv_contains(&f.facts.pins.at, "root/.cache/pip"));
    assert_int_equal(slim_places_find(&f.config.places, "root/.cache/yarn", &rule, &len), SLIM_AT);
    assert_string_equal(slim_pins_find(&f.facts.pins, rule, "root/.cache/yarn"),
                        "\"app/.pnp.cjs\"");
    release_found(&f);
}

static void put_twin(int dir, const char *path, char last)
{
    char text[5001];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 2] = last;
    text[sizeof(text) - 1] = '\0';
    put_file(dir, path, text);
}

static void test_files_are_twins_when_all_is_equal(void **state)
{
    static const char *const equal[] = {"app/a", "app/b", "app/c"};
    static const char *const others[] = {"app/d",         "app/mode",     "app/time", "app/x.db",
                                         "app/y.sqlite3", "etc/a",        "var/x/a",  "vol/a",
                                         "app/shared",    "app/attribute"};
    const struct layer_scratch *s = *state;
    struct found f;
    struct stat st;
    ino_t stands, first = 0;

    for (size_t i = 0; i < 3; i++)
        put_twin(s->diff, equal[i], 'a');
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        put_twin(s->diff, others[i], i == 0 ? 'b' : 'a');
    assert_int_equal(fchmodat(s->diff, "app/mode", 0755, 0), 0);
    assert_int_equal(fchmodat(s->diff, "app/shared", 0664, 0), 0);
    layer_set_time(s->diff, "app/time", 1);
    {
        CLEANUP_CLOSE int fd = openat(s->diff, "app/attribute", O_RDONLY | O_CLOEXEC);

        if (fsetxattr(fd, "user.x", "1", 1, 0) < 0)
            assert_int_equal(unlinkat(s->diff, "app/attribute", 0), 0);
    }
    scan(s->diff, -1, true, "{\"Volumes\":{\"/vol\":{}}}", &f);
    assert_int_equal(f.facts.twins, 2);
    assert_int_equal(f.facts.twin_bytes, 10000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fstatat(s->diff, equal[i], &st, 0), 0);
        assert_true(slim_twins_has(f.twins, &st, &stands));
        assert_true(i == 0 || stands == first);
        first = stands;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(fstatat(s->diff, others[i], &st, 0) == 0 &&
                     slim_twins_has(f.twins, &st, &stands));
    release_found(&f);
}

/* ---- layers, and what is kept of them ---- */

static int open_nothing(void *self, int *ret_fd, struct error *err)
{
    (void)self;
    (void)err;
    *ret_fd = -1;
    return 0;
}

struct site {
    char path[128];
    struct cache cache;
    struct cache_record record;
    struct slim_look_request req;
    struct slim *slim;
    struct slim_step *step;
};

/* The scratch's diff becomes one of a cache. */
static void open_site(const struct layer_scratch *s, const char *config, struct site *ret)
{
    const struct builder_program program = {.config = config, .epoch = -1};
    struct error err = ERROR_INIT;

    *ret = (struct site){.cache = CACHE_INIT};
    (void)snprintf(ret->path, sizeof(ret->path), "%s/blobs", s->path);
    assert_int_equal(cache_open(ret->path, "job", &ret->cache, &err), 0);
    (void)renameat(s->fd, "diff", ret->cache.diffs, DIFF);
    (void)mkdirat(s->fd, "diff", 0755);
    (void)snprintf(ret->record.key, sizeof(ret->record.key), DIFF);
    (void)snprintf(ret->record.diff, sizeof(ret->record.diff), DIFF);
    ret->req = (struct slim_look_request){
        .cache = &ret->cache, .record = &ret->record, .is_run = true, .open_below = open_nothing};
    assert_int_equal(slim_new(&program, &ret->slim, &err), 0);
    assert_int_equal(slim_look(ret->slim, &ret->req, &ret->step, &err), 0);
}

static void close_site(struct site *site)
{
    slim_step_free(site->step);
    slim_free(site->slim);
    cache_close(&site->cache);
}

static void list_layer(struct site *site, struct buf *out)
{
    const struct layer_options options = {.threads = 1, .epoch = -1};
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv lines = ARGV_INIT;
    struct layer layer = {.entries = 0};
    struct error err = ERROR_INIT;

    assert_true(slim_step_changes(site->slim, site->step));
    if (slim_make_layer(site->slim, site->step, &site->req, &options, &layer, &err) < 0)
        fail_msg("%s", err.msg);
    argv_push(&argv, "tar", "-tzf", NULL);
    argv_pushf(&argv, "%s/blobs/%s", site->path, layer.digest + 7);
    layer_scratch_run(&argv, &lines);
    for (size_t i = 0; i < lines.n; i++)
        buf_addf(out, "%s\n", lines.v[i]);
}

static void test_a_layer_has_the_rest_and_marks_of_what_is_hidden(void **state)
{
    const struct layer_scratch *s = *state;
    CLEANUP(buf_release) struct buf first = BUF_INIT(1 << 16);
    CLEANUP(buf_release) struct buf second = BUF_INIT(1 << 16);
    CLEANUP(buf_release) struct buf report = BUF_INIT(1 << 16);
    struct site site;

    put_file(s->diff, "root/.cache/pip/deep/file", "1");
    put_file(s->diff, "var/cache/apk/x", "12");
    put_file(s->diff, "var/cache/apk/deep/x", "12");
    put_file(s->diff, "var/log/dpkg.log", "123");
    put_file(s->diff, "var/log/other", "");
    if (mknodat(s->diff, "var/cache/apk/deep/hidden", S_IFCHR, 0) < 0)
        skip(); /* not as root */
    open_site(s, "{}", &site);
    list_layer(&site, &first);
    assert_string_equal(buf_str(&first), "root/\n"
                                         "root/.cache/\n"
                                         "root/.cache/pip/\n"
                                         "var/\n"
                                         "var/cache/\n"
                                         "var/cache/apk/\n"
                                         "var/cache/apk/deep/\n"
                                         "var/cache/apk/deep/.wh.hidden\n"
                                         "var/log/\n"
                                         "var/log/other\n");
    slim_report(site.slim, &site.step, 1, &report);
    assert_non_null(strstr(buf_str(&report), "slim: removed 4 B of apk's cache: 2 files in "
                                             "/var/cache/apk\n"));
    close_site(&site);
    open_site(s, "{}", &site); /* from what was kept */
    list_layer(&site, &second);
    assert_string_equal(buf_str(&second), buf_str(&first));
    close_site(&site);
}

static void test_facts_that_are_damaged_are_looked_for_again(void **state)
{
    static const char *const damaged[] = {"",
                                          "{",
                                          "[]",
                                          "{\"roots\":[{\"path\":3}]}",
                                          "{\"roots\":[{\"path\":\"x\",\"rule\":99999}],\"at\":[]}",
                                          "{\"roots\":[],\"at\":[1],\"by\":[]}"};
    const struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;

    put_file(s->diff, "root/.cache/pip/file", "1");
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        CLEANUP(argv_release) struct argv names = ARGV_INIT;
        struct site site;

        open_site(s, "{}", &site);
        assert_true(slim_step_changes(site.slim, site.step));
        assert_int_equal(fs_list(site.cache.inputs, ".", &names, &err), 0);
        assert_int_equal(names.n, 1);
        assert_int_equal(fs_write_file(site.cache.inputs, names.v[0], damaged[i],
                                       strlen(damaged[i]), 0600, &err),
                         0);
        close_site(&site);
    }
}

int main(void)
{
#define ON_TREE(f) cmocka_unit_test_setup_teardown(f, layer_scratch_setup, layer_scratch_teardown)
    const struct CMUnitTest tests[] = {
        ON_TREE(test_files_are_counted_and_hard_links_once),
        ON_TREE(test_a_place_that_is_no_directory_is_left),
        ON_TREE(test_what_replaces_another_file_below_keeps_its_place),
        ON_TREE(test_links_within_a_cache_keep_nothing_and_others_do),
        ON_TREE(test_files_are_twins_when_all_is_equal),
        ON_TREE(test_a_layer_has_the_rest_and_marks_of_what_is_hidden),
        ON_TREE(test_facts_that_are_damaged_are_looked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
