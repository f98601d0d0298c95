/* templates/storage_channel — a store as a jail sees it that must not have its credentials: each
 * act is asked for at the broker's socket (templates/broker). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fs.h"
#include "base/message.h"
#include "base/text.h"
#include "templates/channel.h"
#include "templates/storage.h"

struct channel {
    struct storage storage;
    int socket;
    pthread_mutex_t mutex; /* one request at a time */
};

static int exchange(struct channel *c, const struct channel_request *r, int fd,
                    struct channel_reply *ret, int *ret_fd, struct error *err)
{
    size_t len = 0;

    if (message_send(c->socket, r, sizeof(*r), fd, err) < 0 ||
        message_receive(c->socket, ret, sizeof(*ret), &len, ret_fd, err) < 0)
        return error_wrap(err, "ask for the store");
    if (len != sizeof(*ret))
        return error_set(err, ERR_SYSTEM, "ask for the store: its broker has ended");
    return 0;
}

/* ret_fd NULL: a file that comes is not wanted. */
static int ask(struct storage *s, const struct channel_request *r, int fd, int32_t *ret_number,
               int *ret_fd, struct error *err)
{
    struct channel *c = (struct channel *)s;
    CLEANUP_CLOSE int file = -1;
    struct channel_reply reply;
    int result;

    (void)pthread_mutex_lock(&c->mutex);
    result = exchange(c, r, fd, &reply, &file, err);
    (void)pthread_mutex_unlock(&c->mutex);
    if (result < 0)
        return -1;
    if (reply.result < 0) {
        *err = reply.error;
        return -1;
    }
    if (ret_number)
        *ret_number = reply.number;
    if (ret_fd)
        *ret_fd = TAKE_FD(file);
    return 0;
}

static struct channel_request request(enum channel_act act, int number, const char *area,
                                      const char *name)
{
    struct channel_request r = {.act = act, .number = number};

    (void)snprintf(r.area, sizeof(r.area), "%s", area);
    (void)snprintf(r.name, sizeof(r.name), "%s", name);
    return r;
}

static int take_lines(int fd, struct argv *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CHANNEL_TEXT);

    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return error_set(err, ERR_SYSTEM, "ask for the store: an answer without a file");
    if (fs_read_fd(fd, &text, err) < 0)
        return -1;
    for (const char *line = buf_str(&text); *line;) {
        size_t len = strcspn(line, "\n");

        argv_pushf(ret, "%.*s", (int)len, line);
        line += len + (line[len] != '\0');
    }
    return 0;
}

static int channel_list(struct storage *s, const char *area, struct argv *ret, struct error *err)
{
    const struct channel_request r = request(CHANNEL_LIST, 0, area, "");
    CLEANUP_CLOSE int fd = -1;

    return ask(s, &r, -1, NULL, &fd, err) < 0 ? -1 : take_lines(fd, ret, err);
}

static int channel_sessions(struct storage *s, struct argv *ret, struct error *err)
{
    const struct channel_request r = request(CHANNEL_SESSIONS, 0, "", "");
    CLEANUP_CLOSE int fd = -1;

    return ask(s, &r, -1, NULL, &fd, err) < 0 ? -1 : take_lines(fd, ret, err);
}

static int channel_open(struct storage *s, const char *area, const char *name, int *ret_fd,
                        struct error *err)
{
    const struct channel_request r = request(CHANNEL_OPEN, 0, area, name);

    return ask(s, &r, -1, NULL, ret_fd, err);
}

/* ---- packs ---- */

struct remote_pack {
    struct storage *storage;
    int32_t number;
};

static int remote_fill(void *self, uint64_t offset, uint64_t len, struct error *err)
{
    const struct remote_pack *p = self;
    struct channel_request r = request(CHANNEL_FILL, p->number, "", "");

    r.offset = offset;
    r.len = len;
    return ask(p->storage, &r, -1, NULL, NULL, err);
}

static void remote_forget(void *self, uint64_t offset, uint64_t len)
{
    const struct remote_pack *p = self;
    struct channel_request r = request(CHANNEL_FORGET, p->number, "", "");
    struct error ignored = ERROR_INIT;

    r.offset = offset;
    r.len = len;
    (void)!ask(p->storage, &r, -1, NULL, NULL, &ignored);
}

static void remote_close(void *self)
{
    struct remote_pack *p = self;
    const struct channel_request r = request(CHANNEL_CLOSE_PACK, p->number, "", "");
    struct error ignored = ERROR_INIT;

    (void)!ask(p->storage, &r, -1, NULL, NULL, &ignored);
    free(p);
}

static int channel_open_pack(struct storage *s, const char *name, int *ret_fd,
                             struct pack_origin *ret_origin, struct error *err)
{
    const struct channel_request r = request(CHANNEL_OPEN_PACK, 0, "packs", name);
    struct remote_pack *p = calloc(1, sizeof(*p));

