/* dockerfile/generate/python_requirements — what a project says it needs: the lines of PEP 508,
 * pip's requirements files with those they include, setup.py, and the names in a lock file.
 *
 * Names are only looked at to find frameworks and packages that need something of Debian; pip and
 * the others decide what is installed.  So what is not understood is passed over. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/python.h"

#define NAMES_MAX    10000 /* dependencies declared, or locked */
#define INCLUDES_MAX 64    /* requirements files */
#define NAME_SIZE    128
#define PATH_SIZE    320

static const char name_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

void python_project_release(struct python_project *p)
{
    argv_release(&p->declared);
    argv_release(&p->locked);
    argv_release(&p->scripts);
    argv_release(&p->requirements);
}

void python_clean(char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
}

void python_need_tree(struct python_project *p, const char *fmt, ...)
{
    va_list ap;

    if (*p->whole_tree)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(p->whole_tree, sizeof(p->whole_tree), fmt, ap);
    va_end(ap);
    python_clean(p->whole_tree);
}

/* ---- names ---- */

/* PEP 503: lower case, runs of "-", "_" and "." are one "-". */
static void normalise(const char *name, size_t len, char ret[NAME_SIZE])
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < NAME_SIZE; i++) {
        bool dash = strchr("-_.", name[i]) != NULL;

        if (dash && n > 0 && ret[n - 1] == '-')
            continue;
        ret[n++] = (char)(dash                               ? '-'
                          : name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a'
                                                             : name[i]);
    }
    ret[n] = '\0';
}

static int add_name(struct argv *names, const char *name, struct error *err)
{
    if (names->n >= NAMES_MAX)
        return error_set(err, ERR_LIMIT, "read the dependencies: more than %d", NAMES_MAX);
    argv_push1(names, name);
    return names->failed ? error_set(err, ERR_SYSTEM, "read the dependencies: out of memory") : 0;
}

int python_declare_name(struct python_project *p, const char *name, const char *extra,
                        struct error *err)
{
    char normal[NAME_SIZE], normal_extra[NAME_SIZE], both[2 * NAME_SIZE + 2];

    normalise(name, strlen(name), normal);
    if (!extra)
        return add_name(&p->declared, normal, err);
    normalise(extra, strlen(extra), normal_extra);
    (void)snprintf(both, sizeof(both), "%s[%s]", normal, normal_extra);
    return add_name(&p->declared, both, err);
}

bool python_declares(const struct python_project *p, const char *name)
{
    return argv_contains(&p->declared, name);
}

bool python_uses(const struct python_project *p, const char *name)
{
    return python_declares(p, name) || argv_contains(&p->locked, name);
}

/* "[a, b]" after a name. */
static int declare_extras(struct python_project *p, const char *name, const char *s,
                          struct error *err)
{
    for (s++; *s && *s != ']';) {
        char extra[NAME_SIZE];
        size_t n = strspn(s, name_bytes);

        if (n == 0) {
            s++;
            continue;
        }
        normalise(s, n, extra);
        if (python_declare_name(p, name, extra, err) < 0)
            return -1;
        s += n;
    }
    return 0;
}

/* A file or a directory of the project, and no URL. */
static bool is_local(const char *s)
{
    if (strstr(s, "://") && !text_starts(s, "file:"))
        return false;
    return *s == '.' || *s == '/' || text_starts(s, "file:") || text_ends(s, ".whl") ||
           text_ends(s, ".tar.gz");
}

int python_declare(struct python_project *p, const char *requirement, const char *where,
                   struct error *err)
{
    char name[NAME_SIZE];
    const char *s = requirement + strspn(requirement, " \t");
    size_t n = strspn(s, name_bytes);
    const char *at, *rest;

    if (strstr(s, "git+"))
        p->needs_git = true;
    rest = s + n + strspn(s + n, " \t");
    at = strchr(rest, '@');
    if (is_local(s) || *rest == '/' || (at && is_local(at + 1 + strspn(at + 1, " \t"))))
        python_need_tree(p, "%.64s in %.64s comes from the project's own files", s, where);
    if (n == 0 || *s == '.' || *rest == '/' || *rest == '+' || *rest == ':')
        return 0; /* a path or a URL, which does not say its name */
    normalise(s, n, name);
    if (python_declare_name(p, name, NULL, err) < 0)
        return -1;
    return *rest == '[' ? declare_extras(p, name, rest, err) : 0;
}

/* ---- requirements files ---- */

/* A path that can stand in a COPY line as it is, and that lies within the project. */
static bool is_plain_path(const char *path)
{
    size_t n = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/");

    return n > 0 && n < PATH_SIZE / 2 && path[n] == '\0' && *path != '/' && !strstr(path, "..");
}

/* name as the file "from" says it, which looks from its own directory; false: it leaves the
 * project, or cannot stand in a COPY line. */
static bool resolve(const char *from, const char *name, char ret[PATH_SIZE])
{
    const char *slash = strrchr(from, '/');
    size_t dir = slash ? (size_t)(slash - from) : 0; /* bytes of it, without the slash */

    for (;;) {
        if (text_starts(name, "./")) {
            name += 2;
        } else if (text_starts(name, "../")) {
            if (dir == 0)
                return false;
            name += 3;
            while (dir > 0 && from[--dir] != '/')
                ;
        } else {
            break;
        }
    }
    if (!is_plain_path(name) || dir >= PATH_SIZE / 2)
        return false;
    (void)snprintf(ret, PATH_SIZE, "%.*s%s%s", (int)dir, from, dir ? "/" : "", name);
    return true;
}

