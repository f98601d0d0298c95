/* worker/probe — what is deployed is started once, to see whether it comes up.
 *
 * Ports are the platform's (PROTOCOL.md 7.3): a sandbox's API answers on 8080; agents and functions
 * are told PORT, which is 80 where nobody says otherwise.  Jobs end by themselves.  The image's
 * program runs as root, as it does there (7.4). */
#include <string.h>

#include "worker/steps.h"

#define SANDBOX_PORT 8080
#define SERVER_PORT  80
#define GRACE_MS     2000 /* between SIGTERM and SIGKILL: there is nothing to lose */

uint16_t probe_port(const struct run *r)
{
    const struct build *b = &r->build;

    if (r->config->probe_ms == 0 || b->purpose != BUILD_FOR_RESOURCE)
        return 0;
    if (strcmp(b->type, "sandbox") == 0)
        return SANDBOX_PORT;
    return strcmp(b->type, "job") == 0 ? 0 : SERVER_PORT;
}

/* Of another worker, which nobody needed here. */
static int fetch_layer(void *self, const struct builder_layer *layer, int fd, struct error *err)
{
    const struct run *r = self;
    struct registry registry = *r->config->registry;
    enum registry_presence presence;
    char repository[3 * NAME_SIZE];

    registry.cancel = &r->cancel;
    pipeline_repository(&r->build, repository);
    if (registry_get_blob(&registry, repository, layer->digest, layer->size, fd, &presence, err) <
        0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return error_set(err, ERR_REMOTE, "fetch %s from %s: the registry does not have it",
                         layer->digest, repository);
    return 0;
}

/* What the platform sets. */
static void set_environment(const struct run *r, uint16_t port, struct argv *ret)
{
    if (strcmp(r->build.type, "sandbox") == 0)
        return;
    argv_push1(ret, "HOST=0.0.0.0");
    argv_pushf(ret, "PORT=%u", port);
}

/* The words that users of the platform know (PRODUCT.md), and why. */
static int tell_silence(struct run *r, uint16_t port, const struct builder_trial_result *t,
                        struct error *err)
{
    if (t->end == BUILDER_TRIAL_ENDED && t->signal)
        (void)error_set(err, ERR_INPUT,
                        "STARTUP TCP probe failed: the container was ended by signal %d before "
                        "anything listened on port %u",
                        t->signal, port);
    else if (t->end == BUILDER_TRIAL_ENDED)
        (void)error_set(err, ERR_INPUT,
                        "STARTUP TCP probe failed: the container exited with code %d before "
                        "anything listened on port %u",
                        t->code, port);
    else
        (void)error_set(err, ERR_INPUT,
                        "STARTUP TCP probe failed: DEADLINE_EXCEEDED: nothing answered on "
                        "0.0.0.0:%u within %lld s%s%s%s",
                        port, (long long)(r->config->probe_ms / 1000),
                        t->listens[0] ? "; it listens on " : "", t->listens,
                        strcmp(r->build.type, "sandbox") == 0
                            ? ""
                            : "; bind to HOST and PORT of the environment");
    r->plain_log.code = t->code;
    step_tell(r, err->msg, 0, 0);
    return -1;
}

static int judge(struct run *r, uint16_t port, const struct builder_trial_result *t,
                 struct error *err)
{
    if (t->left_out)
        journal_addf(&r->journal, LOG_WARNING, "#%d [%llu more bytes that it said are left out]",
                     r->plain_log.number, (unsigned long long)t->left_out);
    if (t->end != BUILDER_TRIAL_ANSWERED)
        return tell_silence(r, port, t, err);
    journal_addf(&r->journal, LOG_INFO, "#%d port %u answered after %.1f s%s", r->plain_log.number,
                 port, (double)t->took_ms / 1000,
                 t->killed ? "; SIGTERM did not end it, SIGKILL did" : "");
    plain_log_done(&r->plain_log);
    return 0;
}

static void pass_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    plain_log_output(self, stream, text, len);
}

int probe_image(struct run *r, uint16_t port, struct error *err)
{
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const struct builder_trial trial = {.image = &r->image,
                                        .env = &env,
                                        .port = port,
                                        .timeout_ms = r->config->probe_ms,
                                        .grace_ms = GRACE_MS,
                                        .fetch = fetch_layer,
                                        .self = r};
    const struct process_sink sink = {pass_line, &r->plain_log};
    const struct builder_io io = {.sink = &sink, .cancel = &r->cancel};
    struct builder_trial_result result;
    enum builder_outcome outcome;

    plain_log_begin(&r->plain_log, "starting the image: STARTUP TCP probe of port %u", port);
    set_environment(r, port, &env);
    if (env.failed)
        return error_set(err, ERR_SYSTEM, "start the image: out of memory");
    if (builder_try(r->job, &trial, &io, &outcome, &result, err) < 0) {
        if (cancel_is_thrown(&r->cancel))
            err->kind = ERR_NONE;
        return -1;
    }
    if (step_judge(r, outcome, "starting the image", err) < 0)
        return -1;
    return judge(r, port, &result, err);
}
