/* builder/execute_stage — a stage, step by step: what is known already is taken from the cache. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/cache_measure.h"
#include "builder/execute.h"

#define FILE_OVERHEAD 4096 /* bytes of the disk that a file takes besides its content, at most */

/* ---- the kinds of steps ---- */

static const struct kind {
    int (*quick_key)(struct stage_run *s, const struct builder_step *step, char ret[SHA256_HEX],
                     struct error *err); /* NULL: none */
    int (*key)(struct stage_run *s, const struct builder_step *step, char ret[SHA256_HEX],
               struct error *err);
    int (*make)(struct stage_run *s, const struct builder_step *step, const char *path,
                struct step_end *end, struct error *err);
} kinds[] = {
    [BUILDER_STEP_RUN] = {NULL, execute_run_key, execute_run},
    [BUILDER_STEP_COPY] = {execute_copy_quick_key, execute_copy_key, execute_copy},
    [BUILDER_STEP_WORKDIR] = {NULL, execute_workdir_key, execute_workdir},
};

/* ---- telling ---- */

static void say(const struct stage_run *s, size_t step, enum builder_event_kind kind,
                const char *text, uint64_t bytes, int code)
{
    const struct builder_event e = {
        .kind = kind, .stage = s->index, .step = step, .text = text, .bytes = bytes, .code = code};

    events_say(&e);
}

/* ---- one step ---- */

/* Here, or at other workers. */
static int look_up(struct stage_run *s, const char *key, bool *ret_found, struct cache_record *ret,
                   struct error *err)
{
    struct execution *x = s->x;

    if (cache_find(&x->cache, key, ret_found, ret, err) < 0 || *ret_found)
        return *ret_found ? 0 : -1;
    *ret_found = cache_remote_find(&x->remote, &x->cache, key, s->exported, ret);
    return *ret_found && !ret->away ? cache_store(&x->cache, key, ret, err) : 0;
}

/* What a key leads to is looked up by its own, too: that knows its layer by now. */
static int find_by(struct stage_run *s, const char *key, bool *ret_found, struct cache_record *ret,
                   struct error *err)
{
    struct cache_record own;
    bool is_there;

    if (look_up(s, key, ret_found, ret, err) < 0)
        return -1;
    if (!*ret_found || strcmp(ret->key, key) == 0)
        return 0;
    if (look_up(s, ret->key, &is_there, &own, err) < 0)
        return -1;
    if (is_there)
        *ret = own;
    return 0;
}

static int find(struct stage_run *s, const struct builder_step *step, const struct kind *kind,
                struct made *made, bool *ret_found, struct error *err)
{
    const bool no_cache = s->x->doc.program.no_cache;
    const struct cache *cache = &s->x->cache;

    *ret_found = false;
    if (kind->quick_key && kind->quick_key(s, step, made->quick, err) < 0)
        return -1;
    if (made->quick[0] && !no_cache &&
        (find_by(s, made->quick, ret_found, &made->record, err) < 0 || *ret_found))
        return *ret_found ? 0 : -1;
    if (kind->key(s, step, made->key, err) < 0)
        return -1;
    if (!no_cache && find_by(s, made->key, ret_found, &made->record, err) < 0)
        return -1;
    return *ret_found && made->quick[0] && !made->record.away
               ? cache_store(cache, made->quick, &made->record, err)
               : 0;
}

/* A whole tree's root looks like that of what it lies on. */
static int dress_root(struct stage_run *s, const char *diff, struct error *err)
{
    CLEANUP(stack_view_release) struct stack_view view = {.fd = -1};
    struct stat st;

    if (execute_view(s->x, &s->files, &view, err) < 0)
        return -1;
    if (view.fd < 0)
        return 0;
    if (fstat(view.fd, &st) < 0 || chown(diff, st.st_uid, st.st_gid) < 0 ||
        chmod(diff, st.st_mode & 07777) < 0)
        return error_errno(err, errno, "make the root of a tree");
    return 0;
}

static bool is_empty(const char *dir)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error ignored = ERROR_INIT;

    return fs_list(AT_FDCWD, dir, &names, &ignored) == 0 && names.n == 0;
}

/* Copying knows what it wrote, and files of the context have other names until the job ends;
 * whatever a command did has to be looked at. */
