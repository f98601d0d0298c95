/* dockerfile/plan — reads blaxel.toml, finds or writes the Dockerfile, and asks everything about it
 * that can be answered before a build; see the header. */
#include "dockerfile/plan.h"

#include <string.h>

#include "dockerfile/context.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/generate.h"
#include "dockerfile/missing.h"
#include "dockerfile/quote.h"

#define SETTINGS_MAX   (1 << 20)
#define DOCKERFILE_MAX ((1 << 20) + 1) /* one more than the parser takes, so that it says so */
#define IGNORE_MAX     (1 << 20)
#define ARGUMENT_MAX   (128 << 10) /* Linux's MAX_ARG_STRLEN, the NUL included */

void dockerfile_plan_init(struct dockerfile_plan *p)
{
    *p = (struct dockerfile_plan){
        .settings_text = BUF_INIT(SETTINGS_MAX),
        .text = BUF_INIT(DOCKERFILE_MAX),
        .ignore = BUF_INIT(IGNORE_MAX),
    };
    dockerfile_settings_init(&p->settings);
}

void dockerfile_plan_release(struct dockerfile_plan *p)
{
    for (size_t i = 0; i < p->n_checks; i++) {
        free(p->checks[i].rule);
        free(p->checks[i].detail);
        free(p->checks[i].url);
    }
    for (size_t i = 0; i < p->n_stages; i++) {
        free(p->stages[i].name);
        free(p->stages[i].base);
    }
    free(p->checks);
    free(p->stages);
    buf_release(&p->settings_text);
    dockerfile_settings_release(&p->settings);
    argv_release(&p->build_args);
    buf_release(&p->text);
    buf_release(&p->ignore);
    argv_release(&p->notes);
    argv_release(&p->warnings);
    argv_release(&p->images);
    argv_release(&p->sandbox);
}

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "plan the build: out of memory");
}

/* ---- the project's files ---- */

struct planner {
    const struct dockerfile_plan_request *req;
    struct dockerfile_plan *out;
};

static int read_file(struct planner *p, const char *path, struct buf *out, bool *ret_found,
                     struct error *err)
{
    const struct dockerfile_source *s = p->req->source;

    return s->read(s->self, path, out, ret_found, err);
}

static int add_words(struct argv *to, const struct argv *from)
{
    for (size_t i = 0; i < from->n; i++)
        argv_push1(to, from->v[i]);
    return to->failed ? -1 : 0;
}

static bool is_given(const struct argv *build_args, const char *arg)
{
    size_t n = strcspn(arg, "=");

    for (size_t i = 0; i < build_args->n; i++)
        if (strncmp(build_args->v[i], arg, n) == 0 && build_args->v[i][n] == '=')
            return true;
    return false;
}

int dockerfile_plan_build_args(const struct dockerfile_settings *settings, const struct argv *given,
                               struct argv *ret, struct error *err)
{
    for (size_t i = 0; i < settings->build_args.n; i++)
        if (!is_given(given, settings->build_args.v[i]))
            argv_push1(ret, settings->build_args.v[i]);
    return add_words(ret, given) < 0 ? out_of_memory(err) : 0;
}

int dockerfile_plan_type(const struct dockerfile_settings *settings, const char **ret,
                         struct error *err)
{
    const char *type = settings->type;

    if (type && strcmp(type, "volume-template") == 0)
        return error_set(err, ERR_INPUT,
                         "blaxel.toml: type is volume-template, of which no image is built; for an "
                         "image name another type, sandbox, agent, function or job");
    *ret = type && strcmp(type, "application") != 0 ? type : "sandbox";
    return 0;
}

static int read_settings(struct planner *p, struct error *err)
{
    struct dockerfile_plan *out = p->out;
    const char *type = p->req->type;
    bool found;

    if (read_file(p, "blaxel.toml", &out->settings_text, &found, err) < 0)
        return -1;
    if (found && dockerfile_settings_read(buf_str(&out->settings_text), out->settings_text.len,
                                          &out->settings, err) < 0)
        return -1;
    if (!*type && dockerfile_plan_type(&out->settings, &type, err) < 0)
        return -1;
    (void)snprintf(out->type, sizeof(out->type), "%s", type);
    if (add_words(&out->warnings, &out->settings.warnings) < 0)
        return out_of_memory(err);
    return dockerfile_plan_build_args(&out->settings, p->req->build_args, &out->build_args, err);
}

static int take_generation(struct planner *p, const struct dockerfile_generation *g,
                           struct error *err)
{
    struct dockerfile_plan *out = p->out;

    out->generated = true;
    (void)snprintf(out->language, sizeof(out->language), "%s", g->language);
    buf_add(&out->text, buf_str(&g->text), g->text.len);
    buf_add(&out->ignore, buf_str(&g->ignore), g->ignore.len);
    if (add_words(&out->notes, &g->notes) < 0 || add_words(&out->warnings, &g->warnings) < 0)
        return out_of_memory(err);
    return buf_check(&out->text, "the generated Dockerfile", err);
}

