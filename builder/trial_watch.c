/* builder/trial_watch — see trial.h.
 *
 * A thread of its own waits for the program and passes on what it says; this one asks the port. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/run.h"
#include "builder/trial.h"

#define ASK_MS     50   /* between two questions */
#define CONNECT_MS 1000 /* for an answer */
#define OUTPUT_MAX (64 << 10)
#define TABLE_MAX  (4 << 20) /* of /proc/net/tcp */
#define LISTENING  0x0a      /* TCP_LISTEN in that table */

struct watched {
    const struct trial_program *program;
    struct cancel cancel; /* ends the program at once */
    struct cancel over;   /* thrown when it has ended */
    size_t said, left_out;
    /* When it is over: */
    int result;
    struct run_end end;
    struct error err;
};

/* ---- what it says ---- */

static void pass_on(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct watched *w = self;

    if (w->said + len > OUTPUT_MAX) {
        w->left_out += len;
        return;
    }
    w->said += len + 1; /* empty lines are no way around it */
    (void)fprintf(stderr, "%c %.*s\n", stream == PROCESS_STDERR ? 'e' : 'o', (int)len, text);
}

static void *run(void *self)
{
    struct watched *w = self;
    const struct process_sink sink = {pass_on, w};
    const struct run_request req = {.rootfs = w->program->root,
                                    .bundle = w->program->bundle,
                                    .argv = w->program->argv,
                                    .env = w->program->env,
                                    .cwd = w->program->cwd,
                                    .user = "",
                                    .sink = &sink,
                                    .cancel = &w->cancel};

    w->result = run_command(&req, &w->end, &w->err);
    cancel_throw(&w->over);
    return NULL;
}

/* True when it has ended by then. */
static bool ends_within(const struct watched *w, int64_t ms)
{
    struct pollfd p = {.fd = w->over.fd, .events = POLLIN};

    return poll(&p, 1, (int)(ms < 0 ? 0 : ms)) > 0;
}

/* ---- the port ---- */

static bool answers(uint16_t port)
{
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int problem = 0;
    socklen_t len = sizeof(problem);

    if (fd < 0)
        return false;
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    return errno == EINPROGRESS && poll(&p, 1, CONNECT_MS) > 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &len) == 0 && problem == 0;
}

/* "127.0.0.1:3000" of a line of /proc/net/tcp or tcp6 (proc(5)): words of 32 bits in host order. */
static bool read_listener(const char *line, int family, char ret[INET6_ADDRSTRLEN + 8])
{
    char address[33];
    char text[INET6_ADDRSTRLEN];
    uint32_t words[4] = {0};
    unsigned port, state;
    const size_t n = family == AF_INET6 ? 4 : 1;

    if (sscanf(line, " %*d: %32[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", address, &port, &state) != 3 ||
        state != LISTENING || strlen(address) != n * 8)
        return false;
    for (size_t i = 0; i < n; i++)
        if (sscanf(address + 8 * i, "%8" SCNx32, &words[i]) != 1)
            return false;
    if (!inet_ntop(family, words, text, sizeof(text)))
        return false;
    (void)snprintf(ret, INET6_ADDRSTRLEN + 8, family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port);
    return true;
}

static void add_listeners(const char *path, int family, char *ret, size_t size)
{
    CLEANUP(buf_release) struct buf table = BUF_INIT(TABLE_MAX);
    struct error ignored = ERROR_INIT;
    const char *line;

    if (fs_read_file(AT_FDCWD, path, &table, &ignored) < 0)
        return;
    for (line = strchr(buf_str(&table), '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        char one[INET6_ADDRSTRLEN + 8];
        const size_t used = strlen(ret);

        if (read_listener(line + 1, family, one) && used + strlen(one) + 2 < size)
            (void)snprintf(ret + used, size - used, "%s%s", used ? ", " : "", one);
    }
}

/* ---- its life ---- */

/* What listens elsewhere has to be asked before it is ended. */
static void wait_for_it(const struct watched *w, struct builder_trial_result *ret)
{
    const int64_t began = clock_monotonic();
    const int64_t until = began + w->program->timeout_ms * NS_PER_MS;

    *ret = (struct builder_trial_result){.end = BUILDER_TRIAL_SILENT, .code = -1};
    do {
        if (answers(w->program->port)) {
            ret->end = BUILDER_TRIAL_ANSWERED;
            break;
        }
        if (ends_within(w, ASK_MS)) {
            ret->end = BUILDER_TRIAL_ENDED;
            break;
        }
    } while (clock_monotonic() < until);
    ret->took_ms = (clock_monotonic() - began) / NS_PER_MS;
    if (ret->end != BUILDER_TRIAL_SILENT)
        return;
    add_listeners("/proc/net/tcp", AF_INET, ret->listens, sizeof(ret->listens));
    add_listeners("/proc/net/tcp6", AF_INET6, ret->listens, sizeof(ret->listens));
}

static void end_it(struct watched *w, struct builder_trial_result *ret)
{
    if (ret->end == BUILDER_TRIAL_ENDED)
        return;
    if (run_signal(w->program->bundle, SIGTERM) && ends_within(w, w->program->grace_ms))
        return;
    ret->killed = !ends_within(w, 0);
    cancel_throw(&w->cancel);
}

static int watch(struct watched *w, struct builder_trial_result *ret, struct error *err)
{
    struct builder_trial_result seen;
    pthread_t thread;
    int problem = pthread_create(&thread, NULL, run, w);

    if (problem)
        return error_errno(err, problem, "start a thread");
    wait_for_it(w, &seen);
    end_it(w, &seen);
    (void)pthread_join(thread, NULL);
    seen.left_out = w->left_out;
    if (w->result < 0 && seen.end == BUILDER_TRIAL_ENDED) {
        *err = w->err;
        return -1;
    }
    if (seen.end == BUILDER_TRIAL_ENDED) {
        seen.code = w->end.code;
        seen.signal = w->end.signal;
    }
    *ret = seen;
    return 0;
}

int trial_watch(const struct trial_program *p, struct builder_trial_result *ret, struct error *err)
{
    struct watched w = {.program = p, .cancel = {.fd = -1}, .over = {.fd = -1}};
    int result = -1;

    if (cancel_init(&w.cancel, err) == 0 && cancel_init(&w.over, err) == 0)
        result = watch(&w, ret, err);
    cancel_release(&w.cancel);
    cancel_release(&w.over);
    return result;
}
