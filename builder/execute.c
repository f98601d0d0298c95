/* builder/execute — see the header. */
#include "builder/execute.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/cache_save.h"

#define CACHE "/kiln/cache"
#define BASES "/kiln/bases"

#define REPORT_MAX (64 << 10)

/* ---- stages wait for each other ---- */

int execute_wait(struct execution *x, size_t stage, struct error *err)
{
    enum stage_state state;

    pthread_mutex_lock(&x->lock);
    while ((state = x->stages[stage].state) == STAGE_WAITING || state == STAGE_RUNNING)
        pthread_cond_wait(&x->changed, &x->lock);
    pthread_mutex_unlock(&x->lock);
    if (state == STAGE_DONE)
        return 0;
    err->kind = ERR_NONE;
    return -1;
}

void execute_end_stage(struct stage_run *s, bool done, const struct error *err)
{
    struct execution *x = s->x;

    pthread_mutex_lock(&x->lock);
    s->state = done ? STAGE_DONE : STAGE_STOPPED;
    if (!done && err->kind != ERR_NONE && x->error.kind == ERR_NONE)
        x->error = *err;
    if (!done)
        cancel_throw(&x->cancel);
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

/* ---- where files come from ---- */

static bool is_nothing(const char *image)
{
    return !*image || strcmp(image, "scratch") == 0;
}

static int find_image(const struct execution *x, const char *name,
                      const struct document_image **ret, struct error *err)
{
    *ret = document_find_image(&x->doc, name);
    return *ret ? 0 : error_set(err, ERR_SYSTEM, "%s was not fetched", name);
}

void execute_base_layer_path(const struct bases_layer *layer, char ret[CACHE_PATH])
{
    (void)snprintf(ret, CACHE_PATH, BASES "/overlay/%s/diff", layer->id);
}

int execute_image_stack(const struct execution *x, const char *name, struct stack *ret,
                        struct error *err)
{
    const struct document_image *image;
    char path[CACHE_PATH];

    if (is_nothing(name))
        return 0;
    if (find_image(x, name, &image, err) < 0)
        return -1;
    for (size_t i = 0; i < image->n_layers; i++) {
        execute_base_layer_path(&image->layers[i], path);
        if (stack_add(ret, path, err) < 0)
            return -1;
    }
    return 0;
}

int execute_bring(struct execution *x, const struct stack *files, struct error *err)
{
    return cache_remote_bring(&x->remote, &x->cache, files, x->doc.userxattr, &x->n_tmp, err);
}

int execute_view(struct execution *x, const struct stack *files, struct stack_view *ret,
                 struct error *err)
{
    *ret = (struct stack_view){.fd = -1};
    if (execute_bring(x, files, err) < 0)
        return -1;
    return stack_view(files, x->doc.userxattr, ret, err);
}

int execute_view_origin(struct execution *x, const struct builder_origin *from,
                        struct stack_view *view, struct error *err)
{
    CLEANUP(stack_release) struct stack tree = {.n = 0};

    *view = (struct stack_view){.fd = -1};
    if (from->stage != BUILDER_NO_STAGE) {
        if (execute_wait(x, from->stage, err) < 0)
            return -1;
        return execute_view(x, &x->stages[from->stage].files, view, err);
    }
    if (!*from->image) {
        view->fd = fcntl(x->context, F_DUPFD_CLOEXEC, 0);
        return view->fd < 0 ? error_errno(err, errno, "open the context") : 0;
    }
    if (execute_image_stack(x, from->image, &tree, err) < 0)
        return -1;
    return stack_view(&tree, x->doc.userxattr, view, err);
}

int execute_key_origin(struct execution *x, const struct builder_origin *from,
                       struct cache_key *key, struct error *err)
{
    const struct document_image *image;

    if (from->stage != BUILDER_NO_STAGE) {
        if (execute_wait(x, from->stage, err) < 0)
            return -1;
        cache_key_add_word(key, x->stages[from->stage].key);
        return 0;
    }
    if (is_nothing(from->image)) {
        cache_key_add_word(key, "scratch");
        return 0;
    }
    if (find_image(x, from->image, &image, err) < 0)
        return -1;
    for (size_t i = 0; i < image->n_layers; i++)
        cache_key_add_word(key, image->layers[i].diff_id);
    return 0;
}

/* ---- the image ---- */

struct export
{
    struct image_layer *layers;
    size_t n_layers;
    struct image_history *history;
    size_t n_history;
    const char *base_config; /* "" for scratch */
};

static void release_export(struct export *e)
{
    free(e->layers);
    free(e->history);
}

static int export_base(const struct execution *x, const char *name, struct export *e,
                       struct error *err)
{
    const struct document_image *image;

    e->base_config = "";
    if (is_nothing(name))
        return 0;
    if (find_image(x, name, &image, err) < 0)
        return -1;
    e->base_config = image->config;
    for (size_t i = 0; i < image->n_layers; i++) {
        struct image_layer *l = &e->layers[e->n_layers++];

        *l = (struct image_layer){.size = image->layers[i].size, .base = true};
        (void)snprintf(l->diff_id, sizeof(l->diff_id), "%.71s", image->layers[i].diff_id);
        (void)snprintf(l->digest, sizeof(l->digest), "%.71s", image->layers[i].digest);
    }
    return 0;
}

/* A layer that another worker made is not here; one that was made slim of it here is. */
static bool is_away(const struct made *made, const struct layer *layer)
{
    if (made->is_known && made->known.is_slim)
        return made->known.away;
    return made->record.away && strcmp(layer->digest, made->record.layer.digest) == 0;
}

static int export_step(struct execution *x, const struct stage_run *s, size_t step,
                       struct made *made, struct export *e, struct error *err)
{
    const char *created_by = s->stage->steps[step].history;
    struct layer layer = {.entries = 0};

    if (made && execute_image_layer(x, made, &layer, err) < 0)
        return -1;
    if (layer.entries > 0) {
        struct image_layer *l = &e->layers[e->n_layers++];

        *l = (struct image_layer){.size = layer.size, .away = is_away(made, &layer)};
        memcpy(l->diff_id, layer.diff_id, sizeof(l->diff_id));
        memcpy(l->digest, layer.digest, sizeof(l->digest));
    }
    if (created_by || layer.entries > 0)
        e->history[e->n_history++] =
            (struct image_history){created_by ? created_by : "", layer.entries == 0};
    return 0;
}

static int export_stage(struct execution *x, size_t stage, struct export *e, struct error *err)
{
    struct stage_run *s = &x->stages[stage];
    size_t next = 0;

    if (s->stage->base.stage != BUILDER_NO_STAGE) {
        if (export_stage(x, s->stage->base.stage, e, err) < 0)
            return -1;
    } else if (export_base(x, s->stage->base.image, e, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < s->stage->n_steps; i++) {
        bool made = next < s->n_made && s->made[next].step == i;

        if (export_step(x, s, i, made ? &s->made[next] : NULL, e, err) < 0)
            return -1;
        next += made;
    }
    return 0;
}

static size_t count_steps(const struct execution *x)
{
    size_t n = STACK_MAX + 1;

    for (size_t i = 0; i < x->doc.program.n_stages; i++)
        n += x->doc.program.stages[i].n_steps;
    for (size_t i = 0; i < x->doc.n_images; i++)
        n += x->doc.images[i].n_layers;
    return n;
}

static int export_image(struct execution *x, struct error *err)
{
    const struct builder_program *p = &x->doc.program;
    CLEANUP(release_export) struct export e = {.layers = calloc(count_steps(x), sizeof(*e.layers))};
    CLEANUP(buf_release) struct buf config = BUF_INIT(16 << 20), report = BUF_INIT(REPORT_MAX);
    struct builder_event event = {.stage = p->target, .step = BUILDER_NO_STEP};

    e.history = calloc(count_steps(x), sizeof(*e.history));
    if (!e.layers || !e.history)
        return error_set(err, ERR_SYSTEM, "export the image: out of memory");
    event.kind = BUILDER_EVENT_BEGIN;
    event.text = "exporting to image";
    events_say(&event);
    if (execute_look_at_stage(x, p->target, err) < 0 || export_stage(x, p->target, &e, err) < 0 ||
        image_write_config(p, e.base_config, e.layers, e.n_layers, e.history, e.n_history, &config,
                           err) < 0)
        return -1;
    execute_report_slim(x, &report);
    execute_leave_known(x, buf_str(&report));
    if (execute_write_result(x, e.layers, e.n_layers, &config, err) < 0)
        return -1;
    event.kind = BUILDER_EVENT_DONE;
    events_say(&event);
    return 0;
}

/* ---- all of it ---- */

static int start_stages(struct execution *x, struct error *err)
{
    const struct builder_program *p = &x->doc.program;

    x->stages = calloc(p->n_stages, sizeof(*x->stages));
    if (!x->stages)
        return error_set(err, ERR_SYSTEM, "begin the stages: out of memory");
    for (size_t i = 0; i < p->n_stages; i++)
        x->stages[i] =
            (struct stage_run){.x = x,
                               .index = i,
                               .stage = &p->stages[i],
                               .inputs = CACHE_INPUTS_INIT,
                               .state = p->stages[i].needed ? STAGE_RUNNING : STAGE_STOPPED};
    execute_start_layers(x);
    for (size_t i = 0; i < p->n_stages; i++) {
        struct stage_run *s = &x->stages[i];
        int r;

        if (!s->stage->needed)
            continue;
        r = pthread_create(&s->thread, NULL, execute_stage, s);
        if (r != 0) {
            struct error why = ERROR_INIT;

            (void)error_errno(&why, r, "begin a stage");
            execute_end_stage(s, false, &why);
            continue;
        }
        s->started = true;
    }
    return 0;
}

/* For the next one, which says what changed since. */
static void note_build(struct execution *x)
{
    const struct builder_program *p = &x->doc.program;
    struct error ignored = ERROR_INIT;

    if (!*p->name)
        return;
    for (size_t i = 0; i < p->n_stages; i++)
        for (size_t k = 0; k < x->stages[i].n_made; k++)
            cache_last_set(x->last, p->stages[i].name, k, x->stages[i].made[k].record.key);
    (void)!cache_last_store(&x->cache, p->name, x->last, &ignored);
}

/* Slimming and the list of packages look into all layers of the image, also those that other
 * workers made, unless what they find is known. */
static int bring_target(struct execution *x, struct error *err)
{
    const struct builder_program *p = &x->doc.program;

    if ((!p->slim && !p->packages) || x->stages[p->target].state != STAGE_DONE)
        return 0;
    return execute_bring(x, &x->stages[p->target].files, err);
}

static int finish_stages(struct execution *x, struct error *err)
{
    struct error missing = ERROR_INIT;

    for (size_t i = 0; i < x->doc.program.n_stages; i++)
        if (x->stages[i].started)
            pthread_join(x->stages[i].thread, NULL);
    if (!execute_find_known(x)) {
        if (bring_target(x, &missing) < 0 && x->error.kind == ERR_NONE)
            x->error = missing;
        execute_start_packages(x);
    }
    execute_end_layers(x);
    execute_end_packages(x);
    if (!atomic_load(&x->remote.failed))
        note_build(x);
    if (x->error.kind != ERR_NONE) {
        *err = x->error;
        return -1;
    }
    if (x->stages[x->doc.program.target].state != STAGE_DONE)
        return error_set(err, ERR_SYSTEM, "the target stage was not reached");
    return 0;
}

static void release_stages(struct execution *x)
{
    for (size_t i = 0; x->stages && i < x->doc.program.n_stages; i++) {
        stack_release(&x->stages[i].files);
        for (size_t k = 0; k < x->stages[i].n_made; k++)
            slim_step_free(x->stages[i].made[k].slim);
        free(x->stages[i].made);
        add_release_git(&x->stages[i]);
        cache_inputs_release(&x->stages[i].inputs);
    }
    buf_release(&x->packages.list);
    buf_release(&x->known.report);
    x->known = (struct known_image){.found = false};
    free(x->stages);
    x->stages = NULL;
}

static void release_execution(struct execution *x)
{
    release_stages(x);
    slim_free(x->slim);
    json_decref(x->last);
    argv_release(&x->mounts);
    cache_remote_close(&x->remote);
    cache_close(&x->cache);
    document_release(&x->doc);
    if (x->context >= 0)
        close(x->context);
    cancel_release(&x->cancel);
    git_process_end(&x->git_process);
}

/* By their paths these are read-only from here on; we write by descriptors.  So who swaps a mount
 * point within a cache mount for a link while runc follows it (CVE-2024-45310) makes nothing there.
 */
static int shield_cache(struct error *err)
{
    static const char *const parts[] = {"records", "inputs",   "builds",
                                        "blobs",   "packages", "mounts"};
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), CACHE "/%s", parts[i]);
        if (mount(path, path, NULL, MS_BIND, NULL) < 0 ||
            mount_setattr(AT_FDCWD, path, 0, &attr, sizeof(attr)) < 0)
            return error_errno(err, errno, "make %s read-only", path);
    }
    return 0;
}

