/* templates/broker — a store in a bucket, for a jail that must have neither its credentials nor a
 * network (templates/storage_channel).
 *
 * A jailed packer may have been taken over by its archive.  What it can do here is what it can do
 * to a store in a directory: change this one store.  Names are checked, numbers belong to the
 * connection, and when it ends so do its locks and sessions. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fs.h"
#include "base/message.h"
#include "base/text.h"
#include "templates/channel.h"
#include "templates/storage.h"
#include "templates/templates.h"

#define FILES_MAX 8192 /* open packs and files on their way */

struct template_broker {
    struct storage *storage;
    int listener;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct cancel quit;
    pthread_t thread;
    bool started;
};

enum entry_kind { ENTRY_FREE, ENTRY_PACK, ENTRY_FILE };
struct entry {
    enum entry_kind kind;
    struct pack_origin origin; /* of a pack */
    struct storage_file file;  /* on its way */
};

struct visit { /* one connection */
    struct storage *storage;
    struct entry *entries;
    size_t n;
    int lock;             /* -1: none */
    struct argv sessions; /* numbers */
};

/* ---- entries ---- */

static int add_entry(struct visit *v, struct entry e, int32_t *ret, struct error *err)
{
    struct entry *entries;
    size_t i = 0;

    while (i < v->n && v->entries[i].kind != ENTRY_FREE)
        i++;
    if (i >= FILES_MAX)
        return error_set(err, ERR_LIMIT, "too many files of the store are open");
    if (i == v->n) {
        entries = reallocarray(v->entries, v->n + 1, sizeof(*entries));
        if (!entries)
            return error_set(err, ERR_SYSTEM, "open a file of the store: out of memory");
        v->entries = entries;
        v->n++;
    }
    v->entries[i] = e;
    *ret = (int32_t)i;
    return 0;
}

static struct entry *find_entry(struct visit *v, int32_t number, enum entry_kind kind)
{
    return number >= 0 && (size_t)number < v->n && v->entries[number].kind == kind
               ? &v->entries[number]
               : NULL;
}

static void drop_entry(struct visit *v, struct entry *e)
{
    if (e->kind == ENTRY_PACK && e->origin.close)
        e->origin.close(e->origin.self);
    if (e->kind == ENTRY_FILE)
        storage_discard(v->storage, &e->file);
    e->kind = ENTRY_FREE;
}

static void visit_release(struct visit *v)
{
    for (size_t i = 0; i < v->n; i++)
        drop_entry(v, &v->entries[i]);
    for (size_t i = 0; i < v->sessions.n; i++) {
        uint64_t number = 0;
        int session;

        (void)text_to_u64(v->sessions.v[i], INT32_MAX, &number);
        session = (int)number;
        storage_session_end(v->storage, &session);
    }
    if (v->lock >= 0)
        storage_unlock(v->storage, &v->lock);
    argv_release(&v->sessions);
    free(v->entries);
}

/* ---- acts ---- */

static int check_names(const struct channel_request *r, struct error *err)
{
    static const char *const areas[] = {"packs",     "revisions", "templates", "holds",
                                        "condemned", "raw",       "",          NULL};
    bool setting;

    if (!memchr(r->area, '\0', sizeof(r->area)) || !memchr(r->name, '\0', sizeof(r->name)))
        return error_set(err, ERR_SYSTEM, "ask for the store: that is no request");
    setting = strcmp(r->area, ".") == 0 &&
              text_is_among(r->name, (const char *const[]){"secret", "format", NULL});
    if (!setting && (!text_is_among(r->area, areas) || r->name[0] == '.' || strchr(r->name, '/')))
        return error_set(err, ERR_SYSTEM, "ask for the store: that is no file of it");
    return 0;
}

static int give_lines(const struct argv *lines, int *ret_fd, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CHANNEL_TEXT);
    CLEANUP_CLOSE int fd = memfd_create("names", MFD_CLOEXEC);

    if (fd < 0 || lines->failed)
        return error_set(err, ERR_SYSTEM, "list the store: out of memory");
    for (size_t i = 0; i < lines->n; i++)
        buf_addf(&text, "%s\n", lines->v[i]);
    if (buf_check(&text, "the list of files", err) < 0 ||
        fs_write_all(fd, buf_str(&text), text.len, err) < 0)
        return -1;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* What is in the cache is for reading alone. */
static int reopen(int fd, int *ret_fd, struct error *err)
{
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(err, errno, "open a pack") : 0;
}

