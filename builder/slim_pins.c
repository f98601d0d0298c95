/* builder/slim_pins — see the header.
 *
 * Links are followed by their text.  A path that leads into a place through several links passes
 * the one that enters it: its text names the place, or a directory above it. */
#include "builder/slim_pins.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"

#define SEPARATORS " \t\r\n'\"`;|&()<>=,:"

void slim_pins_release(struct slim_pins *p)
{
    argv_release(&p->at);
    argv_release(&p->by);
}

void slim_pins_add(struct slim_pins *p, const char *at, const char *by)
{
    if (p->many || argv_contains(&p->at, at))
        return;
    if (p->at.n == SLIM_PINS_MAX) {
        p->many = true;
        return;
    }
    argv_push1(&p->at, at);
    argv_push1(&p->by, by);
    p->many = p->at.failed || p->by.failed;
}

void slim_pins_add_all(struct slim_pins *p, const struct slim_pins *more)
{
    for (size_t i = 0; i < more->at.n && i < more->by.n; i++)
        slim_pins_add(p, more->at.v[i], more->by.v[i]);
    p->many = p->many || more->many;
}

bool slim_is_below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return len == 0 ||
           (strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

const char *slim_pins_find(const struct slim_pins *p, const struct slim_rule *rule,
                           const char *path)
{
    for (size_t i = 0; i < p->at.n && i < p->by.n; i++)
        if (slim_is_below(path, p->at.v[i]) ||
            (rule->plug_and_play && strcmp(p->at.v[i], SLIM_PIN_PNP) == 0))
            return p->by.v[i];
    return p->many ? "one of many links" : NULL;
}

/* ---- links ---- */

static const char *clean_of(struct buf *text, const char *directory, const char *path)
{
    path_join(text, directory, path);
    return buf_str(text) + strspn(buf_str(text), "/");
}

void slim_pins_add_link(struct slim_pins *p, const struct slim_places *places, const char *path,
                        const char *target)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(2 * PATH_MAX);
    CLEANUP(buf_release) struct buf directory = BUF_INIT(PATH_MAX);
    CLEANUP(buf_release) struct buf place = BUF_INIT(PATH_MAX);
    const char *slash = strrchr(path, '/'), *to;
    const struct slim_rule *rule = NULL;
    enum slim_relation r;
    size_t len = 0;

    if (*target != '/' && slash)
        buf_add(&directory, path, (size_t)(slash - path));
    to = clean_of(&text, buf_str(&directory), target);
    r = slim_places_find(places, to, &rule, &len);
    if (r == SLIM_ELSEWHERE)
        return;
    buf_add(&place, to, r == SLIM_ABOVE ? strlen(to) : len);
    slim_pins_add(p, buf_str(&place), text_show(path).text);
}

/* ---- the configuration ---- */

static void pin_path(struct slim_config *c, const char *word, const char *by)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(PATH_MAX);
    CLEANUP(buf_release) struct buf place = BUF_INIT(PATH_MAX);
    const struct slim_rule *rule = NULL;
    size_t len = 0;
    const char *path = clean_of(&text, "", word);

    if (slim_places_find(&c->places, path, &rule, &len) < SLIM_AT)
        return;
    buf_add(&place, path, len);
    slim_pins_add(&c->pins, buf_str(&place), by);
}

static void read_words(struct slim_config *c, const char *text, const char *by, bool is_command)
{
    for (size_t n; *text; text += n) {
        CLEANUP(buf_release) struct buf word = BUF_INIT(PATH_MAX);
        const char *slash;

        text += strspn(text, SEPARATORS);
        n = strcspn(text, SEPARATORS);
        buf_add(&word, text, n);
        if (*buf_str(&word) == '/')
            pin_path(c, buf_str(&word), by);
        slash = strrchr(buf_str(&word), '/');
        if (is_command && n > 0)
            argv_push1(&c->commands, slash ? slash + 1 : buf_str(&word));
    }
}

static void read_command(struct slim_config *c, const json_t *words)
{
    const json_t *word;
    size_t i;

    json_array_foreach (words, i, word)
        if (json_is_string(word))
            read_words(c, json_string_value(word), "the image's command", true);
}

static void read_variable(struct slim_config *c, const char *assignment)
{
    char by[256];
    size_t n = strcspn(assignment, "=");

    (void)snprintf(by, sizeof(by), "the variable %.*s", (int)(n < 200 ? n : 200), assignment);
    read_words(c, assignment + n, by, false);
}

static const char *home_of(const json_t *env)
{
    const json_t *v;
    size_t i;

    json_array_foreach (env, i, v)
        if (json_is_string(v) && text_starts(json_string_value(v), "HOME="))
            return json_string_value(v) + strlen("HOME=");
    return "";
}

int slim_config_read(const char *config, struct slim_config *ret, struct error *err)
{
    json_auto_t *root = json_loads(config, 0, NULL);
    const json_t *env = json_object_get(root, "Env");
    const char *directory = json_string_value(json_object_get(root, "WorkingDir"));
    const char *volume;
    json_t *v;
    size_t i;

    *ret = (struct slim_config){.pins = {.many = false}};
    if (slim_places_init(home_of(env), &ret->places, err) < 0)
        return -1;
    read_command(ret, json_object_get(root, "Entrypoint"));
    read_command(ret, json_object_get(root, "Cmd"));
    read_command(ret, json_object_get(json_object_get(root, "Healthcheck"), "Test"));
    json_array_foreach (env, i, v)
        if (json_is_string(v))
            read_variable(ret, json_string_value(v));
    if (directory)
        pin_path(ret, directory, "the working directory");
    json_object_foreach (json_object_get(root, "Volumes"), volume, v) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(PATH_MAX);

        argv_push1(&ret->volumes, clean_of(&text, "", volume));
    }
    if (ret->commands.failed || ret->volumes.failed)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    return 0;
}

void slim_config_release(struct slim_config *c)
{
    slim_places_release(&c->places);
    slim_pins_release(&c->pins);
    argv_release(&c->commands);
    argv_release(&c->volumes);
}

const char *slim_config_runs(const struct slim_config *c, const struct slim_rule *rule)
{
    for (size_t i = 0; rule->runs && i < c->commands.n; i++)
        if (slim_is_among(rule->runs, c->commands.v[i]))
            return c->commands.v[i];
    return NULL;
}
