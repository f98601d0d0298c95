/* dockerfile/settings_keys — the keys of blaxel.toml as one table.
 *
 * The client's own reader is more patient in one thing: it takes a key in any case.  Here such a
 * key is unknown, and the hint says how it is written. */
#include "dockerfile/settings_keys.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "dockerfile/suggest.h"

#define NAME_SIZE 32  /* of a key in the table */
#define NAMES_MAX 128 /* keys of the table */

/* ---- what is kept ---- */

static int store_string(struct dockerfile_settings *s, const struct settings_key *k,
                        const char *name, const void *value, struct error *err)
{
    char **field = (char **)((char *)s + k->field);

    (void)name;
    *field = strdup(value);
    return *field ? 0 : error_set(err, ERR_SYSTEM, "read blaxel.toml: out of memory");
}

static int store_type(struct dockerfile_settings *s, const struct settings_key *k, const char *name,
                      const void *value, struct error *err)
{
    const char *type = value;

    if (strcmp(type, "volumetemplate") == 0 || strcmp(type, "vt") == 0)
        type = "volume-template";
    return store_string(s, k, name, type, err);
}

static int store_bool(struct dockerfile_settings *s, const struct settings_key *k, const char *name,
                      const void *value, struct error *err)
{
    (void)name;
    (void)err;
    *(bool *)((char *)s + k->field) = *(const bool *)value;
    return 0;
}

static int store_integer(struct dockerfile_settings *s, const struct settings_key *k,
                         const char *name, const void *value, struct error *err)
{
    (void)name;
    (void)err;
    *(int64_t *)((char *)s + k->field) = *(const int64_t *)value;
    return 0;
}

static int store_arg(struct dockerfile_settings *s, const struct settings_key *k, const char *name,
                     const void *value, struct error *err)
{
    (void)k;
    argv_pushf(&s->build_args, "%s=%s", name, (const char *)value);
    return s->build_args.failed ? error_set(err, ERR_SYSTEM, "read blaxel.toml: out of memory") : 0;
}

/* ---- the table ---- */

#define ONE_OF(...) ((const char *const[]){__VA_ARGS__, NULL})

#define KEEP(how, member) .store = (how), .field = offsetof(struct dockerfile_settings, member)

/* What a count or a size of the run time may be at most: the API has 32-bit integers. */
#define COUNT_MAX INT32_MAX

#define PACKAGES(of)                                                                               \
    {.pattern = of ".*.path", .kind = SETTINGS_STRING},                                            \
        {.pattern = of ".*.port", .kind = SETTINGS_INTEGER, .min = 1, .max = 65535},               \
    {                                                                                              \
        .pattern = of ".*.type", .kind = SETTINGS_STRING                                           \
    }

/* The documentation writes [[triggers.configuration]], the client's samples
 * [triggers.configuration]. */
#define TRIGGER(at)                                                                                \
    {.pattern = at ".schedule", .kind = SETTINGS_STRING},                                          \
        {.pattern = at ".path", .kind = SETTINGS_STRING},                                          \
        {.pattern = at ".authenticationType", .kind = SETTINGS_STRING},                            \
        {.pattern = at ".callbackUrl", .kind = SETTINGS_STRING},                                   \
        {.pattern = at ".timeout", .kind = SETTINGS_SECONDS, .max = COUNT_MAX},                    \
    {                                                                                              \
        .pattern = at ".retry", .kind = SETTINGS_INTEGER, .max = COUNT_MAX                         \
    }

