/* dockerfile/generate/python_framework — a web framework's object in one of the entry files, and
 * the server that runs it.
 *
 * A framework counts only when the project declares it and the object is there to be named; the
 * server has to be declared too.  What runs a file itself (python main.py) comes after this, for it
 * often binds to localhost or to a port of its own. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/python.h"

#define COMMAND_SIZE 512

static const char identifier_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

/* ---- objects ---- */

static const struct framework {
    const char *package;
    const char *class; /* what makes the object; NULL: an import of the package is enough */
    enum { ASGI, WSGI, STREAMLIT } kind;
} frameworks[] = {
    {"fastapi", "FastAPI", ASGI},    {"starlette", "Starlette", ASGI},
    {"litestar", "Litestar", ASGI},  {"quart", "Quart", ASGI},
    {"flask", "Flask", WSGI},        {"bottle", "Bottle", WSGI},
    {"fastapi", "create_app", ASGI}, {"flask", "create_app", WSGI},
    {"streamlit", NULL, STREAMLIT},
};

/* Whether the name at the end of a dotted one, before "(", is class. */
static bool calls(const char *s, const char *class)
{
    for (;;) {
        size_t n = strspn(s, identifier_bytes);

        if (n == 0)
            return false;
        if (s[n] == '(')
            return strlen(class) == n && memcmp(s, class, n) == 0;
        if (s[n] != '.')
            return false;
        s += n + 1;
    }
}

/* "app = FastAPI(", "app: FastAPI = fastapi.FastAPI(" at the beginning of a line gives "app". */
static bool is_object(const char *line, const char *class, char ret[64])
{
    size_t n = strspn(line, identifier_bytes);
    const char *s = line + n + strspn(line + n, " \t");

    if (n == 0 || n >= 64)
        return false;
    if (*s == ':')
        s += strcspn(s, "=\n");
    if (*s != '=' || s[1] == '=')
        return false;
    s++;
    if (!calls(s + strspn(s, " \t"), class))
        return false;
    memcpy(ret, line, n);
    ret[n] = '\0';
    return python_is_identifier(ret);
}

static bool is_import(const char *line, const char *package)
{
    size_t n = strlen(package);

    if (text_starts(line, "import "))
        line += strlen("import ");
    else if (text_starts(line, "from "))
        line += strlen("from ");
    else
        return false;
    return strncmp(line, package, n) == 0 && !strchr(identifier_bytes, line[n]);
}

static bool find_object(const char *text, const struct framework *f, char ret[64])
{
    *ret = '\0';
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (f->class ? is_object(line, f->class, ret) : is_import(line, f->package))
            return true;
    }
    return false;
}

/* ---- servers ---- */

static bool has_uvicorn(const struct python_project *p)
{
    return python_uses(p, "uvicorn") || python_declares(p, "fastapi[standard]") ||
           python_declares(p, "fastapi[all]");
}

static void add_root(struct buf *out, const char *option, const struct python_entry *e)
{
    if (*e->root)
        buf_addf(out, " %s %s", option, e->root);
}

/* False: no server for it is declared. */
static bool write_command(struct generator *g, const struct python_project *p,
                          const struct framework *f, const struct python_entry *e,
                          const char *object, struct buf *out)
{
    if (f->kind == STREAMLIT) {
        buf_addf(out,
                 "streamlit run %s --server.address $HOST --server.port $PORT "
                 "--server.headless true",
                 e->path);
    } else if (f->kind == ASGI && has_uvicorn(p)) {
        buf_adds(out, "uvicorn");
        add_root(out, "--app-dir", e);
        buf_addf(out, " %s:%s --host $HOST --port $PORT", e->module, object);
    } else if (f->kind == WSGI && python_declares(p, "gunicorn")) {
        buf_adds(out, "gunicorn");
        add_root(out, "--pythonpath", e);
        buf_addf(out, " --bind $HOST:$PORT %s:%s", e->module, object);
    } else if (strcmp(f->package, "flask") == 0) {
        generator_warn(g, "flask's own server is meant for development: add gunicorn to the "
                          "dependencies");
        if (*e->root)
            buf_addf(out, "PYTHONPATH=%s ", e->root);
        buf_addf(out, "flask --app %s:%s run --host $HOST --port $PORT", e->module, object);
    } else {
        generator_warn(g, "%s in %s: no server for it among the dependencies (%s)", f->package,
                       e->path, f->kind == ASGI ? "uvicorn" : "gunicorn");
        return false;
    }
    return true;
}