    if (!p)
        return error_set(err, ERR_SYSTEM, "open a pack: out of memory");
    p->storage = s;
    if (ask(s, &r, -1, &p->number, ret_fd, err) < 0) {
        free(p);
        return -1;
    }
    if (*ret_fd < 0)
        free(p);
    else
        *ret_origin = (struct pack_origin){remote_fill, remote_forget, remote_close, p};
    return 0;
}

static int channel_may_remove(struct storage *s, const char *pack, bool *ret, struct error *err)
{
    const struct channel_request r = request(CHANNEL_MAY_REMOVE, 0, "packs", pack);
    int32_t number = 0;

    if (ask(s, &r, -1, &number, NULL, err) < 0)
        return -1;
    *ret = number != 0;
    return 0;
}

/* ---- files on their way: the number is kept where a directory has a name ---- */

static int number_of(const struct storage_file *f)
{
    uint64_t number = 0;

    return text_to_u64(f->temporary, INT32_MAX, &number) ? (int)number : -1;
}

static int channel_create(struct storage *s, struct storage_file *ret, struct error *err)
{
    const struct channel_request r = request(CHANNEL_CREATE, 0, "", "");
    int32_t number = 0;

    if (ask(s, &r, -1, &number, &ret->fd, err) < 0)
        return -1;
    (void)snprintf(ret->temporary, sizeof(ret->temporary), "%d", number);
    return 0;
}

static int channel_commit(struct storage *s, struct storage_file *f, const char *area,
                          const char *name, struct error *err)
{
    const struct channel_request r = request(CHANNEL_COMMIT, number_of(f), area, name);

    if (ask(s, &r, -1, NULL, NULL, err) < 0)
        return -1;
    close(TAKE_FD(f->fd));
    return 0;
}

static void channel_discard(struct storage *s, struct storage_file *f)
{
    const struct channel_request r = request(CHANNEL_DISCARD, number_of(f), "", "");
    struct error ignored = ERROR_INIT;

    (void)!ask(s, &r, -1, NULL, NULL, &ignored);
    close(TAKE_FD(f->fd));
}

static int channel_remove(struct storage *s, const char *area, const char *name, struct error *err)
{
    const struct channel_request r = request(CHANNEL_REMOVE, 0, area, name);

    return ask(s, &r, -1, NULL, NULL, err);
}

/* ---- locks and sessions ---- */

static int channel_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err)
{
    const struct channel_request r = request(CHANNEL_LOCK, exclusive, "", "");

    return ask(s, &r, -1, ret_lock, NULL, err);
}

static void channel_unlock(struct storage *s, int *lock)
{
    const struct channel_request r = request(CHANNEL_UNLOCK, *lock, "", "");
    struct error ignored = ERROR_INIT;

    (void)!ask(s, &r, -1, NULL, NULL, &ignored);
}

static int channel_session_begin(struct storage *s, const char *text, int *ret, struct error *err)
{
    const struct channel_request r = request(CHANNEL_SESSION_BEGIN, 0, "", "");
    CLEANUP_CLOSE int fd = memfd_create("session", MFD_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "begin a session");
    if (fs_write_all(fd, text, strlen(text), err) < 0)
        return -1;
    return ask(s, &r, fd, ret, NULL, err);
}

static void channel_session_end(struct storage *s, int *session)
{
    const struct channel_request r = request(CHANNEL_SESSION_END, *session, "", "");
    struct error ignored = ERROR_INIT;

    (void)!ask(s, &r, -1, NULL, NULL, &ignored);
}

static int channel_sweep(struct storage *s, struct error *err)
{
    const struct channel_request r = request(CHANNEL_SWEEP, 0, "", "");

    return ask(s, &r, -1, NULL, NULL, err);
}

static void channel_release(struct storage *s)
{
    struct channel *c = (struct channel *)s;

    if (c->socket >= 0)
        close(c->socket);
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}

static const struct storage_kind channel_kind = {
    .list = channel_list,
    .open = channel_open,
    .create = channel_create,
    .commit = channel_commit,
    .discard = channel_discard,
    .remove = channel_remove,
    .lock = channel_lock,
    .unlock = channel_unlock,
    .session_begin = channel_session_begin,
    .session_end = channel_session_end,
    .sessions = channel_sessions,
    .sweep = channel_sweep,
    .open_pack = channel_open_pack,
    .may_remove = channel_may_remove,
    .release = channel_release,
};

int storage_open_channel(const char *path, struct storage **ret, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct channel *c = calloc(1, sizeof(*c));

    if (!c || !(c->storage.where = strdup("the object store"))) {
        free(c);
        return error_set(err, ERR_SYSTEM, "open the store: out of memory");
    }
    c->storage.kind = &channel_kind;
    (void)pthread_mutex_init(&c->mutex, NULL);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    c->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (c->socket < 0 || strlen(path) >= sizeof(address.sun_path) ||
        connect(c->socket, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int errnum = errno;

        storage_free(&c->storage);
        return error_errno(err, errnum, "connect to the store's broker");
    }
    *ret = &c->storage;
    return 0;
}