static int prepare(struct execution *x, const char *job, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(DOCUMENT_MAX);
    CLEANUP_CLOSE int document = -1;
    char path[256];

    if (cache_remote_open(&x->remote, &document, err) < 0 || fs_read_fd(document, &text, err) < 0 ||
        document_read(buf_str(&text), text.len, &x->doc, err) < 0 ||
        cancel_init(&x->cancel, err) < 0 || cache_open(CACHE, job, &x->cache, err) < 0 ||
        shield_cache(err) < 0)
        return -1;
    if (x->doc.program.slim && slim_new(&x->doc.program, &x->slim, err) < 0)
        return -1;
    x->last = cache_last_load(&x->cache, x->doc.program.name);
    /* In the cache's own mount, so that files can be linked from the one into the other. */
    (void)snprintf(path, sizeof(path), CACHE "/tmp/%s/context", job);
    return fs_open_dir(AT_FDCWD, path, &x->context, err);
}

static int build(struct execution *x, struct error *err)
{
    if (start_stages(x, err) < 0 || finish_stages(x, err) < 0)
        return -1;
    return export_image(x, err);
}

/* As if nothing had been begun. */
static int start_over(struct execution *x, struct error *err)
{
    release_stages(x);
    execute_forget_steps();
    cache_remote_give_up(&x->remote);
    slim_free(x->slim);
    x->slim = NULL;
    if (x->doc.program.slim && slim_new(&x->doc.program, &x->slim, err) < 0)
        return -1;
    x->packages = (struct package_list){.started = false};
    x->error = *err = (struct error)ERROR_INIT;
    x->n_steps = x->n_cached = 0;
    cancel_release(&x->cancel);
    return cancel_init(&x->cancel, err);
}

