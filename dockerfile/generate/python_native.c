/* dockerfile/generate/python_native — Debian packages that Python packages are built with and run
 * with.  Tools to build are in the first stage alone. */
#include <string.h>

#include "dockerfile/generate/python.h"

#define COMPILER "build-essential"

static const struct native {
    const char *python;
    const char *build[3], *run[3];
} natives[] = {
    {"mysqlclient", {COMPILER, "default-libmysqlclient-dev", "pkg-config"}, {"libmariadb3"}},
    {"moviepy", {NULL}, {"ffmpeg"}},
    {"opencv-contrib-python", {NULL}, {"libgl1", "libglib2.0-0"}},
    {"opencv-python", {NULL}, {"libgl1", "libglib2.0-0"}},
    {"pdf2image", {NULL}, {"poppler-utils"}},
    {"psycopg", {NULL}, {"libpq5"}},
    {"psycopg-c", {COMPILER, "libpq-dev"}, {"libpq5"}},
    {"psycopg2", {COMPILER, "libpq-dev"}, {"libpq5"}},
    {"pycairo", {COMPILER, "libcairo2-dev", "pkg-config"}, {"libcairo2"}},
    {"pydub", {NULL}, {"ffmpeg"}},
    {"pygraphviz", {COMPILER, "libgraphviz-dev"}, {"graphviz"}},
    {"pyodbc", {NULL}, {"unixodbc"}},
    {"pytesseract", {NULL}, {"tesseract-ocr"}},
    {"python-ldap", {COMPILER, "libldap-dev", "libsasl2-dev"}, {"libldap2"}},
    {"python-magic", {NULL}, {"libmagic1"}},
    {"uwsgi", {COMPILER}, {NULL}},
    {"weasyprint", {NULL}, {"libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"}},
};

static void add_each(struct argv *out, const char *const names[3])
{
    for (int i = 0; i < 3 && names[i]; i++)
        if (!argv_contains(out, names[i]))
            argv_push1(out, names[i]);
}

/* psycopg brings its library along when its extra, or a package of it, is asked for. */
static bool brings_its_own(const struct python_project *p, const char *name)
{
    return strcmp(name, "psycopg") == 0 &&
           (python_declares(p, "psycopg[binary]") || python_uses(p, "psycopg-binary"));
}

void python_native_packages(const struct python_project *p, struct argv *ret_build,
                            struct argv *ret_run, struct buf *ret_why)
{
    static const char *const git[3] = {"git"};

    for (size_t i = 0; i < sizeof(natives) / sizeof(natives[0]); i++) {
        const struct native *n = &natives[i];

        if (!python_uses(p, n->python) || brings_its_own(p, n->python))
            continue;
        add_each(ret_build, n->build);
        add_each(ret_run, n->run);
        buf_addf(ret_why, "%s%s", ret_why->len ? ", " : "", n->python);
    }
    if (python_declares(p, "psycopg[c]"))
        add_each(ret_build, (const char *const[3]){COMPILER, "libpq-dev"});
    if (p->needs_git) {
        add_each(ret_build, git);
        buf_addf(ret_why, "%sa git repository", ret_why->len ? ", " : "");
    }
}
