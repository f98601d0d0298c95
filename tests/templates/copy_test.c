/* A copy of a store is whole, whatever is removed, collected and packed while it is taken. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "fixture.h"

struct scene {
    char path[32], from[64], to[64];
    struct template_store *store;
    struct error err;
    bool busy; /* somebody else is at work meanwhile */
    int packs;
};

#define MUST(s, call)                                                                              \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, (s)->err.msg);                                               \
    } while (0)

static void pack(struct scene *s, const char *name, unsigned turn)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(64u << 20);
    struct template_pack_report report;

    tar_make(&tar, turn * 100, 100, 20000, turn, 100);
    MUST(s, pack_tar(s->store, name, &tar, &report, &s->err));
}

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    (void)snprintf(s->path, sizeof(s->path), "/tmp/kiln-copy-XXXXXX");
    if (!mkdtemp(s->path))
        return -1;
    (void)snprintf(s->from, sizeof(s->from), "%s/from", s->path);
    (void)snprintf(s->to, sizeof(s->to), "%s/to", s->path);
    *state = s;
    return fs_mkdirs(s->to, 0700, &s->err) < 0 ||
                   template_store_open(s->from, NULL, &s->store, &s->err) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    template_store_free(s->store);
    (void)!fs_remove_tree(AT_FDCWD, s->path, &s->err);
    free(s);
    return 0;
}

/* All of it goes, as far as collectors may, and something new comes. */
static void disturb(struct scene *s)
{
    const struct template_ref all = {.name = "one"};
    struct template_gc_report report;

    MUST(s, template_remove(s->store, &all, &s->err));
    for (int i = 0; i < 2; i++)
        MUST(s, template_gc(s->store, NULL, &report, &s->err));
    assert_int_equal(report.packs_removed, 0);
    assert_true(report.packs_waiting > 0);
    pack(s, "two", 7);
}

static int take_directory(void *self, const char *path, struct error *err)
{
    const struct scene *s = self;
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "%s/%s", s->to, path);
    return fs_mkdirs(whole, 0700, err);
}

static int take_file(void *self, const char *path, int fd, bool lasting, struct error *err)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(64u << 20);
    struct scene *s = self;
    char whole[400];

    assert_int_equal(lasting, strncmp(path, "packs/", 6) == 0);
    if (lasting && s->packs++ == 0 && s->busy)
        disturb(s);
    (void)snprintf(whole, sizeof(whole), "%s/%s", s->to, path);
    if (lseek(fd, 0, SEEK_SET) < 0 || fs_read_fd(fd, &content, err) < 0)
        return -1;
    return fs_write_file(AT_FDCWD, whole, buf_str(&content), content.len, 0600, err);
}

static void copy(struct scene *s)
{
    const struct template_taker taker = {take_directory, take_file, s};
    struct template_store *there = NULL;
    struct template_verify_report r;
    struct template_info info;
    bool found;

    MUST(s, template_copy(s->store, &taker, &s->err));
    MUST(s, template_store_open(s->to, NULL, &there, &s->err));
    MUST(s, template_verify(there, true, NULL, &r, &s->err));
    for (size_t i = 0; i < r.damage.n; i++)
        fail_msg("%s", r.damage.v[i]);
    assert_int_equal(r.revisions, 2);
    template_verify_report_release(&r);
    MUST(s, template_get(there, "one", &info, &found, &s->err));
    assert_true(found);
    assert_int_equal(info.latest, 2);
    assert_true(image_is_right(there, "one", &s->err));
    template_store_free(there);
}

static void test_a_copy_is_a_store(void **state)
{
    struct scene *s = *state;

    pack(s, "one", 1);
    pack(s, "one", 2);
    copy(s);
}

static void test_what_is_collected_meanwhile_is_in_it(void **state)
{
    struct scene *s = *state;
    struct template_gc_report report;

    pack(s, "one", 1);
    pack(s, "one", 2);
    s->busy = true;
    copy(s);
    assert_true(s->packs > 1);
    /* Now nothing keeps the collector from it. */
    MUST(s, template_gc(s->store, NULL, &report, &s->err));
    assert_true(report.packs_removed > 0);
    assert_true(image_is_right(s->store, "two", &s->err));
}

static void test_what_a_collection_would_free_is_told(void **state)
{
    const struct template_ref all = {.name = "one"};
    struct scene *s = *state;
    struct template_gc_report looked, done;

    pack(s, "one", 1);
    pack(s, "two", 2);
    MUST(s, template_gc_look(s->store, &looked, &s->err));
    assert_int_equal(looked.packs_waiting, 0);
    MUST(s, template_remove(s->store, &all, &s->err));
    MUST(s, template_gc_look(s->store, &looked, &s->err));
    assert_true(looked.packs_waiting > 0);
    MUST(s, template_gc(s->store, NULL, &done, &s->err));
    /* What they share was in one of the packs, and is copied. */
    assert_true(looked.bytes_waiting <= done.bytes_freed);
    assert_true(looked.bytes_waiting > done.bytes_freed / 10 * 9);
    MUST(s, template_gc_look(s->store, &looked, &s->err));
    assert_int_equal(looked.bytes_waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_copy_is_a_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_collected_meanwhile_is_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_collection_would_free_is_told, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
