/* dockerfile/generate/python_version — which Python: the first of the files that pin one, else the
 * newest that pyproject.toml allows, else Pipfile's, else the default. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/python.h"

#define PATCH_MAX 30 /* no minor has had as many */

/* Versions before this one get no fixes of security holes any more (PEP 596, PEP 619). */
#define MINOR_MAINTAINED 11

static const char supported[] = "supported are 3.9 to 3.14";

/* "3", "3.12", "3.12.4"; what stands after the numbers makes it another kind of version, and false.
 */
static bool read_numbers(const char *s, int *ret_minor)
{
    int parts[3] = {0, -1, -1}, n = 0;

    for (; n < 3; n++) {
        size_t digits = strspn(s, "0123456789");
        uint64_t number;
        char text[8];

        if (digits == 0 || digits >= sizeof(text))
            return false;
        (void)snprintf(text, sizeof(text), "%.*s", (int)digits, s);
        if (!text_to_u64(text, 9999999, &number))
            return false;
        parts[n] = (int)number;
        s += digits;
        if (*s != '.')
            break;
        s++;
    }
    if (*s || parts[0] != 3)
        return false;
    *ret_minor = parts[1];
    return true;
}

/* A pin as the tools write it: "3.12.4", "python-3.12", "cpython@3.12".  *ret_known false: another
 * kind of name (a pyenv virtualenv's, "system"), which says nothing.  Of "3" the minor is -1. */
static int read_pin(const char *pin, const char *where, bool *ret_known, int *ret_minor,
                    struct error *err)
{
    static const char *const prefixes[] = {"python-",  "python@", "python", "cpython-",
                                           "cpython@", "cpython", NULL};
    const char *s = pin;

    if (strstr(pin, "pypy") || strstr(pin, "graalpy"))
        return error_set(err, ERR_INPUT, "%s asks for \"%.40s\": only CPython can be had; %s",
                         where, pin, supported);
    for (size_t i = 0; prefixes[i]; i++)
        if (text_starts(pin, prefixes[i])) {
            s = pin + strlen(prefixes[i]);
            break;
        }
    *ret_known = read_numbers(s, ret_minor) || strncmp(s, "2.", 2) == 0;
    if (*ret_known && *s == '2')
        return error_set(err, ERR_INPUT, "Python %.20s (%s): %s", s, where, supported);
    return 0;
}

static int check_supported(int minor, const char *where, struct error *err)
{
    if (minor < PYTHON_MINOR_MIN || minor > PYTHON_MINOR_MAX)
        return error_set(err, ERR_INPUT, "Python 3.%d (%s): %s", minor, where, supported);
    return 0;
}

/* *ret_minor -1: the file is not there, or says nothing. */
static int read_pin_file(struct generator *g, const char *file, const char *const *tools,
                         int *ret_minor, struct error *err)
{
    char pin[VERSION_TEXT_MAX];
    bool known;

    *ret_minor = -1;
    if (generator_read_version(g, file, tools, pin, err) < 0)
        return -1;
    pin[strcspn(pin, " \t")] = '\0';
    if (!*pin)
        return 0;
    python_clean(pin);
    if (read_pin(pin, file, &known, ret_minor, err) < 0)
        return -1;
    if (!known)
        generator_warn(g, "%s: \"%.40s\" is no version of Python, and is passed over", file, pin);
    return *ret_minor < 0 ? 0 : check_supported(*ret_minor, file, err);
}

static const char *const tool_names[] = {"python", NULL};

static const struct {
    const char *file;
    const char *const *tools;
} pin_files[] = {{".python-version", NULL}, {".tool-versions", tool_names}, {"runtime.txt", NULL}};

/* ---- constraints ---- */

static int parse_constraints(const struct python_project *p, struct python_specifier *ret,
                             struct error *err)
{
    for (size_t i = 0; i < p->n_constraints; i++)
        if (!python_specifier_parse(p->constraints[i].text, p->constraints[i].syntax, &ret[i]))
            return error_set(err, ERR_INPUT, "%s: \"%s\" is no version specifier",
                             p->constraints[i].key, p->constraints[i].text);
    return 0;
}

static bool all_allow(const struct python_specifier *s, size_t n, int minor, int patch)
{
    for (size_t i = 0; i < n; i++)
        if (!python_specifier_allows(&s[i], minor, patch))
            return false;
    return true;
}

