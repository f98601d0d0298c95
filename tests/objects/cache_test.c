/* The cache of objects: what is fetched, what is kept, and what goes. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tests/objects/fixture.h"

#define MIB (UINT64_C(1) << 20)

struct scene {
    struct objects_scene objects;
    char dir[64];
    struct object_cache *cache;
};

static int open_scene(void **state)
{
    static struct scene scene;
    struct error err = ERROR_INIT;

    objects_scene_open(&scene.objects);
    (void)snprintf(scene.dir, sizeof(scene.dir), "/tmp/kiln-cache-test-XXXXXX");
    assert_non_null(mkdtemp(scene.dir));
    assert_int_equal(object_cache_open(scene.dir, 10 * MIB, &scene.cache, &err), 0);
    *state = &scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    struct error err = ERROR_INIT;

    object_cache_free(s->cache);
    objects_scene_close(&s->objects);
    return fs_remove_tree(AT_FDCWD, s->dir, &err);
}

static void put(struct scene *s, const char *key, size_t size, char fill)
{
    CLEANUP_FREE char *data = malloc(size);
    struct error err = ERROR_INIT;
    bool there;

    memset(data, fill, size);
    assert_int_equal(objects_put(s->objects.store, key, NULL, data, size, NULL, &there, &err), 0);
}

static struct object_file *open_object(struct scene *s, const char *key)
{
    struct object_file *f = NULL;
    struct error err = ERROR_INIT;
    struct object_info info;

    assert_int_equal(objects_head(s->objects.store, key, &info, &err), 0);
    if (object_file_open(s->cache, s->objects.store, key, info.etag, info.size, &f, &err) < 0)
        fail_msg("%s", err.msg);
    return f;
}

static void fill(struct object_file *f, uint64_t offset, uint64_t len)
{
    struct error err = ERROR_INIT;

    if (object_file_fill(f, offset, len, &err) < 0)
        fail_msg("%s", err.msg);
}

static char byte_at(const struct object_file *f, uint64_t offset)
{
    char c = 0;

    assert_int_equal(fs_pread(object_file_fd(f), &c, 1, offset), 1);
    return c;
}

static uint64_t used(const struct scene *s)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP_CLOSE int dir = -1;
    struct error err = ERROR_INIT;
    uint64_t bytes = 0;
    struct stat st;

    assert_int_equal(fs_open_dir(AT_FDCWD, s->dir, &dir, &err), 0);
    assert_int_equal(fs_list(dir, ".", &names, &err), 0);
    for (size_t i = 0; i < names.n; i++)
        if (digest_is_hex(names.v[i]) && fstatat(dir, names.v[i], &st, 0) == 0)
            bytes += (uint64_t)st.st_blocks * 512;
    return bytes;
}

static const char no_answers[] = "[{\"status\":500,\"count\":1000,\"method\":\"GET\"}]";

static void what_was_read_is_not_fetched_again(void **state)
{
    struct scene *s = *state;
    struct object_file *f;

    put(s, "k", 3 * MIB + 17, 'a');
    f = open_object(s, "k");
    fill(f, 0, 3 * MIB + 17);
    object_file_close(f);
    f = open_object(s, "k");
    objects_scene_fault(&s->objects, no_answers);
    fill(f, 0, 3 * MIB + 17);
    assert_int_equal(byte_at(f, 3 * MIB + 16), 'a');
    object_file_close(f);
}

static void only_what_is_asked_for_is_fetched(void **state)
{
    struct scene *s = *state;
    struct object_file *f;

    put(s, "k", 9 * MIB, 'a');
    f = open_object(s, "k");
    fill(f, 8 * MIB + 5, 10);
    assert_int_equal(byte_at(f, 8 * MIB + 5), 'a');
    assert_true(used(s) <= 2 * MIB);
    object_file_close(f);
}

static void an_object_that_was_replaced_is_fetched_anew(void **state)
{
    struct scene *s = *state;
    struct object_file *f;

    put(s, "k", MIB, 'a');
    f = open_object(s, "k");
    fill(f, 0, MIB);
    object_file_close(f);
    put(s, "k", MIB, 'b');
    f = open_object(s, "k");
    fill(f, 0, MIB);
    assert_int_equal(byte_at(f, 7), 'b');
    object_file_close(f);
}

static void what_is_forgotten_is_fetched_again(void **state)
{
    struct scene *s = *state;
    struct object_file *f;

    put(s, "k", 2 * MIB, 'a');
    f = open_object(s, "k");
    fill(f, 0, 2 * MIB);
    assert_int_equal(fs_pwrite(object_file_fd(f), "x", 1, 100), 0);
    object_file_forget(f, 100, 1);
    fill(f, 0, 2 * MIB);
    assert_int_equal(byte_at(f, 100), 'a');
    object_file_close(f);
}

static void the_cache_stays_below_its_bound_and_keeps_what_is_open(void **state)
{
    struct scene *s = *state;
    struct object_file *first, *f;
    char key[8];

    put(s, "first", 4 * MIB, 'f');
    first = open_object(s, "first");
    fill(first, 0, 4 * MIB);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        put(s, key, 3 * MIB, 'k');
        f = open_object(s, key);
        fill(f, 0, 3 * MIB);
        object_file_close(f);
        assert_true(used(s) <= 10 * MIB);
    }
    objects_scene_fault(&s->objects, no_answers);
    fill(first, 0, 4 * MIB);
    assert_int_equal(byte_at(first, 5), 'f');
    object_file_close(first);
}

static void open_files_that_may_shrink_stay_below_the_bound(void **state)
{
    struct scene *s = *state;
    struct object_file *f[4];
    char key[8];

    for (int i = 0; i < 4; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        put(s, key, 8 * MIB, (char)('a' + i));
        f[i] = open_object(s, key);
        fill(f[i], 7 * MIB, MIB);
        object_file_let_shrink(f[i], 7 * MIB);
    }
    for (uint64_t at = 0; at < 7; at++)
        for (int i = 0; i < 4; i++) {
            fill(f[i], at * MIB, MIB);
            assert_int_equal(byte_at(f[i], at * MIB + 9), 'a' + i);
        }
    /* The bound, an eighth until it is looked at, the four ends, and four times what came last. */
    assert_true(used(s) <= (10 + 1 + 4 + 4 * 4) * MIB);
    assert_true(used(s) < 4 * 8 * MIB);
    for (int i = 0; i < 4; i++)
        assert_int_equal(byte_at(f[i], 7 * MIB + 9), 'a' + i); /* stays without being filled */
    fill(f[0], 0, 7 * MIB);
    assert_int_equal(byte_at(f[0], 6 * MIB), 'a');
    for (int i = 0; i < 4; i++)
        object_file_close(f[i]);
}

