/* builder/execute_run — RUN: what its key is made of, what is mounted for it, and the command. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/path.h"
#include "builder/execute.h"
#include "builder/prune.h"
#include "builder/run.h"

#define LOCK_PAUSE_MS 20
#define PRIVATE_MAX   64 /* builds at once that use one private cache mount */
#define SECRETS       "/run/secrets"

/* ---- secrets ---- */

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const char *secret_id(const struct builder_mount *m)
{
    if (*m->id)
        return m->id;
    if (*m->source)
        return last_name(m->source);
    return *m->target ? last_name(m->target) : m->env;
}

static const char *find_secret(const struct execution *x, const struct builder_mount *m)
{
    const struct builder_program *p = &x->doc.program;
    const char *id = secret_id(m);

    for (size_t i = 0; i < p->n_secrets; i++)
        if (strcmp(p->secrets[i].id, id) == 0)
            return p->secrets[i].content;
    return NULL;
}

/* ---- the key ---- */

static struct copy_request bound_files(const struct execution *x, const struct argv *source)
{
    return (struct copy_request){.from = x->context,
                                 .sources = source,
                                 .view = -1,
                                 .to = -1,
                                 .dest = "/",
                                 .chmod = "",
                                 .epoch = -1};
}

static int key_origin(struct stage_run *s, const struct builder_origin *from, struct cache_key *key,
                      struct error *err)
{
    const struct execution *x = s->x;
    const struct document_image *image;

    if (execute_key_origin(s->x, from, key, err) < 0)
        return -1;
    if (from->stage != BUILDER_NO_STAGE) {
        cache_inputs_add_text(&s->inputs, "stage", x->doc.program.stages[from->stage].name,
                              x->stages[from->stage].key);
        return 0;
    }
    image = document_find_image(&x->doc, from->image);
    cache_inputs_add_text(&s->inputs, "image", from->image, image ? image->digest : "");
    return 0;
}

static void tell_file(void *self, const char *path, uint64_t mark)
{
    cache_inputs_add(self, "", path, mark);
}

static int key_bind(struct stage_run *s, const struct builder_mount *m, struct cache_key *key,
                    struct error *err)
{
    CLEANUP(argv_release) struct argv source = ARGV_INIT;
    struct copy_request files = bound_files(s->x, &source);
    unsigned char digest[SHA256_SIZE];

    if (m->from.stage != BUILDER_NO_STAGE || *m->from.image)
        return key_origin(s, &m->from, key, err);
    files.told = &(const struct copy_told){tell_file, &s->inputs};
    argv_push1(&source, *m->source ? m->source : "/");
    if (copy_digest(&files, digest, NULL, err) < 0)
        return -1;
    cache_key_add(key, digest, sizeof(digest));
    return 0;
}

static void tell_secret(struct stage_run *s, const struct builder_mount *m)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 20);
    const char *content = find_secret(s->x, m);

    buf_addf(&text, "secret %s %s", secret_id(m), content ? content : "");
    cache_inputs_add_text(&s->inputs, "secret", secret_id(m), buf_str(&text));
}

static int key_mount(struct stage_run *s, const struct builder_mount *m, struct cache_key *key,
                     struct error *err)
{
    cache_key_add_number(key, m->type);
    cache_key_add_word(key, m->source);
    cache_key_add_word(key, m->target);
    cache_key_add_word(key, m->id);
    cache_key_add_word(key, m->env);
    cache_key_add_number(key, m->read_only);
    switch (m->type) {
    case BUILDER_MOUNT_BIND:
        return key_bind(s, m, key, err);
    case BUILDER_MOUNT_SECRET:
        cache_key_add_word(key, find_secret(s->x, m));
        tell_secret(s, m);
        return 0;
    case BUILDER_MOUNT_CACHE:
    case BUILDER_MOUNT_TMPFS:
    case BUILDER_MOUNT_SSH:
        return 0;
    }
    return 0;
}

/* ---- what it is made of, by name ---- */

static void tell_variable(struct cache_inputs *in, const char *assignment)
{
    CLEANUP(buf_release) struct buf name = BUF_INIT(CACHE_INPUTS_BYTES);

    buf_add(&name, assignment, strcspn(assignment, "="));
    cache_inputs_add_text(in, "variable", buf_str(&name), assignment);
}

