/* templates/storage_memory — the twin without a disk, for tests: files are memfds. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "templates/storage.h"

struct memory_file {
    char *name; /* "area/name" */
    int fd;
};

struct memory_session {
    int id;
    char *text;
};

struct memory {
    struct storage storage;
    pthread_mutex_t mutex; /* over all that follows */
    pthread_rwlock_t lock; /* the store's */
    struct memory_file *files;
    size_t n_files;
    struct memory_session *sessions;
    size_t n_sessions;
    int next_id;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "keep a file in memory: out of memory");
}

static int memory_list(struct storage *s, const char *area, struct argv *ret, struct error *err)
{
    struct memory *m = (struct memory *)s;
    size_t len = strlen(area);

    (void)err;
    (void)pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n_files; i++)
        if (strncmp(m->files[i].name, area, len) == 0 && m->files[i].name[len] == '/')
            argv_push1(ret, m->files[i].name + len + 1);
    (void)pthread_mutex_unlock(&m->mutex);
    return 0;
}

/* Under the mutex; NULL when absent. */
static struct memory_file *find(struct memory *m, const char *area, const char *name)
{
    size_t len = strlen(area);

    for (size_t i = 0; i < m->n_files; i++)
        if (strncmp(m->files[i].name, area, len) == 0 && m->files[i].name[len] == '/' &&
            strcmp(m->files[i].name + len + 1, name) == 0)
            return &m->files[i];
    return NULL;
}

/* A descriptor with an offset of its own. */
static int reopen(int fd)
{
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int memory_open(struct storage *s, const char *area, const char *name, int *ret_fd,
                       struct error *err)
{
    struct memory *m = (struct memory *)s;
    struct memory_file *f;
    int fd = -1;

    (void)pthread_mutex_lock(&m->mutex);
    f = find(m, area, name);
    if (f)
        fd = reopen(f->fd);
    (void)pthread_mutex_unlock(&m->mutex);
    if (f && fd < 0)
        return error_errno(err, errno, "open %s/%s", area, name);
    *ret_fd = fd;
    return 0;
}

static int memory_create(struct storage *s, struct storage_file *ret, struct error *err)
{
    (void)s;
    ret->fd = memfd_create("store", MFD_CLOEXEC);
    return ret->fd < 0 ? error_errno(err, errno, "make a file in memory") : 0;
}

static int add_file(struct memory *m, char *full, int fd, struct error *err)
{
    struct memory_file *files = reallocarray(m->files, m->n_files + 1, sizeof(*files));

    if (!files) {
        free(full);
        return out_of_memory(err);
    }
    m->files = files;
    files[m->n_files++] = (struct memory_file){.name = full, .fd = fd};
    return 0;
}

static int memory_commit(struct storage *s, struct storage_file *f, const char *area,
                         const char *name, struct error *err)
{
    struct memory *m = (struct memory *)s;
    struct memory_file *there;
    char *full = NULL;
    int result = 0;

    (void)pthread_mutex_lock(&m->mutex);
    there = find(m, area, name);
    if (there) {
        close(there->fd);
        there->fd = f->fd;
    } else if (asprintf(&full, "%s/%s", area, name) < 0) {
        result = out_of_memory(err);
    } else {
        result = add_file(m, full, f->fd, err);
    }
    (void)pthread_mutex_unlock(&m->mutex);
    if (result == 0)
        f->fd = -1;
    return result;
}

static void memory_discard(struct storage *s, struct storage_file *f)
{
    (void)s;
    close(TAKE_FD(f->fd));
}

static int memory_remove(struct storage *s, const char *area, const char *name, struct error *err)
{
    struct memory *m = (struct memory *)s;
    struct memory_file *f;

    (void)err;
    (void)pthread_mutex_lock(&m->mutex);
    f = find(m, area, name);
    if (f) {
        free(f->name);
        close(f->fd);
        *f = m->files[--m->n_files];
    }
    (void)pthread_mutex_unlock(&m->mutex);
    return 0;
}

static int memory_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err)
{
    struct memory *m = (struct memory *)s;

    (void)err;
    (void)(exclusive ? pthread_rwlock_wrlock(&m->lock) : pthread_rwlock_rdlock(&m->lock));
    *ret_lock = 0;
    return 0;
}

static void memory_unlock(struct storage *s, int *lock)
{
    (void)lock;
    (void)pthread_rwlock_unlock(&((struct memory *)s)->lock);
}

static int memory_session_begin(struct storage *s, const char *text, int *ret, struct error *err)
{
    struct memory *m = (struct memory *)s;
    struct memory_session *sessions;
    char *copy = strdup(text);

    (void)pthread_mutex_lock(&m->mutex);
    sessions = reallocarray(m->sessions, m->n_sessions + 1, sizeof(*sessions));
    if (sessions && copy) {
        m->sessions = sessions;
        sessions[m->n_sessions++] = (struct memory_session){.id = m->next_id, .text = copy};
        *ret = m->next_id++;
    } else if (sessions) {
        m->sessions = sessions;
    }
    (void)pthread_mutex_unlock(&m->mutex);
    if (sessions && copy)
        return 0;
    free(copy);
    return out_of_memory(err);
}

static void memory_session_end(struct storage *s, int *session)
{
    struct memory *m = (struct memory *)s;

    (void)pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n_sessions; i++)
        if (m->sessions[i].id == *session) {
            free(m->sessions[i].text);
            m->sessions[i] = m->sessions[--m->n_sessions];
            break;
        }
    (void)pthread_mutex_unlock(&m->mutex);
}

static int memory_sessions(struct storage *s, struct argv *ret, struct error *err)
{
    struct memory *m = (struct memory *)s;

    (void)err;
    (void)pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->n_sessions; i++)
        for (const char *line = m->sessions[i].text; *line;) {
            size_t len = strcspn(line, "\n");

            argv_pushf(ret, "%.*s", (int)len, line);
            line += len + (line[len] != '\0');
        }
    (void)pthread_mutex_unlock(&m->mutex);
    return 0;
}

static int memory_sweep(struct storage *s, struct error *err)
{
    (void)s;
    (void)err;
    return 0;
}

static void memory_release(struct storage *s)
{
    struct memory *m = (struct memory *)s;

    for (size_t i = 0; i < m->n_files; i++) {
        free(m->files[i].name);
        close(m->files[i].fd);
    }
    for (size_t i = 0; i < m->n_sessions; i++)
        free(m->sessions[i].text);
    free(m->files);
    free(m->sessions);
    (void)pthread_mutex_destroy(&m->mutex);
    (void)pthread_rwlock_destroy(&m->lock);
    free(m);
}

static const struct storage_kind memory_kind = {
    .list = memory_list,
    .open = memory_open,
    .create = memory_create,
    .commit = memory_commit,
    .discard = memory_discard,
    .remove = memory_remove,
    .lock = memory_lock,
    .unlock = memory_unlock,
    .session_begin = memory_session_begin,
    .session_end = memory_session_end,
    .sessions = memory_sessions,
    .sweep = memory_sweep,
    .release = memory_release,
};

int storage_open_memory(struct storage **ret, struct error *err)
{
    struct memory *m = calloc(1, sizeof(*m));

    if (!m || !(m->storage.where = strdup("memory"))) {
        free(m);
        return out_of_memory(err);
    }
    m->storage.kind = &memory_kind;
    (void)pthread_mutex_init(&m->mutex, NULL);
    (void)pthread_rwlock_init(&m->lock, NULL);
    *ret = &m->storage;
    return 0;
}
