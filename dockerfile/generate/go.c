/* dockerfile/generate/go — a Go program is built in one stage, and alone in the next.
 *
 * Modules are downloaded before the sources are copied, unless what is downloaded depends on them:
 * a workspace, a replacement by a directory of the project.  Then the build downloads them, into a
 * cache that stays.  The final stage has the program, and the directories of data that programs
 * commonly open; glibc is there for what cgo links. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/go_command.h"
#include "dockerfile/generate/go_package.h"
#include "dockerfile/generate/go_version.h"
#include "dockerfile/quote.h"

#define MODULE_CACHE "--mount=type=cache,target=/go/pkg/mod"
#define BUILD_CACHE  "--mount=type=cache,target=/root/.cache/go-build"
#define REPLACED_MAX 1000 /* directories of go.mod and go.work; each is looked up */

struct project {
    struct go_module module, work; /* of go.mod and go.work; empty without */
    bool has_module, has_work;
    bool has_sums; /* go.sum */
    bool is_vendored;
    bool is_joined; /* what is downloaded depends on the sources */
    struct go_image image;
    struct go_command command;
    struct go_target target;
    char cgo[256]; /* why it is needed; "" when it is not */
};

static void project_release(struct project *p)
{
    go_module_release(&p->module);
    go_module_release(&p->work);
}

static int detect(struct generator *g, const char **ret_reason, struct error *err)
{
    static const char *const names[] = {"go.mod", "go.work", "main.go", NULL};

    return generator_first(g, names, ret_reason, err);
}

/* ---- what the project says ---- */

/* Directories that go.mod and go.work name have to be in the project, each with its go.mod. */
static int check_directory(struct generator *g, const char *file, const char *verb, const char *dir,
                           int line, struct error *err)
{
    char path[GO_PATH_MAX], mod[GO_PATH_MAX], quoted[QUOTE_SIZE];
    bool has = false;

    if (!go_path_join("", dir, path) || !go_path_join(path, "go.mod", mod))
        return error_set(err, ERR_INPUT, "%s line %d: %s %s is outside the project", file, line,
                         verb, quote_short(dir, quoted));
    if (generator_has(g, mod, &has, err) < 0)
        return -1;
    return has ? 0
               : error_set(err, ERR_INPUT,
                           "%s line %d: %s %s: there is no go.mod in that directory of the project",
                           file, line, verb, quote_short(dir, quoted));
}

static int check_directories(struct generator *g, const struct go_module *m, struct error *err)
{
    if (m->replaced.n + m->used.n > REPLACED_MAX)
        return error_set(err, ERR_LIMIT, "%s: more than %d directories", m->file, REPLACED_MAX);
    for (size_t i = 0; i < m->used.n; i++)
        if (check_directory(g, m->file, "use", m->used.v[i].value, m->used.v[i].line, err) < 0)
            return -1;
    for (size_t i = 0; i < m->replaced.n; i++)
        if (check_directory(g, m->file, "replace", m->replaced.v[i].target, m->replaced.v[i].line,
                            err) < 0)
            return -1;
    return 0;
}

static int read_files(struct generator *g, struct project *p, struct error *err)
{
    if (go_module_read(g, "go.mod", &p->module, &p->has_module, err) < 0 ||
        go_module_read(g, "go.work", &p->work, &p->has_work, err) < 0 ||
        generator_has(g, "go.sum", &p->has_sums, err) < 0 ||
        generator_has(g, "vendor/modules.txt", &p->is_vendored, err) < 0)
        return -1;
    if (check_directories(g, &p->module, err) < 0 || check_directories(g, &p->work, err) < 0)
        return -1;
    p->is_joined = p->has_work || p->module.replaced.n > 0;
    go_image_choose(p->has_work && p->work.go.value ? &p->work : &p->module, &p->image);
    return 0;
}

static int find_target(struct generator *g, struct project *p, struct error *err)
{
    (void)snprintf(p->command.path, sizeof(p->command.path), "%s", GO_PROGRAM);
    if (g->start.found && go_command_read(g, &p->module, &p->command, err) < 0)
        return -1;
    if (p->command.names_target)
        p->target = p->command.target;
    else if (go_target_find(g, &p->work, p->command.program, &p->target, err) < 0)
        return -1;
    if (!g->start.found)
        generator_start_words(g, p->target.why, GO_PROGRAM, NULL);
    return 0;
}

/* Modules that are C, or that need it to be of use. */
static const char *const cgo_modules[] = {"github.com/mattn/go-sqlite3",
                                          "github.com/confluentinc/confluent-kafka-go",
                                          "github.com/marcboeker/go-duckdb",
                                          "github.com/duckdb/duckdb-go",
                                          "github.com/tursodatabase/go-libsql",
                                          "github.com/asg017/sqlite-vec-go-bindings",
                                          "github.com/DataDog/zstd",
                                          "github.com/valyala/gozstd",
                                          "github.com/smacker/go-tree-sitter",
                                          "github.com/tree-sitter/go-tree-sitter",
                                          "github.com/chai2010/webp",
                                          NULL};

static int find_cgo(struct generator *g, struct project *p, struct error *err)
{
    struct go_package package;

    for (const char *const *name = cgo_modules; *name; name++)
        if (go_module_requires(&p->module, *name)) {
            (void)snprintf(p->cgo, sizeof(p->cgo), "go.mod: %s is written in C", *name);
            return 0;
        }
    if (go_package_read(g, p->target.dir, &package, err) < 0)
        return -1;
    if (!package.cgo[0] && go_package_read(g, "", &package, err) < 0)
        return -1;
    if (package.cgo[0])
        (void)snprintf(p->cgo, sizeof(p->cgo), "%s: import \"C\"", package.cgo);
    return 0;
}

/* ---- the stage that builds ---- */

