/* The index of cached steps as it lies in a registry: what is read from outside, and what stays
 * within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "builder/cache_index.h"
#include "builder/cache_mount.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LAYER                                                                                      \
    "{\"diff_id\":\"sha256:" HEX_A "\",\"digest\":\"sha256:" HEX_B                                 \
    "\",\"size\":10,\"tar_size\":20,\"entries\":1}"
#define RECORD                                                                                     \
    "{\"key\":\"" HEX_A "\",\"diff\":\"" HEX_A "\",\"bytes\":1,\"disk\":2,\"layer\":" LAYER "}"
#define INDEX(steps) "{\"version\":1,\"steps\":[" steps "]}"
#define STEP(record) "{\"key\":\"" HEX_A "\",\"used\":7,\"record\":" record "}"

static void test_an_index_is_written_as_it_is_read(void **state)
{
    static const char text[] = INDEX(STEP(RECORD));
    CLEANUP(cache_index_release) struct cache_index x = {.n = 0}, again = {.n = 0};
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    const struct cache_entry *e;

    (void)state;
    assert_int_equal(cache_index_read(text, strlen(text), &x, &err), 0);
    assert_int_equal(cache_index_write(&x, &out, &err), 0);
    assert_int_equal(cache_index_read(buf_str(&out), out.len, &again, &err), 0);
    e = cache_index_find(&again, HEX_A);
    assert_non_null(e);
    assert_int_equal(e->used, 7);
    assert_true(e->record.has_layer);
    assert_string_equal(e->record.layer.digest, "sha256:" HEX_B);
    assert_int_equal(e->record.layer.size, 10);
    assert_null(cache_index_find(&again, HEX_B));
}

static void test_what_is_no_index_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"version\":2,\"steps\":[]}",
        "{\"version\":1}",
        "{\"version\":1,\"version\":1,\"steps\":[]}",
        INDEX("1"),
        INDEX("{\"key\":\"../x\",\"used\":7,\"record\":" RECORD "}"),
        INDEX("{\"key\":\"" HEX_A "\",\"used\":-7,\"record\":" RECORD "}"),
        INDEX("{\"key\":\"" HEX_A "\",\"used\":\"7\",\"record\":" RECORD "}"),
        INDEX(STEP("{\"key\":\"\",\"diff\":\"\"}")),
        INDEX(STEP("{\"key\":\"" HEX_A "\",\"diff\":\"../../x\"}")),
        INDEX(STEP("{\"key\":\"" HEX_A "\",\"diff\":\"\",\"layer\":" LAYER "}")),
        INDEX(STEP("{\"key\":\"" HEX_A "\",\"diff\":\"" HEX_A "\",\"layer\":7}")),
        INDEX(STEP("{\"key\":\"" HEX_A "\",\"diff\":\"" HEX_A
                   "\",\"layer\":{\"digest\":\"sha256:../x\",\"diff_id\":\"sha256:" HEX_A
                   "\",\"size\":1,\"tar_size\":1,\"entries\":1}}")),
        INDEX(STEP("{\"key\":\"" HEX_A "\",\"diff\":\"" HEX_A "\",\"bytes\":-1}")),
        INDEX(STEP("{\"key\":\"" HEX_A "\",\"diff\":\"" HEX_A
                   "\",\"layer\":{\"digest\":\"sha256:" HEX_A "\",\"diff_id\":\"sha256:" HEX_A
                   "\",\"size\":-1,\"tar_size\":1,\"entries\":1}}")),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CLEANUP(cache_index_release) struct cache_index x = {.n = 0};
        struct error err = ERROR_INIT;

        if (cache_index_read(texts[i], strlen(texts[i]), &x, &err) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(err.kind, ERR_INPUT);
    }
}

/* A step with a layer of a size that no other has. */
static void add(struct cache_index *x, unsigned n, int64_t used, uint64_t size)
{
    struct cache_entry e = {.used = used, .record = {.has_layer = true, .layer = {.entries = 1}}};
    struct error err = ERROR_INIT;

    (void)snprintf(e.key, sizeof(e.key), "%064u", n);
    (void)snprintf(e.record.key, sizeof(e.record.key), "%064u", n);
    (void)snprintf(e.record.diff, sizeof(e.record.diff), "%064u", n);
    (void)snprintf(e.record.layer.digest, sizeof(e.record.layer.digest), "sha256:%064u",
                   (unsigned)size);
    e.record.layer.size = size;
    assert_int_equal(cache_index_add(x, &e, &err), 0);
}

static bool has_layer(const struct cache_index *x, unsigned n)
{
    char key[SHA256_HEX];
    const struct cache_entry *e;

    (void)snprintf(key, sizeof(key), "%064u", n);
    e = cache_index_find(x, key);
    assert_non_null(e);
    return e->record.has_layer;
}

static void test_layers_beyond_the_bound_go_those_used_last_stay(void **state)
{
    CLEANUP(cache_index_release) struct cache_index x = {.n = 0};

    (void)state;
    add(&x, 1, 100, 60);
    add(&x, 2, 300, 50);
    add(&x, 3, 200, 40);
    add(&x, 4, 50, 40); /* the same layer as that of 3 */
    cache_index_trim(&x, 300, 100);
    assert_int_equal(x.n, 4);
    assert_false(has_layer(&x, 1));
    assert_true(has_layer(&x, 2) && has_layer(&x, 3) && has_layer(&x, 4));
}

static void test_steps_that_nobody_uses_or_that_are_too_many_go(void **state)
{
    CLEANUP(cache_index_release) struct cache_index x = {.n = 0};
    const int64_t now = 10 * CACHE_INDEX_KEPT;

    (void)state;
    add(&x, 0, now - CACHE_INDEX_KEPT - 1, 1);
    add(&x, 1, now - CACHE_INDEX_KEPT, 1);
    cache_index_trim(&x, now, 100);
    assert_int_equal(x.n, 1);
    for (unsigned i = 2; i < CACHE_INDEX_STEPS + 10; i++)
        add(&x, i, now, 1);
    cache_index_trim(&x, now, 100);
    assert_int_equal(x.n, CACHE_INDEX_STEPS);
    assert_null(cache_index_find(&x, "1"));
}

static void test_a_cache_mount_is_told_by_its_mark_and_its_layer(void **state)
{
    static const char *const bad[] = {"", "{}",
                                      "{\"version\":1,\"mark\":\"x\",\"layer\":" LAYER "}",
                                      "{\"version\":1,\"mark\":\"" HEX_A "\"}"};
    static const char good[] = "{\"version\":1,\"mark\":\"" HEX_A "\",\"layer\":" LAYER "}";
    struct error err = ERROR_INIT;
    struct cache_mount m;

    (void)state;
    assert_int_equal(cache_mount_read(good, strlen(good), &m, &err), 0);
    assert_string_equal(m.mark, HEX_A);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(cache_mount_read(bad[i], strlen(bad[i]), &m, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_index_is_written_as_it_is_read),
        cmocka_unit_test(test_what_is_no_index_is_refused),
        cmocka_unit_test(test_layers_beyond_the_bound_go_those_used_last_stay),
        cmocka_unit_test(test_steps_that_nobody_uses_or_that_are_too_many_go),
        cmocka_unit_test(test_a_cache_mount_is_told_by_its_mark_and_its_layer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
