/* backup/forget — old backups go, and chunks that no other needs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/manifest.h"
#include "backup/vault.h"
#include "base/fs.h"

struct digest {
    unsigned char first[16]; /* half of a SHA-256 tells chunks apart well enough to keep them */
};

struct needed {
    struct digest *v;
    size_t n, room;
};

static unsigned char nibble(char c)
{
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct digest digest_of(const char *hex)
{
    struct digest d;

    for (size_t i = 0; i < sizeof(d.first); i++)
        d.first[i] = (unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return d;
}

static int note(void *self, const struct manifest_entry *e, struct error *err)
{
    struct needed *s = self;

    if (e->kind != MANIFEST_CHUNK)
        return 0;
    if (s->n == s->room) {
        const size_t room = s->room ? 2 * s->room : 4096;
        struct digest *v = reallocarray(s->v, room, sizeof(*v));

        if (!v)
            return error_set(err, ERR_SYSTEM, "out of memory");
        s->v = v;
        s->room = room;
    }
    s->v[s->n++] = digest_of(e->hex);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* A manifest that cannot be read may need anything: then nothing goes. */
static int collect(struct backup_vault *v, const struct argv *names, size_t from,
                   struct needed *ret, struct error *err)
{
    for (size_t i = from; i < names->n; i++) {
        CLEANUP_FILE FILE *file = NULL;

        if (vault_open_manifest(v, names->v[i], &file, err) < 0 ||
            manifest_parse(file, &(struct manifest_sink){.entry = note, .self = ret}, err) < 0)
            return error_wrap(err, "backup %s", names->v[i]);
    }
    if (ret->n)
        qsort(ret->v, ret->n, sizeof(*ret->v), compare);
    return 0;
}

static int remove_one(struct backup_vault *v, const char *path, uint64_t *freed, struct error *err)
{
    struct stat st;

    if (fstatat(v->dir, path, &st, 0) < 0 || unlinkat(v->dir, path, 0) < 0)
        return error_errno(err, errno, "remove %s", path);
    *freed += (uint64_t)st.st_size;
    return 0;
}

static int sweep(struct backup_vault *v, const struct needed *needed, uint64_t *freed,
                 struct error *err)
{
    for (int i = 0; i < 256; i++) {
        CLEANUP(argv_release) struct argv names = ARGV_INIT;
        char dir[VAULT_PATH];

        (void)snprintf(dir, sizeof(dir), "chunks/%02x", i);
        if (fs_list(v->dir, dir, &names, err) < 0)
            return -1;
        for (size_t n = 0; n < names.n; n++) {
            char path[VAULT_PATH + 256];
            struct digest d;

            if (digest_is_hex(names.v[n])) {
                d = digest_of(names.v[n]);
                if (needed->n && bsearch(&d, needed->v, needed->n, sizeof(d), compare))
                    continue;
            }
            (void)snprintf(path, sizeof(path), "%s/%.250s", dir, names.v[n]);
            if (remove_one(v, path, freed, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* The manifests first: chunks without one are only room. */
int backup_vault_forget(struct backup_vault *v, size_t keep, uint64_t *ret_freed, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct needed needed = {.n = 0};
    uint64_t freed = 0;
    size_t from;
    int result;

    if (backup_vault_list(v, &names, err) < 0)
        return -1;
    from = names.n > keep ? names.n - keep : 0;
    result = collect(v, &names, from, &needed, err);
    for (size_t i = 0; result == 0 && i < from; i++) {
        char path[VAULT_PATH];

        (void)snprintf(path, sizeof(path), "backups/%.40s", names.v[i]);
        result = remove_one(v, path, &freed, err);
    }
    if (result == 0)
        result = fs_sync_parent(v->dir, "backups/x", err);
    if (result == 0)
        result = sweep(v, &needed, &freed, err);
    free(needed.v);
    *ret_freed = freed;
    return result < 0 ? error_wrap(err, "forget old backups") : 0;
}
