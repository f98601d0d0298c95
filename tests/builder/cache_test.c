/* What a build takes from earlier ones, and what it says of the steps that it cannot. */
#include "cache_scene.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/cache.h"

#define RUNC "/usr/sbin/runc"

static size_t count(const struct attempt *a, const char *line)
{
    size_t n = 0;

    for (const char *at = strstr(buf_str(&a->log), line); at; at = strstr(at + 1, line))
        n++;
    return n;
}

static size_t count_records(const struct machine *m, const char *workspace)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/cache/%s/records", m->config.dir, workspace);
    return count_entries(path);
}

/* ---- no cache ---- */

#define DRAWN                                                                                      \
    "FROM alpine:3.20\nRUN head -c 16 /dev/urandom | od -An -tx1 >/drawn\nRUN cat /drawn\n"

static void test_without_the_cache_every_step_is_run_and_its_result_is_the_one_found(void **state)
{
    struct attempt first = {.files = NULL}, anew = {.no_cache = true}, next = {.files = NULL};

    scene_build_of(*state, &first, "anew", DRAWN);
    scene_build_of(*state, &anew, "anew", DRAWN);
    assert_int_equal(count(&anew, "CACHED"), 0);
    assert_string_not_equal(first.image.layers[1].digest, anew.image.layers[1].digest);
    scene_build_of(*state, &next, "anew", DRAWN);
    assert_int_equal(count(&next, "CACHED"), 2);
    assert_string_equal(next.image.layers[1].digest, anew.image.layers[1].digest);
    attempt_release(&first);
    attempt_release(&anew);
    attempt_release(&next);
}

/* ---- why not ---- */

#define STEPS "FROM alpine:3.20\nCOPY . /app/\nRUN cat /app/src/index.js\n"

static void test_a_first_build_says_so_once_and_the_next_finds_all(void **state)
{
    static const char *const files[] = {"package.json", "{}", "src/index.js", "1", NULL};
    struct attempt first = {.files = files};
    struct attempt next = {.files = files};

    scene_build_of(*state, &first, "again", STEPS);
    assert_int_equal(count(&first, "not cached"), 1);
    assert_says(&first, "not cached: not built before\n");
    scene_build_of(*state, &next, "again", STEPS);
    assert_does_not_say(&next, "not cached");
    assert_int_equal(count(&next, "CACHED"), 2);
    attempt_release(&first);
    attempt_release(&next);
}

static void test_the_files_that_changed_came_or_went_are_named(void **state)
{
    static const char *const before[] = {
        "package.json", "{}", "src/index.js", "1", "src/old.js", "o", NULL};
    static const char *const after[] = {
        "package.json", "{}", "src/index.js", "2", "src/new.js", "n", NULL};
    struct attempt first = {.files = before};
    struct attempt next = {.files = after};

    scene_build_of(*state, &first, "files", STEPS);
    scene_build_of(*state, &next, "files", STEPS);
    assert_says(&next, "not cached: src/index.js changed, src/new.js was added, src/old.js was "
                       "removed\n");
    assert_int_equal(count(&next, "not cached"), 1);
    assert_int_equal(count(&next, "CACHED"), 0);
    attempt_release(&first);
    attempt_release(&next);
}

static void test_of_many_files_that_changed_some_are_named_and_the_rest_counted(void **state)
{
    static const char *const before[] = {"a", "1", "b", "1", "c", "1", "d", "1", "e", "1", NULL};
    static const char *const after[] = {"a", "2", "b", "2", "c", "2", "d", "2", "e", "2", NULL};
    struct attempt first = {.files = before};
    struct attempt next = {.files = after};

    scene_build_of(*state, &first, "many", "FROM alpine:3.20\nCOPY . /app/\n");
    scene_build_of(*state, &next, "many", "FROM alpine:3.20\nCOPY . /app/\n");
    assert_says(&next, "not cached: a changed, b changed, c changed and 2 more\n");
    attempt_release(&first);
    attempt_release(&next);
}

