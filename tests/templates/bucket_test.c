/* What is particular to a template store in a bucket: machines with caches of their own, which die.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "templates/storage_lease.h"
#include "tests/templates/bucket.h"
#include "tests/templates/fixture.h"

struct scene {
    char path[64];
    struct bucket_scene bucket;
    struct template_store *store;
};

static int setup(void **state)
{
    static struct scene s;

    s = (struct scene){.path = "/tmp/kiln-bucket-XXXXXX"};
    if (!mkdtemp(s.path))
        return -1;
    bucket_scene_open(&s.bucket, s.path);
    s.store = bucket_scene_store(&s.bucket, "cache", NULL);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    struct error err;

    template_store_free(s->store);
    bucket_scene_close(&s->bucket);
    return fs_remove_tree(AT_FDCWD, s->path, &err);
}

static struct template_pack_report pack(struct scene *s, const char *name, unsigned seed)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(64u << 20);
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    tar_make(&tar, seed, 300, 20000, 0, 0);
    if (pack_tar(s->store, name, &tar, &report, &err) < 0)
        fail_msg("%s", err.msg);
    return report;
}

static size_t count(struct scene *s, enum storage_area area)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(storage_list(s->store->storage, area, &names, &err), 0);
    return names.n;
}

static void remove_template(struct scene *s, const char *name)
{
    struct template_ref ref;
    struct error err = ERROR_INIT;

    assert_int_equal(template_ref_parse(name, &ref, &err), 0);
    assert_int_equal(template_remove(s->store, &ref, &err), 0);
}

static struct template_gc_report collect(struct scene *s)
{
    struct template_gc_report gc = {.packs_removed = 0};
    struct error err = ERROR_INIT;

    if (template_gc(s->store, NULL, &gc, &err) < 0)
        fail_msg("%s", err.msg);
    return gc;
}

/* Another machine: the same bucket, an empty cache.  The whole image has the revision's digest. */
static void read_elsewhere(struct scene *s, const char *faults)
{
    struct template_store *other = bucket_scene_store(&s->bucket, "elsewhere", NULL);
    struct error err = ERROR_INIT;

    objects_scene_fault(&s->bucket.objects, faults);
    if (!image_is_right(other, "one", &err))
        fail_msg("%s", err.msg);
    template_store_free(other);
}

static void a_machine_with_an_empty_cache_reads_what_another_packed(void **state)
{
    (void)pack(*state, "one", 1);
    read_elsewhere(*state, "[]");
}

static void what_arrives_damaged_or_cut_is_fetched_again(void **state)
{
    (void)pack(*state, "one", 1);
    read_elsewhere(*state, "[{\"flip\":300000,\"method\":\"GET\",\"path\":\"/packs/\",\"count\":1},"
                           "{\"cut_answer\":70000,\"method\":\"GET\",\"path\":\"/packs/\"}]");
}

static void a_condemned_pack_stays_for_an_hour(void **state)
{
    struct scene *s = *state;

    (void)pack(s, "one", 1);
    remove_template(s, "one");
    assert_int_equal(collect(s).packs_waiting, 1);
    assert_int_equal(collect(s).packs_removed, 0);
    assert_int_equal(count(s, AREA_PACKS), 1);
    objects_scene_fault(&s->bucket.objects,
                        "[{\"later\":3700,\"path\":\"condemned/\",\"count\":1000}]");
    assert_int_equal(collect(s).packs_removed, 1);
    assert_int_equal(count(s, AREA_PACKS), 0);
    assert_int_equal(count(s, AREA_CONDEMNED), 0);
}

static void the_session_of_a_dead_packer_counts_for_an_hour(void **state)
{
    struct scene *s = *state;
    CLEANUP(argv_release) struct argv lines = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct lease dead;
    int session;

    lease_init(&dead, s->bucket.objects.store);
    assert_int_equal(lease_session_begin(&dead, "abc\n", &session, &err), 0);
    lease_release(&dead); /* without an end */
    assert_int_equal(storage_sessions(s->store->storage, &lines, &err), 0);
    assert_true(argv_contains(&lines, "abc"));
    argv_release(&lines);
    objects_scene_fault(&s->bucket.objects,
                        "[{\"later\":3700,\"path\":\"sessions\",\"count\":1000}]");
    assert_int_equal(storage_sessions(s->store->storage, &lines, &err), 0);
    assert_int_equal(lines.n, 0);
}

