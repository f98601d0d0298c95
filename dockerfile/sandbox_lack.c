/* dockerfile/sandbox_lack — what the final image lacks to be a sandbox, in lines of a Dockerfile.
 *
 * Where they stand makes no difference to what they do: COPY writes as root whatever USER says, its
 * paths are absolute whatever WORKDIR says, and an ENTRYPOINT in JSON form knows no SHELL. */
#include <string.h>

#include "dockerfile/base.h"
#include "dockerfile/quote.h"
#include "dockerfile/reference.h"
#include "dockerfile/sandbox.h"
#include "dockerfile/sandbox_start.h"

#define DESTINATION "/usr/local/bin/sandbox-api"
#define ADDED_MAX   (512 << 10) /* the lines and notes; a CMD may be repeated in them */

struct injector {
    const struct dockerfile *d;
    const struct dockerfile_sandbox_request *request;
    struct graph g;
    struct sandbox_place place;
    struct sandbox_start start;
    const char *base_word; /* sandbox-api as the base image's own command names it, or NULL */
    struct sandbox_judgement judgement;
    struct dockerfile_sandbox_findings *out;
};

static void injector_release(struct injector *j)
{
    graph_release(&j->g);
}

/* ---- words ---- */

/* `final stage "app"`, or by its line when it has no name */
static void add_stage_label(const struct injector *j, struct buf *out)
{
    const struct dockerfile_stage *last = &j->d->stages[j->d->n_stages - 1];

    if (last->name)
        buf_addf(out, "final stage \"%s\"", last->name);
    else
        buf_addf(out, "final stage (line %d)", last->instructions->first_line);
}

/* "The ENTRYPOINT on line 3", "The base image's ENTRYPOINT" */
static void add_command_label(const struct sandbox_command *c, const char *keyword, struct buf *out)
{
    if (c->instruction)
        buf_addf(out, "%s on line %d", keyword, c->instruction->first_line);
    else
        buf_addf(out, "base image's %s", keyword);
}

/* ---- the binary ---- */

/* A path may need quotes, which only the JSON form has. */
static void add_copy(struct buf *out, const char *image, const char *to)
{
    const char *words[] = {"/sandbox-api", to};
    const struct argv list = {.v = (char **)words, .n = 2};

    buf_addf(out, "COPY --from=%s ", image);
    if (strcmp(to, DESTINATION) == 0)
        buf_addf(out, "%s %s", words[0], words[1]);
    else
        quote_json_words(out, &list);
    buf_addc(out, '\n');
}

/* Where the Dockerfile's own command looks for it, or where it is by custom. */
static const char *destination(const struct injector *j)
{
    return j->judgement.missing ? j->judgement.missing : DESTINATION;
}

static void copy_binary(struct injector *j)
{
    struct buf *notes = &j->out->notes;
    const char *to = destination(j);

    if (j->place.path) {
        buf_adds(notes, "Left sandbox-api as it is: the ");
        add_stage_label(j, notes);
        buf_addf(notes, " has it at %s by %s on line %d.\n", j->place.path,
                 j->place.source->keyword, j->place.source->first_line);
        return;
    }
    if (j->base_word) {
        buf_addf(notes, "Left sandbox-api as it is: the base image %s starts %s.\n", j->place.base,
                 j->base_word);
        return;
    }
    add_copy(&j->out->lines, j->request->image, to);
    buf_addf(notes, "Added sandbox-api: COPY --from=%s /sandbox-api %s (the ", j->request->image,
             to);
    add_stage_label(j, notes);
    buf_adds(notes, " neither is nor copies ghcr.io/blaxel-ai/sandbox).\n");
    if (reference_is_scratch(j->place.base))
        buf_adds(notes,
                 "The final stage is FROM scratch: commands in the sandbox find no shell but "
                 "what the Dockerfile copies.\n");
    j->out->lacks_copy = true;
}

/* ---- the CMD ---- */

/* The words of CMD, a line given to its shell. */
static void push_cmd(struct injector *j, struct argv *words)
{
    struct arena *a = &j->g.arena;
    const struct sandbox_command *cmd = &j->start.cmd;

    for (size_t i = 0; cmd->shell && i < j->start.shell.n; i++)
        arena_push(a, words, j->start.shell.v[i]);
    for (size_t i = 0; i < cmd->words.n; i++)
        arena_push(a, words, cmd->words.v[i]);
}

/* What the container would have run is the base image's ENTRYPOINT with CMD behind it: as one
 * command, it becomes the CMD. */