/* Each is built after BEFORE, in a workspace of its own. */
#define BEFORE                                                                                     \
    "FROM alpine:3.20\nENV NODE_ENV=a\nWORKDIR /w\nRUN --mount=type=bind,target=/m cat /m/f\n"

static void test_what_changed_of_a_run_is_named(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    static const char *const changed[] = {"f", "2", NULL};
    static const struct {
        const char *dockerfile, *why;
        const char *const *files;
    } changes[] = {
        {"FROM alpine:3.20\nENV NODE_ENV=b\nWORKDIR /w\nRUN --mount=type=bind,target=/m cat /m/f\n",
         "not cached: variable NODE_ENV changed\n", files},
        {"FROM alpine:3.20\nENV NODE_ENV=a\nWORKDIR /w\nRUN --mount=type=bind,target=/m ls /m/f\n",
         "not cached: the command changed\n", files},
        {"FROM alpine:3.20\nENV NODE_ENV=a\nWORKDIR /w\nUSER node\n"
         "RUN --mount=type=bind,target=/m cat /m/f\n",
         "not cached: the user changed\n", files},
        {"FROM alpine:3.20\nENV NODE_ENV=a\nWORKDIR /v\nRUN --mount=type=bind,target=/m cat /m/f\n",
         "not cached: the working directory changed\n", files},
        {"FROM alpine:3.20\nENV NODE_ENV=a\nWORKDIR /w\nRUN --mount=type=bind,target=/n cat /n/f\n",
         "not cached: the command changed, the mount at /n was added, the mount at /m was "
         "removed\n",
         files},
        {BEFORE, "not cached: f changed\n", changed},
        {"FROM " SANDBOX "\nENV NODE_ENV=a\nWORKDIR /w\n", "not cached: the base image changed\n",
         files},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct attempt first = {.files = files};
        struct attempt next = {.images = ALPINE " " SANDBOX,
                               .files = changes[i].files,
                               .dockerfile = changes[i].dockerfile};
        char workspace[16];

        (void)snprintf(workspace, sizeof(workspace), "run%zu", i);
        next.workspace = workspace;
        next.cached = true;
        scene_build_of(*state, &first, workspace, BEFORE);
        attempt_run(*state, &next);
        assert_built(&next);
        assert_says(&next, changes[i].why);
        attempt_release(&first);
        attempt_release(&next);
    }
}

static void overwrite_all(const struct machine *m, const char *workspace, const char *part,
                          const char *text)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error err = ERROR_INIT;
    char path[2 * PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/cache/%s/%s", m->config.dir, workspace, part);
    assert_int_equal(fs_list(AT_FDCWD, path, &names, &err), 0);
    assert_true(names.n > 0);
    for (size_t i = 0; i < names.n; i++) {
        (void)snprintf(path, sizeof(path), "%s/cache/%s/%s/%s", m->config.dir, workspace, part,
                       names.v[i]);
        assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err), 0);
    }
}

static void test_what_explains_is_not_believed(void **state)
{
    static const char *const rubbish[] = {"", "[]", "{\"stage-0\":[1,\"../../x\"]}", "{", "null"};
    static const char *const files[] = {"f", "1", NULL};
    static const char *const changed[] = {"f", "2", NULL};
    const struct machine *m = *state;

    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        struct attempt first = {.files = files};
        struct attempt next = {.files = changed};
        char workspace[16];

        (void)snprintf(workspace, sizeof(workspace), "rubbish%zu", i);
        scene_build_of(m, &first, workspace, "FROM scratch\nCOPY f /\n");
        overwrite_all(m, workspace, "inputs", rubbish[i]);
        overwrite_all(m, workspace, "builds", rubbish[i]);
        scene_build_of(m, &next, workspace, "FROM scratch\nCOPY f /\n");
        assert_says(&next, "not cached: not built before\n");
        attempt_release(&first);
        attempt_release(&next);
    }
}

/* ---- what is found ---- */