/* The newest minor, whatever its patch; a certain patch only when nothing else satisfies. */
static bool choose(const struct python_specifier *s, size_t n, struct python_version *v)
{
    v->patch = PYTHON_PATCH_ANY;
    for (v->minor = PYTHON_MINOR_MAX; v->minor >= PYTHON_MINOR_MIN; v->minor--)
        if (all_allow(s, n, v->minor, v->patch))
            return true;
    for (v->minor = PYTHON_MINOR_MAX; v->minor >= PYTHON_MINOR_MIN; v->minor--)
        for (v->patch = PATCH_MAX; v->patch >= 0; v->patch--)
            if (all_allow(s, n, v->minor, v->patch))
                return true;
    return false;
}

static int from_constraints(struct generator *g, const struct python_project *p,
                            struct python_version *v, struct error *err)
{
    struct python_specifier s[2];
    const struct python_constraint *c = p->constraints;

    if (parse_constraints(p, s, err) < 0)
        return -1;
    if (!choose(s, p->n_constraints, v) && p->n_constraints > 1)
        return error_set(err, ERR_INPUT,
                         "%s \"%s\" and %s \"%s\": no version of Python satisfies both; %s", c->key,
                         c->text, c[1].key, c[1].text, supported);
    if (v->minor < PYTHON_MINOR_MIN)
        return error_set(err, ERR_INPUT, "%s \"%s\": no version of Python satisfies it; %s", c->key,
                         c->text, supported);
    (void)snprintf(v->why, sizeof(v->why), "the newest that %.60s allows: \"%.60s\"", c->key,
                   c->text);
    if (v->patch != PYTHON_PATCH_ANY)
        generator_warn(g,
                       "%s \"%s\" allows Python 3.%d.%d and no newer 3.%d, which goes without "
                       "fixes; \"==3.%d.*\" would allow them",
                       c->key, c->text, v->minor, v->patch, v->minor, v->minor);
    return 0;
}

/* A pinned version that the project itself does not allow: its package manager will refuse it. */
static int compare_with_constraints(struct generator *g, const struct python_project *p,
                                    const struct python_version *v, struct error *err)
{
    struct python_specifier s[2];

    if (parse_constraints(p, s, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n_constraints; i++)
        if (!python_specifier_allows(&s[i], v->minor, PYTHON_PATCH_ANY))
            generator_warn(g, "Python 3.%d (%s), which %s does not allow: \"%s\"", v->minor, v->why,
                           p->constraints[i].key, p->constraints[i].text);
    return 0;
}

/* ---- all of it ---- */

static int from_pipfile(const struct python_project *p, struct python_version *v, bool *ret_found,
                        struct error *err)
{
    bool known = false;
    int minor = -1;

    if (*p->pipfile_version && read_pin(p->pipfile_version, "Pipfile", &known, &minor, err) < 0)
        return -1;
    *ret_found = known && minor >= 0;
    if (!*ret_found)
        return 0;
    v->minor = minor;
    (void)snprintf(v->why, sizeof(v->why), "%s in Pipfile",
                   p->pipfile_full ? "python_full_version" : "python_version");
    return check_supported(minor, v->why, err);
}

static int find(struct generator *g, const struct python_project *p, struct python_version *v,
                struct error *err)
{
    bool found;

    for (size_t i = 0; i < sizeof(pin_files) / sizeof(pin_files[0]); i++) {
        if (read_pin_file(g, pin_files[i].file, pin_files[i].tools, &v->minor, err) < 0)
            return -1;
        if (v->minor < 0)
            continue;
        (void)snprintf(v->why, sizeof(v->why), "%s", pin_files[i].file);
        return compare_with_constraints(g, p, v, err);
    }
    if (p->n_constraints > 0)
        return from_constraints(g, p, v, err);
    if (from_pipfile(p, v, &found, err) < 0)
        return -1;
    if (!found) {
        v->minor = PYTHON_MINOR_DEFAULT;
        (void)snprintf(v->why, sizeof(v->why),
                       "the default: no .python-version and no "
                       "requires-python says another");
    }
    return 0;
}

int python_version_find(struct generator *g, const struct python_project *p,
                        struct python_version *ret, struct error *err)
{
    *ret = (struct python_version){.patch = PYTHON_PATCH_ANY};
    if (find(g, p, ret, err) < 0)
        return -1;
    if (ret->minor < MINOR_MAINTAINED)
        generator_warn(g,
                       "Python 3.%d (%s) is no longer maintained: nobody fixes its security "
                       "holes",
                       ret->minor, ret->why);
    return 0;
}