const struct settings_key settings_keys[] = {
    {.pattern = "type",
     .kind = SETTINGS_STRING,
     .allowed = ONE_OF("agent", "application", "function", "job", "sandbox", "volume-template",
                       "volumetemplate", "vt"),
     .client_fills = true,
     KEEP(store_type, type)},
    {.pattern = "name", .kind = SETTINGS_STRING, .client_fills = true, KEEP(store_string, name)},
    {.pattern = "description", .kind = SETTINGS_STRING},
    {.pattern = "public", .kind = SETTINGS_BOOL},
    {.pattern = "region", .kind = SETTINGS_STRING, .client_fills = true},
    {.pattern = "image", .kind = SETTINGS_STRING, .client_fills = true, KEEP(store_string, image)},
    {.pattern = "directory",
     .kind = SETTINGS_STRING,
     .client_fills = true,
     .inside = true,
     KEEP(store_string, directory)},
    {.pattern = "defaultSize",
     .kind = SETTINGS_INTEGER,
     .min = 1,
     .max = COUNT_MAX,
     KEEP(store_integer, default_size_mb)},

    {.pattern = "build.slim", .kind = SETTINGS_BOOL, KEEP(store_bool, build_slim)},
    {.pattern = "build.args.*",
     .kind = SETTINGS_STRING,
     .secret = true,
     .names_an_arg = true,
     .store = store_arg},
    {.pattern = "build.dockerfile",
     .kind = SETTINGS_STRING,
     .inside = true,
     KEEP(store_string, build_dockerfile)},
    {.pattern = "build.experimental", .kind = SETTINGS_BOOL},
    {.pattern = "build.memoryMb", .kind = SETTINGS_INTEGER, .min = 1, .max = 32768},
    {.pattern = "build.volumeMb", .kind = SETTINGS_INTEGER, .max = 131072},
    {.pattern = "build.region", .kind = SETTINGS_STRING, .client_fills = true},
    {.pattern = "build.cacheDrive", .kind = SETTINGS_STRING, .client_fills = true},

    {.pattern = "entrypoint.prod", .kind = SETTINGS_STRING, KEEP(store_string, entrypoint_prod)},
    {.pattern = "entrypoint.dev", .kind = SETTINGS_STRING, KEEP(store_string, entrypoint_dev)},
    {.pattern = "env.*", .kind = SETTINGS_STRING, .secret = true},
    {.pattern = "labels.*", .kind = SETTINGS_STRING},

    {.pattern = "runtime.memory", .kind = SETTINGS_INTEGER, .min = 1, .max = COUNT_MAX},
    {.pattern = "runtime.generation", .kind = SETTINGS_STRING, .allowed = ONE_OF("mk2", "mk3")},
    {.pattern = "runtime.maxConcurrentTasks", .kind = SETTINGS_INTEGER, .max = COUNT_MAX},
    {.pattern = "runtime.timeout", .kind = SETTINGS_SECONDS, .max = COUNT_MAX},
    {.pattern = "runtime.maxRetries", .kind = SETTINGS_INTEGER, .max = COUNT_MAX},
    {.pattern = "runtime.diskPercent", .kind = SETTINGS_INTEGER, .max = 100},
    {.pattern = "runtime.minScale", .kind = SETTINGS_INTEGER, .max = COUNT_MAX},
    {.pattern = "runtime.maxScale", .kind = SETTINGS_INTEGER, .max = COUNT_MAX},
    {.pattern = "runtime.transport", .kind = SETTINGS_STRING},
    {.pattern = "runtime.type", .kind = SETTINGS_STRING},
    {.pattern = "runtime.ports[].name", .kind = SETTINGS_STRING},
    {.pattern = "runtime.ports[].target", .kind = SETTINGS_INTEGER, .min = 1, .max = 65535},
    {.pattern = "runtime.ports[].protocol",
     .kind = SETTINGS_STRING,
     .allowed = ONE_OF("http", "tcp", "udp", "tls"),
     .any_case = true},
    /* Of the API's runtime, which the client passes on as it stands. */
    {.pattern = "runtime.ttl", .kind = SETTINGS_STRING},
    {.pattern = "runtime.expires", .kind = SETTINGS_ANY}, /* a string or a date */
    {.pattern = "runtime.terminationGracePeriodSeconds",
     .kind = SETTINGS_INTEGER,
     .max = COUNT_MAX},

    {.pattern = "volumes[].name", .kind = SETTINGS_STRING},
    {.pattern = "volumes[].mountPath", .kind = SETTINGS_STRING},
    {.pattern = "volumes[].type", .kind = SETTINGS_STRING},
    {.pattern = "volumes[].sizeMb", .kind = SETTINGS_INTEGER, .min = 1, .max = COUNT_MAX},

    {.pattern = "triggers[].id", .kind = SETTINGS_STRING},
    {.pattern = "triggers[].type",
     .kind = SETTINGS_STRING,
     .allowed = ONE_OF("schedule", "http", "http-async", "cron")},
    {.pattern = "triggers[].enabled", .kind = SETTINGS_BOOL},
    {.pattern = "triggers[].schedule", .kind = SETTINGS_STRING},
    {.pattern = "triggers[].timeout", .kind = SETTINGS_SECONDS, .max = COUNT_MAX},
    TRIGGER("triggers[].configuration"),
    TRIGGER("triggers[].configuration[]"),

    PACKAGES("agent"),
    PACKAGES("function"),
    PACKAGES("job"),

    /* Known to the client, though its documentation has no word of them. */
    {.pattern = "workspace", .kind = SETTINGS_STRING, .client_fills = true},
    {.pattern = "protocol", .kind = SETTINGS_STRING, .client_fills = true},
    {.pattern = "functions[]", .kind = SETTINGS_STRING},
    {.pattern = "models[]", .kind = SETTINGS_STRING},
    {.pattern = "agents[]", .kind = SETTINGS_STRING},
    {.pattern = "policies[]", .kind = SETTINGS_STRING},
    {.pattern = "skipRoot", .kind = SETTINGS_BOOL},
    {.pattern = "memory", .kind = SETTINGS_INTEGER, .max = COUNT_MAX},
    {.pattern = "port", .kind = SETTINGS_INTEGER, .max = 65535},
    {.pattern = "githubRunner.**", .kind = SETTINGS_ANY},
    {.pattern = NULL},
};

