/* builder/fetch_process — a pull, inside its jail: buildah, which fetches from a relay beside it,
 * which fetches from the registry.
 *
 * So buildah sees neither credentials nor connections that break, and what goes wrong on the way is
 * known here first-hand, and not by what buildah makes of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/fs.h"
#include "base/http.h"
#include "base/text.h"
#include "builder/buildah.h"
#include "builder/jail_inside.h"

#define CREDENTIALS_MAX (1 << 20)
#define FAULT_MAX       2048
#define GRACE_MS        2500 /* buildah leaves its store in order when it is asked to end */

/* argv: BUILDER_FETCH, then these, then buildah and its words. */
enum { WORD_VETTED = 1, WORD_URL, WORD_REPOSITORY, WORD_NAME, WORD_SIZE_MAX, WORD_PROGRAM };

struct fetch {
    const struct builder_relay *ops;
    struct builder_relay_order order;
    struct buf credentials;
    void *relay;
    struct cancel cancel;
    char fault[FAULT_MAX]; /* the last line of buildah's about an error; "" */
};

/* ---- before ---- */

static void note(const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
}

static void *wait_to_be_asked_to_end(void *self)
{
    struct fetch *f = self;
    sigset_t term;
    int signal;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigwait(&term, &signal) == 0)
        cancel_throw(&f->cancel);
    return NULL;
}

/* The thread lives as long as this process. */
static int heed_sigterm(struct fetch *f, struct error *err)
{
    pthread_t thread;
    sigset_t term;
    int problem;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (cancel_init(&f->cancel, err) < 0)
        return -1;
    problem = pthread_sigmask(SIG_BLOCK, &term, NULL);
    if (problem == 0)
        problem = pthread_create(&thread, NULL, wait_to_be_asked_to_end, f);
    if (problem)
        return error_errno(err, problem, "wait for a signal");
    (void)pthread_detach(thread);
    return 0;
}

static int read_words(struct fetch *f, char **argv, struct error *err)
{
    struct builder_relay_order *o = &f->order;

    *o = (struct builder_relay_order){.url = argv[WORD_URL],
                                      .repository = argv[WORD_REPOSITORY],
                                      .ca_file = getenv(JAIL_AUTHORITIES),
                                      .note = note};
    if (!text_to_u64(argv[WORD_SIZE_MAX], UINT64_MAX, &o->size_max))
        return error_set(err, ERR_SYSTEM, "%s is no size", argv[WORD_SIZE_MAX]);
    if (access(BUILDAH_CREDENTIALS, F_OK) < 0)
        return 0;
    if (fs_read_file(AT_FDCWD, BUILDAH_CREDENTIALS, &f->credentials, err) < 0)
        return -1;
    o->docker_config = buf_str(&f->credentials);
    return 0;
}

static int prepare(struct fetch *f, char **argv, struct error *err)
{
    char location[64];

    if (read_words(f, argv, err) < 0 || heed_sigterm(f, err) < 0 || http_setup(err) < 0 ||
        f->ops->start(&f->order, &f->relay, location, err) < 0)
        return -1;
    return buildah_write_registries(argv[WORD_NAME], location, err);
}

/* ---- buildah ---- */

/* What it says of an error is kept back: there may be a better word for it. */
static void on_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct fetch *f = self;
    const char *at = strstr(text, "Error: ");

    if (at)
        (void)snprintf(f->fault, sizeof(f->fault), "%s", at + strlen("Error: "));
    else
        (void)fprintf(stream == PROCESS_STDOUT ? stdout : stderr, "%.*s\n", (int)len, text);
    (void)fflush(stdout);
}

static int run(struct fetch *f, char **words, struct process_end *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const struct process_sink sink = {on_line, f};
    const struct process_request req = {.argv = &argv,
                                        .env = &env,
                                        .stdin_fd = -1,
                                        .cancel = &f->cancel,
                                        .grace_ms = GRACE_MS,
                                        .sink = &sink};

    for (; *words; words++)
        argv_push1(&argv, *words);
    for (char **e = environ; *e; e++)
        argv_push1(&env, *e);
    return process_run(&req, ret, err);
}

/* ---- the verdict ---- */

static int say(const struct error *e)
{
    (void)fprintf(stderr, "Error: %s\n", e->msg);
    return e->kind == ERR_REMOTE ? JAIL_VET_UNKNOWN : e->kind == ERR_SYSTEM ? 1 : JAIL_VET_REFUSED;
}

static int judge(struct fetch *f, const struct process_end *end)
{
    struct error fault = ERROR_INIT;

    if (process_succeeded(end))
        return 0;
    if (end->how == PROCESS_SIGNALLED) {
        (void)signal(end->signal, SIG_DFL);
        (void)raise(end->signal); /* its end is ours */
        return 1;
    }
    f->ops->fault(f->relay, &fault);
    if (fault.kind != ERR_NONE)
        return say(&fault);
    (void)fprintf(stderr, "Error: %s\n", f->fault);
    return buildah_refuses(f->fault) ? JAIL_VET_REFUSED : 1;
}

int builder_fetch_main(const struct builder_relay *relay, int argc, char **argv)
{
    static struct fetch f; /* of which threads know that outlive this */
    struct process_end end;
    struct error err = ERROR_INIT;
    int vetted;

    f = (struct fetch){.ops = relay, .credentials = BUF_INIT(CREDENTIALS_MAX)};
    if (argc <= WORD_PROGRAM)
        return 2;
    vetted = *argv[WORD_VETTED] ? jail_inner_vet_registry(argv[WORD_VETTED]) : 0;
    if (vetted != 0)
        return vetted;
    if (prepare(&f, argv, &err) < 0 || run(&f, argv + WORD_PROGRAM, &end, &err) < 0)
        return say(&err);
    return judge(&f, &end);
}