static int do_open_pack(struct visit *v, const struct channel_request *r, int32_t *ret_number,
                        int *ret_fd, struct error *err)
{
    struct entry e = {.kind = ENTRY_PACK};
    CLEANUP_CLOSE int fd = -1;

    *ret_number = 0;
    if (storage_open_pack(v->storage, r->name, &fd, &e.origin, err) < 0)
        return -1;
    if (fd < 0)
        return 0;
    if (reopen(fd, ret_fd, err) < 0 || add_entry(v, e, ret_number, err) < 0) {
        drop_entry(v, &e);
        return -1;
    }
    return 0;
}

static int do_pack(struct visit *v, const struct channel_request *r, struct error *err)
{
    struct entry *e = find_entry(v, r->number, ENTRY_PACK);

    if (!e || r->offset + r->len < r->offset)
        return error_set(err, ERR_SYSTEM, "ask for the store: no such pack is open");
    if (r->act == CHANNEL_FILL)
        return e->origin.fill ? e->origin.fill(e->origin.self, r->offset, r->len, err) : 0;
    if (r->act == CHANNEL_CLOSE_PACK)
        drop_entry(v, e);
    else if (e->origin.forget)
        e->origin.forget(e->origin.self, r->offset, r->len);
    return 0;
}

static int do_create(struct visit *v, int32_t *ret_number, int *ret_fd, struct error *err)
{
    struct entry e = {.kind = ENTRY_FILE, .file = STORAGE_FILE_INIT};

    if (storage_create(v->storage, &e.file, err) < 0)
        return -1;
    *ret_fd = fcntl(e.file.fd, F_DUPFD_CLOEXEC, 0);
    if (*ret_fd < 0 || add_entry(v, e, ret_number, err) < 0) {
        drop_entry(v, &e);
        return *ret_fd < 0 ? error_errno(err, errno, "make a file of the store") : -1;
    }
    return 0;
}

static int do_file(struct visit *v, const struct channel_request *r, struct error *err)
{
    struct entry *e = find_entry(v, r->number, ENTRY_FILE);

    if (!e)
        return error_set(err, ERR_SYSTEM, "ask for the store: no such file is on its way");
    if (r->act == CHANNEL_COMMIT && strcmp(r->area, "revisions") == 0 &&
        v->storage->gate.may_publish &&
        v->storage->gate.may_publish(v->storage->gate.self, err) < 0)
        return -1;
    if (r->act == CHANNEL_COMMIT &&
        v->storage->kind->commit(v->storage, &e->file, r->area, r->name, err) < 0)
        return -1;
    drop_entry(v, e);
    return 0;
}

static int do_list(struct visit *v, const struct channel_request *r, int *ret_fd, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    int result = r->act == CHANNEL_LIST ? v->storage->kind->list(v->storage, r->area, &names, err)
                                        : storage_sessions(v->storage, &names, err);

    return result < 0 ? -1 : give_lines(&names, ret_fd, err);
}

static int do_lock(struct visit *v, const struct channel_request *r, int32_t *ret_number,
                   struct error *err)
{
    if (r->act == CHANNEL_UNLOCK) {
        storage_unlock(v->storage, &v->lock);
        return 0;
    }
    if (v->lock >= 0)
        return error_set(err, ERR_SYSTEM, "ask for the store: it is locked already");
    *ret_number = 0;
    return storage_lock(v->storage, r->number != 0, &v->lock, err);
}

static int do_session(struct visit *v, const struct channel_request *r, int fd, int32_t *ret_number,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CHANNEL_TEXT);
    char number[16];
    int session = r->number;

    (void)snprintf(number, sizeof(number), "%d", session);
    if (r->act == CHANNEL_SESSION_END) {
        if (argv_contains(&v->sessions, number))
            storage_session_end(v->storage, &session);
        return 0;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return error_set(err, ERR_SYSTEM, "ask for the store: a session without a text");
    if (fs_read_fd(fd, &text, err) < 0 ||
        storage_session_begin(v->storage, buf_str(&text), &session, err) < 0)
        return -1;
    argv_pushf(&v->sessions, "%d", session);
    *ret_number = session;
    return 0;
}

