/* Whole projects and the Dockerfiles they get: one directory of golden/ each.
 *
 *   project/    the files
 *   case        "type agent" and "prod COMMAND" lines; there need not be one
 *   Dockerfile  what is generated; "error" instead when it is refused, with the message
 *   notes       the notes and the warnings
 *
 * With KILN_GOLDEN=write the answers are written instead of compared: read them before they are
 * committed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate.h"
#include "tests/dockerfile/sample.h"

#define TEXT_MAX (1 << 20)

struct golden {
    char dir[512];
    int project;
    char type[32], prod[512];
};

static bool read_text(const char *dir, const char *name, struct buf *out)
{
    char path[768], block[4096];
    CLEANUP_FILE FILE *f = NULL;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "re");
    if (!f)
        return false;
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        buf_add(out, block, n);
    return true;
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[768];
    CLEANUP_FILE FILE *f = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
}

static void compare(const struct golden *c, const char *name, const char *text)
{
    CLEANUP(buf_release) struct buf want = BUF_INIT(TEXT_MAX);
    const char *mode = getenv("KILN_GOLDEN");

    if (mode && strcmp(mode, "write") == 0) {
        write_text(c->dir, name, text);
        return;
    }
    if (!read_text(c->dir, name, &want))
        fail_msg("%s: there is no %s; generated:\n%s", c->dir, name, text);
    if (strcmp(buf_str(&want), text) != 0)
        fail_msg("%s/%s: generated:\n%s\nexpected:\n%s", c->dir, name, text, buf_str(&want));
}

/* ---- one case ---- */

static void read_case(struct golden *c)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
    char *rest, *line;

    (void)snprintf(c->type, sizeof(c->type), "agent");
    c->prod[0] = '\0';
    if (!read_text(c->dir, "case", &text) || text.len == 0)
        return;
    rest = text.data;
    while ((line = strsep(&rest, "\n"))) {
        if (text_starts(line, "type "))
            (void)snprintf(c->type, sizeof(c->type), "%.30s", line + strlen("type "));
        else if (text_starts(line, "prod "))
            (void)snprintf(c->prod, sizeof(c->prod), "%.500s", line + strlen("prod "));
        else
            assert_string_equal(line, "");
    }
}

static void list_notes(const struct dockerfile_generation *g, struct buf *out)
{
    for (size_t i = 0; i < g->notes.n; i++)
        buf_addf(out, "%s\n", g->notes.v[i]);
    for (size_t i = 0; i < g->warnings.n; i++)
        buf_addf(out, "warning: %s\n", g->warnings.v[i]);
}

static void check(struct golden *c)
{
    struct dockerfile_settings settings = {.entrypoint_line = 2};
    struct dockerfile_source source = dockerfile_source_directory(&c->project);
    struct dockerfile_generation g;
    struct error err = ERROR_INIT;
    CLEANUP(buf_release) struct buf notes = BUF_INIT(TEXT_MAX);

    read_case(c);
    settings.entrypoint_prod = c->prod[0] ? c->prod : NULL;
    dockerfile_generation_init(&g);
    if (dockerfile_generate(&source, &settings, c->type, &g, &err) < 0) {
        buf_addf(&notes, "%s: %s\n", error_kind_name(err.kind), err.msg);
        compare(c, "error", buf_str(&notes));
    } else {
        dockerfile_free(must_parse(buf_str(&g.text)));
        list_notes(&g, &notes);
        compare(c, "Dockerfile", buf_str(&g.text));
        compare(c, "notes", buf_str(&notes));
    }
    dockerfile_generation_release(&g);
}

/* ---- all of them ---- */

static int is_case(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void test_every_project_gets_the_dockerfile_beside_it(void **state)
{
    const char *root = getenv("KILN_SOURCE");
    struct dirent **names = NULL;
    char golden[400];
    int n;

    (void)state;
    (void)snprintf(golden, sizeof(golden), "%s/tests/dockerfile/golden", root ? root : ".");
    n = scandir(golden, &names, is_case, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        struct golden c;
        char project[768];

        (void)snprintf(c.dir, sizeof(c.dir), "%.399s/%.100s", golden, names[i]->d_name);
        (void)snprintf(project, sizeof(project), "%s/project", c.dir);
        c.project = open(project, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c.project < 0)
            fail_msg("%s: %d", project, errno);
        check(&c);
        close(c.project);
        free(names[i]);
    }
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_project_gets_the_dockerfile_beside_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
