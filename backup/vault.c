/* backup/vault — see the header. */
#include "backup/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "backup/manifest.h"
#include "base/fs.h"

#define FORMAT "kiln-vault 1\n"

void vault_chunk_path(const char *hex, char ret[VAULT_PATH])
{
    (void)snprintf(ret, VAULT_PATH, "chunks/%.2s/%.64s", hex, hex);
}

bool vault_name_is_valid(const char *name)
{
    static const char form[] = "00000000T000000.000Z";

    for (size_t i = 0; i < sizeof(form); i++)
        if (form[i] == '0' ? name[i] < '0' || name[i] > '9' : name[i] != form[i])
            return false;
    return true;
}

/* ---- opening ---- */

/* The format last, so that a directory that has it is a vault. */
static int make_vault(int dir, struct error *err)
{
    char path[VAULT_PATH];

    if ((mkdirat(dir, "chunks", 0700) < 0 && errno != EEXIST) ||
        (mkdirat(dir, "backups", 0700) < 0 && errno != EEXIST))
        return error_errno(err, errno, "make the vault's directories");
    for (int i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof(path), "chunks/%02x", i);
        if (mkdirat(dir, path, 0700) < 0 && errno != EEXIST)
            return error_errno(err, errno, "make directory %s", path);
    }
    if (fs_sync_parent(dir, "chunks/00", err) < 0)
        return -1;
    return fs_write_file(dir, "format", FORMAT, strlen(FORMAT), 0600, err);
}

/* What make_vault may have left when it was killed is nothing. */
static int is_empty(int dir, bool *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (fs_list(dir, ".", &names, err) < 0)
        return -1;
    *ret = true;
    for (size_t i = 0; i < names.n; i++)
        *ret = *ret && (strcmp(names.v[i], "chunks") == 0 || strcmp(names.v[i], "backups") == 0 ||
                        strcmp(names.v[i], "lock") == 0 || strcmp(names.v[i], "lost+found") == 0 ||
                        strncmp(names.v[i], "format.tmp-", 11) == 0);
    return 0;
}

static int check_format(struct backup_vault *v, bool *ret_there, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64);

    *ret_there = faccessat(v->dir, "format", F_OK, 0) == 0;
    if (!*ret_there)
        return 0;
    if (fs_read_file(v->dir, "format", &text, err) < 0)
        return -1;
    return strcmp(buf_str(&text), FORMAT) == 0
               ? 0
               : error_set(err, ERR_INPUT, "its format is not one that this kiln knows");
}

static int take_lock(struct backup_vault *v, struct error *err)
{
    const bool alone = v->use == BACKUP_TO_WRITE;

    v->lock =
        openat(v->dir, "lock", alone ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    if (v->lock < 0 && !alone && (errno == ENOENT || errno == EROFS || errno == EACCES))
        return 0; /* a copy, or one that nobody can write to */
    if (v->lock < 0)
        return error_errno(err, errno, "open its lock");
    if (flock(v->lock, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return error_errno(err, errno, "lock it");
    return error_set(err, ERR_INPUT,
                     alone ? "another kiln backup or restore uses it now"
                           : "a kiln backup writes there now");
}

static int prepare(struct backup_vault *v, const char *dir, struct error *err)
{
    bool there, empty;

    if (v->use == BACKUP_TO_WRITE && fs_mkdirs(dir, 0700, err) < 0)
        return -1;
    if (fs_open_dir(AT_FDCWD, dir, &v->dir, err) < 0)
        return -1;
    if (check_format(v, &there, err) < 0)
        return -1;
    if (!there && v->use == BACKUP_TO_READ)
        return error_set(err, ERR_INPUT, "there are no backups in it");
    if (!there && is_empty(v->dir, &empty, err) < 0)
        return -1;
    if (!there && !empty)
        return error_set(err, ERR_INPUT,
                         "it is neither empty nor has it backups: name another directory");
    if (take_lock(v, err) < 0)
        return -1;
    return there ? 0 : make_vault(v->dir, err);
}

int backup_vault_open(const char *dir, enum backup_use use, struct backup_vault **ret,
                      struct error *err)
{
    struct backup_vault *v = malloc(sizeof(*v));

    if (!v)
        return error_set(err, ERR_SYSTEM, "%s: out of memory", dir);
    *v = (struct backup_vault){.dir = -1, .lock = -1, .use = use};
    if (prepare(v, dir, err) < 0) {
        backup_vault_free(v);
        return error_wrap(err, "%s", dir);
    }
    *ret = v;
    return 0;
}

void backup_vault_free(struct backup_vault *v)
{
    if (!v)
        return;
    cleanup_close(&v->lock);
    cleanup_close(&v->dir);
    free(v);
}

int backup_vault_list(struct backup_vault *v, struct argv *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (fs_list(v->dir, "backups", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (vault_name_is_valid(names.v[i]))
            argv_push1(ret, names.v[i]);
    return ret->failed ? error_set(err, ERR_SYSTEM, "list backups: out of memory") : 0;
}

/* ---- chunks ---- */

int vault_put(struct backup_vault *v, const void *data, size_t len, char ret_hex[SHA256_HEX],
              bool *ret_new, struct error *err)
{
    char path[VAULT_PATH];
    struct stat st;

    digest_sha256_hex(data, len, ret_hex);
    vault_chunk_path(ret_hex, path);
    *ret_new = fstatat(v->dir, path, &st, 0) < 0 || st.st_size != (off_t)len;
    return *ret_new ? fs_write_file(v->dir, path, data, len, 0600, err) : 0;
}

int vault_get(struct backup_vault *v, const char *hex, void *data, size_t len, struct error *err)
{
    char path[VAULT_PATH], found[SHA256_HEX];
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    vault_chunk_path(hex, path);
    fd = openat(v->dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_INPUT, "%s is missing in the vault", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open %s", path);
    if (st.st_size != (off_t)len)
        return error_set(err, ERR_INPUT, "%s is damaged: it has %lld bytes, not %zu", path,
                         (long long)st.st_size, len);
    if (fs_pread(fd, data, len, 0) != (ssize_t)len)
        return error_errno(err, errno, "read %s", path);
    digest_sha256_hex(data, len, found);
    if (strcmp(found, hex) != 0)
        return error_set(err, ERR_INPUT, "%s is damaged: its SHA-256 is %s", path, found);
    return 0;
}

/* ---- manifests ---- */

int vault_open_manifest(struct backup_vault *v, const char *name, FILE **ret, struct error *err)
{
    CLEANUP_FILE FILE *file = NULL;
    char path[VAULT_PATH];
    int fd;

    if (!vault_name_is_valid(name))
        return error_set(err, ERR_INPUT, "\"%.100s\" is no name of a backup", name);
    (void)snprintf(path, sizeof(path), "backups/%.40s", name);
    fd = openat(v->dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return error_errno(err, errno, "open %s", path);
    }
    if (manifest_check(file, err) < 0)
        return error_wrap(err, "%s", path);
    *ret = TAKE(file);
    return 0;
}