static int start_framework(struct generator *g, const struct python_project *p,
                           const struct framework *f, const struct python_entry *e,
                           const char *object, struct error *err)
{
    CLEANUP(buf_release) struct buf command = BUF_INIT(COMMAND_SIZE);
    char why[200];

    if (!write_command(g, p, f, e, object, &command))
        return 0;
    if (f->class)
        (void)snprintf(why, sizeof(why), "%s: \"%s = %s(...)\" in %s", f->package, object, f->class,
                       e->path);
    else
        (void)snprintf(why, sizeof(why), "%s is imported in %s", f->package, e->path);
    if (buf_check(&command, "the start command", err) < 0)
        return -1;
    return generator_start_line(g, buf_str(&command), why, err);
}

static int look_into(struct generator *g, const struct python_project *p, const char *path,
                     struct error *err)
{
    CLEANUP(python_entry_release) struct python_entry e;
    bool found;

    if (python_entry_read(g, path, &e, &found, err) < 0)
        return -1;
    for (size_t i = 0; found && i < sizeof(frameworks) / sizeof(frameworks[0]); i++) {
        char object[64];

        if (!python_declares(p, frameworks[i].package) ||
            !find_object(buf_str(&e.text), &frameworks[i], object))
            continue;
        return start_framework(g, p, &frameworks[i], &e, object, err);
    }
    return 0;
}

/* ---- Django ---- */

/* The package of "mysite.settings", as manage.py names it: "mysite". */
static bool settings_package(const char *text, char ret[64])
{
    const char *s = strstr(text, "DJANGO_SETTINGS_MODULE");
    size_t n;

    if (!s)
        return false;
    s += strlen("DJANGO_SETTINGS_MODULE");
    s += *s == '"' || *s == '\'';
    s += strcspn(s, "\"'\n");
    if (*s != '"' && *s != '\'')
        return false;
    s++;
    n = strspn(s, identifier_bytes);
    if (n == 0 || n >= 64 || s[n] != '.')
        return false;
    memcpy(ret, s, n);
    ret[n] = '\0';
    return python_is_identifier(ret);
}

static int start_django(struct generator *g, const struct python_project *p, const char *package,
                        struct error *err)
{
    char path[96], command[256];
    bool wsgi, asgi;

    (void)snprintf(path, sizeof(path), "%s/asgi.py", package);
    if (generator_has(g, path, &asgi, err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/wsgi.py", package);
    if (generator_has(g, path, &wsgi, err) < 0)
        return -1;
    if (wsgi && python_declares(p, "gunicorn")) {
        (void)snprintf(command, sizeof(command), "gunicorn --bind $HOST:$PORT %s.wsgi:application",
                       package);
        return generator_start_line(g, command,
                                    "django: manage.py names the settings, gunicorn "
                                    "is a dependency",
                                    err);
    }
    if (asgi && has_uvicorn(p)) {
        (void)snprintf(command, sizeof(command),
                       "uvicorn %s.asgi:application --host $HOST --port $PORT", package);
        return generator_start_line(g, command,
                                    "django: manage.py names the settings, uvicorn is "
                                    "a dependency",
                                    err);
    }
    generator_warn(g, "django's own server is meant for development: add gunicorn to the "
                      "dependencies");
    return generator_start_line(g, "python manage.py runserver --noreload $HOST:$PORT",
                                "django: manage.py, and no server among the dependencies", err);
}

static int find_django(struct generator *g, const struct python_project *p, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(PYTHON_FILE_MAX);
    char package[64];
    bool found;

    if (!python_declares(p, "django"))
        return 0;
    if (generator_read(g, "manage.py", &text, &found, err) < 0)
        return -1;
    if (!found || !settings_package(buf_str(&text), package))
        return 0;
    return start_django(g, p, package, err);
}

int python_framework_start(struct generator *g, const struct python_project *p, struct error *err)
{
    CLEANUP(argv_release) struct argv paths = ARGV_INIT;

    if (find_django(g, p, err) < 0 || python_entry_paths(g, &paths, err) < 0)
        return -1;
    for (size_t i = 0; i < paths.n && !g->start.found; i++)
        if (look_into(g, p, paths.v[i], err) < 0)
            return -1;
    return 0;
}
