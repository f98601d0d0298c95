/* A base image is looked at where it lies: its config, and whether it has a program. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/digest.h"
#include "base/fs.h"
#include "builder/bases.h"
#include "builder/bases_store.h"

#define TOP    "1111111111111111111111111111111111111111111111111111111111111111"
#define MIDDLE "2222222222222222222222222222222222222222222222222222222222222222"
#define BOTTOM "3333333333333333333333333333333333333333333333333333333333333333"

#define BEGINNERS 4 /* at once */

/* ---- a store made by hand: what buildah writes, with layers as a test wants them ---- */

struct store {
    char dir[64];
    struct bases_image image;
};

static void put(const char *path, const char *text, mode_t mode)
{
    struct error err = ERROR_INIT;
    char parent[512];

    (void)snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    if (fs_mkdirs(parent, 0755, &err) < 0 ||
        fs_write_file(AT_FDCWD, path, text, strlen(text), mode, &err) < 0)
        fail_msg("%s", err.msg);
}

static int store_setup(void **state)
{
    static struct store s;
    char path[256];

    (void)snprintf(s.dir, sizeof(s.dir), "/tmp/kiln-bases-XXXXXX");
    assert_non_null(mkdtemp(s.dir));
    (void)snprintf(path, sizeof(path), "%s/overlay-layers/layers.json", s.dir);
    put(path,
        "[{\"id\":\"" TOP "\",\"parent\":\"" MIDDLE "\"},{\"id\":\"" BOTTOM "\"},"
        "{\"id\":\"" MIDDLE "\",\"parent\":\"" BOTTOM "\"}]",
        0600);
    s.image = (struct bases_image){.layer = TOP};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/overlay/%s/diff", s.dir,
                       ((const char *const[]){TOP, MIDDLE, BOTTOM})[i]);
        struct error err = ERROR_INIT;

        assert_int_equal(fs_mkdirs(path, 0755, &err), 0);
    }
    *state = &s;
    return 0;
}

static int store_teardown(void **state)
{
    const struct store *s = *state;
    struct error err;

    return fs_remove_tree(AT_FDCWD, s->dir, &err);
}

static void in_layer(const struct store *s, const char *layer, const char *path, char ret[512])
{
    (void)snprintf(ret, 512, "%s/overlay/%s/diff%s", s->dir, layer, path);
}

static void put_in(const struct store *s, const char *layer, const char *path, mode_t mode)
{
    char full[512];

    in_layer(s, layer, path, full);
    put(full, "#!", mode);
}

static bool has(const struct store *s, const char *path)
{
    struct error err = ERROR_INIT;
    bool ret;

    if (bases_has_program(s->dir, &s->image, path, &ret, &err) < 0)
        fail_msg("%s", err.msg);
    return ret;
}

static void test_a_program_of_any_layer_is_seen(void **state)
{
    const struct store *s = *state;

    put_in(s, TOP, "/top", 0755);
    put_in(s, MIDDLE, "/usr/local/bin/middle", 0700);
    put_in(s, BOTTOM, "/usr/local/bin/bottom", 0001);
    assert_true(has(s, "/top"));
    assert_true(has(s, "/usr/local/bin/middle"));
    assert_true(has(s, "/usr/local/bin/bottom"));
    assert_false(has(s, "/usr/local/bin/none"));
    assert_false(has(s, "/usr"));
}

static void test_the_topmost_layer_that_has_the_path_decides(void **state)
{
    const struct store *s = *state;
    char path[512];

    put_in(s, BOTTOM, "/a", 0755);
    put_in(s, TOP, "/a", 0644);
    put_in(s, BOTTOM, "/dir/b", 0755);
    put_in(s, MIDDLE, "/dir", 0755);
    put_in(s, BOTTOM, "/link/c", 0755);
    in_layer(s, MIDDLE, "/link", path);
    assert_int_equal(symlink("/etc", path), 0);
    assert_false(has(s, "/a"));
    assert_false(has(s, "/dir/b"));
    assert_false(has(s, "/link/c"));
}

static void test_whiteouts_and_opaque_directories_hide(void **state)
{
    const struct store *s = *state;
    char path[512];

    put_in(s, BOTTOM, "/gone", 0755);
    put_in(s, BOTTOM, "/opaque/x", 0755);
    put_in(s, BOTTOM, "/opaque/deep/y", 0755);
    put_in(s, TOP, "/opaque/other", 0755);
    in_layer(s, TOP, "/gone", path);
    if (mknod(path, S_IFCHR, makedev(0, 0)) < 0)
        skip();
    in_layer(s, TOP, "/opaque", path);
    if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0)
        skip();
    assert_false(has(s, "/gone"));
    assert_false(has(s, "/opaque/x"));
    assert_false(has(s, "/opaque/deep/y"));
    assert_true(has(s, "/opaque/other"));
}

