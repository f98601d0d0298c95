/* What one worker leaves and another finds, without a registry: a shelf stands in for it.  Another
 * worker is played by another workspace, which has nothing of the first one's. */
#include "machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

#define NAMES_MAX 16
#define SIZE_MAX_ (UINT64_C(1) << 30)

struct shelf {
    char dir[PATH_MAX]; /* blobs by hex */
    char names[NAMES_MAX][80];
    struct buf texts[NAMES_MAX];
    size_t n;
    size_t asked, fetched;     /* since the build began */
    char first[PATH_MAX + 80]; /* the file of the first blob that was fetched since then */
    bool silent;
    struct builder_remote remote;
};

static int look_up(void *self, const char *name, struct buf *ret, bool *ret_found,
                   struct error *err)
{
    struct shelf *s = self;

    s->asked++;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0) {
            *ret_found = true;
            buf_add(ret, buf_str(&s->texts[i]), s->texts[i].len);
            return buf_check(ret, name, err);
        }
    *ret_found = false;
    return 0;
}

static int fetch(void *self, const char *digest, uint64_t size, int fd, bool *ret_found,
                 struct error *err)
{
    struct shelf *s = self;
    CLEANUP(buf_release) struct buf blob = BUF_INIT(64 << 20);
    char path[PATH_MAX + 80];

    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, digest + 7);
    if (s->fetched++ == 0)
        memcpy(s->first, path, sizeof(path));
    if (s->silent)
        return error_set(err, ERR_REMOTE, "the registry says nothing");
    *ret_found = access(path, F_OK) == 0;
    if (!*ret_found)
        return 0;
    if (fs_read_file(AT_FDCWD, path, &blob, err) < 0)
        return -1;
    return fs_write_all(fd, buf_str(&blob), blob.len < size ? blob.len : size, err);
}

static struct shelf *new_shelf(const struct machine *m, const char *name)
{
    struct shelf *s = calloc(1, sizeof(*s));
    struct error err = ERROR_INIT;

    assert_non_null(s);
    (void)snprintf(s->dir, sizeof(s->dir), "%s/shelf-%s", m->dir, name);
    assert_int_equal(fs_mkdirs(s->dir, 0755, &err), 0);
    s->remote = (struct builder_remote){look_up, fetch, s};
    return s;
}

static void free_shelf(struct shelf *s)
{
    for (size_t i = 0; i < s->n; i++)
        buf_release(&s->texts[i]);
    free(s);
}

static struct buf *text_of(struct shelf *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0)
            return &s->texts[i];
    assert_true(s->n < NAMES_MAX);
    (void)snprintf(s->names[s->n], sizeof(s->names[0]), "%s", name);
    s->texts[s->n] = (struct buf)BUF_INIT(8 << 20);
    return &s->texts[s->n++];
}

static void put_blob(const struct shelf *s, const struct builder_job *job,
                     const struct builder_layer *layer)
{
    CLEANUP(buf_release) struct buf blob = BUF_INIT(64 << 20);
    CLEANUP_CLOSE int fd = -1;
    struct error err = ERROR_INIT;
    char path[PATH_MAX + 80];

    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, layer->digest + 7);
    if (access(path, F_OK) == 0)
        return;
    if (builder_open_blob(job, layer, &fd, &err) < 0 || fs_read_fd(fd, &blob, &err) < 0 ||
        fs_write_file(AT_FDCWD, path, buf_str(&blob), blob.len, 0644, &err) < 0)
        fail_msg("%s", err.msg);
}