static int act(struct visit *v, const struct channel_request *r, int fd, int32_t *ret_number,
               int *ret_fd, struct error *err)
{
    bool may = false;

    if (check_names(r, err) < 0)
        return -1;
    switch ((enum channel_act)r->act) {
    case CHANNEL_LIST:
    case CHANNEL_SESSIONS:
        return do_list(v, r, ret_fd, err);
    case CHANNEL_OPEN:
        return v->storage->kind->open(v->storage, r->area, r->name, ret_fd, err);
    case CHANNEL_OPEN_PACK:
        return do_open_pack(v, r, ret_number, ret_fd, err);
    case CHANNEL_FILL:
    case CHANNEL_FORGET:
    case CHANNEL_CLOSE_PACK:
        return do_pack(v, r, err);
    case CHANNEL_CREATE:
        return do_create(v, ret_number, ret_fd, err);
    case CHANNEL_COMMIT:
    case CHANNEL_DISCARD:
        return do_file(v, r, err);
    case CHANNEL_REMOVE:
        return v->storage->kind->remove(v->storage, r->area, r->name, err);
    case CHANNEL_MAY_REMOVE:
        if (storage_may_remove(v->storage, r->name, &may, err) < 0)
            return -1;
        *ret_number = may;
        return 0;
    case CHANNEL_LOCK:
    case CHANNEL_UNLOCK:
        return do_lock(v, r, ret_number, err);
    case CHANNEL_SESSION_BEGIN:
    case CHANNEL_SESSION_END:
        return do_session(v, r, fd, ret_number, err);
    case CHANNEL_SWEEP:
        return storage_sweep(v->storage, err);
    case CHANNEL_ACTS:
        break;
    }
    return error_set(err, ERR_SYSTEM, "ask for the store: that is no request");
}

/* ---- connections ---- */

/* False when it is to stop. */
static bool wait_readable(int fd, const struct cancel *quit)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = quit->fd, .events = POLLIN}};

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    return p[1].revents == 0;
}

void broker_serve(struct storage *s, int socket, const struct cancel *quit)
{
    CLEANUP(visit_release) struct visit v = {.storage = s, .lock = -1};
    struct error err = ERROR_INIT;

    while (wait_readable(socket, quit)) {
        CLEANUP_CLOSE int fd = -1;
        CLEANUP_CLOSE int reply_fd = -1;
        struct channel_request r;
        struct channel_reply reply = {.result = 0};
        size_t len;

        if (message_receive(socket, &r, sizeof(r), &len, &fd, &err) < 0 || len != sizeof(r))
            return;
        reply.result = act(&v, &r, fd, &reply.number, &reply_fd, &reply.error);
        if (message_send(socket, &reply, sizeof(reply), reply_fd, &err) < 0)
            return;
    }
}

static void *serve_forever(void *self)
{
    const struct template_broker *b = self;

    while (wait_readable(b->listener, &b->quit)) {
        CLEANUP_CLOSE int socket = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);

        if (socket >= 0)
            broker_serve(b->storage, socket, &b->quit);
    }
    return NULL;
}

static int listen_at(struct template_broker *b, const char *dir, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (snprintf(b->path, sizeof(b->path), "%s/" CHANNEL_SOCKET, dir) >= (int)sizeof(b->path))
        return error_set(err, ERR_SYSTEM, "the path %s is too long for a socket", dir);
    memcpy(address.sun_path, b->path, sizeof(b->path));
    (void)unlink(b->path);
    b->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (b->listener < 0 ||
        bind(b->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(b->listener, 1) < 0)
        return error_errno(err, errno, "listen at %s", b->path);
    return 0;
}

int template_broker_start(struct objects *objects, struct object_cache *cache, const char *dir,
                          struct template_gate gate, struct template_broker **ret,
                          struct error *err)
{
    struct template_broker *b = calloc(1, sizeof(*b));
    int problem;

    if (!b) {
        objects_free(objects);
        object_cache_free(cache);
        return error_set(err, ERR_SYSTEM, "start a broker: out of memory");
    }
    b->listener = b->quit.fd = -1;
    if (storage_open_objects(objects, cache, &b->storage, err) < 0 ||
        cancel_init(&b->quit, err) < 0 || listen_at(b, dir, err) < 0) {
        template_broker_stop(b);
        return -1;
    }
    b->storage->gate = gate;
    problem = pthread_create(&b->thread, NULL, serve_forever, b);
    b->started = problem == 0;
    if (problem) {
        template_broker_stop(b);
        return error_errno(err, problem, "start a thread");
    }
    *ret = b;
    return 0;
}

void template_broker_stop(struct template_broker *b)
{
    if (!b)
        return;
    if (b->quit.fd >= 0)
        cancel_throw(&b->quit);
    if (b->started)
        (void)pthread_join(b->thread, NULL);
    if (b->listener >= 0) {
        close(b->listener);
        (void)unlink(b->path);
    }
    cancel_release(&b->quit);
    storage_free(b->storage);
    free(b);
}
