/* Two packers and a collector at once, on every kind of storage: for TSan, and for what is left. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "bucket.h"
#include "fixture.h"

#define ROUNDS 4

struct job {
    struct template_store *store;
    const char *name;
    unsigned seed;
    struct error error;
    int result;
};

static void *pack_often(void *self)
{
    struct job *j = self;

    for (unsigned turn = 0; turn < ROUNDS && j->result == 0; turn++) {
        CLEANUP(buf_release) struct buf tar = BUF_INIT(64u << 20);
        struct template_pack_report report;

        tar_make(&tar, j->seed, 100, 20000, turn, 20);
        j->result = pack_tar(j->store, j->name, &tar, &report, &j->error);
    }
    return NULL;
}

static void *collect_often(void *self)
{
    struct job *j = self;

    for (unsigned turn = 0; turn < 3 * ROUNDS && j->result == 0; turn++) {
        struct template_gc_report report;

        j->result = template_gc(j->store, NULL, &report, &j->error);
    }
    return NULL;
}

/* other: of the second packer, the same store or another view of it. */
static void run_together(struct template_store *s, struct template_store *other)
{
    /* Both packers pack nearly the same, so that each uses what the other made. */
    struct job jobs[3] = {{.store = s, .name = "one", .seed = 5},
                          {.store = other, .name = "two", .seed = 5},
                          {.store = s}};
    void *(*const work[3])(void *) = {pack_often, pack_often, collect_often};
    pthread_t threads[3];
    struct template_verify_report r;
    struct error err = ERROR_INIT;

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work[i], &jobs[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 3; i++)
        if (jobs[i].result < 0)
            fail_msg("%s", jobs[i].error.msg);
    assert_int_equal(template_verify(s, true, NULL, &r, &err), 0);
    for (size_t i = 0; i < r.damage.n; i++)
        fail_msg("%s", r.damage.v[i]);
    assert_true(r.revisions >= 4);
    template_verify_report_release(&r);
}

static void test_two_packers_and_a_collector_in_a_directory(void **state)
{
    const struct template_options options = {.revisions_max = 2, .threads = 2};
    struct template_store *s = NULL;
    char path[] = "/tmp/kiln-together-XXXXXX";
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(mkdtemp(path));
    assert_int_equal(template_store_open(path, &options, &s, &err), 0);
    run_together(s, s);
    template_store_free(s);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, &err), 0);
}

static void test_two_packers_and_a_collector_in_memory(void **state)
{
    const struct template_options options = {.revisions_max = 2, .threads = 2};
    struct template_store *s = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(template_store_open_memory(&options, &s, &err), 0);
    run_together(s, s);
    template_store_free(s);
}

/* Two machines, a cache each, while the server answers badly now and then. */
static void test_two_packers_and_a_collector_in_a_bucket(void **state)
{
    const struct template_options options = {.revisions_max = 2, .threads = 2};
    struct bucket_scene scene;
    struct template_store *s, *other;
    char path[] = "/tmp/kiln-together-XXXXXX";
    struct error err = ERROR_INIT;

    (void)state;
    if (!getenv("KILN_TEST_S3"))
        skip();
    assert_non_null(mkdtemp(path));
    bucket_scene_open(&scene, path);
    s = bucket_scene_store(&scene, "first", &options);
    other = bucket_scene_store(&scene, "second", &options);
    objects_scene_fault(&scene.objects,
                        "[{\"cut_done\":1,\"method\":\"PUT\",\"path\":\"/packs/\",\"count\":1},"
                        "{\"cut_request\":1,\"path\":\"sessions\",\"count\":1},"
                        "{\"cut_done\":1,\"method\":\"PUT\",\"path\":\"/lock\",\"count\":1},"
                        "{\"cut_done\":1,\"method\":\"PUT\",\"path\":\"/revisions/\",\"count\":1},"
                        "{\"status\":503,\"retry_after\":0,\"method\":\"GET\",\"count\":2},"
                        "{\"later\":7200,\"path\":\"condemned/\",\"count\":1000000}]");
    run_together(s, other);
    template_store_free(other);
    template_store_free(s);
    bucket_scene_close(&scene);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_packers_and_a_collector_in_a_directory),
        cmocka_unit_test(test_two_packers_and_a_collector_in_memory),
        cmocka_unit_test(test_two_packers_and_a_collector_in_a_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
