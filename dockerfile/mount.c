/* dockerfile/mount — one function for each kind of field, found in a table. */
#include "dockerfile/mount.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/csv.h"
#include "dockerfile/quote.h"
#include "dockerfile/suggest.h"

static const char *const type_names[] = {"bind", "cache", "tmpfs", "secret", "ssh", NULL};
static const char *const sharing_names[] = {"shared", "private", "locked", NULL};

const char *mount_type_name(enum dockerfile_mount_type type)
{
    return type_names[type];
}

struct reader {
    struct dockerfile_mount *m;
    bool read_only_given;
    const char *key, *value, *field;
};

static int refuse_value(const struct reader *r, struct error *err)
{
    return error_set(err, ERR_INPUT, "invalid value for %s: %.200s", r->key, r->value);
}

static int refuse_for_type(const struct reader *r, struct error *err)
{
    return error_set(err, ERR_INPUT, "unexpected key '%s' for mount type '%s'", r->key,
                     type_names[r->m->type]);
}

/* strconv.ParseBool */
static bool read_bool(const char *s, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True", NULL};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False", NULL};

    for (size_t i = 0; yes[i]; i++) {
        if (strcmp(s, yes[i]) == 0)
            *ret = true;
        else if (strcmp(s, no[i]) == 0)
            *ret = false;
        else
            continue;
        return true;
    }
    return false;
}

/* ---- the fields ---- */

static int set_type(struct reader *r, struct error *err)
{
    char quoted[QUOTE_SIZE], hint[SUGGEST_SIZE];

    for (size_t i = 0; type_names[i]; i++) {
        if (strcasecmp(r->value, type_names[i]) != 0)
            continue;
        r->m->type = (enum dockerfile_mount_type)i;
        return 0;
    }
    return error_set(err, ERR_INPUT, "unsupported mount type %s%s", quote_short(r->value, quoted),
                     suggest(r->value, type_names, false, hint));
}

static int set_sharing(struct reader *r, struct error *err)
{
    char quoted[QUOTE_SIZE], hint[SUGGEST_SIZE];

    for (size_t i = 0; sharing_names[i]; i++) {
        if (strcasecmp(r->value, sharing_names[i]) != 0)
            continue;
        r->m->sharing = sharing_names[i];
        return 0;
    }
    return error_set(err, ERR_INPUT, "unsupported sharing value %s%s",
                     quote_short(r->value, quoted), suggest(r->value, sharing_names, false, hint));
}

static int set_from(struct reader *r, struct error *err)
{
    (void)err;
    r->m->from = r->value;
    return 0;
}

static int set_source(struct reader *r, struct error *err)
{
    (void)err;
    r->m->source = r->value;
    return 0;
}

static int set_target(struct reader *r, struct error *err)
{
    (void)err;
    r->m->target = r->value;
    return 0;
}

static int set_id(struct reader *r, struct error *err)
{
    (void)err;
    r->m->id = r->value;
    return 0;
}

static int set_env(struct reader *r, struct error *err)
{
    (void)err;
    r->m->env = r->value;
    return 0;
}

static int set_read_only(struct reader *r, struct error *err)
{
    bool yes = true;

    if (r->value && !read_bool(r->value, &yes))
        return refuse_value(r, err);
    r->m->read_only = yes;
    r->read_only_given = true;
    return 0;
}

static int set_read_write(struct reader *r, struct error *err)
{
    bool yes = true;

    if (r->value && !read_bool(r->value, &yes))
        return refuse_value(r, err);
    r->m->read_only = !yes;
    r->read_only_given = true;
    return 0;
}

static int set_required(struct reader *r, struct error *err)
{
    r->m->required = true;
    if (r->m->type != DOCKERFILE_MOUNT_SECRET && r->m->type != DOCKERFILE_MOUNT_SSH)
        return refuse_for_type(r, err);
    return r->value && !read_bool(r->value, &r->m->required) ? refuse_value(r, err) : 0;
}

/* "64m", "1.5GiB": docker's go-units, where k is 1024. */
static int set_size(struct reader *r, struct error *err)
{
    static const char units[] = "bkmgtp";
    const char *s = r->value + (*r->value == '-' || *r->value == '+');
    size_t n = strspn(s, "0123456789.");
    const char *unit = s + n + (s[n] == ' ');
    const char *known = *unit ? strchr(units, tolower((unsigned char)*unit)) : units;
    double size;
    char *end;

    if (r->m->type != DOCKERFILE_MOUNT_TMPFS)
        return refuse_for_type(r, err);
    if (n == 0 || n > 18 || !known ||
        (*unit && unit[1] && strcasecmp(unit + 1, "b") != 0 && strcasecmp(unit + 1, "ib") != 0))
        return refuse_value(r, err);
    size = strtod(s, &end);
    if (end != s + n || *r->value == '-')
        return refuse_value(r, err);
    for (; known > units; known--)
        size *= 1024;
    if (size >= 9.2e18)
        return refuse_value(r, err);
    r->m->size = (int64_t)size;
    return 0;
}

static int read_id(struct reader *r, int64_t *ret, struct error *err)
{
    uint64_t n;

    if (!text_to_u64(r->value, UINT32_MAX, &n))
        return error_set(err, ERR_INPUT, "invalid value %.200s for %s", r->value, r->key);
    *ret = (int64_t)n;
    return 0;
}

