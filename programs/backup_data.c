/* programs/backup_data — see the header.
 *
 *   webhook-secrets   as it is
 *   registry/         token keys, and the files of docker-registry: names and manifests before the
 *                     blobs that they name, as blobs are only added while it runs
 *   templates/W/      by template_copy
 *   volumes/W/        plain files; whoever has one mounted should let go of it first
 *
 * Steps' caches, base images, jobs and what is kept of an object store can be made anew. */
#include "programs/backup_data.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "registry/registry.h"
#include "templates/templates.h"

#define DEPTH_MAX 32
#define LINK_SIZE 71 /* bytes of docker-registry's link files: a digest */
#define LINK_WAIT 20 /* times 50 ms */

/* ---- one file ---- */

static int add_fd(struct backup_data *d, const char *path, int fd, bool lasting, struct error *err)
{
    struct stat st;
    bool known = false;

    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at %s", path);
    if (lasting && backup_add_known(d->writer, path, (uint64_t)st.st_size, &known, err) < 0)
        return -1;
    return known ? 0 : backup_add_file(d->writer, path, fd, st.st_mode & 0777, err);
}

/* What is no plain file, and what has gone meanwhile, is left out. */
static int add_path(struct backup_data *d, const char *path, bool lasting, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char whole[PATH_MAX];
    struct stat st;

    if (snprintf(whole, sizeof(whole), "%s/%s", d->config->data_dir, path) >= (int)sizeof(whole))
        return error_set(err, ERR_SYSTEM, "%s: path too long", path);
    fd = open(whole, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open %s", whole);
    return S_ISREG(st.st_mode) ? add_fd(d, path, fd, lasting, err) : 0;
}

/* docker-registry writes these in place: one that is being written is read a moment later. */
static void wait_for_link(const struct backup_data *d, const char *path)
{
    char whole[PATH_MAX];
    struct stat st;

    if (!text_ends(path, "/link") ||
        snprintf(whole, sizeof(whole), "%s/%s", d->config->data_dir, path) >= (int)sizeof(whole))
        return;
    for (int i = 0; i < LINK_WAIT && stat(whole, &st) == 0 && st.st_size != LINK_SIZE; i++)
        usleep(50000);
}

/* ---- trees ---- */

struct tree {
    bool lasting;              /* no file of it ever changes */
    const char *const *except; /* names that are left out, wherever they are; the last is NULL */
};

static int add_tree(struct backup_data *d, const char *path, const struct tree *t, int depth,
                    struct error *err);

static int add_entry(struct backup_data *d, const char *path, const struct tree *t, int depth,
                     struct error *err)
{
    char whole[PATH_MAX];
    struct stat st;

    if (snprintf(whole, sizeof(whole), "%s/%s", d->config->data_dir, path) >= (int)sizeof(whole))
        return error_set(err, ERR_SYSTEM, "%s: path too long", path);
    if (lstat(whole, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "look at %s", whole);
    if (S_ISDIR(st.st_mode))
        return add_tree(d, path, t, depth, err);
    wait_for_link(d, path);
    return add_path(d, path, t->lasting, err);
}

/* A directory that is not there is none of the backup. */
static int add_tree(struct backup_data *d, const char *path, const struct tree *t, int depth,
                    struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char whole[PATH_MAX], below[PATH_MAX];
    struct stat st;

    if (depth > DEPTH_MAX)
        return error_set(err, ERR_SYSTEM, "%s: directories are too deep", path);
    if (snprintf(whole, sizeof(whole), "%s/%s", d->config->data_dir, path) >= (int)sizeof(whole))
        return error_set(err, ERR_SYSTEM, "%s: path too long", path);
    if (stat(whole, &st) < 0 && errno == ENOENT)
        return 0;
    if (fs_list(AT_FDCWD, whole, &names, err) < 0 ||
        backup_add_directory(d->writer, path, st.st_mode & 0777, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        if (text_is_among(names.v[i], t->except))
            continue;
        if (snprintf(below, sizeof(below), "%s/%s", path, names.v[i]) >= (int)sizeof(below))
            return error_set(err, ERR_SYSTEM, "%s: path too long", path);
        if (add_entry(d, below, t, depth + 1, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the registry ---- */

static int add_directories(struct backup_data *d, struct error *err)
{
    static const char *const paths[] = {"registry/data", "registry/data/docker",
                                        "registry/data/docker/registry",
                                        "registry/data/docker/registry/v2"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (backup_add_directory(d->writer, paths[i], 0700, err) < 0)
            return -1;
    return 0;
}

/* Token keys, and no more: the rest is written at every start. */
static int add_token_keys(struct backup_data *d, const char *dir, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[PATH_MAX];

    if (fs_list(AT_FDCWD, dir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        if (!text_starts(names.v[i], "token-key.pem"))
            continue;
        (void)snprintf(path, sizeof(path), "registry/%s", names.v[i]);
        if (add_path(d, path, false, err) < 0)
            return -1;
    }
    return 0;
}

static int add_registry(struct backup_data *d, struct error *err)
{
    static const char *const uploads[] = {"_uploads", NULL};
    static const char *const none[] = {NULL};
    const struct tree names = {.except = uploads};
    const struct tree blobs = {.lasting = true, .except = none};
    CLEANUP_CLOSE int lock = -1;
    char dir[PATH_MAX];
    bool busy;

    (void)snprintf(dir, sizeof(dir), "%s/registry", d->config->data_dir);
    if (access(dir, F_OK) < 0)
        return 0;
    if (registry_server_hold(dir, &busy, &lock, err) < 0)
        return -1;
    if (busy)
        return error_set(err, ERR_SYSTEM, "the registry's garbage is being collected: try again");
    transfer_line_begin(d->line, "images");
    if (backup_add_directory(d->writer, "registry", 0755, err) < 0 ||
        add_token_keys(d, dir, err) < 0)
        return -1;
    if (d->config->registry_url[0])
        return 0;
    if (add_directories(d, err) < 0 ||
        add_tree(d, "registry/data/docker/registry/v2/repositories", &names, 0, err) < 0)
        return -1;
    return add_tree(d, "registry/data/docker/registry/v2/blobs", &blobs, 0, err);
}

/* ---- template stores ---- */

struct store_copy {
    struct backup_data *data;
    char dir[PATH_MAX]; /* "templates/acme" */
};

static int take_directory(void *self, const char *path, struct error *err)
{
    const struct store_copy *c = self;
    char whole[PATH_MAX + 300];

    (void)snprintf(whole, sizeof(whole), "%s/%s", c->dir, path);
    return backup_add_directory(c->data->writer, whole, 0700, err);
}

static int take_file(void *self, const char *path, int fd, bool lasting, struct error *err)
{
    const struct store_copy *c = self;
    char whole[PATH_MAX + 300];
    bool known = false;
    struct stat st;

    (void)snprintf(whole, sizeof(whole), "%s/%s", c->dir, path);
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at %s", whole);
    if (lasting && backup_add_known(c->data->writer, whole, (uint64_t)st.st_size, &known, err) < 0)
        return -1;
    return known ? 0 : backup_add_file(c->data->writer, whole, fd, 0600, err);
}

static int add_store(struct backup_data *d, const char *workspace, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *store = NULL;
    struct store_copy c = {.data = d};
    const struct template_taker taker = {take_directory, take_file, &c};
    char whole[PATH_MAX + 16];

    if (snprintf(c.dir, sizeof(c.dir), "templates/%s", workspace) >= (int)sizeof(c.dir))
        return error_set(err, ERR_SYSTEM, "templates/%s: path too long", workspace);
    (void)snprintf(whole, sizeof(whole), "%s/%s/format", d->config->data_dir, c.dir);
    if (access(whole, F_OK) < 0)
        return 0; /* not a store yet */
    *strrchr(whole, '/') = '\0';
    if (backup_add_directory(d->writer, c.dir, 0700, err) < 0 ||
        template_store_open(whole, NULL, &store, err) < 0)
        return -1;
    return template_copy(store, &taker, err);
}

static int add_templates(struct backup_data *d, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char dir[PATH_MAX];

    (void)snprintf(dir, sizeof(dir), "%s/templates", d->config->data_dir);
    if (access(dir, F_OK) < 0)
        return 0;
    transfer_line_begin(d->line, "volume templates");
    if (fs_list(AT_FDCWD, dir, &names, err) < 0 ||
        backup_add_directory(d->writer, "templates", 0700, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (names.v[i][0] != '.' && add_store(d, names.v[i], err) < 0)
            return -1;
    return 0;
}

/* ---- all of it ---- */

static int note(struct backup_data *d, const char *key, const char *value, const char *what,
                struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(8192);

    if (!value[0])
        return 0;
    buf_addf(&text, "not in it: %s (%s = %s)", what, key, value);
    return backup_note(d->writer, buf_str(&text), err);
}

int backup_data_note(struct backup_data *d, struct error *err)
{
    const struct config *c = d->config;

    if (note(d, "configuration", c->file ? c->file : "", "the configuration", err) < 0 ||
        note(d, "registry_url", c->registry_url, "images", err) < 0 ||
        note(d, "uploads", c->uploads, "uploaded archives", err) < 0 ||
        note(d, "templates", c->templates, "volume templates", err) < 0 ||
        note(d, "s3_credentials", c->s3_credentials, "credentials of the object store", err) < 0 ||
        note(d, "registry_key", c->registry_key, "the key of the registry's tokens", err) < 0)
        return -1;
    return note(d, "webhook_secrets", c->webhook_secrets, "the secrets of webhooks", err);
}

int backup_data_uploads(struct backup_data *d, const struct argv *keys, struct error *err)
{
    char path[PATH_MAX];

    if (d->config->uploads[0])
        return 0;
    transfer_line_begin(d->line, "uploads");
    if (backup_add_directory(d->writer, "uploads", 0700, err) < 0)
        return -1;
    for (size_t i = 0; i < keys->n; i++) {
        (void)snprintf(path, sizeof(path), "uploads/%s", keys->v[i]);
        if (add_path(d, path, true, err) < 0)
            return -1;
    }
    return 0;
}

int backup_data_files(struct backup_data *d, struct error *err)
{
    static const char *const making[] = {".making", NULL};
    const struct tree volumes = {.except = making};

    if (add_path(d, "webhook-secrets", false, err) < 0 || add_registry(d, err) < 0 ||
        add_templates(d, err) < 0)
        return -1;
    transfer_line_begin(d->line, "volumes");
    return add_tree(d, "volumes", &volumes, 0, err);
}