#define STAGES(noise)                                                                              \
    "FROM alpine:3.20 AS one\nRUN echo same >/out # " noise "\nFROM alpine:3.20\n"                 \
    "COPY --from=one /out /in\nRUN cat /in\n"

/* By its own key, and by that of the stage it copies from, whose files need not be looked at then.
 */
static void test_a_copy_from_a_stage_is_kept_by_two_keys(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20 AS a\nRUN echo x >/x\n"
                                     "FROM scratch\nCOPY --from=a /x /x\n";
    struct attempt first = {.files = NULL};
    struct attempt next = {.files = NULL};

    scene_build_of(*state, &first, "two-keys", dockerfile);
    assert_int_equal(count_records(*state, "two-keys"), 3);
    scene_build_of(*state, &next, "two-keys", dockerfile);
    assert_int_equal(count(&next, "CACHED"), 2);
    assert_int_equal(count_records(*state, "two-keys"), 3);
    assert_string_equal(next.image.layers[0].digest, first.image.layers[0].digest);
    attempt_release(&first);
    attempt_release(&next);
}

static void test_a_stage_that_came_to_the_same_files_is_not_copied_again(void **state)
{
    struct attempt first = {.files = NULL};
    struct attempt next = {.files = NULL};

    scene_build_of(*state, &first, "stages", STAGES("1"));
    scene_build_of(*state, &next, "stages", STAGES("2"));
    assert_says(&next, "not cached: the command changed\n");
    assert_int_equal(count(&next, "not cached"), 1);
    assert_int_equal(count(&next, "CACHED"), 2);
    attempt_release(&first);
    attempt_release(&next);
}

static void test_another_workspace_finds_nothing(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    struct attempt first = {.files = files};
    struct attempt other = {.files = files};

    scene_build_of(*state, &first, "mine", "FROM alpine:3.20\nCOPY f /\nRUN cat /f\n");
    scene_build_of(*state, &other, "yours", "FROM alpine:3.20\nCOPY f /\nRUN cat /f\n");
    assert_int_equal(count(&other, "CACHED"), 0);
    assert_says(&other, "not built before\n");
    attempt_release(&first);
    attempt_release(&other);
}

static void test_a_changed_build_argument_misses_only_after_its_arg(void **state)
{
    CLEANUP(argv_release) struct argv one = ARGV_INIT;
    CLEANUP(argv_release) struct argv two = ARGV_INIT;
    struct attempt first = {.build_args = &one};
    struct attempt next = {.build_args = &two};
    static const char dockerfile[] =
        "FROM alpine:3.20\nRUN echo a\nARG VERSION\nRUN echo b\nRUN echo c\n";

    argv_push(&one, "VERSION=1", NULL);
    argv_push(&two, "VERSION=2", NULL);
    scene_build_of(*state, &first, "args", dockerfile);
    scene_build_of(*state, &next, "args", dockerfile);
    assert_int_equal(count(&next, "CACHED"), 1);
    assert_int_equal(count(&next, "not cached"), 1);
    assert_says(&next, "not cached: variable VERSION changed\n");
    attempt_release(&first);
    attempt_release(&next);
}

/* ---- builds that end early, and beside each other ---- */