static int generate(struct planner *p, struct error *err)
{
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;

    dockerfile_generation_init(&g);
    if (dockerfile_generate(p->req->source, &p->out->settings, p->out->type, &g, err) < 0)
        return -1;
    return take_generation(p, &g, err);
}

/* The one that was named, [build] dockerfile, else the names that every builder knows. */
static int find_dockerfile(struct planner *p, bool *ret_found, struct error *err)
{
    const char *const names[] = {p->req->file, p->out->settings.build_dockerfile, "Dockerfile",
                                 "Containerfile"};
    char quoted[QUOTE_SIZE];

    *ret_found = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !*ret_found; i++) {
        if (!names[i] || p->req->generate)
            continue;
        if (read_file(p, names[i], &p->out->text, ret_found, err) < 0)
            return -1;
        if (!*ret_found && i == 1)
            argv_pushf(&p->out->warnings,
                       "[build] dockerfile in blaxel.toml names %s, which is not there",
                       quote_short(names[i], quoted));
        if (*ret_found)
            (void)snprintf(p->out->file, sizeof(p->out->file), "%s", names[i]);
    }
    return 0;
}

static int read_ignore(struct planner *p, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    bool found = false;

    dockerfile_ignore_names(p->out->file[0] ? p->out->file : "Dockerfile", &names);
    if (names.failed)
        return out_of_memory(err);
    for (size_t i = 0; i < names.n && !found; i++)
        if (read_file(p, names.v[i], &p->out->ignore, &found, err) < 0)
            return -1;
    return 0;
}

static int find_or_generate(struct planner *p, struct error *err)
{
    bool found;

    if (find_dockerfile(p, &found, err) < 0 || read_ignore(p, err) < 0)
        return -1;
    return found ? 0 : generate(p, err);
}

/* ---- questions about the Dockerfile ---- */

static int add_stage(struct dockerfile_plan *out, const struct dockerfile_outcome *o)
{
    struct dockerfile_plan_stage *to = &out->stages[out->n_stages++];

    to->name = o->stage->name ? strdup(o->stage->name) : NULL;
    to->base = strdup(o->base);
    to->line = o->stage->instructions->first_line;
    to->needed = o->needed;
    return !to->base || (o->stage->name && !to->name) ? -1 : 0;
}

static int list_stages(struct planner *p, const struct dockerfile_evaluation *e, struct error *err)
{
    struct dockerfile_plan *out = p->out;
    size_t n, target;
    const struct dockerfile_outcome *outcomes = dockerfile_outcomes(e, &n, &target);

    out->stages = calloc(n, sizeof(*out->stages));
    if (!out->stages)
        return out_of_memory(err);
    for (size_t i = 0; i < n; i++)
        if (add_stage(out, &outcomes[i]) < 0)
            return out_of_memory(err);
    return 0;
}

static int add_check(struct dockerfile_plan *out, const struct dockerfile_warning *w)
{
    struct dockerfile_plan_check *to = &out->checks[out->n_checks++];

    to->rule = strdup(w->rule);
    if (asprintf(&to->detail, "%s%s%s", w->detail, w->advice ? "; " : "",
                 w->advice ? w->advice : "") < 0)
        to->detail = NULL;
    to->url = w->url ? strdup(w->url) : NULL;
    to->first_line = w->first_line;
    to->last_line = w->last_line;
    return !to->rule || !to->detail || (w->url && !to->url) ? -1 : 0;
}

/* BuildKit tells them in the order of its phases; people read from top to bottom. */
static int compare_lines(const void *a, const void *b)
{
    const struct dockerfile_plan_check *x = a, *y = b;

    if (x->first_line != y->first_line)
        return x->first_line < y->first_line ? -1 : 1;
    return strcmp(x->rule, y->rule);
}

static int take_findings(struct planner *p, const struct dockerfile_findings *f, struct error *err)
{
    struct dockerfile_plan *out = p->out;

    out->checks = calloc(f->n + 1, sizeof(*out->checks));
    if (!out->checks)
        return out_of_memory(err);
    for (size_t i = 0; i < f->n; i++)
        if (add_check(out, &f->warnings[i]) < 0)
            return out_of_memory(err);
    qsort(out->checks, out->n_checks, sizeof(*out->checks), compare_lines);
    if (f->failure.kind == ERR_NONE)
        return 0;
    *err = f->failure;
    return -1;
}

static int check(struct planner *p, const struct dockerfile *d, const struct dockerfile_ignore *g,
                 struct error *err)
{
    const struct dockerfile_check_request req = {.build.build_args = &p->out->build_args,
                                                 .ignore = g,
                                                 .all_stages = p->req->all_stages,
                                                 .hadolint = true};
    struct dockerfile_findings findings;
    int r;

    if (dockerfile_check(d, &req, &findings, err) < 0)
        return -1;
    r = take_findings(p, &findings, err);
    dockerfile_findings_release(&findings);
    return r;
}

