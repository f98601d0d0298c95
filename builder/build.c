/* builder/build — the outside of a build: what the executor is told, its jail, and what it made. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/bases_store.h"
#include "builder/build_result.h"
#include "builder/cache_link.h"
#include "builder/document.h"
#include "builder/egress.h"
#include "builder/events.h"
#include "builder/run.h"
#include "builder/state.h"

#define CONFIG_MAX  (8 << 20)
#define THREADS_MAX 8

/* ---- what is known of the images ---- */

struct images {
    struct document_image *v;
    size_t n, cap;
    struct argv kept; /* names, configurations and digests */
};

static void release_images(struct images *images)
{
    for (size_t i = 0; i < images->n; i++)
        free(images->v[i].layers);
    free(images->v);
    argv_release(&images->kept);
}

static const char *keep(struct images *images, const char *text)
{
    argv_push1(&images->kept, text);
    return images->kept.failed ? "" : images->kept.v[images->kept.n - 1];
}

static int describe_image(const struct builder_job *j, const char *name, struct images *images,
                          struct error *err)
{
    CLEANUP(buf_release) struct buf config = BUF_INIT(CONFIG_MAX);
    struct document_image *ret = &images->v[images->n];
    struct bases_image found;
    bool is_there;

    if (bases_find_named(j, name, &is_there, &found, err) < 0)
        return -1;
    if (!is_there)
        return error_set(err, ERR_SYSTEM, "%s was not fetched", name);
    if (bases_config(j->bases, &found, &config, err) < 0 ||
        bases_layers(j->bases, &found, &ret->layers, &ret->n_layers, err) < 0)
        return -1;
    ret->name = keep(images, name);
    ret->config = keep(images, buf_str(&config));
    ret->digest = keep(images, found.digest);
    images->n++;
    return 0;
}

static int add_image(const struct builder_job *j, const struct builder_origin *from,
                     struct images *images, struct error *err)
{
    const char *name = from->image;

    if (from->stage != BUILDER_NO_STAGE || !*name || strcmp(name, "scratch") == 0)
        return 0;
    for (size_t i = 0; i < images->n; i++)
        if (strcmp(images->v[i].name, name) == 0)
            return 0;
    if (images->n == images->cap) {
        size_t cap = images->cap ? images->cap * 2 : 8;
        struct document_image *grown = realloc(images->v, cap * sizeof(*grown));

        if (!grown)
            return error_set(err, ERR_SYSTEM, "look at the images: out of memory");
        images->v = grown;
        images->cap = cap;
    }
    return describe_image(j, name, images, err);
}

static int add_images(const struct builder_job *j, const struct builder_program *p,
                      struct images *images, struct error *err)
{
    for (size_t i = 0; i < p->n_stages; i++) {
        const struct builder_stage *s = &p->stages[i];

        if (!s->needed)
            continue;
        if (add_image(j, &s->base, images, err) < 0)
            return -1;
        for (size_t k = 0; k < s->n_steps; k++) {
            if (add_image(j, &s->steps[k].from, images, err) < 0)
                return -1;
            for (size_t m = 0; m < s->steps[k].n_mounts; m++)
                if (add_image(j, &s->steps[k].mounts[m].from, images, err) < 0)
                    return -1;
        }
    }
    return images->kept.failed ? error_set(err, ERR_SYSTEM, "look at the images: out of memory")
                               : 0;
}

/* ---- the document ---- */

static int count_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < THREADS_MAX ? n : THREADS_MAX;
}

static int write_document(const struct builder_job *j, const struct builder_program *p, int *ret_fd,
                          struct error *err)
{
    CLEANUP(release_images) struct images images = {.n = 0};
    CLEANUP(buf_release) struct buf text = BUF_INIT(DOCUMENT_MAX);
    struct document d = {.program = *p,
                         .userxattr = j->b->ids.users != JAIL_USERS_NONE,
                         .no_egress = egress_net(j->b->config) == JAIL_NET_NONE,
                         .disk_max = j->b->config->limits.disk,
                         .git_max = j->b->config->git_max,
                         .threads = count_processors()};

    if (add_images(j, p, &images, err) < 0)
        return -1;
    d.images = images.v;
    d.n_images = images.n;
    if (document_write(&d, &text, err) < 0)
        return -1;
    return fs_memory_file("program", buf_str(&text), text.len, ret_fd, err);
}

/* ---- the jail ---- */

static void describe_jail(const struct builder_job *j, const struct progress *p,
                          struct jail_spec *s)
{
    char out[PATH_MAX + 8];

    builder_describe_inner(j, p, s);
    (void)snprintf(out, sizeof(out), "%s/out", j->dir);
    jail_spec_add_authorities(s, j->b->config->ca_file);
    run_add_to_jail(s);
    jail_spec_add(s, JAIL_BIND, "kiln/cache", j->cache);
    jail_spec_add(s, JAIL_BIND_RO, "kiln/bases", j->bases);
    jail_spec_add(s, JAIL_BIND, "kiln/out", out);
    argv_push(&s->argv, BUILDER_EXECUTE, j->id, NULL);
}

/* ---- what came of it ---- */