static void export(struct shelf *s, struct builder_job *job, const struct attempt *a,
                   const struct builder_export_options *options, struct builder_export *ret)
{
    const struct builder_io io = {.sink = NULL};
    struct error err = ERROR_INIT;

    if (builder_export(job, &a->image, options, &io, ret, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < ret->n; i++) {
        struct buf *text = text_of(s, ret->v[i].name);

        buf_clear(text);
        buf_add(text, buf_str(&ret->v[i].text), ret->v[i].text.len);
        for (size_t k = 0; k < ret->v[i].n_layers; k++)
            put_blob(s, job, &ret->v[i].layers[k]);
    }
}

static const struct builder_export_options all = {
    .all = true, .size_max = SIZE_MAX_, .mounts_max = SIZE_MAX_, .now = 1000000000};

/* Builds in the workspace with the shelf, and leaves there what options say (NULL: nothing).
 * ret_export: what that was, to be released; NULL: not of interest. */
static void work(const struct machine *m, struct shelf *s, const char *workspace, struct attempt *a,
                 const struct builder_export_options *options, struct builder_export *ret_export)
{
    struct builder_export export_of = {.n = 0};
    struct builder_job *job;
    struct error err = ERROR_INIT;

    a->images = ALPINE;
    a->cached = true;
    if (builder_job_begin(m->b, workspace, "job", &job, &err) < 0)
        fail_msg("%s", err.msg);
    builder_job_use_remote(job, &s->remote);
    s->asked = s->fetched = 0;
    attempt_run_on(job, a);
    assert_built(a);
    if (options)
        export(s, job, a, options, &export_of);
    builder_job_end(job);
    if (ret_export)
        *ret_export = export_of;
    else
        builder_export_release(&export_of);
}

static size_t count(const struct attempt *a, const char *line)
{
    size_t n = 0;

    for (const char *at = strstr(buf_str(&a->log), line); at; at = strstr(at + 1, line))
        n++;
    return n;
}

static void assert_same_layers(const struct attempt *a, const struct attempt *b)
{
    assert_int_equal(a->image.n_layers, b->image.n_layers);
    for (size_t i = 0; i < a->image.n_layers; i++)
        assert_string_equal(a->image.layers[i].digest, b->image.layers[i].digest);
}

/* Something is removed, and a directory is made anew: what the layers below had of it is not seen.
 */
#define STEPS                                                                                      \
    "FROM alpine:3.20 AS build\n"                                                                  \
    "RUN mkdir -p /d/old && echo a >/d/old/a && echo b >/b && ln /b /hard\n"                       \
    "RUN rm -rf /d && mkdir /d && echo new >/d/new && rm /hard && chown 5:6 /b && chmod 4711 /b\n" \
    "WORKDIR /w\n"                                                                                 \
    "COPY f f\n"                                                                                   \
    "RUN ls -R /d >/out && stat -c '%a %u' /b >>/out && ! ls /hard && cat f >>/out\n"              \
    "FROM alpine:3.20\n"                                                                           \
    "RUN echo x >/x\n"                                                                             \
    "COPY --from=build /out /out\n"                                                                \
    "RUN cat /out /x\n"
#define N_STEPS 8

static const char *const one[] = {"f", "1", NULL};
static const char *const two[] = {"f", "2", NULL};

static void test_an_empty_disk_finds_every_step_and_fetches_nothing(void **state)
{
    struct shelf *s = new_shelf(*state, "all");
    struct attempt first = {.files = one, .dockerfile = STEPS, .unlisted = true}, other = first;

    work(*state, s, "all-a", &first, &all, NULL);
    work(*state, s, "all-b", &other, NULL, NULL);
    assert_int_equal(count(&other, "CACHED"), N_STEPS);
    assert_int_equal(s->fetched, 0);
    assert_int_equal(s->asked, 1);
    assert_same_layers(&first, &other);
    assert_true(other.image.layers[1].away);
    attempt_release(&first);
    attempt_release(&other);
    free_shelf(s);
}

static void test_only_what_a_changed_step_must_see_is_fetched(void **state)
{
    struct shelf *s = new_shelf(*state, "some");
    struct attempt first = {.files = one, .dockerfile = STEPS};
    struct attempt other = {.files = two, .dockerfile = STEPS};
    struct attempt again = other;

    work(*state, s, "some-a", &first, &all, NULL);
    work(*state, s, "some-b", &other, NULL, NULL);
    assert_int_equal(count(&other, "CACHED"), 4);
    assert_says(&other, "/d:\nnew\n4711 5\n");
    assert_does_not_say(&other, "/d/old:");
    assert_int_equal(s->fetched, 4);
    work(*state, s, "some-b", &again, NULL, NULL);
    assert_int_equal(count(&again, "CACHED"), N_STEPS);
    assert_int_equal(s->asked + s->fetched, 0);
    attempt_release(&first);
    attempt_release(&other);
    attempt_release(&again);
    free_shelf(s);
}

static void test_a_blob_that_is_lost_or_another_is_made_anew(void **state)
{
    struct shelf *s = new_shelf(*state, "lost");
    struct attempt first = {.files = one, .dockerfile = STEPS};
    struct attempt other = {.files = two, .dockerfile = STEPS};
    struct error err = ERROR_INIT;

    work(*state, s, "lost-a", &first, &all, NULL);
    assert_int_equal(fs_remove_tree(AT_FDCWD, s->dir, &err), 0);
    work(*state, s, "lost-b", &other, NULL, NULL);
    assert_says(&other, "warning: the cache in the registry is left aside: the registry does not");
    assert_says(&other, "/d:\nnew\n4711 5\n");
    attempt_release(&first);
    attempt_release(&other);
    free_shelf(s);
}

static void test_one_blob_that_is_lost_costs_its_step_alone(void **state)
{
    static const char *const three[] = {"f", "3", NULL}, *const four[] = {"f", "4", NULL};
    struct shelf *s = new_shelf(*state, "lost-one");
    struct attempt first = {.files = one, .dockerfile = STEPS};
    struct attempt other = {.files = two, .dockerfile = STEPS};
    struct attempt lost = {.files = three, .dockerfile = STEPS};
    struct attempt silent = {.files = four, .dockerfile = STEPS};

    work(*state, s, "lost-one-a", &first, &all, NULL);
    work(*state, s, "lost-one-b", &other, NULL, NULL);
    assert_int_equal(other.image.n_cached, 4);
    assert_int_equal(unlink(s->first), 0);
    work(*state, s, "lost-one-c", &lost, NULL, NULL);
    assert_says(&lost, "warning: a step in the registry is left aside: the registry does not");
    assert_int_equal(lost.image.n_cached, 3);
    assert_says(&lost, "/d:\nnew\n4711 5\n");
    s->silent = true;
    work(*state, s, "lost-one-d", &silent, NULL, NULL);
    assert_says(&silent, "warning: the cache in the registry is left aside: the registry says");
    assert_int_equal(silent.image.n_cached, 0);
    assert_int_equal(s->fetched, 1);
    attempt_release(&first);
    attempt_release(&other);
    attempt_release(&lost);
    attempt_release(&silent);
    free_shelf(s);
}

static void test_an_index_that_is_none_costs_a_warning(void **state)
{
    static const char *const texts[] = {
        "", "[]", "{\"version\":2,\"steps\":[]}", "{\"version\":1,\"steps\":[{}]}",
        "{\"version\":1,\"steps\":[{\"key\":\"../../etc/passwd\",\"used\":1}]}"};
    struct shelf *s = new_shelf(*state, "none");

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct attempt a = {.dockerfile = "FROM alpine:3.20\nRUN echo x\n"};
        struct buf *text = text_of(s, BUILDER_REMOTE_STEPS);
        char workspace[16];

        (void)snprintf(workspace, sizeof(workspace), "none-%zu", i);
        buf_clear(text);
        buf_adds(text, texts[i]);
        work(*state, s, workspace, &a, NULL, NULL);
        assert_says(&a, "warning: the cache in the registry is left aside: not an index");
        attempt_release(&a);
    }
    free_shelf(s);
}