/* ---- paths ---- */

/* One key or one "[index]" of a path; len 0 at its end. */
struct step {
    const char *at;
    size_t len;
    bool index;
};

static size_t quoted_length(const char *s)
{
    size_t n = 1;

    while (s[n] && s[n] != '"')
        n += s[n] == '\\' && s[n + 1] ? 2 : 1;
    return n + (s[n] == '"');
}

static struct step next_step(const char **path)
{
    struct step step = {.at = *path, .index = **path == '['};

    if (*step.at == '.')
        step.at++;
    if (step.index)
        step.len = strcspn(step.at, "]") + 1;
    else
        step.len = *step.at == '"' ? quoted_length(step.at) : strcspn(step.at, ".[");
    *path = step.at + step.len;
    return step;
}

static bool is(const struct step *step, const char *text)
{
    return step->len == strlen(text) && memcmp(step->at, text, step->len) == 0;
}

static bool steps_fit(const struct step *pattern, const struct step *path)
{
    if (pattern->index || path->index)
        return pattern->index && path->index;
    return is(pattern, "*") ||
           (pattern->len == path->len && memcmp(pattern->at, path->at, path->len) == 0);
}

/* Puts into place what one key makes of the path. */
static void fit(const struct settings_key *key, const char *path, struct settings_place *place)
{
    const char *pattern = key->pattern;

    for (;;) {
        struct step b = next_step(&path);
        struct step a = next_step(&pattern);

        if (b.len == 0 && a.len == 0) {
            place->key = key;
        } else if (b.len == 0 && !a.index) {
            place->table = true;
        } else if (b.len == 0) {
            place->array = true;
            place->array_of_tables |= *pattern == '.';
        } else if (is(&a, "**")) {
            place->key = key;
            return;
        } else if (a.len > 0 && steps_fit(&a, &b)) {
            continue;
        }
        return;
    }
}

struct settings_place settings_place(const char *path)
{
    struct settings_place place = {.key = NULL};

    for (const struct settings_key *k = settings_keys; k->pattern; k++)
        fit(k, path, &place);
    return place;
}

/* ---- hints ---- */

struct names {
    char text[NAMES_MAX][NAME_SIZE];
    const char *v[NAMES_MAX + 1];
    size_t n;
};

static void add_name(struct names *names, const struct step *step)
{
    if (step->len == 0 || step->index || *step->at == '*' || names->n == NAMES_MAX)
        return;
    (void)snprintf(names->text[names->n], NAME_SIZE, "%.*s", (int)step->len, step->at);
    names->v[names->n] = names->text[names->n];
    names->n++;
}

/* The names that may stand where the path's last step does. */
static void add_siblings(struct names *names, const char *pattern, const char *path,
                         const struct step *last)
{
    for (;;) {
        struct step b = next_step(&path);
        struct step a = next_step(&pattern);

        if (b.at == last->at)
            add_name(names, &a);
        if (b.at == last->at || !steps_fit(&a, &b))
            return;
    }
}

static struct step last_step(const char *path)
{
    struct step last = next_step(&path);

    while (*path)
        last = next_step(&path);
    return last;
}

/* "mount_path" and "mountpath" are mountPath to everybody but a computer. */
static bool same_letters(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

/* Not in lists and packages: "path" alone says too little to send anybody to a trigger. */
static const char *hint_elsewhere(const char *word, char text[SETTINGS_HINT_SIZE])
{
    for (const struct settings_key *k = settings_keys; k->pattern; k++) {
        struct step last = last_step(k->pattern);
        char name[NAME_SIZE];

        (void)snprintf(name, sizeof(name), "%.*s", (int)last.len, last.at);
        if (!strpbrk(k->pattern, "[*") && same_letters(name, word)) {
            (void)snprintf(text, SETTINGS_HINT_SIZE, " (did you mean %s?)", k->pattern);
            break;
        }
    }
    return text;
}

const char *settings_hint(const char *path, char text[SETTINGS_HINT_SIZE])
{
    const struct step last = last_step(path);
    struct names names = {.n = 0};
    char word[NAME_SIZE], near[SUGGEST_SIZE];

    text[0] = '\0';
    if (last.index || last.len >= NAME_SIZE)
        return text;
    (void)snprintf(word, sizeof(word), "%.*s", (int)last.len, last.at);
    for (const struct settings_key *k = settings_keys; k->pattern; k++)
        add_siblings(&names, k->pattern, path, &last);
    for (size_t i = 0; i < names.n; i++)
        if (same_letters(names.v[i], word)) {
            (void)snprintf(text, SETTINGS_HINT_SIZE, " (did you mean %s?)", names.v[i]);
            return text;
        }
    (void)snprintf(text, SETTINGS_HINT_SIZE, "%s", suggest(word, names.v, false, near));
    return *text ? text : hint_elsewhere(word, text);
}