static void draft_image(struct generator *g, const struct project *p)
{
    draft_line(g, p->image.why, "FROM %s AS build", p->image.name);
    if (p->image.fetch)
        draft_line(g, "the release that was asked for is fetched, should the image's Go be older",
                   "ENV GOTOOLCHAIN=auto");
    else
        draft_line(g, "the Go of this image and no other", "ENV GOTOOLCHAIN=local");
    draft_line(g, "", "WORKDIR /src");
}

static void draft_new_module(struct generator *g)
{
    draft_line(g, "all of the sources", "COPY . .");
    draft_line(g, "there is no go.mod: one is made, with the newest version of what is imported",
               "RUN " MODULE_CACHE " go mod init app && go mod tidy");
    generator_warn(g, "no go.mod: each build takes the newest version of each import; run \"go mod "
                      "init\" and \"go mod tidy\", and add go.mod and go.sum");
}

static void draft_download(struct generator *g, const struct project *p)
{
    if (p->is_joined) {
        draft_line(g,
                   p->has_work ? "go.work: modules of the project are needed to know the others"
                               : "go.mod: a replace directive needs a directory of the project",
                   "COPY . .");
        return;
    }
    if (p->module.required.n > 0) {
        draft_line(g, "what decides the download goes before the sources, so that it is cached",
                   "COPY go.mod %s./", p->has_sums ? "go.sum " : "");
        draft_line(g, "", "RUN " MODULE_CACHE " go mod download");
    }
    draft_line(g, "all of the sources", "COPY . .");
}

static void draft_modules(struct generator *g, const struct project *p)
{
    if (p->is_vendored)
        draft_line(g, "vendor/modules.txt: the modules are in the project, nothing is downloaded",
                   "COPY . .");
    else if (!p->has_module && !p->has_work)
        draft_new_module(g);
    else
        draft_download(g, p);
}

/* A module that a directory of the project replaces has no sum. */
static bool needs_sums(const struct go_module *m)
{
    if (m->required.n > m->replaced.n)
        return true;
    for (size_t i = 0; i < m->required.n; i++) {
        size_t k = 0;

        while (k < m->replaced.n && strcmp(m->replaced.v[k].value, m->required.v[i].value) != 0)
            k++;
        if (k == m->replaced.n)
            return true;
    }
    return false;
}

/* -mod=mod lets the build write the sums that are missing; a workspace has no such mode. */
static const char *module_flag(struct generator *g, const struct project *p)
{
    if (p->is_vendored)
        return " -mod=vendor";
    if (p->has_sums || p->has_work || !needs_sums(&p->module))
        return "";
    generator_warn(g, "no go.sum: what is downloaded is compared with nothing; run \"go mod tidy\" "
                      "and add it");
    return " -mod=mod";
}

static void draft_build(struct generator *g, const struct project *p)
{
    char why[sizeof(p->target.why) + sizeof(p->cgo) + 8];

    (void)snprintf(why, sizeof(why), "%s%s%s", p->target.why, *p->cgo ? "; " : "", p->cgo);
    draft_line(g, why,
               "RUN " MODULE_CACHE " " BUILD_CACHE
               " CGO_ENABLED=%c go build -trimpath%s%s%s -ldflags=\"-s -w\" -o /out/app %s",
               *p->cgo ? '1' : '0', module_flag(g, p), *p->command.tags ? " -tags=" : "",
               p->command.tags, p->target.package);
}

/* ---- the stage that runs ---- */

/* What programs open from where they run; by these names in the root, and no others. */
static int draft_data(struct generator *g, struct error *err)
{
    static const char *const names[] = {"static",     "public", "assets",  "templates", "views",
                                        "migrations", "config", "configs", "locales",   NULL};

    for (const char *const *name = names; *name; name++) {
        enum source_kind kind;

        if (g->source->kind(g->source->self, *name, &kind, err) < 0)
            return -1;
        if (kind == SOURCE_DIRECTORY)
            draft_line(g, "directories that a program may open where it runs", "COPY %s ./%s",
                       *name, *name);
    }
    return 0;
}

static int draft_final(struct generator *g, const struct project *p, struct error *err)
{
    draft_gap(g);
    draft_line(g, "the program, without the Go that built it", "FROM debian:bookworm-slim");
    draft_line(g, "for HTTPS",
               "COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/");
    draft_line(g, "", "WORKDIR " GO_APP);
    if (p->command.needs_project)
        draft_line(g, g->start.why, "COPY . .");
    else if (draft_data(g, err) < 0)
        return -1;
    draft_line(g, p->command.program[0] ? g->start.why : "", "COPY --from=build /out/app %s",
               p->command.path);
    draft_service(g);
    draft_start(g);
    return 0;
}

static void note(struct generator *g, const struct project *p, bool configured)
{
    generator_note(g, "Go %s (%s); %s", p->image.asked, p->image.why, p->image.name);
    generator_note(g, "Program %s (%s)", p->target.package, p->target.why);
    if (configured)
        generator_note(g, "Started by %s", g->start.why);
}

static int write_project(struct generator *g, struct project *p, struct error *err)
{
    bool configured = g->start.found;

    if (read_files(g, p, err) < 0 || find_target(g, p, err) < 0 || find_cgo(g, p, err) < 0)
        return -1;
    note(g, p, configured);
    draft_image(g, p);
    draft_modules(g, p);
    draft_build(g, p);
    return draft_final(g, p, err);
}

static int draft(struct generator *g, struct error *err)
{
    CLEANUP(project_release)
    struct project p = {.module = GO_MODULE_INIT, .work = GO_MODULE_INIT};

    return write_project(g, &p, err);
}

const struct language language_go = {
    .name = "go", .detect = detect, .write = draft, .looked_for = "go.mod, go.work, main.go"};