static void a_removed_object_leaves_nothing(void **state)
{
    struct scene *s = *state;
    struct object_file *f;

    put(s, "k", MIB, 'a');
    f = open_object(s, "k");
    fill(f, 0, MIB);
    object_file_close(f);
    assert_true(used(s) >= MIB);
    object_cache_remove(s->cache, s->objects.store, "k");
    assert_int_equal(used(s), 0);
}

/* Needs a file system of its own: for root alone. */
static void a_full_disk_is_told_with_its_directory(void **state)
{
    struct scene *s = *state;
    struct object_cache *small = NULL;
    struct object_file *f = NULL;
    struct error err = ERROR_INIT;
    struct object_info info;
    char dir[96];
    int result;

    (void)snprintf(dir, sizeof(dir), "%s/small", s->dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("small", dir, "tmpfs", 0, "size=1m") < 0)
        skip();
    put(s, "k", 3 * MIB, 'a');
    assert_int_equal(object_cache_open(dir, 10 * MIB, &small, &err), 0);
    assert_int_equal(objects_head(s->objects.store, "k", &info, &err), 0);
    assert_int_equal(object_file_open(small, s->objects.store, "k", info.etag, info.size, &f, &err),
                     0);
    result = object_file_fill(f, 0, 3 * MIB, &err);
    object_file_close(f);
    object_cache_free(small);
    assert_int_equal(umount(dir), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, dir));
    assert_non_null(strstr(err.msg, "No space left"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        TEST(what_was_read_is_not_fetched_again),
        TEST(only_what_is_asked_for_is_fetched),
        TEST(an_object_that_was_replaced_is_fetched_anew),
        TEST(what_is_forgotten_is_fetched_again),
        TEST(the_cache_stays_below_its_bound_and_keeps_what_is_open),
        TEST(open_files_that_may_shrink_stay_below_the_bound),
        TEST(a_removed_object_leaves_nothing),
        TEST(a_full_disk_is_told_with_its_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