static int read_result(const struct builder_job *j, struct builder_image *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BUILD_RESULT_MAX);
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/out/image.json", j->dir);
    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return error_wrap(err, "read what was built");
    return build_result_read(buf_str(&text), text.len, ret, err);
}

static int open_steps(const struct builder_job *j, struct buf *text, struct error *err)
{
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/out/steps", j->dir);
    return access(path, F_OK) < 0 ? 0 : fs_read_file(AT_FDCWD, path, text, err);
}

static void read_steps(const struct builder_job *j, const struct builder_program *p,
                       struct builder_image *ret)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BUILD_RESULT_MAX);
    struct error ignored = ERROR_INIT;

    *ret = (struct builder_image){.keys = BUF_INIT(BUILD_RESULT_MAX), .epoch = p->epoch};
    if (open_steps(j, &text, &ignored) == 0 && text.len > 0)
        build_result_read_steps(text.data, ret);
}

/* Where it stood when something else than a step of its own ended it. */
static void note_place(const struct events *e, struct builder_failure *ret)
{
    *ret = (struct builder_failure){.stage = e->stage, .step = e->step, .exit_code = -1};
    (void)snprintf(ret->reason, sizeof(ret->reason), "%s", e->title);
}

static int judge(const struct events *e, int code, enum builder_outcome *ret_outcome,
                 struct builder_failure *ret_failure, struct error *err)
{
    note_place(e, ret_failure);
    if (code == 0 || *ret_outcome != BUILDER_DONE)
        return 0;
    if (e->failure.reason[0]) {
        *ret_outcome = BUILDER_FAILED;
        *ret_failure = e->failure;
        return 0;
    }
    if (e->error.kind == ERR_NONE)
        return error_set(err, ERR_SYSTEM, "the executor exited with %d and did not say why", code);
    *err = e->error;
    return -1;
}

static void note(void *self, enum process_stream stream, const char *text, size_t len)
{
    const struct builder_watch *watch = self;
    const struct builder_event e = {.kind = BUILDER_EVENT_NOTE,
                                    .stage = BUILDER_NO_STAGE,
                                    .step = BUILDER_NO_STEP,
                                    .text = text};

    (void)stream;
    (void)len;
    if (watch)
        watch->event(watch->self, &e);
}

int builder_build(struct builder_job *j, const struct builder_program *program,
                  const struct builder_watch *watch, const struct cancel *cancel,
                  enum builder_outcome *ret_outcome, struct builder_image *ret_image,
                  struct builder_failure *ret_failure, struct error *err)
{
    const struct builder_io io = {.cancel = cancel};
    struct jail_spec spec;
    struct events events;
    struct process_sink sink;
    const struct process_sink notes = {note, (void *)watch};
    struct progress said;
    struct cache_link_server link = {.fd = -1};
    CLEANUP_CLOSE int document = -1;
    int code = 0, input = -1, result;

    events_init(&events, watch);
    sink = events_sink(&events);
    if (write_document(j, program, &document, err) < 0)
        return error_wrap(err, "build");
    progress_init(&said, &notes);
    result = cache_link_serve(j->remote, document, &link, &input, err);
    if (result == 0) {
        describe_jail(j, &said, &spec);
        result = builder_run_step(j, &spec, &io, &sink, input, 0, j->b->config->timeout_ms,
                                  ret_outcome, &code, err);
    }
    cleanup_close(&input);
    cache_link_end(&link);
    if (result < 0 || judge(&events, code, ret_outcome, ret_failure, err) < 0)
        return error_wrap(err, "build");
    if (*ret_outcome == BUILDER_DONE)
        return read_result(j, ret_image, err);
    read_steps(j, program, ret_image);
    return 0;
}

int builder_open_blob(const struct builder_job *j, const struct builder_layer *layer, int *ret_fd,
                      struct error *err)
{
    struct error ignored = ERROR_INIT;
    char path[2 * PATH_MAX];

    if (layer->base)
        (void)snprintf(path, sizeof(path), "%s/" BASES_BLOBS "/%s", j->bases, layer->digest);
    else
        (void)snprintf(path, sizeof(path), "%s/blobs/%s", j->cache, layer->digest + 7);
    *ret_fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd >= 0)
        return 0;
    (void)error_errno(err, errno, "open the layer %s", layer->digest);
    if (layer->base) /* the next try fetches it with its blobs */
        (void)!bases_store_renew(j->b, j->workspace, &ignored);
    return -1;
}

int builder_packing_of(const struct builder_job *j, const struct builder_layer *layer,
                       enum builder_packing *ret, struct error *err)
{
    static const unsigned char gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    unsigned char start[sizeof(zstd)] = {0};
    CLEANUP_CLOSE int fd = -1;

    *ret = BUILDER_PACKED_GZIP;
    if (!layer->base)
        return 0;
    if (builder_open_blob(j, layer, &fd, err) < 0)
        return -1;
    if (fs_pread(fd, start, sizeof(start), 0) < 0)
        return error_errno(err, errno, "read the layer %s", layer->digest);
    if (memcmp(start, gzip, sizeof(gzip)) != 0)
        *ret = memcmp(start, zstd, sizeof(zstd)) == 0 ? BUILDER_PACKED_ZSTD : BUILDER_NOT_PACKED;
    return 0;
}