static void test_steps_without_layers_are_found_while_nobody_needs_their_files(void **state)
{
    const struct builder_export_options min = {.size_max = SIZE_MAX_, .now = 1000000000};
    struct shelf *s = new_shelf(*state, "min");
    struct attempt first = {.files = one, .dockerfile = STEPS};
    struct attempt same = first;
    struct attempt other = {.files = two, .dockerfile = STEPS};

    work(*state, s, "min-a", &first, &min, NULL);
    work(*state, s, "min-b", &same, NULL, NULL);
    assert_int_equal(count(&same, "CACHED"), N_STEPS);
    assert_same_layers(&first, &same);
    work(*state, s, "min-c", &other, NULL, NULL);
    assert_says(&other, "left aside: its files were not kept");
    assert_says(&other, "/d:\nnew\n4711 5\n");
    attempt_release(&first);
    attempt_release(&same);
    attempt_release(&other);
    free_shelf(s);
}

/* Slimming looks at layers while steps are still being found. */
static void test_a_slim_image_s_steps_are_found_with_their_layers(void **state)
{
    struct shelf *s = new_shelf(*state, "slim");
    struct attempt first = {.slim = true,
                            .dockerfile = "FROM alpine:3.20\n"
                                          "RUN mkdir -p /var/cache/apt/archives && "
                                          "echo deb >/var/cache/apt/archives/a.deb\n"
                                          "RUN echo 1 >/1\nRUN echo 2 >/2\nRUN echo 3 >/3\n"};

    work(*state, s, "slim", &first, &all, NULL);
    for (int i = 0; i < 10; i++) {
        struct attempt other = {.slim = true, .dockerfile = first.dockerfile};
        char workspace[16];

        (void)snprintf(workspace, sizeof(workspace), "slim-%d", i);
        work(*state, s, workspace, &other, NULL, NULL);
        assert_int_equal(count(&other, "CACHED"), 4);
        assert_does_not_say(&other, "left aside");
        assert_same_layers(&first, &other);
        attempt_release(&other);
    }
    attempt_release(&first);
    free_shelf(s);
}

static void test_what_did_not_change_is_not_left_again(void **state)
{
    struct shelf *s = new_shelf(*state, "twice");
    struct attempt first = {.files = one, .dockerfile = STEPS}, again = first;
    struct attempt changed = {.files = two, .dockerfile = STEPS};
    struct builder_export e;

    work(*state, s, "twice", &first, &all, &e);
    assert_int_equal(e.n, 1);
    builder_export_release(&e);
    work(*state, s, "twice", &again, &all, &e);
    assert_int_equal(e.n, 0);
    builder_export_release(&e);
    work(*state, s, "twice", &changed, &all, &e);
    assert_int_equal(e.n, 1);
    /* the earlier build's steps stay */
    assert_true(e.v[0].n_layers > 7);
    builder_export_release(&e);
    attempt_release(&first);
    attempt_release(&again);
    attempt_release(&changed);
    free_shelf(s);
}