/* A system refuses to start a program with a longer argument, in words that help nobody. */
static int refuse_long_command(const struct dockerfile_step *step, struct error *err)
{
    if (strcmp(step->instruction->keyword, "RUN") != 0)
        return 0;
    for (size_t i = 0; i < step->words.n; i++)
        if (strlen(step->words.v[i]) >= ARGUMENT_MAX)
            return error_set(err, ERR_LIMIT,
                             "dockerfile parse error on line %d: the command is longer than the %d "
                             "bytes that a shell can be given: put it into a file, COPY that and "
                             "run it",
                             step->first_line, ARGUMENT_MAX - 1);
    return 0;
}

static int refuse_long_commands(const struct dockerfile_evaluation *e, struct error *err)
{
    size_t n, target;
    const struct dockerfile_outcome *outcomes = dockerfile_outcomes(e, &n, &target);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; outcomes[i].needed && k < outcomes[i].n_steps; k++)
            if (refuse_long_command(&outcomes[i].steps[k], err) < 0)
                return -1;
    return 0;
}

static int evaluate(struct planner *p, const struct dockerfile *d,
                    const struct dockerfile_ignore *g, struct error *err)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    const struct dockerfile_request req = {.build_args = &p->out->build_args};

    if (dockerfile_evaluate(d, &req, &e, err) < 0 || list_stages(p, e, err) < 0 ||
        dockerfile_images(d, &p->out->build_args, &p->out->images, err) < 0 ||
        refuse_long_commands(e, err) < 0)
        return -1;
    return missing_refuse(e, p->req->source, g, err);
}

/* What is lacking as far as the project tells: its base image is not here yet. */
static int look_for_sandbox_api(struct planner *p, const struct dockerfile *d, struct error *err)
{
    struct dockerfile_plan *out = p->out;
    const struct dockerfile_sandbox_request req = {
        .image = p->req->sandbox_image, .build_args = &out->build_args, .context = p->req->source};
    CLEANUP(dockerfile_sandbox_findings_release) struct dockerfile_sandbox_findings found;
    const char *note;
    size_t n;

    if (dockerfile_find_sandbox_api(d, &req, &found, err) < 0)
        return -1;
    for (note = buf_str(&found.notes); *note; note += n + (note[n] == '\n')) {
        n = strcspn(note, "\n");
        argv_pushf(&out->sandbox, "%.*s", (int)n, note);
    }
    if (found.lacks_copy && !argv_contains(&out->images, p->req->sandbox_image))
        argv_push1(&out->images, p->req->sandbox_image);
    if (add_words(&out->warnings, &found.warnings) < 0 || out->sandbox.failed)
        return out_of_memory(err);
    return 0;
}

/* Docker's own, at Docker's or a mirror: "docker/dockerfile:1", "docker/dockerfile-upstream:…" */
static bool is_dockers(const char *frontend)
{
    const char *name = strstr(frontend, "docker/dockerfile");

    return name && (name == frontend || name[-1] == '/') &&
           strchr(":@-", name[strlen("docker/dockerfile")]);
}

/* A text for another frontend may mean something else where it reads as a Dockerfile. */
static int warn_of_frontend(struct planner *p, const struct dockerfile *d, struct error *err)
{
    const char *frontend = dockerfile_syntax(d);
    char quoted[QUOTE_SIZE];

    if (frontend && !is_dockers(frontend))
        argv_pushf(&p->out->warnings,
                   "the frontend %s of # syntax= is left out of account: Dockerfiles are read as "
                   "BuildKit's own reads them, and no other is run",
                   quote_short(frontend, quoted));
    return p->out->warnings.failed ? out_of_memory(err) : 0;
}

static int study(struct planner *p, struct error *err)
{
    CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;
    const struct dockerfile_plan *out = p->out;

    if (dockerfile_parse(buf_str(&out->text), out->text.len, &dockerfile_limits_default, &d, err) <
        0)
        return -1;
    if (dockerfile_ignore_parse(buf_str(&out->ignore), out->ignore.len, &ignore, err) < 0)
        return error_wrap(err, "the ignore file");
    if (warn_of_frontend(p, d, err) < 0 || check(p, d, ignore, err) < 0)
        return -1;
    if (evaluate(p, d, ignore, err) < 0)
        return -1;
    if (p->req->dirfd &&
        dockerfile_context_digest(*p->req->dirfd, ignore, p->out->context, err) < 0)
        return -1;
    return strcmp(out->type, "sandbox") == 0 ? look_for_sandbox_api(p, d, err) : 0;
}

static int make(struct planner *p, struct error *err)
{
    if (read_settings(p, err) < 0 || find_or_generate(p, err) < 0)
        return -1;
    return study(p, err);
}

int dockerfile_plan_make(const struct dockerfile_plan_request *req, struct dockerfile_plan *ret,
                         struct error *err)
{
    struct planner p = {.req = req, .out = ret};

    if (make(&p, &ret->failure) < 0 && ret->failure.kind == ERR_SYSTEM) {
        *err = ret->failure;
        return -1;
    }
    return 0;
}