static void test_layers_that_go_round_in_a_circle_end(void **state)
{
    const struct store *s = *state;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/overlay-layers/layers.json", s->dir);
    put(path, "[{\"id\":\"" TOP "\",\"parent\":\"" TOP "\"}]", 0600);
    assert_false(has(s, "/none"));
}

static void test_an_index_that_is_none_is_an_error(void **state)
{
    const struct store *s = *state;
    struct bases_image image;
    struct error err = ERROR_INIT;
    char path[256];
    bool found = true;

    assert_int_equal(bases_find(s->dir, "x", &found, &image, &err), 0);
    assert_false(found);
    (void)snprintf(path, sizeof(path), "%s/overlay-images/images.json", s->dir);
    put(path, "{}", 0600);
    assert_int_equal(bases_find(s->dir, "x", &found, &image, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    /* an id that would lead out of the store */
    put(path, "[{\"id\":\"../../../etc\",\"names\":[\"x\"],\"digest\":\"sha256:" TOP "\"}]", 0600);
    assert_int_equal(bases_find(s->dir, "x", &found, &image, &err), 0);
    assert_false(found);
}

static void test_an_image_came_as_its_manifest_or_as_the_index_that_names_it(void **state)
{
    static const struct {
        const char *digest;
        bool is;
    } table[] = {{"sha256:" TOP, true}, {"sha256:" MIDDLE, true}, {"sha256:" BOTTOM, false}};
    const struct store *s = *state;
    struct bases_image image;
    struct error err = ERROR_INIT;
    char path[256];
    bool is;

    (void)snprintf(path, sizeof(path), "%s/overlay-images/images.json", s->dir);
    put(path,
        "[{\"id\":\"" TOP "\",\"names\":[\"x\"],\"digest\":\"sha256:" TOP "\","
        "\"big-data-digests\":{\"manifest-sha256:" MIDDLE "\":\"sha256:" MIDDLE "\"}},"
        "{\"id\":\"" MIDDLE "\",\"names\":[\"y\"],\"digest\":\"sha256:" BOTTOM "\","
        "\"big-data-digests\":{\"manifest-sha256:" BOTTOM "\":\"sha256:" BOTTOM "\"}}]",
        0600);
    assert_int_equal(bases_find(s->dir, "x", &is, &image, &err), 0);
    assert_true(is);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(bases_came_as(s->dir, &image, table[i].digest, &is, &err), 0);
        assert_int_equal(is, table[i].is);
    }
}

/* ---- what buildah makes of a pull ---- */

static void test_a_pulled_image_is_described(void **state)
{
    static const char *const programs[] = {"/bin/none", "/sandbox-api", NULL};
    const struct machine *m = *state;
    struct builder_job *job;
    struct attempt a = {.images = ALPINE " " SANDBOX, .dockerfile = "FROM scratch\n"};
    struct builder_base base;
    struct error err = ERROR_INIT;
    bool found;

    if (builder_job_begin(m->b, "ws", "bases", &job, &err) < 0)
        fail_msg("%s", err.msg);
    attempt_run_on(job, &a);
    if (builder_base_find(job, SANDBOX, programs, &found, &base, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(found);
    assert_string_equal(base.program, "/sandbox-api");
    assert_non_null(strstr(buf_str(&base.config), "\"Entrypoint\":[\"/sandbox-api\"]"));
    assert_int_equal(strlen(base.digest), 71);
    builder_base_release(&base);
    assert_int_equal(builder_base_find(job, ALPINE, programs, &found, &base, &err), 0);
    assert_true(found);
    assert_null(base.program);
    builder_base_release(&base);
    assert_int_equal(builder_base_find(job, "alpine:none", programs, &found, &base, &err), 0);
    assert_false(found);
    builder_base_release(&base);
    builder_job_end(job);
    attempt_release(&a);
}

static void test_a_copy_from_an_image_by_its_digest_finds_what_was_pulled_by_tag(void **state)
{
    static const char *const nothing[] = {NULL};
    const struct machine *m = *state;
    struct builder_job *job;
    struct attempt pulled = {.images = SANDBOX, .dockerfile = "FROM scratch\n"};
    struct attempt built = {.images = ALPINE};
    struct builder_base base;
    struct error err = ERROR_INIT;
    char text[512], name[256];
    bool found;

    if (builder_job_begin(m->b, "ws", "bases", &job, &err) < 0)
        fail_msg("%s", err.msg);
    attempt_run_on(job, &pulled);
    assert_int_equal(builder_base_find(job, SANDBOX, nothing, &found, &base, &err), 0);
    (void)snprintf(text, sizeof(text),
                   "FROM " ALPINE "\nCOPY --from=ghcr.io/blaxel-ai/sandbox@%s /sandbox-api /x\n"
                   "RUN [ -x /x ]\n",
                   base.digest);
    built.dockerfile = text;
    builder_base_release(&base);
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(strstr(text, "ghcr.io"), " "),
                   strstr(text, "ghcr.io"));
    assert_int_equal(builder_base_find(job, name, nothing, &found, &base, &err), 0);
    assert_true(found);
    attempt_run_on(job, &built);
    assert_built(&built);
    builder_base_release(&base);
    builder_job_end(job);
    attempt_release(&pulled);
    attempt_release(&built);
}

#define STORE(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

struct beginner {
    const struct machine *m;
    pthread_barrier_t *together;
    const char *workspace;
    char id[32];
    struct builder_job *job;
};

/* With a file of its own in the store, as one that pulls. */
static void *begin(void *self)
{
    struct beginner *r = self;
    struct error err = ERROR_INIT;
    char path[512];

    (void)pthread_barrier_wait(r->together);
    if (builder_job_begin(r->m->b, r->workspace, r->id, &r->job, &err) < 0)
        return NULL;
    (void)snprintf(path, sizeof(path), "%s/bases/%s/blobs/%s", r->m->config.dir, r->workspace,
                   r->id);
    (void)!fs_write_file(AT_FDCWD, path, "", 0, 0600, &err);
    return NULL;
}

static void begin_all(const struct machine *m, const char *workspace)
{
    struct beginner all[BEGINNERS];
    pthread_t threads[BEGINNERS];
    pthread_barrier_t together;
    char path[512];

    assert_int_equal(pthread_barrier_init(&together, NULL, BEGINNERS), 0);
    for (size_t i = 0; i < BEGINNERS; i++) {
        all[i] = (struct beginner){.m = m, .together = &together, .workspace = workspace};
        (void)snprintf(all[i].id, sizeof(all[i].id), "first-%zu", i);
        assert_int_equal(pthread_create(&threads[i], NULL, begin, &all[i]), 0);
    }
    for (size_t i = 0; i < BEGINNERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < BEGINNERS; i++) {
        assert_non_null(all[i].job);
        (void)snprintf(path, sizeof(path), "%s/bases/%s/blobs/%s", m->config.dir, workspace,
                       all[i].id);
        assert_int_equal(access(path, F_OK), 0);
        builder_job_end(all[i].job);
    }
    (void)pthread_barrier_destroy(&together);
}

static void test_jobs_that_begin_at_once_share_a_workspaces_first_store(void **state)
{
    char workspace[32];

    for (int i = 0; i < 40; i++) {
        (void)snprintf(workspace, sizeof(workspace), "new-%d", i);
        begin_all(*state, workspace);
    }
}

struct renewal {
    const struct machine *m;
    atomic_bool done;
    atomic_int failed; /* jobs that did not begin, or not with a whole store */
    struct error why;  /* of one of them, or of the renewing */
};

/* Each in a store of its own time, whose like is removed as soon as nobody uses it. */
static void *begin_and_end(void *self)
{
    struct renewal *r = self;
    char id[32], path[PATH_MAX + 16];

    for (int i = 0; i < 30; i++) {
        struct error err = ERROR_INIT;
        struct builder_job *job;

        (void)snprintf(id, sizeof(id), "job-%d-%ld", i, (long)gettid());
        if (builder_job_begin(r->m->b, "renewed", id, &job, &err) < 0) {
            r->why = err;
            atomic_fetch_add(&r->failed, 1);
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/" BASES_BLOBS, job->bases);
        atomic_fetch_add(&r->failed, access(path, F_OK) < 0);
        builder_job_end(job);
    }
    return NULL;
}

static void *renew(void *self)
{
    struct renewal *r = self;

    while (!atomic_load(&r->done) && bases_store_renew(r->m->b, "renewed", &r->why) == 0 &&
           bases_store_tidy(r->m->b, "renewed", &r->why) == 0)
        continue;
    return NULL;
}

static void test_jobs_begin_while_stores_are_renewed_and_removed(void **state)
{
    struct renewal r = {.m = *state, .why = ERROR_INIT};
    pthread_t beginners[BEGINNERS], renewers[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&renewers[i], NULL, renew, &r), 0);
    for (int i = 0; i < BEGINNERS; i++)
        assert_int_equal(pthread_create(&beginners[i], NULL, begin_and_end, &r), 0);
    for (int i = 0; i < BEGINNERS; i++)
        assert_int_equal(pthread_join(beginners[i], NULL), 0);
    atomic_store(&r.done, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(renewers[i], NULL), 0);
    if (r.failed > 0 || r.why.kind != ERR_NONE)
        fail_msg("%d jobs: %s", (int)r.failed, r.why.msg);
}

#define STORED 200 /* files */

/* By the directories that the test has put into it, and that of its blobs. */
static bool is_away_or_whole(const char *store)
{
    return access(store, F_OK) < 0 || count_entries(store) == STORED + 1;
}

static void drop_until_killed(const struct builder *b, unsigned life_us)
{
    const pid_t child = fork();
    struct error err = ERROR_INIT;
    int status;

    if (child == 0)
        _exit(bases_store_drop(b, "killed", &err) < 0);
    (void)usleep(life_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

static void test_a_store_whose_removal_is_killed_is_there_as_a_whole_or_not_at_all(void **state)
{
    const struct machine *m = *state;
    struct error err = ERROR_INIT;
    char store[PATH_MAX], path[PATH_MAX + 32];
    unsigned seed = 5;
    int lock;

    for (int round = 0; round < 20; round++) {
        assert_int_equal(bases_store_enter(m->b, "killed", store, &lock, &err), 0);
        close(lock);
        for (int i = 0; i < STORED; i++) {
            (void)snprintf(path, sizeof(path), "%s/%d", store, i);
            assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        }
        drop_until_killed(m->b, (unsigned)rand_r(&seed) % 20000);
        assert_true(is_away_or_whole(store));
    }
    assert_int_equal(bases_store_drop(m->b, "killed", &err), 0);
    (void)snprintf(path, sizeof(path), "%s.gone", store);
    assert_int_equal(access(path, F_OK), -1);
}

/* Of a version before that, or damaged. */
static void test_a_store_that_keeps_no_blobs_is_fetched_anew(void **state)
{
    const struct machine *m = *state;
    struct attempt a = {.workspace = "old",
                        .images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nRUN true\n",
                        .push_to = "old/a/b"};
    struct attempt again = a;
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int dir = -1;
    char path[256];

    attempt_run(m, &a);
    assert_built(&a);
    (void)snprintf(path, sizeof(path), "%s/bases/old", m->config.dir);
    assert_int_equal(fs_open_dir(AT_FDCWD, path, &dir, &err), 0);
    assert_int_equal(fs_remove_tree(dir, "blobs", &err), 0);
    again.push_to = "old/another/one";
    attempt_run(m, &again);
    assert_built(&again);
    attempt_release(&a);
    attempt_release(&again);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest by_hand[] = {
        STORE(test_a_program_of_any_layer_is_seen),
        STORE(test_the_topmost_layer_that_has_the_path_decides),
        STORE(test_whiteouts_and_opaque_directories_hide),
        STORE(test_layers_that_go_round_in_a_circle_end),
        STORE(test_an_index_that_is_none_is_an_error),
        STORE(test_an_image_came_as_its_manifest_or_as_the_index_that_names_it),
    };
    const struct CMUnitTest by_buildah[] = {
        cmocka_unit_test(test_a_pulled_image_is_described),
        cmocka_unit_test(test_a_copy_from_an_image_by_its_digest_finds_what_was_pulled_by_tag),
        cmocka_unit_test(test_jobs_that_begin_at_once_share_a_workspaces_first_store),
        cmocka_unit_test(test_jobs_begin_while_stores_are_renewed_and_removed),
        cmocka_unit_test(test_a_store_whose_removal_is_killed_is_there_as_a_whole_or_not_at_all),
        cmocka_unit_test(test_a_store_that_keeps_no_blobs_is_fetched_anew),
    };
    int failed;

    builder_jail_main(argc, argv, machine_inner);
    failed = cmocka_run_group_tests(by_hand, NULL, NULL);
    return failed + cmocka_run_group_tests(by_buildah, machine_start, machine_stop);
}
