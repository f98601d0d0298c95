/* programs/config — the four places that values come from.
 *
 * Each place is read in turn, the weakest first, and overwrites: so a wrong value is an error even
 * where a stronger place would hide it. */
#include "programs/config.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/toml.h"
#include "programs/config_keys.h"

#define FILE_DEFAULT "/etc/kiln/kiln.toml"
#define VALUE_MAX    4096

/* ---- setting a value ---- */

/* "--data-dir", "KILN_DATA_DIR", "/etc/kiln/kiln.toml:3" or "default". */
static void add_source(const struct config *c, const struct key *k, struct config_source source,
                       struct buf *out)
{
    char name[KEY_NAME] = "default";

    if (source.origin == CONFIG_FILE) {
        buf_addf(out, "%s:%d", c->file, source.line);
        return;
    }
    if (source.origin == CONFIG_ENVIRONMENT)
        key_variable(k, name);
    if (source.origin == CONFIG_OPTION)
        key_option(k, name);
    buf_adds(out, name);
}

static int refuse(const struct config *c, const struct key *k, struct config_source source,
                  const char *what, struct error *err)
{
    CLEANUP(buf_release) struct buf where = BUF_INIT(VALUE_MAX);
    CLEANUP(buf_release) struct buf allowed = BUF_INIT(VALUE_MAX);

    add_source(c, k, source, &where);
    key_add_allowed(k, &allowed);
    return error_set(err, ERR_INPUT, "%s: %s must be %s, and %s is not", buf_str(&where), k->name,
                     buf_str(&allowed), what);
}

static int refuse_value(const struct config *c, const struct key *k, struct config_source source,
                        const char *value, struct error *err)
{
    char quoted[204];

    if (key_is_hidden(k))
        return refuse(c, k, source, "what is there", err);
    (void)snprintf(quoted, sizeof(quoted), "\"%.200s\"", value);
    return refuse(c, k, source, quoted, err);
}

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read the configuration: out of memory");
}

/* A path is told from the directory we were started in. */
static int set_string(struct config *c, const struct key *k, const char *value, struct error *err)
{
    CLEANUP_FREE char *cwd = NULL;
    char *copy = NULL;

    if (k->kind == PATH && value[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd || asprintf(&copy, "%s/%s", cwd, value + (text_starts(value, "./") ? 2 : 0)) < 0)
            copy = NULL;
    } else {
        copy = strdup(value);
    }
    if (!copy)
        return out_of_memory(err);
    free(*key_string(c, k));
    *key_string(c, k) = copy;
    return 0;
}

/* Adds the words of value; those of a weaker place go first. */
static int set_list(struct config *c, const struct key *k, struct config_source source,
                    const char *value, struct error *err)
{
    struct argv *list = key_list(c, k);

    if (c->sources[k - config_keys].origin != source.origin)
        argv_release(list);
    for (const char *p = value + strspn(value, " "); *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");

        argv_pushf(list, "%.*s", (int)len, p);
        if (list->failed)
            return out_of_memory(err);
        if (!k->valid(list->v[list->n - 1]))
            return refuse_value(c, k, source, list->v[list->n - 1], err);
        p += len;
    }
    return 0;
}

static int set_value(struct config *c, const struct key *k, struct config_source source,
                     const char *value, struct error *err)
{
    int result = 0;

    if (strlen(value) >= VALUE_MAX || text_has_control(value, strlen(value)) ||
        !text_is_utf8(value, strlen(value)))
        return refuse(c, k, source, "a value of control bytes or past all length", err);
    if ((k->kind == PATH && !*value) || (key_is_string(k) && k->valid && !k->valid(value)))
        return refuse_value(c, k, source, value, err);
    if (key_is_string(k))
        result = set_string(c, k, value, err);
    else if (k->kind == LIST)
        result = set_list(c, k, source, value, err);
    else if (!key_parse_number(k, value, key_number(c, k)))
        result = refuse_value(c, k, source, value, err);
    c->sources[k - config_keys] = source;
    return result;
}

/* ---- defaults ---- */

/* False when there is no home to put it in. */
static bool find_data_dir(char path[PATH_MAX])
{
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");

    if (geteuid() == 0)
        (void)snprintf(path, PATH_MAX, "/var/lib/kiln");
    else if (xdg && xdg[0] == '/')
        (void)snprintf(path, PATH_MAX, "%s/kiln", xdg);
    else if (home && home[0] == '/')
        (void)snprintf(path, PATH_MAX, "%s/.local/share/kiln", home);
    else
        return false;
    return true;
}