/* ---- cache mounts ---- */

#define MOUNT(n)                                                                                   \
    "FROM alpine:3.20\nRUN --mount=type=cache,id=m,target=/m : " n "; mkdir -p /m/d; echo " n      \
    " >>/m/d/list; ln -s list /m/d/l; cat /m/d/list\n"

static void test_a_cache_mount_goes_from_worker_to_worker(void **state)
{
    struct shelf *s = new_shelf(*state, "mount");
    struct attempt a[3] = {
        {.dockerfile = MOUNT("1")}, {.dockerfile = MOUNT("2")}, {.dockerfile = MOUNT("3")}};

    work(*state, s, "mount-a", &a[0], &all, NULL);
    work(*state, s, "mount-b", &a[1], &all, NULL);
    assert_says(&a[1], "1\n2\n");
    work(*state, s, "mount-c", &a[2], &all, NULL);
    assert_says(&a[2], "1\n2\n3\n");
    for (size_t i = 0; i < 3; i++)
        attempt_release(&a[i]);
    free_shelf(s);
}

static void test_a_cache_mount_that_did_not_change_or_is_too_large_is_not_saved(void **state)
{
    const struct builder_export_options small = {
        .all = true, .size_max = SIZE_MAX_, .mounts_max = 1000, .now = 1000000000};
    static const char *const dockerfiles[] = {
        "FROM alpine:3.20\nRUN --mount=type=cache,id=m,target=/m head -c 500 /dev/zero >/m/f\n",
        "FROM alpine:3.20\nRUN --mount=type=cache,id=m,target=/m ls /m\n",
        "FROM alpine:3.20\nRUN --mount=type=cache,id=m,target=/m head -c 5000 /dev/zero >/m/g\n"};
    const size_t artifacts[] = {2, 1, 1};
    struct shelf *s = new_shelf(*state, "large");

    for (size_t i = 0; i < 3; i++) {
        struct attempt a = {.dockerfile = dockerfiles[i]};
        struct builder_export e;

        work(*state, s, "large", &a, &small, &e);
        assert_int_equal(e.n, artifacts[i]);
        assert_int_equal(e.notes.n, i == 2);
        if (i == 2)
            assert_non_null(strstr(e.notes.v[0], "may be saved"));
        builder_export_release(&e);
        attempt_release(&a);
    }
    free_shelf(s);
}

static void test_a_saved_cache_mount_that_is_none_is_left_aside(void **state)
{
    struct shelf *s = new_shelf(*state, "broken");
    struct attempt a = {.dockerfile = MOUNT("1")}, b = {.dockerfile = MOUNT("2")};

    work(*state, s, "broken-a", &a, &all, NULL);
    for (size_t i = 0; i < s->n; i++)
        if (strncmp(s->names[i], BUILDER_REMOTE_MOUNT, strlen(BUILDER_REMOTE_MOUNT)) == 0) {
            buf_clear(&s->texts[i]);
            buf_adds(&s->texts[i], "{\"version\":1,\"mark\":\"\",\"layer\":{}}");
        }
    work(*state, s, "broken-b", &b, NULL, NULL);
    assert_says(&b, "warning: a saved cache mount is left aside");
    assert_says(&b, "\n2\n");
    assert_does_not_say(&b, "\n1\n");
    attempt_release(&a);
    attempt_release(&b);
    free_shelf(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_disk_finds_every_step_and_fetches_nothing),
        cmocka_unit_test(test_only_what_a_changed_step_must_see_is_fetched),
        cmocka_unit_test(test_a_blob_that_is_lost_or_another_is_made_anew),
        cmocka_unit_test(test_one_blob_that_is_lost_costs_its_step_alone),
        cmocka_unit_test(test_an_index_that_is_none_costs_a_warning),
        cmocka_unit_test(test_steps_without_layers_are_found_while_nobody_needs_their_files),
        cmocka_unit_test(test_a_slim_image_s_steps_are_found_with_their_layers),
        cmocka_unit_test(test_what_did_not_change_is_not_left_again),
        cmocka_unit_test(test_a_cache_mount_goes_from_worker_to_worker),
        cmocka_unit_test(test_a_cache_mount_that_did_not_change_or_is_too_large_is_not_saved),
        cmocka_unit_test(test_a_saved_cache_mount_that_is_none_is_left_aside),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