static uint64_t measure(const struct step_end *end, const char *diff)
{
    return end->files
               ? end->bytes + end->files * FILE_OVERHEAD + cache_measure_but_files(AT_FDCWD, diff)
               : cache_measure(AT_FDCWD, diff);
}

/* A result that is made although one may be there is another one: later steps are found by it, and
 * not by what the same words led to before. */
static void name_result(const struct stage_run *s, struct made *made)
{
    unsigned char fresh[SHA256_SIZE];

    if (!s->x->doc.program.no_cache) {
        (void)snprintf(made->record.key, sizeof(made->record.key), "%s", made->key);
        return;
    }
    digest_random(fresh, sizeof(fresh));
    digest_hex(fresh, sizeof(fresh), made->record.key);
}

static int store(struct stage_run *s, const struct made *made, struct error *err)
{
    const struct cache *cache = &s->x->cache;
    const struct cache_record *r = &made->record;

    if (cache_inputs_store(cache, r->key, &s->inputs, err) < 0 ||
        cache_store(cache, r->key, r, err) < 0)
        return -1;
    if (strcmp(r->key, made->key) != 0 && cache_store(cache, made->key, r, err) < 0)
        return -1;
    return made->quick[0] ? cache_store(cache, made->quick, r, err) : 0;
}

static int keep(struct stage_run *s, const char *path, const char *diff, struct made *made,
                const struct step_end *end, struct error *err)
{
    CLEANUP_CLOSE int hold = -1;
    const uint64_t disk = measure(end, diff);

    made->record = (struct cache_record){.bytes = end->files ? end->bytes : disk, .disk = disk};
    name_result(s, made);
    if (cache_hold(&s->x->cache, &hold, err) < 0)
        return -1;
    if (!is_empty(diff)) {
        memcpy(made->record.diff, made->record.key, sizeof(made->record.diff));
        if (cache_keep(&s->x->cache, path, made->record.diff, err) < 0)
            return -1;
    }
    return store(s, made, err);
}

/* The watch of the jail (builder/jail_disk.c) sees what a step is writing; this is for all steps
 * together. */
static int count_disk(struct execution *x, uint64_t bytes, struct error *err)
{
    char limit[TEXT_SIZE];

    if (atomic_fetch_add(&x->disk, bytes) + bytes <= x->doc.disk_max || x->doc.disk_max == 0)
        return 0;
    text_exact_size(x->doc.disk_max, limit);
    return error_set(err, ERR_LIMIT, "disk full, limit %s: what the steps have made is larger",
                     limit);
}

static int make(struct stage_run *s, const struct builder_step *step, const struct kind *kind,
                struct made *made, struct step_end *end, struct error *err)
{
    struct error ignored = ERROR_INIT;
    char path[CACHE_PATH], diff[CACHE_PATH + 8];
    int r;

    if (cache_begin(&s->x->cache, atomic_fetch_add(&s->x->n_tmp, 1), path, err) < 0)
        return -1;
    (void)snprintf(diff, sizeof(diff), "%s/diff", path);
    r = dress_root(s, diff, err);
    if (r == 0)
        r = kind->make(s, step, path, end, err);
    if (r == 0)
        r = keep(s, path, diff, made, end, err);
    if (r == 0)
        r = count_disk(s->x, made->record.disk, err);
    /* After a failure it stays, to be looked at by whoever judges that, and goes with the job. */
    if (r == 0)
        (void)!fs_remove_tree(AT_FDCWD, path, &ignored);
    return r;
}

static int put_on_top(struct stage_run *s, const struct made *made, struct error *err)
{
    char path[CACHE_PATH];

    memcpy(s->key, made->record.key, sizeof(s->key));
    if (!made->record.diff[0])
        return 0;
    cache_diff_path(&s->x->cache, made->record.diff, path);
    if (stack_add(&s->files, path, err) < 0)
        return -1;
    return made->record.away ? cache_remote_expect(&s->x->remote, &s->files, &made->record, err)
                             : 0;
}

/* ---- why a step is not cached ---- */

static void begin_inputs(struct stage_run *s)
{
    cache_inputs_clear(&s->inputs);
    cache_inputs_add_text(&s->inputs, "",
                          s->n_made || s->stage->base.stage != BUILDER_NO_STAGE
                              ? "a step before this one"
                              : "the base image",
                          s->key);
}