static int execute(struct execution *x, const char *job, struct error *err)
{
    if (prepare(x, job, err) < 0 || add_setup(&x->doc.program, err) < 0)
        return -1;
    while (build(x, err) < 0)
        /* What another worker did is not to be had after all: then it is done here. */
        if (!atomic_load(&x->remote.failed) || start_over(x, err) < 0)
            return -1;
    return 0;
}

int builder_execute_main(const struct builder_patterns *patterns, const struct builder_git *git,
                         int argc, char **argv)
{
    struct execution x = {.patterns = patterns,
                          .git = git,
                          .git_process = GIT_PROCESS_INIT,
                          .context = -1,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER,
                          .cache = CACHE_INIT,
                          .remote = {.link = {.fd = -1}}};
    struct error err = ERROR_INIT;
    int r;

    (void)umask(0);
    if (argc == 3 && strcmp(argv[2], CACHE_SAVE) == 0)
        return cache_save_main(CACHE, argv[1]);
    if (argc != 2)
        return 2;
    /* before the program is read, so that its secrets are not there */
    r = git_process_start(git, &x.git_process, &err);
    if (r == 0)
        r = execute(&x, argv[1], &err);
    if (r < 0 && err.kind != ERR_INPUT && err.kind != ERR_LIMIT)
        events_say_error(&err);
    release_execution(&x);
    return r < 0 ? 1 : 0;
}
