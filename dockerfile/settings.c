/* dockerfile/settings — blaxel.toml, walked value by value along the table of its keys.
 *
 * The walk goes by the names of keys, a person by lines: so the whole file is looked at, and what
 * is told is the first fault of the file and the unknown keys from top to bottom. */
#include "dockerfile/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/toml.h"
#include "dockerfile/settings_words.h"
#include "dockerfile/suggest.h"

#define UNKNOWN_MAX 50 /* keys that are told; a file with more is no blaxel.toml */

void dockerfile_settings_init(struct dockerfile_settings *s)
{
    *s = (struct dockerfile_settings){.build_slim = true};
}

void dockerfile_settings_release(struct dockerfile_settings *s)
{
    free(s->type);
    free(s->name);
    free(s->image);
    free(s->entrypoint_prod);
    free(s->entrypoint_dev);
    free(s->build_dockerfile);
    free(s->directory);
    argv_release(&s->build_args);
    argv_release(&s->warnings);
    dockerfile_settings_init(s);
}

/* ---- one reading ---- */

struct unknown {
    int line;
    char text[SETTINGS_SHOWN_MAX + SETTINGS_HINT_SIZE + 64];
};

struct reading {
    struct dockerfile_settings *settings;
    struct error fault; /* the first of the file */
    int fault_line;     /* 0: none yet */
    struct unknown unknown[UNKNOWN_MAX];
    size_t n_unknown; /* seen, of which UNKNOWN_MAX are kept */
    /* What lies below it has been judged with it; "": nothing. */
    char judged[TOML_PATH_MAX + 1];
};

static bool is_judged(const struct reading *r, const char *path)
{
    size_t n = strlen(r->judged);

    return n > 0 && strncmp(path, r->judged, n) == 0 && (path[n] == '.' || path[n] == '[');
}

static void judge(struct reading *r, const char *path)
{
    (void)snprintf(r->judged, sizeof(r->judged), "%s", path);
}

/* The room for one more fault at that line; NULL when an earlier one is known. */
static struct error *fault_at(struct reading *r, int line)
{
    if (r->fault_line && r->fault_line <= line)
        return NULL;
    r->fault_line = line;
    return &r->fault;
}

static void note_unknown(struct reading *r, const char *path, int line)
{
    char hint[SETTINGS_HINT_SIZE];
    struct unknown *u;

    if (r->n_unknown++ >= UNKNOWN_MAX)
        return;
    u = &r->unknown[r->n_unknown - 1];
    u->line = line;
    (void)snprintf(u->text, sizeof(u->text), "unknown key %.*s%s is ignored", settings_shown(path),
                   path, settings_hint(path, hint));
}

/* ---- faults ---- */

static void refuse(struct reading *r, const char *path, int line, struct buf *wanted,
                   struct buf *found)
{
    struct error *fault = fault_at(r, line);

    if (fault)
        (void)error_set(fault, ERR_INPUT, "blaxel.toml line %d: %.*s must be %s, not %s", line,
                        settings_shown(path), path, buf_str(wanted), buf_str(found));
}

/* ---- values ---- */

static bool is_left_to_client(const char *s)
{
    return s[0] == '$' && s[1];
}

/* An empty string is as good as none, as for the client. */
static bool is_allowed(const struct settings_key *k, const char *s)
{
    if (!*s)
        return true;
    for (size_t i = 0; k->allowed[i]; i++)
        if (k->any_case ? strcasecmp(k->allowed[i], s) == 0 : strcmp(k->allowed[i], s) == 0)
            return true;
    return false;
}

static bool is_inside(const char *path)
{
    if (*path == '/')
        return false;
    while (*path) {
        size_t n = strcspn(path, "/");

        if (n == 2 && memcmp(path, "..", 2) == 0)
            return false;
        path += n + (path[n] == '/');
    }
    return true;
}

/* One or more of "15m", or a number alone. */
static bool is_seconds(const char *s)
{
    for (;;) {
        size_t n = strspn(s, "0123456789");

        if (n == 0 || n > 9)
            return false;
        s += n;
        if (!*s)
            return true;
        if (!strchr("smhdw", *s++))
            return false;
        if (!*s)
            return true;
    }
}

static bool is_good_string(const struct settings_key *k, const struct toml_leaf *leaf)
{
    if (strlen(leaf->text) != leaf->text_len)
        return false;
    if (k->kind == SETTINGS_SECONDS)
        return is_seconds(leaf->text);
    if (k->kind != SETTINGS_STRING)
        return false;
    return (!k->allowed || is_allowed(k, leaf->text)) && (!k->inside || is_inside(leaf->text));
}

static bool is_good(const struct settings_key *k, const struct toml_leaf *leaf)
{
    switch (leaf->type) {
    case TOML_STRING:
        return is_good_string(k, leaf);
    case TOML_INTEGER:
        return (k->kind == SETTINGS_INTEGER || k->kind == SETTINGS_SECONDS) &&
               ((!k->min && !k->max) || (leaf->integer >= k->min && leaf->integer <= k->max));
    case TOML_BOOL:
        return k->kind == SETTINGS_BOOL;
    case TOML_FLOAT:
    case TOML_DATETIME:
        break;
    }
    return false;
}

static bool is_arg_name(const char *s)
{
    static const char letters[] = "0123456789"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    return *s && !isdigit((unsigned char)*s) && s[strspn(s, letters)] == '\0';
}