static void tell_mount(struct cache_inputs *in, const struct builder_mount *m)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP(buf_release) struct buf name = BUF_INIT(CACHE_INPUTS_BYTES);

    argv_push(&words, m->source, m->id, m->env, m->read_only ? "ro" : "rw", NULL);
    argv_pushf(&words, "%d", (int)m->type);
    buf_addf(&name, "the mount at %s", *m->target ? m->target : m->env);
    cache_inputs_add_words(in, buf_str(&name), &words);
}

static void tell(struct stage_run *s, const struct builder_step *step)
{
    struct cache_inputs *in = &s->inputs;

    cache_inputs_add_words(in, "the command", &step->argv);
    cache_inputs_add_text(in, "", "the script", step->script);
    cache_inputs_add_text(in, "", "the user", step->user);
    cache_inputs_add_text(in, "", "the working directory", step->working_dir);
    cache_inputs_add(in, "", "the network", step->no_network);
    cache_inputs_add(in, "", "SOURCE_DATE_EPOCH", (uint64_t)s->x->doc.program.epoch);
    for (size_t i = 0; i < step->env.n; i++)
        tell_variable(in, step->env.v[i]);
    for (size_t i = 0; i < step->n_mounts; i++)
        tell_mount(in, &step->mounts[i]);
}

int execute_run_key(struct stage_run *s, const struct builder_step *step, char ret[SHA256_HEX],
                    struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    if (cache_key_begin(&key, "run 1", s->key, err) < 0)
        return -1;
    tell(s, step);
    cache_key_add_words(&key, &step->argv);
    cache_key_add_words(&key, &step->env);
    cache_key_add_word(&key, step->script);
    cache_key_add_word(&key, step->user);
    cache_key_add_word(&key, step->working_dir);
    cache_key_add_number(&key, step->no_network);
    cache_key_add_number(&key, s->x->doc.program.epoch);
    for (size_t i = 0; i < step->n_mounts; i++)
        if (key_mount(s, &step->mounts[i], &key, err) < 0)
            return -1;
    cache_key_end(&key, ret);
    return 0;
}

/* ---- mounts ---- */

/* What a RUN holds while it runs; let go by release_run. */
struct run_state {
    struct stage_run *s;
    const struct builder_step *step;
    const char *path; /* in the cache's tmp */
    struct run_mount *mounts;
    size_t n_mounts;
    struct argv env;
    struct argv mounted; /* paths to be unmounted, the first last */
    struct argv kept;    /* strings that mounts refer to */
    int *locks;
    size_t n_locks;
};

static void release_run(struct run_state *r)
{
    for (size_t i = r->mounted.n; i-- > 0;)
        (void)umount2(r->mounted.v[i], MNT_DETACH);
    for (size_t i = 0; i < r->n_locks; i++)
        close(r->locks[i]);
    free(r->locks);
    free(r->mounts);
    argv_release(&r->env);
    argv_release(&r->mounted);
    argv_release(&r->kept);
}

static const char *keep_text(struct run_state *r, const char *text)
{
    argv_push1(&r->kept, text);
    return r->kept.failed ? "" : r->kept.v[r->kept.n - 1];
}

static const char *target_of(struct run_state *r, const char *target)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(1 << 20);

    if (*target == '/')
        path_clean(&path, target);
    else
        path_join(&path, r->step->working_dir, target);
    return keep_text(r, buf_str(&path));
}

/* A new path of this execution's own in the jail's /run. */
static void new_path(struct run_state *r, char ret[64])
{
    (void)mkdir("/run/m", 0700);
    (void)snprintf(ret, 64, "/run/m/%u", atomic_fetch_add(&r->s->x->n_tmp, 1));
}

static int open_below(int root, const char *path, int *ret_fd, struct error *err)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

    *ret_fd = (int)syscall(SYS_openat2, root, *path ? path : "/", &how, sizeof(how));
    if (*ret_fd >= 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return error_set(err, ERR_INPUT, "\"%s%s\": not found", *path == '/' ? "" : "/", path);
    return error_errno(err, errno, "open the source of a mount");
}