/* Those this process may run on, which a container may bound. */
static void find_cores(char text[PATH_MAX])
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    (void)snprintf(text, PATH_MAX, "%d", n < 1 ? 1 : n > 256 ? 256 : n);
}

/* Half of the machine's, so that two builds fit and the rest of it lives. */
static void find_memory(char text[PATH_MAX])
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    const long long half = pages > 0 && page > 0 ? (long long)pages * page / 2 : 0;

    (void)snprintf(text, PATH_MAX, "%lldGiB", half >> 30 ? half >> 30 : 1);
}

static int set_defaults(struct config *c, struct error *err)
{
    const struct config_source source = {.origin = CONFIG_DEFAULT};

    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const char *value = config_keys[i].fallback;
        char found[PATH_MAX];

        if (!value && config_keys[i].kind == SIZE)
            find_memory(found);
        else if (!value && config_keys[i].kind != PATH)
            find_cores(found);
        else if (!value && !find_data_dir(found))
            continue; /* an error only if no place sets it: see config_load */
        if (set_value(c, &config_keys[i], source, value ? value : found, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the file ---- */

static int unknown_key(const struct config *c, const char *name, int line, struct error *err)
{
    const struct key *near = key_nearest(name);

    if (near)
        return error_set(err, ERR_INPUT, "%s:%d: there is no key \"%.100s\"; did you mean %s?",
                         c->file, line, name, near->name);
    return error_set(err, ERR_INPUT,
                     "%s:%d: there is no key \"%.100s\"; kiln config lists them all", c->file, line,
                     name);
}

static int set_from_leaf(void *self, const struct toml_leaf *leaf, struct error *err)
{
    static const char *const types[] = {[TOML_INTEGER] = "an integer",
                                        [TOML_FLOAT] = "a float",
                                        [TOML_BOOL] = "a boolean",
                                        [TOML_DATETIME] = "a date"};
    struct config *c = self;
    const struct key *k = key_find(leaf->path);
    const struct config_source source = {.origin = CONFIG_FILE, .line = leaf->line};
    char number[32];

    if (!k)
        return unknown_key(c, leaf->path, leaf->line, err);
    if (leaf->type == TOML_INTEGER && key_is_number(k)) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)leaf->integer);
        return set_value(c, k, source, number, err);
    }
    if (leaf->type != TOML_STRING)
        return refuse(c, k, source, types[leaf->type], err);
    if (strlen(leaf->text) != leaf->text_len)
        return refuse_value(c, k, source, leaf->text, err);
    return set_value(c, k, source, leaf->text, err);
}

/* An array is the whole of a list, and there are no tables; one may be empty. */
static int check_group(void *self, const struct toml_group *group, struct error *err)
{
    struct config *c = self;
    const struct key *k = key_find(group->path);
    const struct config_source source = {.origin = CONFIG_FILE, .line = group->line};

    if (!k || (k->kind == LIST && group->array && strcmp(group->path, k->name) == 0))
        return 0;
    return refuse(c, k, source, group->array ? "an array" : "a table", err);
}

/* named: by --config or KILN_CONFIG; NULL: the usual one, if it is there. */
static int read_file(struct config *c, const char *named, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TOML_TEXT_MAX);
    const struct toml_visitor visitor = {.leaf = set_from_leaf, .group = check_group, .self = c};

    if (!named && access(FILE_DEFAULT, F_OK) < 0)
        return 0;
    c->file = strdup(named ? named : FILE_DEFAULT);
    if (!c->file)
        return out_of_memory(err);
    if (fs_read_file(AT_FDCWD, c->file, &text, err) < 0) {
        err->kind = ERR_INPUT;
        return error_wrap(err, "read the configuration");
    }
    if (toml_walk(buf_str(&text), text.len, &visitor, err) < 0)
        return text_starts(err->msg, c->file) ? -1 : error_wrap(err, "%s", c->file);
    return 0;
}

/* ---- environment and options ---- */

static int read_environment(struct config *c, struct error *err)
{
    const struct config_source source = {.origin = CONFIG_ENVIRONMENT};

    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        char name[KEY_NAME];
        const char *value;

        key_variable(&config_keys[i], name);
        value = getenv(name);
        if (value && *value && set_value(c, &config_keys[i], source, value, err) < 0)
            return -1;
    }
    return 0;
}

/* If word is the option, *ret_value is what follows its "=", or NULL when it is the next word. */
static bool is_option(const char *word, const char *option, const char **ret_value)
{
    const size_t n = strlen(option);

    if (strncmp(word, option, n) != 0 || (word[n] && word[n] != '='))
        return false;
    *ret_value = word[n] ? word + n + 1 : NULL;
    return true;
}