static void a_packer_that_was_cut_off_for_long_publishes_nothing(void **state)
{
    struct scene *s = *state;
    struct error err = ERROR_INIT;
    struct lease l;
    int session;

    lease_init(&l, s->bucket.objects.store);
    assert_int_equal(lease_session_begin(&l, "abc\n", &session, &err), 0);
    assert_int_equal(lease_sessions_live(&l, &err), 0);
    lease_test_age(&l, 2000);
    assert_int_equal(lease_touch(&l, &err), 0); /* it is told again, but that is too late */
    assert_int_equal(lease_sessions_live(&l, &err), -1);
    assert_non_null(strstr(err.msg, "pack again"));
    lease_session_end(&l, session);
    lease_release(&l);
}

static void the_lock_of_a_dead_machine_is_taken_over_and_its_holder_learns_it(void **state)
{
    struct scene *s = *state;
    struct error err = ERROR_INIT;
    struct lease dead;
    int lock = -1;

    lease_init(&dead, s->bucket.objects.store);
    assert_int_equal(lease_lock(&dead, &err), 0);
    lease_test_age(&dead, 20);
    assert_int_equal(lease_touch(&dead, &err), 0); /* nobody has taken it: it is renewed */
    objects_scene_fault(&s->bucket.objects, "[{\"later\":130,\"path\":\"/lock\",\"count\":1000}]");
    assert_int_equal(storage_lock(s->store->storage, true, &lock, &err), 0);
    lease_test_age(&dead, 20);
    assert_int_equal(lease_touch(&dead, &err), -1);
    assert_non_null(strstr(err.msg, "lost"));
    lease_test_age(&dead, 200);
    lease_unlock(&dead); /* and leaves the other's lock alone */
    objects_scene_fault(&s->bucket.objects, "[]");
    assert_int_equal(lease_touch(&dead, &err), 0);
    storage_unlock(s->store->storage, &lock);
    lease_release(&dead);
}