/* Once for each row of steps that cannot be: the later ones follow from the first. */
static void say_why(struct stage_run *s, size_t step, const char *key)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);

    if (s->missed || s->x->doc.program.no_cache)
        return;
    s->missed = true;
    buf_adds(&text, "not cached: ");
    cache_inputs_compare(&s->x->cache, cache_last_key(s->x->last, s->stage->name, s->n_made), key,
                         &s->inputs, &text);
    say(s, step, BUILDER_EVENT_NOTE, buf_str(&text), 0, 0);
}

static int make_anew(struct stage_run *s, size_t index, const struct kind *kind, struct made *made,
                     struct step_end *end, struct error *err)
{
    say_why(s, index, made->key);
    return make(s, &s->stage->steps[index], kind, made, end, err);
}

/* For the stages that it takes files from: until then it has not begun. */
static int await_origins(struct execution *x, const struct builder_step *step, struct error *err)
{
    if (step->from.stage != BUILDER_NO_STAGE && execute_wait(x, step->from.stage, err) < 0)
        return -1;
    for (size_t i = 0; i < step->n_mounts; i++)
        if (step->mounts[i].from.stage != BUILDER_NO_STAGE &&
            execute_wait(x, step->mounts[i].from.stage, err) < 0)
            return -1;
    return 0;
}

static int do_step(struct stage_run *s, size_t index, struct error *err)
{
    const struct builder_step *step = &s->stage->steps[index];
    const struct kind *kind = &kinds[step->kind];
    struct made *made = &s->made[s->n_made];
    bool found = false;
    struct step_end end = {.code = -1};

    made->stage = s;
    made->step = index;
    begin_inputs(s);
    if (await_origins(s->x, step, err) < 0)
        return -1;
    say(s, index, BUILDER_EVENT_BEGIN, step->title, 0, 0);
    if (find(s, step, kind, made, &found, err) < 0 ||
        (!found && make_anew(s, index, kind, made, &end, err) < 0)) {
        if (err->kind == ERR_INPUT || err->kind == ERR_LIMIT)
            say(s, index, BUILDER_EVENT_FAILED, err->msg, 0, end.code);
        return -1;
    }
    atomic_fetch_add(&s->x->n_steps, 1);
    if (found) {
        s->missed = false;
        atomic_fetch_add(&s->x->n_cached, 1);
    }
    say(s, index, found ? BUILDER_EVENT_CACHED : BUILDER_EVENT_DONE, "", made->record.bytes, 0);
    execute_note_step(made);
    s->n_made++;
    execute_queue_layer(s, made);
    return put_on_top(s, made, err);
}

/* ---- the stage ---- */

static int start_on_image(struct stage_run *s, struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    if (cache_key_begin(&key, "base 1", NULL, err) < 0 ||
        execute_key_origin(s->x, &s->stage->base, &key, err) < 0)
        return -1;
    cache_key_end(&key, s->key);
    return execute_image_stack(s->x, s->stage->base.image, &s->files, err);
}

static int start(struct stage_run *s, struct error *err)
{
    size_t base = s->stage->base.stage;

    s->made = calloc(s->stage->n_steps + 1, sizeof(*s->made));
    if (!s->made)
        return error_set(err, ERR_SYSTEM, "begin a stage: out of memory");
    if (base == BUILDER_NO_STAGE)
        return start_on_image(s, err);
    if (execute_wait(s->x, base, err) < 0)
        return -1;
    s->missed = s->x->stages[base].missed;
    memcpy(s->key, s->x->stages[base].key, sizeof(s->key));
    return stack_copy(&s->x->stages[base].files, &s->files, err);
}

static int run(struct stage_run *s, struct error *err)
{
    if (start(s, err) < 0)
        return -1;
    for (size_t i = 0; i < s->stage->n_steps; i++) {
        if (s->stage->steps[i].kind == BUILDER_STEP_NONE)
            continue;
        if (cancel_is_thrown(&s->x->cancel))
            return -1;
        if (do_step(s, i, err) < 0)
            return -1;
    }
    return 0;
}

void *execute_stage(void *self)
{
    struct stage_run *s = self;
    struct error err = ERROR_INIT;
    int r = run(s, &err);

    execute_end_stage(s, r == 0, &err);
    return NULL;
}