static void join_cmd(struct injector *j, struct argv *words)
{
    struct buf *notes = &j->out->notes;

    for (size_t i = 0; i < j->start.entrypoint.words.n; i++)
        arena_push(&j->g.arena, words, j->start.entrypoint.words.v[i]);
    push_cmd(j, words);
    buf_adds(&j->out->lines, "CMD ");
    quote_json_words(&j->out->lines, words);
    buf_adds(&j->out->lines, "\n");
    buf_adds(notes, "Added CMD ");
    quote_json_words(notes, words);
    buf_adds(notes, ": the base image's ENTRYPOINT, with the CMD behind it, as sandbox-api's "
                    "arguments.\n");
}

static void keep_cmd(struct injector *j, struct argv *words)
{
    struct buf *notes = &j->out->notes;
    const struct sandbox_command *cmd = &j->start.cmd;

    push_cmd(j, words);
    if (cmd->inherited && cmd->instruction) {
        buf_addf(&j->out->lines, "%s\n", cmd->instruction->original);
    } else if (cmd->inherited) {
        buf_adds(&j->out->lines, "CMD ");
        quote_json_words(&j->out->lines, &cmd->words);
        buf_adds(&j->out->lines, "\n");
    }
    buf_adds(notes, "The ");
    add_command_label(cmd, "CMD", notes);
    buf_addf(notes, " is kept: sandbox-api gets it as its arguments%s.\n",
             cmd->inherited ? ", and it is repeated in the final stage" : "");
}

/* An ENTRYPOINT clears the CMD that comes from another stage or from the base image, so that one
 * is said again. */
static void say_cmd(struct injector *j)
{
    struct argv words = ARGV_INIT; /* in the arena */

    if (j->start.entrypoint.words.n > 0)
        join_cmd(j, &words);
    else if (j->start.cmd.words.n > 0)
        keep_cmd(j, &words);
    if (words.n > 0 && words.v[0] && *words.v[0] == '-')
        argv_pushf(&j->out->warnings,
                   "CMD begins with \"%.100s\", which sandbox-api takes for an option of its own: "
                   "set an ENTRYPOINT that starts both, or a CMD that is a whole command",
                   words.v[0]);
    if (!j->start.base_known && j->start.cmd.words.n == 0)
        buf_adds(&j->out->notes, "The base image's own ENTRYPOINT and CMD, if it has any, no "
                                 "longer apply.\n");
}

/* ---- the ENTRYPOINT ---- */

static void warn_never_started(struct injector *j, const char *keyword,
                               const struct sandbox_command *c)
{
    CLEANUP(buf_release) struct buf label = BUF_INIT(256);

    add_command_label(c, keyword, &label);
    argv_pushf(&j->out->warnings,
               "nothing starts sandbox-api: the %s does not name it%s%.200s%s, so the sandbox will "
               "not answer; start it there in the background, or leave the ENTRYPOINT out",
               buf_str(&label), j->judgement.script ? ", nor does " : "",
               j->judgement.script ? j->judgement.script : "",
               j->judgement.script ? " (from the project)" : "");
}

/* Leaves what is there, and says what is known of it. */
static void leave(struct injector *j, const char *keyword, const struct sandbox_command *c)
{
    struct buf *notes = &j->out->notes;

    buf_adds(notes, "Left the ");
    add_command_label(c, keyword, notes);
    buf_adds(notes, " as it is: it ");
    if (j->judgement.verdict == SANDBOX_STARTED && j->judgement.script)
        buf_addf(notes, "starts sandbox-api (%s names it).\n", j->judgement.script);
    else if (j->judgement.verdict == SANDBOX_STARTED)
        buf_adds(notes, "starts sandbox-api.\n");
    else
        buf_adds(notes, "has to start sandbox-api itself.\n");
    if (j->judgement.verdict == SANDBOX_NEVER_STARTED)
        warn_never_started(j, keyword, c);
}

static void add_entrypoint(struct injector *j)
{
    struct buf *notes = &j->out->notes;
    const char *path = j->place.path ? j->place.path : j->base_word ? j->base_word : DESTINATION;

    buf_adds(&j->out->lines, "ENTRYPOINT [");
    quote_json(&j->out->lines, path);
    buf_adds(&j->out->lines, "]\n");
    buf_adds(notes, "Added ENTRYPOINT [");
    quote_json(notes, path);
    buf_adds(notes, j->start.entrypoint.words.n > 0 ? "]: the base image's does not start it.\n"
                                                    : "]: the Dockerfile sets none.\n");
    say_cmd(j);
    j->out->lacks_entrypoint = true;
}

/* A base that carries the binary was made to be a sandbox: its own command is trusted. */
static bool is_carried_by_base(const struct injector *j)
{
    return j->base_word ||
           (j->place.source && instruction_is(j->place.source, "FROM") && !j->place.is_sandbox);
}

