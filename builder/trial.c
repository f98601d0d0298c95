/* builder/trial — see the header. */
#include "builder/trial.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/bases.h"
#include "builder/run.h"
#include "builder/state.h"

#define RESULT_MAX (1 << 20)
#define ENDS       (BUILDER_TRIAL_ENDED + 1) /* how many ends there are */

/* ---- where the layers are ---- */

/* Where another worker made it and nobody needed it here since. */
static int fetch(const struct builder_job *j, const struct builder_trial *t,
                 const struct builder_layer *layer, struct error *err)
{
    char path[2 * PATH_MAX];
    CLEANUP_CLOSE int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/fetched/%s", j->work, layer->digest + 7);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, errno, "make room for a layer");
    return t->fetch(t->self, layer, fd, err);
}

static bool is_here(const struct builder_job *j, const struct builder_layer *layer)
{
    char path[2 * PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/blobs/%s", j->cache, layer->digest + 7);
    return access(path, F_OK) == 0;
}

static json_t *describe_base(const struct builder_job *j, const struct builder_layer *layer,
                             struct error *err)
{
    struct bases_layer found;

    if (bases_layer_of(j->bases, layer->diff_id, &found, err) < 0)
        return NULL;
    return json_pack("{s:s}", "base", found.id);
}

static json_t *describe_layer(const struct builder_job *j, const struct builder_trial *t,
                              const struct builder_layer *layer, struct error *err)
{
    const bool here = is_here(j, layer);

    if (layer->base)
        return describe_base(j, layer, err);
    if (!here && fetch(j, t, layer, err) < 0)
        return NULL;
    return json_pack("{s:s, s:s, s:I, s:b}", "digest", layer->digest, "diff_id", layer->diff_id,
                     "size", (json_int_t)layer->size, "fetched", (int)!here);
}

/* ---- the order ---- */

static int add_layers(const struct builder_job *j, const struct builder_trial *t, json_t *order,
                      struct error *err)
{
    json_t *layers = json_array();

    json_object_set_new(order, "layers", layers);
    for (size_t i = 0; i < t->image->n_layers; i++) {
        json_t *o = describe_layer(j, t, &t->image->layers[i], err);

        if (!o)
            return -1;
        json_array_append_new(layers, o);
    }
    return 0;
}

static json_t *write_order(const struct builder_job *j, const struct builder_trial *t)
{
    json_t *env = json_array();

    for (size_t i = 0; i < t->env->n; i++)
        json_array_append_new(env, json_string(t->env->v[i]));
    return json_pack("{s:s%, s:o, s:i, s:I, s:I, s:b}", "config", buf_str(&t->image->config),
                     t->image->config.len, "env", env, "port", (int)t->port, "timeout_ms",
                     (json_int_t)t->timeout_ms, "grace_ms", (json_int_t)t->grace_ms, "userxattr",
                     (int)(j->b->ids.users != JAIL_USERS_NONE));
}

static int open_order(const struct builder_job *j, const struct builder_trial *t, int *ret_fd,
                      struct error *err)
{
    json_auto_t *order = write_order(j, t);
    CLEANUP_FREE char *text = NULL;

    if (!order)
        return error_set(err, ERR_SYSTEM, "start the image: its configuration is not UTF-8");
    if (add_layers(j, t, order, err) < 0)
        return -1;
    text = json_dumps(order, JSON_COMPACT);
    if (!text)
        return error_set(err, ERR_SYSTEM, "start the image: out of memory");
    return fs_memory_file("trial", text, strlen(text), ret_fd, err);
}

/* ---- the jail ---- */

static void describe_jail(const struct builder_job *j, struct jail_spec *s)
{
    char path[2 * PATH_MAX];

    builder_describe_inner(j, NULL, s);
    run_add_to_jail(s);
    (void)snprintf(path, sizeof(path), "%s/blobs", j->cache);
    jail_spec_add(s, JAIL_BIND_RO, "kiln/blobs", path);
    (void)snprintf(path, sizeof(path), "%s/fetched", j->work);
    jail_spec_add(s, JAIL_BIND_RO, "kiln/fetched", path);
    jail_spec_add(s, JAIL_BIND_RO, "kiln/bases", j->bases);
    jail_spec_add(s, JAIL_BIND, "kiln/work", j->work);
    argv_push(&s->argv, TRIAL, NULL);
}

/* "o TEXT" and "e TEXT" are what the program said. */
static void pass_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    const struct process_sink *sink = self;

    (void)stream;
    if (len >= 2 && text[1] == ' ')
        sink->line(sink->self, text[0] == 'e' ? PROCESS_STDERR : PROCESS_STDOUT, text + 2, len - 2);
}

