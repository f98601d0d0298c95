/* builder/cache_link — see the header.
 *
 * Outside, nothing that comes is believed: a name has the form of one, and the file is a plain one
 * that the jail has opened itself, so that what is written there is where it could write. */
#include "builder/cache_link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/message.h"
#include "base/text.h"

#define MESSAGE_MAX 1024
#define GET_MAX     (8U << 20) /* bytes of what has a name */

/* ---- messages ---- */

static int send_message(int socket, const char *text, int fd, struct error *err)
{
    return message_send(socket, text, strlen(text), fd, err);
}

/* ERR_NONE in err: the other side has ended. */
static int receive_message(int socket, char text[MESSAGE_MAX], int *ret_fd, struct error *err)
{
    size_t n;

    if (message_receive(socket, text, MESSAGE_MAX - 1, &n, ret_fd, err) < 0)
        return -1;
    text[n] = '\0';
    if (n > 0)
        return 0;
    err->kind = ERR_NONE;
    return -1;
}

/* ---- outside ---- */

static bool is_name(const char *name)
{
    return strcmp(name, BUILDER_REMOTE_STEPS) == 0 ||
           (text_starts(name, BUILDER_REMOTE_MOUNT) &&
            digest_is_hex(name + strlen(BUILDER_REMOTE_MOUNT)));
}

static int get(const struct builder_remote *r, const char *name, int fd, bool *ret_found,
               struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(GET_MAX);

    if (!is_name(name))
        return error_set(err, ERR_INPUT, "there is no such name");
    if (r->look_up(r->self, name, &text, ret_found, err) < 0)
        return -1;
    return *ret_found ? fs_write_all(fd, buf_str(&text), text.len, err) : 0;
}

static int fetch(const struct builder_remote *r, char *words, int fd, bool *ret_found,
                 struct error *err)
{
    char *size = strchr(words, ' ');
    uint64_t bytes;

    if (size)
        *size++ = '\0';
    if (!digest_is_sha256(words) || !size || !text_to_u64(size, INT64_MAX, &bytes))
        return error_set(err, ERR_INPUT, "there is no such blob");
    return r->fetch(r->self, words, bytes, fd, ret_found, err);
}

static int answer(const struct builder_remote *r, char *text, int fd, bool *ret_found,
                  struct error *err)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERR_INPUT, "there is no file to write to");
    if (text_starts(text, "get "))
        return get(r, text + 4, fd, ret_found, err);
    if (text_starts(text, "blob "))
        return fetch(r, text + 5, fd, ret_found, err);
    return error_set(err, ERR_INPUT, "the message is not known");
}

static void *serve(void *self)
{
    struct cache_link_server *s = self;
    char text[MESSAGE_MAX];

    for (;;) {
        CLEANUP_CLOSE int fd = -1;
        struct error err = ERROR_INIT;
        char reply[MESSAGE_MAX];
        bool found = false;

        if (receive_message(s->fd, text, &fd, &err) < 0)
            return NULL;
        if (answer(s->remote, text, fd, &found, &err) < 0)
            (void)snprintf(reply, sizeof(reply), "!%.1000s", err.msg);
        else
            (void)snprintf(reply, sizeof(reply), "%c", found ? '+' : '-');
        if (send_message(s->fd, reply, -1, &err) < 0)
            return NULL;
    }
}

int cache_link_serve(const struct builder_remote *remote, int document,
                     struct cache_link_server *ret, int *ret_stdin, struct error *err)
{
    CLEANUP_CLOSE int jail = -1;
    int ends[2], problem;

    *ret = (struct cache_link_server){.remote = remote, .fd = -1};
    if (!remote) {
        *ret_stdin = fcntl(document, F_DUPFD_CLOEXEC, 3);
        return *ret_stdin < 0 ? error_errno(err, errno, "pass the document on") : 0;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "make a socket");
    ret->fd = ends[0];
    jail = ends[1];
    if (send_message(ret->fd, "document", document, err) < 0)
        return -1;
    problem = pthread_create(&ret->thread, NULL, serve, ret);
    if (problem)
        return error_errno(err, problem, "start a thread");
    ret->started = true;
    *ret_stdin = TAKE_FD(jail);
    return 0;
}

void cache_link_end(struct cache_link_server *s)
{
    if (s->started)
        (void)pthread_join(s->thread, NULL);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct cache_link_server){.fd = -1};
}

/* ---- inside ---- */

int cache_link_open(struct cache_link *ret, int *ret_document, struct error *err)
{
    char text[MESSAGE_MAX];
    struct stat st;

    *ret = (struct cache_link){.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (fstat(STDIN_FILENO, &st) < 0)
        return error_errno(err, errno, "look at standard input");
    if (!S_ISSOCK(st.st_mode)) {
        *ret_document = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        return *ret_document < 0 ? error_errno(err, errno, "open the document") : 0;
    }
    ret->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (ret->fd < 0)
        return error_errno(err, errno, "open the link");
    if (receive_message(ret->fd, text, ret_document, err) < 0 || *ret_document < 0)
        return error_set(err, ERR_SYSTEM, "the document did not come");
    return 0;
}

void cache_link_close(struct cache_link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

static int ask(struct cache_link *l, const char *what, int fd, bool *ret_found, struct error *err)
{
    CLEANUP_CLOSE int unused = -1;
    char text[MESSAGE_MAX];

    if (send_message(l->fd, what, fd, err) < 0)
        return -1;
    if (receive_message(l->fd, text, &unused, err) < 0)
        return error_set(err, ERR_SYSTEM, "the answer did not come");
    if (text[0] == '!')
        return error_set(err, ERR_REMOTE, "%s", text + 1);
    *ret_found = text[0] == '+';
    return 0;
}

int cache_link_ask(struct cache_link *l, const char *what, int fd, bool *ret_found,
                   struct error *err)
{
    int r;

    pthread_mutex_lock(&l->lock);
    r = ask(l, what, fd, ret_found, err);
    pthread_mutex_unlock(&l->lock);
    return r;
}