static void a_pack_that_fails_leaves_no_revision_and_its_packs_can_be_collected(void **state)
{
    struct scene *s = *state;
    CLEANUP(buf_release) struct buf tar = BUF_INIT(64u << 20);
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    tar_make(&tar, 1, 300, 20000, 0, 0);
    objects_scene_fault(
        &s->bucket.objects,
        "[{\"status\":500,\"method\":\"PUT\",\"path\":\"/revisions/\",\"count\":100},"
        "{\"later\":3700,\"path\":\"condemned/\",\"count\":1000}]");
    assert_int_equal(pack_tar(s->store, "one", &tar, &report, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_int_equal(count(s, AREA_REVISIONS), 0);
    assert_int_equal(count(s, AREA_PACKS), 1);
    assert_int_equal(collect(s).packs_removed, 1);
}

static const struct template_gate open_gate = {NULL, NULL};

/* As jails have it. */
static void what_a_broker_lends_is_the_store_itself(void **state)
{
    struct scene *s = *state;
    CLEANUP(buf_release) struct buf tar = BUF_INIT(64u << 20);
    struct template_broker *broker = NULL;
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    struct template_store *lent = NULL;
    struct template_pack_report report;
    struct template_gc_report gc;
    struct error err = ERROR_INIT;
    char dir[96];

    (void)snprintf(dir, sizeof(dir), "%s/lent", s->path);
    assert_int_equal(mkdir(dir, 0700), 0);
    bucket_scene_parts(&s->bucket, "broker", &objects, &cache);
    assert_int_equal(template_broker_start(objects, cache, dir, open_gate, &broker, &err), 0);
    if (template_store_open(dir, NULL, &lent, &err) < 0)
        fail_msg("%s", err.msg);
    tar_make(&tar, 1, 300, 20000, 0, 0);
    if (pack_tar(lent, "one", &tar, &report, &err) < 0)
        fail_msg("%s", err.msg);
    if (!image_is_right(lent, "one", &err))
        fail_msg("%s", err.msg);
    assert_int_equal(template_gc(lent, NULL, &gc, &err), 0);
    assert_int_equal(gc.packs_removed, 0);
    template_store_free(lent);
    template_broker_stop(broker);
    if (!image_is_right(s->store, "one", &err))
        fail_msg("%s", err.msg);
}

static int not_now(void *self, struct error *err)
{
    ++*(int *)self;
    return error_set(err, ERR_SYSTEM, "somebody else has the build");
}

/* As when another worker has had the build meanwhile. */
static void nothing_is_published_through_a_closed_gate(void **state)
{
    struct scene *s = *state;
    CLEANUP(buf_release) struct buf tar = BUF_INIT(1u << 20);
    struct template_broker *broker = NULL;
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    struct template_store *lent = NULL;
    struct template_pack_report report;
    struct error err = ERROR_INIT;
    int asked = 0;
    const struct template_gate gate = {not_now, &asked};
    char dir[96];

    (void)snprintf(dir, sizeof(dir), "%s/lent", s->path);
    assert_int_equal(mkdir(dir, 0700), 0);
    bucket_scene_parts(&s->bucket, "broker", &objects, &cache);
    assert_int_equal(template_broker_start(objects, cache, dir, gate, &broker, &err), 0);
    assert_int_equal(template_store_open(dir, NULL, &lent, &err), 0);
    tar_make(&tar, 1, 3, 2000, 0, 0);
    assert_int_equal(pack_tar(lent, "one", &tar, &report, &err), -1);
    assert_non_null(strstr(err.msg, "somebody else has the build"));
    assert_int_equal(asked, 1);
    template_store_free(lent);
    template_broker_stop(broker);
    assert_int_equal(count(s, AREA_REVISIONS), 0);
}

static void a_jail_that_dies_leaves_no_lock_and_no_session(void **state)
{
    struct scene *s = *state;
    CLEANUP(argv_release) struct argv lines = ARGV_INIT;
    struct template_broker *broker = NULL;
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    struct template_store *lent = NULL;
    struct error err = ERROR_INIT;
    int lock = -1, session = -1;
    char dir[96];

    (void)snprintf(dir, sizeof(dir), "%s/lent", s->path);
    assert_int_equal(mkdir(dir, 0700), 0);
    bucket_scene_parts(&s->bucket, "broker", &objects, &cache);
    assert_int_equal(template_broker_start(objects, cache, dir, open_gate, &broker, &err), 0);
    assert_int_equal(template_store_open(dir, NULL, &lent, &err), 0);
    assert_int_equal(storage_session_begin(lent->storage, "abc\n", &session, &err), 0);
    assert_int_equal(storage_lock(lent->storage, true, &lock, &err), 0);
    template_store_free(lent); /* without an end of either */
    template_broker_stop(broker);
    assert_int_equal(storage_lock(s->store->storage, true, &lock, &err), 0);
    assert_int_equal(storage_sessions(s->store->storage, &lines, &err), 0);
    assert_int_equal(lines.n, 0);
    storage_unlock(s->store->storage, &lock);
}

static void a_broker_refuses_what_is_no_file_of_the_store(void **state)
{
    static const char *const names[] = {"../secret", ".hidden", "a/b", ""};
    struct scene *s = *state;
    struct template_broker *broker = NULL;
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    struct storage *lent = NULL;
    struct error err = ERROR_INIT;
    char dir[96], path[112];
    int fd = -1;

    (void)snprintf(dir, sizeof(dir), "%s/lent", s->path);
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    bucket_scene_parts(&s->bucket, "broker", &objects, &cache);
    assert_int_equal(template_broker_start(objects, cache, dir, open_gate, &broker, &err), 0);
    assert_int_equal(storage_open_channel(path, &lent, &err), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(lent->kind->open(lent, "revisions", names[i], &fd, &err), -1);
    assert_int_equal(lent->kind->open(lent, "sessions", "a", &fd, &err), -1);
    assert_int_equal(lent->kind->open(lent, ".", "lock", &fd, &err), -1);
    assert_int_equal(lent->kind->open(lent, ".", "format", &fd, &err), 0);
    assert_true(fd >= 0);
    close(fd);
    storage_free(lent);
    template_broker_stop(broker);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_machine_with_an_empty_cache_reads_what_another_packed),
        TEST(what_arrives_damaged_or_cut_is_fetched_again),
        TEST(a_condemned_pack_stays_for_an_hour),
        TEST(the_session_of_a_dead_packer_counts_for_an_hour),
        TEST(a_packer_that_was_cut_off_for_long_publishes_nothing),
        TEST(the_lock_of_a_dead_machine_is_taken_over_and_its_holder_learns_it),
        TEST(what_a_broker_lends_is_the_store_itself),
        TEST(nothing_is_published_through_a_closed_gate),
        TEST(a_jail_that_dies_leaves_no_lock_and_no_session),
        TEST(a_broker_refuses_what_is_no_file_of_the_store),
        TEST(a_pack_that_fails_leaves_no_revision_and_its_packs_can_be_collected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
