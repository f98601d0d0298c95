/* Each limit is met exactly: what is at it passes, one more is refused. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/text.h"
#include "tests/uploads/scratch.h"

static int extract(struct scratch *s, const char *archive, const struct upload_limits *limits,
                   struct error *err)
{
    CLEANUP(upload_report_release) struct upload_report r;
    CLEANUP(buf_release) struct buf data = BUF_INIT(1 << 20);
    char name[64], path[PATH_MAX];

    (void)snprintf(name, sizeof(name), "corpus/%s", archive);
    scratch_source(name, path);
    upload_report_init(&r);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &data, err), 0);
    return scratch_extract(s, data.data, data.len, limits, &r, err);
}

struct edge {
    const char *archive;
    struct upload_limits at, past; /* zero fields: the default */
    const char *says;
};

static struct upload_limits with_defaults(struct upload_limits l)
{
    const struct upload_limits *d = &upload_limits_default;

    l.entries_max = l.entries_max ? l.entries_max : d->entries_max;
    l.bytes_max = l.bytes_max ? l.bytes_max : d->bytes_max;
    l.ratio_max = l.ratio_max ? l.ratio_max : d->ratio_max;
    l.depth_max = l.depth_max ? l.depth_max : d->depth_max;
    l.name_max = l.name_max ? l.name_max : d->name_max;
    l.path_max = l.path_max ? l.path_max : d->path_max;
    return l;
}

static void test_each_limit_holds_at_its_number_and_not_before(void **state)
{
    /* 80 MiB in 109 bytes: 769,614 for each. */
    static const struct edge edges[] = {
        {"accept/go_push.zip", {.entries_max = 18}, {.entries_max = 17}, "18 entries"},
        {"accept/go_template.tar", {.entries_max = 9}, {.entries_max = 8}, "more than 8 entries"},
        {"accept/go_push.zip", {.bytes_max = 219}, {.bytes_max = 218}, "\"no-mode.txt\""},
        {"accept/hardlinks.tar", {.bytes_max = 26}, {.bytes_max = 25}, "\"a/file\""},
        {"accept/gnu_tar_sparse.tar", {.bytes_max = 700000}, {.bytes_max = 699999}, "699999"},
        {"accept/go_template.tar", {.depth_max = 30}, {.depth_max = 29}, "30 folders deep"},
        {"accept/go_push.zip", {.name_max = 14}, {.name_max = 13}, "14 bytes long"},
        {"accept/go_push.zip", {.path_max = 19}, {.path_max = 18}, "19 bytes long"},
        {"reject/bomb.zip", {.ratio_max = 1000000}, {.ratio_max = 200}, "more than 200 times"},
        {"reject/declares_too_much.tar", {.bytes_max = 0}, {.bytes_max = 1 << 30}, "1.1 GB"},
    };

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        struct upload_limits at = with_defaults(edges[i].at);
        struct upload_limits past = with_defaults(edges[i].past);
        struct error err = ERROR_INIT;

        if (extract(*state, edges[i].archive, &at, &err) < 0)
            assert_int_equal(err.kind, ERR_INPUT); /* cut off, but not too large */
        assert_int_equal(extract(*state, edges[i].archive, &past, &err), -1);
        assert_int_equal(err.kind, ERR_LIMIT);
        if (!strstr(err.msg, edges[i].says))
            fail_msg("%s: %s", edges[i].archive, err.msg);
    }
}

/* A hard link costs an archive 512 bytes, and whoever copies the tree the whole file. */
static void test_hard_links_count_as_copies(void **state)
{
    struct upload_limits limits = upload_limits_default;
    struct error err = ERROR_INIT;

    limits.bytes_max = 15; /* "shared", a link to it, and half of the next */
    assert_int_equal(extract(*state, "accept/hardlinks.tar", &limits, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.msg, "\"./c\""));
}

static void test_a_bomb_is_stopped_long_before_it_has_unpacked(void **state)
{
    struct scratch *s = *state;
    struct upload_limits limits = upload_limits_default;
    struct error err = ERROR_INIT;
    struct stat st;

    assert_int_equal(extract(s, "reject/bomb.zip", &limits, &err), -1);
    assert_int_equal(fstatat(s->treefd, "zeros", &st, 0), 0);
    assert_true(st.st_size <= 65 << 20);
    limits.bytes_max = 1 << 20;
    assert_int_equal(extract(s, "reject/bomb.zip", &limits, &err), -1);
    assert_int_equal(fstatat(s->treefd, "zeros", &st, 0), 0);
    assert_int_equal(st.st_size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_limit_holds_at_its_number_and_not_before),
        cmocka_unit_test(test_hard_links_count_as_copies),
        cmocka_unit_test(test_a_bomb_is_stopped_long_before_it_has_unpacked),
    };

    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