/* A mount of what fd is, at a path of ours. */
static int bind(struct run_state *r, int fd, char at[64], struct error *err)
{
    CLEANUP_CLOSE int file = -1;
    char from[32];
    struct stat st;

    new_path(r, at);
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at the source of a mount");
    if (S_ISDIR(st.st_mode) ? mkdir(at, 0700) < 0
                            : (file = open(at, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) < 0)
        return error_errno(err, errno, "make %s", at);
    (void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
    if (mount(from, at, NULL, MS_BIND, NULL) < 0)
        return error_errno(err, errno, "bind the source of a mount");
    argv_push1(&r->mounted, at);
    return 0;
}

/* The same with changes that are forgotten, as BuildKit has it for a writable bind. */
static int bind_writable(struct run_state *r, int fd, char at[64], struct error *err)
{
    char names[3][CACHE_PATH + 32];
    CLEANUP(buf_release) struct buf options = BUF_INIT(4095);
    static const char *const parts[] = {"", "/diff", "/work"};
    unsigned n = atomic_fetch_add(&r->s->x->n_tmp, 1);

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%s/m%u%s", r->path, n, parts[i]);
        if (mkdir(names[i], 0755) < 0)
            return error_errno(err, errno, "make %s", names[i]);
    }
    new_path(r, at);
    if (mkdir(at, 0700) < 0)
        return error_errno(err, errno, "make %s", at);
    buf_addf(&options, "lowerdir=/proc/self/fd/%d,upperdir=%s,workdir=%s%s", fd, names[1], names[2],
             r->s->x->doc.userxattr ? ",userxattr" : "");
    if (mount("overlay", at, "overlay", MS_NODEV, buf_str(&options)) < 0)
        return error_errno(err, errno, "mount a writable bind");
    argv_push1(&r->mounted, at);
    return 0;
}

/* Of a tree without files. */
static int bind_nothing(struct run_state *r, const struct builder_mount *m, char at[64],
                        struct error *err)
{
    if (m->source[strspn(m->source, "/.")])
        return error_set(err, ERR_INPUT, "\"%s%s\": not found", *m->source == '/' ? "" : "/",
                         m->source);
    new_path(r, at);
    return mkdir(at, 0755) < 0 ? error_errno(err, errno, "make %s", at) : 0;
}

/* Of what the source is. */
static int bind_source(struct run_state *r, const struct builder_mount *m, int root, char at[64],
                       bool *ret_writable, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    *ret_writable = !m->read_only;
    if (root < 0)
        return bind_nothing(r, m, at, err);
    if (open_below(root, m->source, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at the source of a mount");
    *ret_writable = !m->read_only && S_ISDIR(st.st_mode);
    return *ret_writable ? bind_writable(r, fd, at, err) : bind(r, fd, at, err);
}

static int add_bind(struct run_state *r, const struct builder_mount *m, struct error *err)
{
    CLEANUP(stack_view_release) struct stack_view view = {.fd = -1};
    char at[64];
    bool writable;

    if (execute_view_origin(r->s->x, &m->from, &view, err) < 0 ||
        bind_source(r, m, view.fd, at, &writable, err) < 0)
        return -1;
    r->mounts[r->n_mounts++] = (struct run_mount){.type = RUN_MOUNT_BIND,
                                                  .target = target_of(r, m->target),
                                                  .source = keep_text(r, at),
                                                  .read_only = !writable};
    return 0;
}

/* ---- cache mounts ---- */

/* With what it begins with, if the Dockerfile says so and no other worker saved it. */
static int fill_cache(struct run_state *r, const struct builder_mount *m, int fd, struct error *err)
{
    struct execution *x = r->s->x;
    CLEANUP(stack_view_release) struct stack_view view = {.fd = -1};
    CLEANUP(argv_release) struct argv source = ARGV_INIT;
    struct copy_request copy = bound_files(x, &source);
    struct copy_result result;

    if (m->from.stage == BUILDER_NO_STAGE && !*m->from.image)
        return 0;
    if (execute_view_origin(x, &m->from, &view, err) < 0)
        return -1;
    argv_push1(&source, *m->source ? m->source : "/");
    copy.from = view.fd;
    copy.to = fd;
    copy.keep_owner = true;
    return view.fd >= 0 ? copy_into(&copy, &result, err) : 0;
}

/* A saved one that came only in part is put away. */
static int restore_cache(struct run_state *r, const char *name, char path[CACHE_PATH],
                         bool *ret_restored, struct error *err)
{
    struct execution *x = r->s->x;
    CLEANUP_CLOSE int dir = -1, work = -1, diff = -1;

    if (cache_begin(&x->cache, atomic_fetch_add(&x->n_tmp, 1), path, err) < 0 ||
        fs_open_dir(AT_FDCWD, path, &dir, err) < 0 || fs_open_dir(dir, "work", &work, err) < 0 ||
        fs_open_dir(dir, "diff", &diff, err) < 0)
        return -1;
    *ret_restored = cache_remote_mount(&x->remote, name, x->doc.userxattr, work, diff);
    if (*ret_restored)
        return 0;
    return cache_begin(&x->cache, atomic_fetch_add(&x->n_tmp, 1), path, err);
}

static int make_cache(struct run_state *r, const struct builder_mount *m, const char *name,
                      struct error *err)
{
    struct execution *x = r->s->x;
    CLEANUP_CLOSE int fd = -1;
    char path[CACHE_PATH], diff[CACHE_PATH + 8];
    bool restored;

    if (faccessat(x->cache.mounts, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (restore_cache(r, name, path, &restored, err) < 0)
        return -1;
    (void)snprintf(diff, sizeof(diff), "%s/diff", path);
    if (fs_open_dir(AT_FDCWD, diff, &fd, err) < 0 || (!restored && fill_cache(r, m, fd, err) < 0))
        return -1;
    if (fchmod(fd, m->mode >= 0 ? (mode_t)m->mode & 07777 : 0755) < 0 ||
        fchown(fd, m->uid >= 0 ? (uid_t)m->uid : 0, m->gid >= 0 ? (gid_t)m->gid : 0) < 0)
        return error_errno(err, errno, "make a cache mount");
    /* Another build's that was faster stays, even an empty one. */
    if (renameat2(AT_FDCWD, diff, x->cache.mounts, name, RENAME_NOREPLACE) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make a cache mount");
    return 0;
}

/* Nobody has removed it between our opening and our locking it. */
static bool is_at(int dir, const char *name, int fd)
{
    struct stat now, ours;

    return fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &ours) == 0 &&
           now.st_dev == ours.st_dev && now.st_ino == ours.st_ino;
}

/* The lock is that of the directory itself.  *ret_fd -1: somebody else has it, or
 * it has just been removed. */
static int try_lock(const struct cache *c, const char *name, int how, int *ret_fd,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = openat(c->mounts, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *ret_fd = -1;
    if (fd < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open a cache mount");
    if (flock(fd, how | LOCK_NB) < 0)
        return errno == EWOULDBLOCK || errno == EINTR
                   ? 0
                   : error_errno(err, errno, "lock a cache mount");
    if (is_at(c->mounts, name, fd))
        *ret_fd = TAKE_FD(fd);
    return 0;
}

static int lock_cache(struct run_state *r, const struct builder_mount *m, const char *id,
                      char name[SHA256_HEX + 8], int *ret_fd, struct error *err)
{
    struct execution *x = r->s->x;
    bool is_private = strcmp(m->sharing, "private") == 0;
    int how = is_private || strcmp(m->sharing, "locked") == 0 ? LOCK_EX : LOCK_SH;

    for (int i = 0;; i = is_private ? (i + 1) % PRIVATE_MAX : 0) {
        (void)snprintf(name, SHA256_HEX + 8, i ? "%s-%d" : "%s", id, i);
        if (make_cache(r, m, name, err) < 0 || try_lock(&x->cache, name, how, ret_fd, err) < 0)
            return -1;
        if (*ret_fd >= 0)
            return 0;
        if (cancel_is_thrown(&x->cancel))
            return -1;
        if (!is_private || i == PRIVATE_MAX - 1)
            (void)poll(NULL, 0, LOCK_PAUSE_MS);
    }
}

/* The name of a cache mount: of its id, and of what it begins with, if it says so, as another
 * beginning is another cache (BuildKit: getRefCacheDir). */
static int name_cache(struct run_state *r, const struct builder_mount *m, const char *target,
                      char ret[SHA256_HEX], struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};
    const char *id = *m->id ? m->id : target;

    if (m->from.stage == BUILDER_NO_STAGE && !*m->from.image) {
        digest_sha256_hex(id, strlen(id), ret);
        return 0;
    }
    if (cache_key_begin(&key, "cache mount 1", NULL, err) < 0)
        return -1;
    cache_key_add_word(&key, id);
    cache_key_add_word(&key, m->source);
    if (execute_key_origin(r->s->x, &m->from, &key, err) < 0)
        return -1;
    cache_key_end(&key, ret);
    return 0;
}

/* To be saved for other workers; once. */
static void note_cache(struct execution *x, const char *name)
{
    size_t i = 0;

    pthread_mutex_lock(&x->lock);
    while (i < x->mounts.n && strcmp(x->mounts.v[i], name) != 0)
        i++;
    if (i == x->mounts.n)
        argv_push1(&x->mounts, name);
    pthread_mutex_unlock(&x->lock);
}

static int add_cache(struct run_state *r, const struct builder_mount *m, struct error *err)
{
    const char *target = target_of(r, m->target);
    char hex[SHA256_HEX], name[SHA256_HEX + 8], at[64];
    int fd = -1;

    if (name_cache(r, m, target, hex, err) < 0 || lock_cache(r, m, hex, name, &fd, err) < 0)
        return -1;
    r->locks[r->n_locks++] = fd;
    note_cache(r->s->x, name);
    (void)futimens(fd, NULL); /* its last use */
    if (bind(r, fd, at, err) < 0)
        return -1;
    r->mounts[r->n_mounts++] = (struct run_mount){.type = RUN_MOUNT_BIND,
                                                  .target = target,
                                                  .source = keep_text(r, at),
                                                  .read_only = m->read_only};
    return 0;
}

/* ---- the others ---- */

static int add_secret(struct run_state *r, const struct builder_mount *m, struct error *err)
{
    const char *content = find_secret(r->s->x, m);
    const char *id = secret_id(m);
    CLEANUP(buf_release) struct buf path = BUF_INIT(4096);

    if (!content) {
        if (!m->required)
            return 0;
        return error_set(err, ERR_INPUT,
                         "secret %s: not found; a line %s=… in .env.build makes it one", id, id);
    }
    if (*m->env)
        argv_pushf(&r->env, "%s=%s", m->env, content);
    if (*m->env && !*m->target)
        return 0;
    buf_addf(&path, SECRETS "/%s", id);
    r->mounts[r->n_mounts++] =
        (struct run_mount){.type = RUN_MOUNT_FILE,
                           .target = target_of(r, *m->target ? m->target : buf_str(&path)),
                           .content = content,
                           .len = strlen(content),
                           .read_only = true,
                           .mode = m->mode,
                           .uid = m->uid,
                           .gid = m->gid};
    return 0;
}

static int add_ssh(const struct builder_mount *m, struct error *err)
{
    if (!m->required)
        return 0;
    return error_set(
        err, ERR_INPUT,
        "ssh mount %s: this service has no SSH agent to offer; give the step a key or a "
        "token as a secret instead (RUN --mount=type=secret)",
        *m->id ? m->id : "default");
}

static int add_tmpfs(struct run_state *r, const struct builder_mount *m)
{
    r->mounts[r->n_mounts++] = (struct run_mount){.type = RUN_MOUNT_TMPFS,
                                                  .target = target_of(r, m->target),
                                                  .mode = m->mode,
                                                  .uid = m->uid,
                                                  .gid = m->gid,
                                                  .size = m->size};
    return 0;
}

static int add_mount(struct run_state *r, const struct builder_mount *m, struct error *err)
{
    switch (m->type) {
    case BUILDER_MOUNT_BIND:
        return add_bind(r, m, err);
    case BUILDER_MOUNT_CACHE:
        return add_cache(r, m, err);
    case BUILDER_MOUNT_TMPFS:
        return add_tmpfs(r, m);
    case BUILDER_MOUNT_SECRET:
        return add_secret(r, m, err);
    case BUILDER_MOUNT_SSH:
        return add_ssh(m, err);
    }
    return error_set(err, ERR_SYSTEM, "a mount of unknown type %d", (int)m->type);
}

static int prepare(struct run_state *r, struct error *err)
{
    r->mounts = calloc(r->step->n_mounts + 1, sizeof(*r->mounts));
    r->locks = calloc(r->step->n_mounts + 1, sizeof(*r->locks));
    if (!r->mounts || !r->locks)
        return error_set(err, ERR_SYSTEM, "prepare a RUN: out of memory");
    for (size_t i = 0; i < r->step->env.n; i++)
        argv_push1(&r->env, r->step->env.v[i]);
    for (size_t i = 0; i < r->step->n_mounts; i++)
        if (add_mount(r, &r->step->mounts[i], err) < 0)
            return -1;
    if (r->env.failed || r->kept.failed || r->mounted.failed)
        return error_set(err, ERR_SYSTEM, "prepare a RUN: out of memory");
    return 0;
}

/* ---- the command ---- */

static void pass_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    const struct run_state *r = self;
    const struct builder_event e = {.kind = BUILDER_EVENT_LINE,
                                    .stage = r->s->index,
                                    .step = (size_t)(r->step - r->s->stage->steps),
                                    .text = text,
                                    .stream = stream};

    (void)len;
    events_say(&e);
}

static int judge(const struct run_state *r, const struct run_end *run, struct step_end *end,
                 struct error *err)
{
    CLEANUP(buf_release) struct buf command = BUF_INIT(700);

    if (run->how == RUN_CANCELLED) {
        err->kind = ERR_NONE;
        return -1;
    }
    if (run->how == RUN_EXITED && run->code == 0)
        return 0;
    end->code = run->code;
    for (size_t i = 0; i < r->step->argv.n; i++)
        buf_addf(&command, "%s%.500s", i ? " " : "", r->step->argv.v[i]);
    return error_set(err, ERR_INPUT, "process \"%s\" did not complete successfully: exit code: %d",
                     buf_str(&command), run->code);
}

static int run(struct run_state *r, const char *root, struct step_end *end, struct error *err)
{
    struct execution *x = r->s->x;
    const struct process_sink sink = {pass_line, r};
    struct run_end ended;
    char bundle[64];
    struct run_request req = {
        .rootfs = root,
        .bundle = bundle,
        .argv = &r->step->argv,
        .env = &r->env,
        .cwd = r->step->working_dir,
        .user = r->step->user,
        .script = r->step->script,
        .script_name = r->step->script ? last_name(r->step->argv.v[r->step->argv.n - 1]) : NULL,
        .mounts = r->mounts,
        .n_mounts = r->n_mounts,
        .no_network = r->step->no_network,
        .sink = &sink,
        .cancel = &x->cancel,
    };

    new_path(r, bundle);
    if (mkdir(bundle, 0700) < 0)
        return error_errno(err, errno, "make %s", bundle);
    if (run_command(&req, &ended, err) < 0)
        return -1;
    return judge(r, &ended, end, err);
}

/* After the tree was unmounted. */
static int prune(struct stage_run *s, const char *upper, struct error *err)
{
    CLEANUP(stack_view_release) struct stack_view view = {.fd = -1};
    CLEANUP_CLOSE int diff = -1;

    if (execute_view(s->x, &s->files, &view, err) < 0 ||
        fs_open_dir(AT_FDCWD, upper, &diff, err) < 0)
        return -1;
    return prune_unchanged(view.fd, diff, err);
}

static int run_in_tree(struct stage_run *s, const struct builder_step *step, const char *path,
                       const char *upper, struct step_end *end, struct error *err)
{
    CLEANUP(release_run) struct run_state r = {.s = s, .step = step, .path = path};
    char work[CACHE_PATH + 8], root[64];

    if (prepare(&r, err) < 0)
        return -1;
    (void)snprintf(work, sizeof(work), "%s/work", path);
    new_path(&r, root);
    if (mkdir(root, 0700) < 0)
        return error_errno(err, errno, "make %s", root);
    if (stack_mount(&s->files, s->x->doc.userxattr, upper, work, root, err) < 0)
        return -1;
    argv_push1(&r.mounted, root);
    return run(&r, root, end, err);
}

int execute_run(struct stage_run *s, const struct builder_step *step, const char *path,
                struct step_end *end, struct error *err)
{
    char upper[CACHE_PATH + 8];

    (void)snprintf(upper, sizeof(upper), "%s/diff", path);
    if (run_in_tree(s, step, path, upper, end, err) < 0)
        return -1;
    return prune(s, upper, err);
}