static int set_uid(struct reader *r, struct error *err)
{
    return read_id(r, &r->m->uid, err);
}

static int set_gid(struct reader *r, struct error *err)
{
    return read_id(r, &r->m->gid, err);
}

static int set_mode(struct reader *r, struct error *err)
{
    size_t zeros = strspn(r->value, "0"), n = strspn(r->value, "01234567");

    if (n == 0 || r->value[n] || n - zeros > 10)
        return error_set(err, ERR_INPUT, "invalid value %.200s for mode", r->value);
    r->m->mode = strtoll(r->value, NULL, 8);
    return 0;
}

static const struct field {
    const char *key;
    bool bare; /* may stand without a value */
    int (*set)(struct reader *r, struct error *err);
} fields[] = {
    {"type", false, set_type},
    {"from", false, set_from},
    {"source", false, set_source},
    {"target", false, set_target},
    {"readonly", true, set_read_only},
    {"id", false, set_id},
    {"sharing", false, set_sharing},
    {"required", true, set_required},
    {"size", false, set_size},
    {"mode", false, set_mode},
    {"uid", false, set_uid},
    {"gid", false, set_gid},
    {"src", false, set_source},
    {"dst", false, set_target},
    {"destination", false, set_target},
    {"ro", true, set_read_only},
    {"rw", true, set_read_write},
    {"readwrite", true, set_read_write},
    {"env", false, set_env},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static int refuse_key(const struct reader *r, struct error *err)
{
    const char *names[FIELDS + 1] = {NULL};
    char hint[SUGGEST_SIZE];

    for (size_t i = 0; i < FIELDS; i++)
        names[i] = fields[i].key;
    return error_set(err, ERR_INPUT, "unexpected key '%s' in '%.200s'%s", r->key, r->field,
                     suggest(r->key, names, false, hint));
}

/* ---- together ---- */

static int read_field(struct reader *r, const char *text, const struct mount_expander *x,
                      struct error *err)
{
    size_t len = strcspn(text, "=");
    const struct field *field = NULL;
    char key[64], *value = NULL;

    (void)snprintf(key, sizeof(key), "%.*s", (int)(len > 63 ? 63 : len), text);
    for (char *p = key; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].key, key) == 0)
            field = &fields[i];
    if (!text[len] && !(field && field->bare))
        return error_set(err, ERR_INPUT, "invalid field '%.200s' must be a key=value pair", text);
    if (text[len] && x->expand(x->self, text + len + 1, &value, err) < 0)
        return -1;
    r->key = key;
    r->value = value;
    r->field = text;
    return field ? field->set(r, err) : refuse_key(r, err);
}

static int check_secret(const struct dockerfile_mount *m, struct error *err)
{
    if (*m->from)
        return error_set(err, ERR_INPUT, "secret mount should not have a from");
    if (*m->sharing)
        return error_set(err, ERR_INPUT, "secret mount should not define sharing");
    if (!*m->source && !*m->target && !*m->id)
        return error_set(err, ERR_INPUT, "invalid secret mount. one of source, target required");
    if (*m->source && *m->id)
        return error_set(err, ERR_INPUT, "both source and id can't be set");
    return 0;
}

static int check(const struct dockerfile_mount *m, struct error *err)
{
    const char *type = type_names[m->type];
    const char *owned = m->mode >= 0 ? "mode" : m->uid >= 0 ? "uid" : m->gid >= 0 ? "gid" : NULL;

    if (owned && (m->type == DOCKERFILE_MOUNT_BIND || m->type == DOCKERFILE_MOUNT_TMPFS))
        return error_set(err, ERR_INPUT, "%s not allowed for \"%s\" type mounts", owned, type);
    if (m->type == DOCKERFILE_MOUNT_SECRET && check_secret(m, err) < 0)
        return -1;
    if (*m->sharing && m->type != DOCKERFILE_MOUNT_CACHE)
        return error_set(err, ERR_INPUT, "invalid cache sharing set for %s mount", type);
    return 0;
}

int mount_parse(const char *text, const struct mount_expander *x, struct dockerfile_mount *ret,
                struct error *err)
{
    CLEANUP(argv_release) struct argv parts = ARGV_INIT;
    struct dockerfile_mount m = {.from = "",
                                 .source = "",
                                 .target = "",
                                 .id = "",
                                 .env = "",
                                 .sharing = "",
                                 .from_stage = DOCKERFILE_NO_STAGE,
                                 .mode = -1,
                                 .uid = -1,
                                 .gid = -1};
    struct reader r = {.m = &m};

    if (csv_read(text, &parts, err) < 0)
        return error_wrap(err, "failed to parse csv mounts");
    for (size_t i = 0; i < parts.n; i++)
        if (read_field(&r, parts.v[i], x, err) < 0)
            return -1;
    if (!r.read_only_given)
        m.read_only = m.type != DOCKERFILE_MOUNT_CACHE && m.type != DOCKERFILE_MOUNT_TMPFS;
    if (check(&m, err) < 0)
        return -1;
    *ret = m;
    return 0;
}