/* Calls set for every such option with its value, and takes both out of argv. */
static int take_option(int *argc, char **argv, const char *option,
                       int (*set)(void *self, const char *value, struct error *err), void *self,
                       struct error *err)
{
    int kept = 1;
    int i = 1;

    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value;

        if (!is_option(argv[i], option, &value)) {
            argv[kept++] = argv[i];
            continue;
        }
        if (!value && i + 1 >= *argc)
            return error_set(err, ERR_INPUT, "%s: its value is missing", option);
        if (set(self, value ? value : argv[++i], err) < 0)
            return -1;
    }
    while (i < *argc)
        argv[kept++] = argv[i++];
    *argc = kept;
    argv[kept] = NULL;
    return 0;
}

struct setting {
    struct config *config;
    const struct key *key;
};

static int set_from_option(void *self, const char *value, struct error *err)
{
    const struct setting *s = self;

    return set_value(s->config, s->key, (struct config_source){.origin = CONFIG_OPTION}, value,
                     err);
}

static int read_options(struct config *c, int *argc, char **argv, struct error *err)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        struct setting setting = {.config = c, .key = &config_keys[i]};
        char name[KEY_NAME];

        key_option(&config_keys[i], name);
        if (take_option(argc, argv, name, set_from_option, &setting, err) < 0)
            return -1;
    }
    return 0;
}

static int set_file_name(void *self, const char *value, struct error *err)
{
    (void)err;
    *(const char **)self = value;
    return 0;
}

/* ---- the whole ---- */

void config_init(struct config *c)
{
    *c = (struct config){.mirrors = ARGV_INIT};
}

void config_release(struct config *c)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (key_is_string(&config_keys[i]))
            free(*key_string(c, &config_keys[i]));
        else if (config_keys[i].kind == LIST)
            argv_release(key_list(c, &config_keys[i]));
    free(c->file);
    config_init(c);
}

int config_load(int *argc, char **argv, struct config *ret, struct error *err)
{
    const char *file = getenv("KILN_CONFIG");

    config_init(ret);
    if (file && !*file)
        file = NULL;
    if (take_option(argc, argv, "--config", set_file_name, &file, err) < 0 ||
        set_defaults(ret, err) < 0 || read_file(ret, file, err) < 0 ||
        read_environment(ret, err) < 0 || read_options(ret, argc, argv, err) < 0)
        return -1;
    if (!ret->tls_certificate[0] != !ret->tls_key[0])
        return error_set(err, ERR_INPUT, "%s: set it too, for %s says nothing without it",
                         ret->tls_key[0] ? "tls_certificate" : "tls_key",
                         ret->tls_key[0] ? "tls_key" : "tls_certificate");
    if (!ret->data_dir)
        return error_set(err, ERR_INPUT, "data_dir: set it, for there is no HOME to put it in");
    return 0;
}

/* ---- for people ---- */

static void add_value(const struct config *c, const struct key *k, struct buf *out)
{
    if (key_is_string(k))
        buf_adds(out, *key_string(c, k));
    else if (k->kind != LIST)
        key_add_number(k, *key_number(c, k), out);
    else
        for (size_t i = 0; i < key_list(c, k)->n; i++)
            buf_addf(out, "%s%s", i ? " " : "", key_list(c, k)->v[i]);
}

void config_print_table(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        CLEANUP(buf_release) struct buf value = BUF_INIT(1 << 20);
        CLEANUP(buf_release) struct buf source = BUF_INIT(VALUE_MAX + 32);

        add_value(c, &config_keys[i], &value);
        add_source(c, &config_keys[i], c->sources[i], &source);
        (void)fprintf(to, "%-18s  %-34s  %s\n", config_keys[i].name,
                      value.len ? buf_str(&value) : "\"\"", buf_str(&source));
    }
}

void config_print_help(FILE *to)
{
    static const char *const values[] = {
        [STRING] = "TEXT", [PATH] = "DIR",      [INTEGER] = "N",
        [SIZE] = "SIZE",   [DURATION] = "TIME", [LIST] = "WORDS",
    };

    (void)fprintf(to, "  %-25s %s\n", "--config FILE",
                  "read keys from FILE [" FILE_DEFAULT " if there]");
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct config_row row = config_row(i);
        char option[64];
        char name[KEY_NAME];

        key_option(&config_keys[i], name);
        (void)snprintf(option, sizeof(option), "%s %s", name, values[config_keys[i].kind]);
        (void)fprintf(to, "  %-25s %s", option, row.help);
        (void)fprintf(to, *row.default_value ? " [%s]\n" : "%s\n", row.default_value);
    }
}