static void refuse_leaf(struct reading *r, const struct settings_place *place,
                        const struct toml_leaf *leaf)
{
    CLEANUP(buf_release) struct buf wanted = BUF_INIT(4096);
    CLEANUP(buf_release) struct buf found = BUF_INIT(4096);
    char hint[SUGGEST_SIZE] = "";

    settings_add_wanted(&wanted, leaf->path, place);
    settings_add_found(&found, leaf, place->key && place->key->secret);
    if (place->key && place->key->allowed && leaf->text_len > strlen("vt"))
        buf_adds(&found, suggest(leaf->text, place->key->allowed, false, hint));
    refuse(r, leaf->path, leaf->line, &wanted, &found);
}

static void refuse_arg_name(struct reading *r, const struct toml_leaf *leaf)
{
    struct error *fault = fault_at(r, leaf->line);

    if (fault)
        (void)error_set(
            fault, ERR_INPUT,
            "blaxel.toml line %d: %.*s: the name of a build argument is letters, digits "
            "and _, and begins with no digit",
            leaf->line, settings_shown(leaf->path), leaf->path);
}

static int keep(struct reading *r, const struct settings_key *k, const struct toml_leaf *leaf,
                struct error *err)
{
    const char *dot = strrchr(leaf->path, '.');
    const void *value = leaf->text;

    if (leaf->type == TOML_BOOL)
        value = &leaf->boolean;
    else if (leaf->type == TOML_INTEGER)
        value = &leaf->integer;
    else if (!*leaf->text && !k->names_an_arg)
        return 0;
    if (strcmp(k->pattern, "entrypoint.prod") == 0)
        r->settings->entrypoint_line = leaf->line;
    return k->store(r->settings, k, dot ? dot + 1 : leaf->path, value, err);
}

static int read_leaf(void *self, const struct toml_leaf *leaf, struct error *err)
{
    struct reading *r = self;
    const struct settings_place place = settings_place(leaf->path);
    const struct settings_key *k = place.key;

    if (is_judged(r, leaf->path) || (k && k->kind == SETTINGS_ANY))
        return 0;
    if (!k && !place.table && !place.array)
        note_unknown(r, leaf->path, leaf->line);
    else if (k && k->client_fills && leaf->type == TOML_STRING && is_left_to_client(leaf->text))
        return 0;
    else if (!k || !is_good(k, leaf))
        refuse_leaf(r, &place, leaf);
    else if (k->names_an_arg && !is_arg_name(strrchr(leaf->path, '.') + 1))
        refuse_arg_name(r, leaf);
    else if (k->store)
        return keep(r, k, leaf, err);
    return 0;
}

/* ---- tables and arrays ---- */

static int read_group(void *self, const struct toml_group *group, struct error *err)
{
    struct reading *r = self;
    const struct settings_place place = settings_place(group->path);
    CLEANUP(buf_release) struct buf wanted = BUF_INIT(4096);
    CLEANUP(buf_release) struct buf found = BUF_INIT(16);

    (void)err;
    if (is_judged(r, group->path) || (group->array ? place.array : place.table) ||
        (place.key && place.key->kind == SETTINGS_ANY))
        return 0;
    if (!place.key && !place.table && !place.array) {
        note_unknown(r, group->path, group->line);
    } else {
        settings_add_wanted(&wanted, group->path, &place);
        buf_adds(&found, group->array ? "an array" : "a table");
        refuse(r, group->path, group->line, &wanted, &found);
    }
    judge(r, group->path);
    return 0;
}

/* ---- the file ---- */

static int by_line(const void *a, const void *b)
{
    const struct unknown *x = a, *y = b;

    return (x->line > y->line) - (x->line < y->line);
}

static int warn(struct reading *r, struct error *err)
{
    struct argv *out = &r->settings->warnings;
    size_t n = r->n_unknown < UNKNOWN_MAX ? r->n_unknown : UNKNOWN_MAX;

    qsort(r->unknown, n, sizeof(*r->unknown), by_line);
    for (size_t i = 0; i < n; i++)
        argv_pushf(out, "blaxel.toml line %d: %s", r->unknown[i].line, r->unknown[i].text);
    if (n < r->n_unknown)
        argv_pushf(out, "blaxel.toml: %zu more unknown keys are ignored", r->n_unknown - n);
    return out->failed ? error_set(err, ERR_SYSTEM, "read blaxel.toml: out of memory") : 0;
}

/* The parser's messages begin with a line where they know one. */
static int name_file(struct error *err)
{
    const struct error cause = *err;

    if (!text_starts(cause.msg, "line "))
        return error_wrap(err, "blaxel.toml");
    return error_set(err, cause.kind, "blaxel.toml %s", cause.msg);
}

int dockerfile_settings_read(const char *text, size_t len, struct dockerfile_settings *ret,
                             struct error *err)
{
    CLEANUP_FREE struct reading *r = calloc(1, sizeof(*r));
    struct toml_visitor visitor = {.leaf = read_leaf, .group = read_group, .self = r};

    if (!r)
        return error_set(err, ERR_SYSTEM, "read blaxel.toml: out of memory");
    r->settings = ret;
    if (toml_walk(text, len, &visitor, err) < 0)
        return err->kind == ERR_SYSTEM ? -1 : name_file(err);
    if (r->fault_line) {
        *err = r->fault;
        return -1;
    }
    return warn(r, err);
}