static int include(struct python_project *p, const char *from, const char *name, struct error *err)
{
    char path[PATH_SIZE];

    if (text_starts(name, "http:") || text_starts(name, "https:"))
        return 0;
    if (!resolve(from, name, path)) {
        python_need_tree(p, "%s includes %.64s", from, name);
        return 0;
    }
    if (argv_contains(&p->requirements, path))
        return 0;
    if (p->requirements.n >= INCLUDES_MAX)
        return error_set(err, ERR_LIMIT, "read %.100s: more than %d files are included", from,
                         INCLUDES_MAX);
    argv_push1(&p->requirements, path);
    return 0;
}

/* The value of an option that line begins with, in any of "-r x", "-rx", "--requirement x",
 * "--requirement=x"; NULL for another. */
static const char *option(const char *line, const char *brief, const char *full)
{
    size_t n = strlen(full);

    if (strncmp(line, full, n) == 0 && strchr(" \t=", line[n]) && line[n])
        return line + n + strspn(line + n, " \t=");
    n = strlen(brief);
    if (strncmp(line, brief, n) == 0)
        return line + n + strspn(line + n, " \t=");
    return NULL;
}

/* Takes a comment and what surrounds a line off it. */
static char *trim(char *line)
{
    size_t n;

    line += strspn(line, " \t\r\f\v");
    for (char *c = line; *c; c++)
        if (*c == '#' && (c == line || c[-1] == ' ' || c[-1] == '\t'))
            *c = '\0';
    n = strlen(line);
    while (n > 0 && strchr(" \t\r\\", line[n - 1]))
        line[--n] = '\0';
    return line;
}

static int read_requirement(struct python_project *p, const char *file, char *line,
                            struct error *err)
{
    const char *value;

    line = trim(line);
    if ((value = option(line, "-r", "--requirement")) ||
        (value = option(line, "-c", "--constraint")))
        return include(p, file, value, err);
    if ((value = option(line, "-e", "--editable")))
        return python_declare(p, value, file, err);
    if ((value = option(line, "-f", "--find-links")) && !strstr(value, "://"))
        python_need_tree(p, "%.64s looks for packages in %.64s", file, value);
    return *line && *line != '-' ? python_declare(p, line, file, err) : 0;
}

static int read_requirements_file(struct generator *g, struct python_project *p, const char *file,
                                  struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    bool found;
    char *rest, *line;

    if (generator_read(g, file, &text, &found, err) < 0)
        return -1;
    if (text_starts(buf_str(&text), "\xff\xfe") || text_starts(buf_str(&text), "\xfe\xff")) {
        generator_warn(
            g,
            "%.64s is UTF-16, as PowerShell writes it: pip reads that, but what it names "
            "was not looked at; save it as UTF-8",
            file);
        return 0;
    }
    rest = found ? text.data : NULL;
    while ((line = strsep(&rest, "\n")))
        if (read_requirement(p, file, line, err) < 0)
            return -1;
    return 0;
}

int python_requirements_read(struct generator *g, struct python_project *p, struct error *err)
{
    static const char *const names[] = {"requirements.txt", "requirements/production.txt",
                                        "requirements/prod.txt", "requirements/base.txt", NULL};
    const char *first;

    if (generator_first(g, names, &first, err) < 0)
        return -1;
    if (first)
        argv_push1(&p->requirements, first);
    for (size_t i = 0; i < p->requirements.n; i++)
        if (read_requirements_file(g, p, p->requirements.v[i], err) < 0)
            return -1;
    if (p->requirements.failed)
        return error_set(err, ERR_SYSTEM, "read the requirements: out of memory");
    return 0;
}

/* ---- setup.py ---- */

/* setup.py is a program; of it only the strings can be read, and those that are not requirements
 * do no harm. */
static int read_setup(struct generator *g, struct python_project *p, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    bool found;

    if (generator_read(g, "setup.py", &text, &found, err) < 0)
        return -1;
    for (const char *s = found ? strstr(buf_str(&text), "install_requires") : NULL; s && *s;) {
        char name[NAME_SIZE];
        size_t n;

        s += strcspn(s, "\"'])");
        if (*s != '"' && *s != '\'')
            break;
        n = strspn(s + 1, name_bytes);
        normalise(s + 1, n, name);
        if (n > 0 && python_declare_name(p, name, NULL, err) < 0)
            return -1;
        n = strcspn(s + 1, *s == '"' ? "\"\n" : "'\n");
        s += 1 + n;
        s += *s != '\0';
    }
    return 0;
}

int python_project_read(struct generator *g, struct python_project *p, struct error *err)
{
    if (python_toml_read(g, p, err) < 0)
        return -1;
    return read_setup(g, p, err);
}

/* ---- lock files ---- */

/* The name that a line of a lock file gives: name = "x" in those that are TOML, "x": { in
 * Pipfile.lock.  All of them are written by programs, one line each. */
static size_t locked_name(const char *line, bool json, const char **ret)
{
    size_t n;

    if (json)
        line += strspn(line, " ");
    else if (!text_starts(line, "name = "))
        return 0;
    else
        line += strlen("name = ");
    if (*line != '"')
        return 0;
    n = strspn(++line, name_bytes);
    *ret = line;
    return line[n] == '"' && (!json || text_starts(line + n, "\": {")) ? n : 0;
}

int python_lock_read(struct generator *g, const char *lock, struct python_project *p,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    bool found, json = strcmp(lock, "Pipfile.lock") == 0;

    if (generator_read(g, lock, &text, &found, err) < 0)
        return -1;
    for (const char *line = buf_str(&text); line; line = strchr(line, '\n')) {
        char name[NAME_SIZE];
        const char *start = NULL;
        size_t n;

        line += *line == '\n';
        n = locked_name(line, json, &start);
        if (n == 0)
            continue;
        normalise(start, n, name);
        if (add_name(&p->locked, name, err) < 0)
            return -1;
    }
    return 0;
}
