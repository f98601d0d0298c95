/* dockerfile/base — a stage starts as its base image's configuration says. */
#include <jansson.h>
#include <string.h>

#include "dockerfile/base.h"
#include "dockerfile/evaluator.h"

#define BASE_MAX (4 << 20) /* bytes of JSON: registries do not keep more */

static char *keep(struct arena *arena, const json_t *value)
{
    const char *s = json_string_value(value);

    return s ? arena_string(arena, s, strlen(s)) : NULL;
}

static const char *text_of(struct arena *arena, const json_t *object, const char *key)
{
    char *s = keep(arena, json_object_get(object, key));

    return s ? s : "";
}

static void read_list(struct arena *arena, const json_t *array, struct argv *ret)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item)
        if (json_is_string(item))
            arena_push(arena, ret, keep(arena, item));
}

static int read_pair(struct vars *vars, const char *pair, struct error *err)
{
    size_t len = strcspn(pair, "=");

    return vars_set(vars, pair, len, pair[len] ? pair + len + 1 : "", err);
}

static int read_env(const json_t *array, struct vars *env, struct error *err)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item)
        if (json_is_string(item) && read_pair(env, json_string_value(item), err) < 0)
            return -1;
    return 0;
}

/* The members of an object, with their values where those are strings. */
static int read_members(json_t *object, struct vars *ret, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach (object, key, value) {
        const char *s = json_string_value(value);

        if (vars_set(ret, key, strlen(key), s ? s : "", err) < 0)
            return -1;
    }
    return 0;
}

static int read_ports(json_t *object, struct arena *arena, struct state *s, struct error *err)
{
    struct ports *ports = json_object_size(object) > 0 ? own_ports(s, arena) : NULL;
    const char *key;
    json_t *value;

    if (!ports)
        return arena_check(arena, err);

    json_object_foreach (object, key, value) {
        struct port_range range;

        if (port_parse(key, &range, err) < 0)
            return -1;
        ports_add(ports, &range);
    }
    return 0;
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void read_health(struct arena *arena, const json_t *h, struct dockerfile_health *ret)
{
    int64_t retries = number_of(h, "Retries");

    read_list(arena, json_object_get(h, "Test"), &ret->test);
    ret->interval = number_of(h, "Interval");
    ret->timeout = number_of(h, "Timeout");
    ret->start_period = number_of(h, "StartPeriod");
    ret->start_interval = number_of(h, "StartInterval");
    ret->retries = retries > 0 && retries < INT32_MAX ? (int)retries : 0;
}

static void read_history(struct arena *arena, const json_t *array, struct argv *ret)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item) {
        char *line = keep(arena, json_object_get(item, "created_by"));

        arena_push(arena, ret, line ? line : arena_string(arena, "", 0));
    }
}

static int read_config(struct arena *arena, const json_t *c, struct state *s, struct error *err)
{
    struct dockerfile_config *to = &s->config;

    to->user = text_of(arena, c, "User");
    to->working_dir = text_of(arena, c, "WorkingDir");
    to->stop_signal = text_of(arena, c, "StopSignal");
    to->args_escaped = json_is_true(json_object_get(c, "ArgsEscaped"));
    read_list(arena, json_object_get(c, "Cmd"), &to->cmd);
    read_list(arena, json_object_get(c, "Entrypoint"), &to->entrypoint);
    read_list(arena, json_object_get(c, "Shell"), &to->shell);
    read_list(arena, json_object_get(c, "OnBuild"), &to->on_build);
    read_health(arena, json_object_get(c, "Healthcheck"), &to->health);
    if (read_env(json_object_get(c, "Env"), &s->env, err) < 0 ||
        read_members(json_object_get(c, "Labels"), &s->labels, err) < 0 ||
        read_members(json_object_get(c, "Volumes"), &s->volumes, err) < 0)
        return -1;
    return read_ports(json_object_get(c, "ExposedPorts"), arena, s, err);
}

static int read_image(struct dockerfile_evaluation *e, size_t stage, const json_t *image,
                      struct error *err)
{
    struct state *s = &e->work[stage].state;
    struct dockerfile_outcome *outcome = &e->outcomes[stage];

    s->config.author = text_of(&e->arena, image, "author");
    outcome->base_os = text_of(&e->arena, image, "os");
    outcome->base_architecture = text_of(&e->arena, image, "architecture");
    read_history(&e->arena, json_object_get(image, "history"), &s->config.history);
    if (read_config(&e->arena, json_object_get(image, "config"), s, err) < 0)
        return error_wrap(err, "configuration of %.200s", outcome->base);
    return arena_check(&e->arena, err);
}

int base_load(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BASE_MAX);
    const struct dockerfile_bases *bases = e->request->bases;
    const struct dockerfile_outcome *outcome = &e->outcomes[stage];
    bool found = false;
    json_t *image;
    int r;

    if (!bases)
        return 0;
    if (bases->config(bases->self, outcome->base, outcome->platform, &text, &found, err) < 0)
        return -1;
    if (!found)
        return 0;
    image = json_loadb(buf_str(&text), text.len, 0, NULL);
    if (!json_is_object(image)) {
        json_decref(image);
        return error_set(err, ERR_INPUT, "failed to parse image config of %.200s", outcome->base);
    }
    r = read_image(e, stage, image, err);
    json_decref(image);
    return r;
}

int base_commands(struct arena *arena, const char *image, struct base_commands *ret,
                  struct error *err)
{
    struct base_commands commands = {.entrypoint = ARGV_INIT};
    json_t *root = NULL;
    const json_t *config;

    if (strlen(image) > BASE_MAX)
        return error_set(err, ERR_LIMIT, "image config of the base is larger than %d bytes",
                         BASE_MAX);
    root = json_loads(image, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, ERR_INPUT, "failed to parse image config of the base");
    }
    config = json_object_get(root, "config");
    read_list(arena, json_object_get(config, "Entrypoint"), &commands.entrypoint);
    read_list(arena, json_object_get(config, "Cmd"), &commands.cmd);
    read_list(arena, json_object_get(config, "Shell"), &commands.shell);
    json_decref(root);
    *ret = commands;
    return arena_check(arena, err);
}

void base_scratch(struct dockerfile_evaluation *e, size_t stage)
{
    e->work[stage].state.config.working_dir = "/";
}
