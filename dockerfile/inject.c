/* dockerfile/inject — the lines that make a sandbox of an image, put at the end of the Dockerfile
 * so that the user's own steps stay cached. */
#include <string.h>

#include "dockerfile/sandbox.h"

#define DESTINATION "/usr/local/bin/sandbox-api"
#define ADDED_MAX   (256 << 10) /* the lines and notes; a CMD may be repeated in them */

struct injector {
    const struct dockerfile *d;
    const char *image;
    struct sandbox_findings found;
    struct dockerfile_injection *out;
    struct buf lines; /* to append */
};

static void add_json_string(struct buf *out, const char *s)
{
    buf_addc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_addc(out, '\\');
        if ((unsigned char)*s < ' ')
            buf_addf(out, "\\u%04x", (unsigned char)*s);
        else
            buf_addc(out, *s);
    }
    buf_addc(out, '"');
}

/* `final stage "app"`, or by its line when it has no name */
static void add_stage_label(const struct injector *j, struct buf *out)
{
    const struct dockerfile_stage *last = &j->d->stages[j->d->n_stages - 1];

    if (last->name)
        buf_addf(out, "final stage \"%s\"", last->name);
    else
        buf_addf(out, "final stage (line %d)", last->instructions->first_line);
}

static void copy_binary(struct injector *j)
{
    struct buf *notes = &j->out->notes;

    if (j->found.path) {
        buf_adds(notes, "Left sandbox-api as it is: the ");
        add_stage_label(j, notes);
        buf_addf(notes, " has it at %s by %s on line %d.\n", j->found.path,
                 j->found.source->keyword, j->found.source->first_line);
        return;
    }
    buf_addf(&j->lines, "COPY --from=%s /sandbox-api " DESTINATION "\n", j->image);
    buf_addf(notes, "Added sandbox-api: COPY --from=%s /sandbox-api " DESTINATION " (the ",
             j->image);
    add_stage_label(j, notes);
    buf_adds(notes, " neither is nor copies ghcr.io/blaxel-ai/sandbox).\n");
    j->out->copied = true;
}

/* An ENTRYPOINT clears the CMD that comes from another stage, so that one is said again. */
static void keep_cmd(struct injector *j)
{
    struct buf *notes = &j->out->notes;

    if (!j->found.cmd) {
        buf_adds(notes, "The base image's own ENTRYPOINT and CMD, if it has any, no longer "
                        "apply.\n");
        return;
    }
    if (j->found.cmd_inherited)
        buf_addf(&j->lines, "%s\n", j->found.cmd->original);
    buf_addf(notes, "The CMD on line %d is kept: sandbox-api gets it as its arguments%s.\n",
             j->found.cmd->first_line,
             j->found.cmd_inherited ? ", and it is repeated in the final stage" : "");
}

static void set_entrypoint(struct injector *j)
{
    struct buf *notes = &j->out->notes;
    const char *path = j->found.path ? j->found.path : DESTINATION;

    if (j->found.entrypoint) {
        buf_addf(notes,
                 "Left the ENTRYPOINT on line %d as it is: it has to start sandbox-api itself.\n",
                 j->found.entrypoint->first_line);
        return;
    }
    if (j->found.is_sandbox) {
        buf_adds(notes, "Left the ENTRYPOINT to the sandbox image that the final stage is built "
                        "from.\n");
        return;
    }
    buf_adds(&j->lines, "ENTRYPOINT [");
    add_json_string(&j->lines, path);
    buf_adds(&j->lines, "]\n");
    buf_adds(notes, "Added ENTRYPOINT [");
    add_json_string(notes, path);
    buf_adds(notes, "]: the Dockerfile sets none.\n");
    keep_cmd(j);
    j->out->entrypoint_set = true;
}

/* The user's text byte for byte, then the lines.  A continuation left open at the end of the file
 * would take them in (empty lines do not close one), so its escape token and what follows it,
 * comments and blank lines at most, give way. */
static void write_text(struct injector *j)
{
    struct buf *text = &j->out->text;

    if (j->lines.len == 0) {
        buf_add(text, j->d->text, j->d->len);
        return;
    }
    buf_add(text, j->d->text, j->d->open_at == NOT_OPEN ? j->d->len : j->d->open_at);
    if (text->len > 0 && text->data[text->len - 1] != '\n')
        buf_addc(text, '\n');
    buf_add(text, buf_str(&j->lines), j->lines.len);
}

static int inject(struct injector *j, struct error *err)
{
    CLEANUP(graph_release) struct graph g = {.nodes = NULL};
    struct graph_request request = {.lenient = true};

    if (graph_build(&g, j->d, &request, err) < 0 ||
        sandbox_find(j->d, &g, j->image, &j->found, err) < 0)
        return -1;
    copy_binary(j);
    set_entrypoint(j);
    write_text(j);
    if (buf_check(&j->lines, "lines added to the Dockerfile", err) < 0 ||
        buf_check(&j->out->notes, "notes on the Dockerfile", err) < 0)
        return -1;
    return buf_check(&j->out->text, "Dockerfile", err);
}

int dockerfile_inject_sandbox_api(const struct dockerfile *d, const char *image,
                                  struct dockerfile_injection *ret, struct error *err)
{
    struct dockerfile_injection out = {.text = BUF_INIT(d->len + ADDED_MAX + 1),
                                       .notes = BUF_INIT(ADDED_MAX)};
    struct injector j = {.d = d, .image = image, .out = &out, .lines = BUF_INIT(ADDED_MAX)};
    int r = inject(&j, err);

    buf_release(&j.lines);
    if (r < 0) {
        dockerfile_injection_release(&out);
        return -1;
    }
    *ret = out;
    return 0;
}

void dockerfile_injection_release(struct dockerfile_injection *i)
{
    buf_release(&i->text);
    buf_release(&i->notes);
}