/* The one of the two that starts it. */
static void leave_starter(struct injector *j)
{
    const struct sandbox_command *entrypoint = &j->start.entrypoint, *cmd = &j->start.cmd;

    if (cmd->words.n > 0 && !sandbox_start_named(&j->g.arena, &entrypoint->words))
        leave(j, "CMD", cmd);
    else
        leave(j, "ENTRYPOINT", entrypoint);
}

static void set_entrypoint(struct injector *j)
{
    const struct sandbox_command *entrypoint = &j->start.entrypoint, *cmd = &j->start.cmd;
    const enum sandbox_verdict verdict = j->judgement.verdict;

    if (entrypoint->instruction && entrypoint->words.n > 0)
        leave(j, "ENTRYPOINT", entrypoint);
    else if (verdict == SANDBOX_STARTED)
        leave_starter(j);
    else if (entrypoint->words.n > 0 && is_carried_by_base(j))
        leave(j, "ENTRYPOINT", entrypoint);
    else if (j->place.is_sandbox && !j->start.base_known)
        buf_adds(&j->out->notes, "Left the ENTRYPOINT to the sandbox image that the final stage is "
                                 "built from.\n");
    else if (cmd->words.n > 0 && !cmd->instruction && is_carried_by_base(j) &&
             verdict != SANDBOX_NEVER_STARTED)
        leave(j, "CMD", cmd);
    else
        add_entrypoint(j);
    if (j->judgement.missing && j->place.path)
        argv_pushf(
            &j->out->warnings,
            "the container starts %.200s, but sandbox-api is at %.200s: make the two the same",
            j->judgement.missing, j->place.path);
}

/* ---- all of it ---- */

/* What the base image's own command says of sandbox-api. */
static int find_base_word(struct injector *j, const char *config, struct error *err)
{
    struct base_commands base;

    if (!config)
        return 0;
    if (base_commands(&j->g.arena, config, &base, err) < 0)
        return -1;
    j->base_word = sandbox_start_named(&j->g.arena, &base.entrypoint);
    if (!j->base_word)
        j->base_word = sandbox_start_named(&j->g.arena, &base.cmd);
    return 0;
}

static int look(struct injector *j, struct error *err)
{
    static const struct dockerfile_base_image unknown = {.config = NULL};
    const struct dockerfile_base_image *base = j->request->base ? j->request->base : &unknown;
    const struct graph_request request = {.build_args = j->request->build_args, .lenient = true};
    const char *base_path = base->sandbox_api;

    if (graph_build(&j->g, j->d, &request, err) < 0 || find_base_word(j, base->config, err) < 0)
        return -1;
    if (!base_path && j->base_word && *j->base_word == '/')
        base_path = j->base_word;
    if (sandbox_find(j->d, &j->g, j->request->image, base_path, &j->place, err) < 0 ||
        sandbox_start_find(j->d, &j->g, base->config, &j->start, err) < 0)
        return -1;
    j->start.base_known |= reference_is_scratch(j->place.base);
    return sandbox_start_judge(j->d, &j->g, &j->start, &j->place, j->request->context,
                               &j->judgement, err);
}

static int keep_names(struct injector *j, struct error *err)
{
    struct dockerfile_sandbox_findings *out = j->out;

    out->base = strdup(j->place.base);
    out->path = j->place.path ? strdup(j->place.path) : NULL;
    if (!out->base || (j->place.path && !out->path) || out->warnings.failed)
        return error_set(err, ERR_SYSTEM, "look for sandbox-api: out of memory");
    return arena_check(&j->g.arena, err);
}

int dockerfile_find_sandbox_api(const struct dockerfile *d,
                                const struct dockerfile_sandbox_request *request,
                                struct dockerfile_sandbox_findings *ret, struct error *err)
{
    CLEANUP(injector_release) struct injector j = {.d = d, .request = request, .out = ret};

    *ret = (struct dockerfile_sandbox_findings){.lines = BUF_INIT(ADDED_MAX),
                                                .notes = BUF_INIT(ADDED_MAX)};
    if (look(&j, err) < 0)
        return -1;
    copy_binary(&j);
    set_entrypoint(&j);
    if (buf_check(&ret->lines, "lines added to the Dockerfile", err) < 0 ||
        buf_check(&ret->notes, "notes on the Dockerfile", err) < 0)
        return -1;
    return keep_names(&j, err);
}

void dockerfile_sandbox_findings_release(struct dockerfile_sandbox_findings *f)
{
    free(f->base);
    free(f->path);
    buf_release(&f->lines);
    buf_release(&f->notes);
    argv_release(&f->warnings);
}