static void kill_executor(struct attempt *a, const char *line)
{
    pid_t pid;

    (void)a;
    if (strcmp(line, "ready") != 0)
        return;
    pid = parent_of(process_of_ours(RUNC));
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_a_step_that_was_killed_is_not_found(void **state)
{
    static const char dockerfile[] =
        "FROM alpine:3.20\nRUN echo x >/x\nRUN echo y >/y; echo ready; sleep 2\n";
    struct attempt killed = {.workspace = "killed",
                             .images = ALPINE,
                             .dockerfile = dockerfile,
                             .cached = true,
                             .on_line = kill_executor};
    struct attempt next = {.files = NULL};

    attempt_run(*state, &killed);
    assert_outcome(&killed, "build", BUILDER_KILLED);
    assert_int_equal(count_records(*state, "killed"), 1);
    scene_build_of(*state, &next, "killed", dockerfile);
    assert_int_equal(count(&next, "CACHED"), 1);
    assert_says(&next, "ready\n");
    attempt_release(&killed);
    attempt_release(&next);
}

struct beside {
    const struct machine *m;
    struct attempt a;
};

static void *run_beside(void *self)
{
    struct beside *b = self;

    attempt_run(b->m, &b->a);
    return NULL;
}

static void test_builds_at_once_of_one_step_all_succeed(void **state)
{
    static const char *const ids[] = {"one", "two", "three"};
    struct attempt warm = {.files = NULL};
    struct beside b[3];
    pthread_t threads[3];

    scene_build_of(*state, &warm, "beside", "FROM alpine:3.20\nRUN true\n");
    for (size_t i = 0; i < 3; i++) {
        b[i] = (struct beside){*state,
                               {.workspace = "beside",
                                .id = ids[i],
                                .cached = true,
                                .dockerfile = "FROM alpine:3.20\n"
                                              "RUN mkdir /d && echo x >/d/x && sleep 1\n"
                                              "RUN cat /d/x >/y\n"}};
        assert_int_equal(pthread_create(&threads[i], NULL, run_beside, &b[i]), 0);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_built(&b[i].a);
        attempt_release(&b[i].a);
    }
    attempt_release(&warm);
}

/* ---- stages of one build beside one another ---- */

#define WRITERS 4
#define WRITES  200

struct writers {
    struct cache cache;
    const char *key;
    atomic_int failed, unsound;
    struct error why; /* of one */
};

/* Records of different lengths: one that was cut or mixed is none. */
static void *write_records(void *self)
{
    struct writers *w = self;
    struct cache_record r = {.disk = 1}, found;

    memcpy(r.key, w->key, sizeof(r.key));
    for (int i = 0; i < WRITES; i++, r.bytes = r.bytes ? 0 : UINT64_C(1) << 40) {
        struct error err = ERROR_INIT;

        if (cache_store(&w->cache, w->key, &r, &err) < 0) {
            atomic_fetch_add(&w->failed, 1);
            w->why = err;
        }
        atomic_fetch_add(&w->unsound, !cache_read(w->cache.records, w->key, &found));
    }
    return NULL;
}

static void test_threads_that_write_one_record_at_once_all_write_a_whole_one(void **state)
{
    const struct machine *m = *state;
    struct writers w = {.key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                        .why = ERROR_INIT};
    pthread_t threads[WRITERS];
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/records-at-once", m->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(cache_open(path, "job", &w.cache, &err), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_records, &w), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    cache_close(&w.cache);
    if (w.failed > 0)
        fail_msg("%d failed: %s", (int)w.failed, w.why.msg);
    assert_int_equal(w.unsound, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_the_cache_every_step_is_run_and_its_result_is_the_one_found),
        cmocka_unit_test(test_a_first_build_says_so_once_and_the_next_finds_all),
        cmocka_unit_test(test_the_files_that_changed_came_or_went_are_named),
        cmocka_unit_test(test_of_many_files_that_changed_some_are_named_and_the_rest_counted),
        cmocka_unit_test(test_what_changed_of_a_run_is_named),
        cmocka_unit_test(test_what_explains_is_not_believed),
        cmocka_unit_test(test_a_copy_from_a_stage_is_kept_by_two_keys),
        cmocka_unit_test(test_a_stage_that_came_to_the_same_files_is_not_copied_again),
        cmocka_unit_test(test_another_workspace_finds_nothing),
        cmocka_unit_test(test_a_changed_build_argument_misses_only_after_its_arg),
        cmocka_unit_test(test_a_step_that_was_killed_is_not_found),
        cmocka_unit_test(test_builds_at_once_of_one_step_all_succeed),
        cmocka_unit_test(test_threads_that_write_one_record_at_once_all_write_a_whole_one),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
