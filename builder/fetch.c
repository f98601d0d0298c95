/* builder/fetch — Kiln's own code talks to one server on another machine, from inside a jail.
 *
 * It has the host's network, as a pull has, because servers may be anywhere; what it may be told to
 * talk to is decided before it starts, by the addresses that the name has at that moment. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "builder/address.h"
#include "builder/jail.h"
#include "builder/state.h"

/* fetch_hosts names it, with its port or without. */
static bool is_configured(const struct builder_config *config, const char *authority)
{
    char name[ADDRESS_NAME], word[ADDRESS_NAME];

    address_name(authority, name);
    for (size_t i = 0; config->fetch_hosts && i < config->fetch_hosts->n; i++) {
        const char *host = config->fetch_hosts->v[i];

        address_name(host, word);
        if (strcasecmp(host, authority) == 0)
            return true;
        if (strcasecmp(word, name) == 0 && !strchr(host[0] == '[' ? strchr(host, ']') : host, ':'))
            return true;
    }
    return false;
}

static void describe(const struct builder_job *j, const char *name, const struct argv *words,
                     const char *authority, struct jail_spec *spec)
{
    char path[PATH_MAX + 16];
    char host[ADDRESS_NAME];

    (void)snprintf(path, sizeof(path), "%s/tmp", j->dir);
    address_name(authority, host);
    jail_spec_add_base(spec);
    jail_spec_add_authorities(spec, j->b->config->ca_file);
    jail_spec_add(spec, JAIL_BIND, "kiln/tmp", path);
    if (!is_configured(j->b->config, authority))
        argv_push(&spec->argv, JAIL_VET, host, NULL);
    argv_push(&spec->argv, name, NULL);
    for (size_t i = 0; words && i < words->n; i++)
        argv_push1(&spec->argv, words->v[i]);
}

/* Passes lines on and keeps the last. */
struct listener {
    const struct process_sink *sink;
    char last[512];
};

static void listen_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct listener *l = self;

    (void)snprintf(l->last, sizeof(l->last), "%.*s", (int)len, text);
    if (l->sink)
        l->sink->line(l->sink->self, stream, text, len);
}

int builder_fetch_inside(struct builder_job *j, const char *name, const struct argv *words,
                         const char *authority, int *ret_fd, struct buf *out,
                         const struct builder_io *io, enum builder_outcome *ret_outcome,
                         struct error *err)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {
        .ids = j->b->ids, .net = JAIL_NET_HOST, .rights = JAIL_RIGHTS_FILES, .inner = true};
    struct listener listener = {.sink = io->sink};
    const struct process_sink sink = {listen_line, &listener};
    const struct builder_io heard = {.sink = &sink, .cancel = io->cancel};
    CLEANUP_CLOSE int fd = open(j->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    enum builder_outcome outcome = BUILDER_KILLED;
    int code = -1;

    if (fd < 0)
        return error_errno(err, errno, "make a temporary file in %s", j->dir);
    describe(j, name, words, authority, &spec);
    if (builder_run_inner(j, &spec, fd, out, &heard, &outcome, &code, err) < 0)
        return -1;
    if (outcome == BUILDER_DONE && code == JAIL_VET_UNKNOWN)
        return error_set(err, ERR_REMOTE, "%s", listener.last);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a temporary file");
    *ret_outcome = outcome == BUILDER_DONE && code != 0 ? BUILDER_FAILED : outcome;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
