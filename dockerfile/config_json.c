/* dockerfile/config_json — the "config" object of image-spec's config.md, with Docker's
 * Healthcheck, OnBuild and Shell. */
#include <jansson.h>

#include "dockerfile/evaluate.h"

static json_t *list(const struct argv *words)
{
    json_t *array = json_array();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(array, json_string(words->v[i]));
    return array;
}

static void put_list(json_t *o, const char *key, const struct argv *words)
{
    if (words->n > 0)
        json_object_set_new(o, key, list(words));
}

static void put_set(json_t *o, const char *key, const struct argv *words)
{
    json_t *set;

    if (words->n == 0)
        return;
    set = json_object();
    for (size_t i = 0; i < words->n; i++)
        json_object_set_new(set, words->v[i], json_object());
    json_object_set_new(o, key, set);
}

static void put_text(json_t *o, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(o, key, json_string(text));
}

static void put_number(json_t *o, const char *key, int64_t n)
{
    if (n)
        json_object_set_new(o, key, json_integer(n));
}

static void put_env(json_t *o, const struct dockerfile_pairs *env)
{
    json_t *array;

    if (env->n == 0)
        return;
    array = json_array();
    for (size_t i = 0; i < env->n; i++)
        json_array_append_new(array, json_sprintf("%s=%s", env->v[i].key, env->v[i].value));
    json_object_set_new(o, "Env", array);
}

static void put_labels(json_t *o, const struct dockerfile_pairs *labels)
{
    json_t *object;

    if (labels->n == 0)
        return;
    object = json_object();
    for (size_t i = 0; i < labels->n; i++)
        json_object_set_new(object, labels->v[i].key, json_string(labels->v[i].value));
    json_object_set_new(o, "Labels", object);
}

static void put_health(json_t *o, const struct dockerfile_health *health)
{
    json_t *h;

    if (health->test.n == 0)
        return;
    h = json_object();
    put_list(h, "Test", &health->test);
    put_number(h, "Interval", health->interval);
    put_number(h, "Timeout", health->timeout);
    put_number(h, "StartPeriod", health->start_period);
    put_number(h, "StartInterval", health->start_interval);
    put_number(h, "Retries", health->retries);
    json_object_set_new(o, "Healthcheck", h);
}

int dockerfile_config_write(const struct dockerfile_config *c, struct buf *out, struct error *err)
{
    json_t *o = json_object();
    char *text;

    put_text(o, "User", c->user);
    put_set(o, "ExposedPorts", &c->exposed_ports);
    put_env(o, &c->env);
    put_list(o, "Entrypoint", &c->entrypoint);
    put_list(o, "Cmd", &c->cmd);
    put_set(o, "Volumes", &c->volumes);
    put_text(o, "WorkingDir", c->working_dir);
    put_labels(o, &c->labels);
    put_text(o, "StopSignal", c->stop_signal);
    if (c->args_escaped)
        json_object_set_new(o, "ArgsEscaped", json_true());
    put_health(o, &c->health);
    put_list(o, "OnBuild", &c->on_build);
    put_list(o, "Shell", &c->shell);
    text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!text)
        return error_set(err, ERR_SYSTEM, "write an image's configuration: out of memory");
    buf_adds(out, text);
    free(text);
    return buf_check(out, "an image's configuration", err);
}