/* ---- what came of it ---- */

int trial_read_result(const char *text, size_t len, struct builder_trial_result *ret,
                      struct error *err)
{
    json_auto_t *o = json_loadb(text, len, 0, NULL);
    const json_int_t kind = json_integer_value(json_object_get(o, "error"));
    const char *message = json_string_value(json_object_get(o, "message"));
    const char *listens = json_string_value(json_object_get(o, "listens"));
    const json_int_t end = json_integer_value(json_object_get(o, "end"));

    if (message && kind > ERR_NONE && kind <= ERR_SYSTEM)
        return error_set(err, (enum error_kind)kind, "%s", message);
    if (!listens || end < 0 || end >= ENDS)
        return error_set(err, ERR_SYSTEM, "start the image: nothing is known of its end");
    *ret = (struct builder_trial_result){
        .end = (enum builder_trial_end)end,
        .code = (int)json_integer_value(json_object_get(o, "code")),
        .signal = (int)json_integer_value(json_object_get(o, "signal")),
        .took_ms = json_integer_value(json_object_get(o, "took_ms")),
        .left_out = (uint64_t)json_integer_value(json_object_get(o, "left_out")),
        .killed = json_is_true(json_object_get(o, "killed"))};
    (void)snprintf(ret->listens, sizeof(ret->listens), "%s", listens);
    return 0;
}

static int run(struct builder_job *j, int order, const struct builder_io *io, struct buf *out,
               enum builder_outcome *ret_outcome, struct error *err)
{
    CLEANUP(jail_spec_release) struct jail_spec spec;
    const struct process_sink sink = {pass_line, (void *)io->sink};
    const struct builder_io inner = {.sink = io->sink ? &sink : NULL, .cancel = io->cancel};
    enum builder_outcome outcome = BUILDER_KILLED;
    int code = -1;

    describe_jail(j, &spec);
    if (builder_run_inner(j, &spec, order, out, &inner, &outcome, &code, err) < 0)
        return -1;
    if (outcome == BUILDER_DONE && code != 0 && code != TRIAL_UNWELL)
        return error_set(err, ERR_SYSTEM, "%s exited with %d", TRIAL, code);
    *ret_outcome = outcome;
    return 0;
}

int builder_try(struct builder_job *j, const struct builder_trial *t, const struct builder_io *io,
                enum builder_outcome *ret_outcome, struct builder_trial_result *ret,
                struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(RESULT_MAX);
    struct error ignored = ERROR_INIT;
    char path[PATH_MAX + 96];
    CLEANUP_CLOSE int order = -1;
    int result;

    (void)snprintf(path, sizeof(path), "%s/fetched", j->work);
    if (builder_make_dir(j->b, path, err) < 0 || open_order(j, t, &order, err) < 0 ||
        run(j, order, io, &out, ret_outcome, err) < 0)
        return -1;
    result = *ret_outcome == BUILDER_DONE ? trial_read_result(buf_str(&out), out.len, ret, err) : 0;
    (void)!builder_remove(j->b, j->work, "trial", &ignored); /* else it goes with the job */
    return result;
}
