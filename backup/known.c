/* backup/known — see the header.  The lines themselves stay in the manifest's file. */
#include "backup/known.h"

#include <errno.h>
#include <string.h>

#include "backup/manifest.h"
#include "base/fs.h"

struct row {
    char *path;
    uint64_t size, bytes;
    uint64_t from, to; /* of its lines in the manifest */
};

struct known {
    FILE *manifest;
    struct row *rows;
    size_t n, room;
    bool in_file;
};

void known_free(struct known *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        free(k->rows[i].path);
    free(k->rows);
    cleanup_fclose(&k->manifest);
    free(k);
}

static int add_row(struct known *k, const struct manifest_entry *e, struct error *err)
{
    char *path = strdup(e->path);

    if (path && k->n == k->room) {
        const size_t room = k->room ? 2 * k->room : 1024;
        struct row *rows = reallocarray(k->rows, room, sizeof(*rows));

        if (!rows) {
            free(path);
            path = NULL;
        } else {
            k->rows = rows;
            k->room = room;
        }
    }
    if (!path)
        return error_set(err, ERR_SYSTEM, "read the last backup: out of memory");
    k->rows[k->n++] = (struct row){.path = path, .size = e->size, .from = e->offset};
    return 0;
}

static int note(void *self, const struct manifest_entry *e, struct error *err)
{
    struct known *k = self;

    if (e->kind == MANIFEST_CHUNK || e->kind == MANIFEST_BYTES)
        k->rows[k->n - 1].bytes += e->size;
    if (e->kind == MANIFEST_CHUNK || e->kind == MANIFEST_BYTES || e->kind == MANIFEST_ZEROS)
        return 0;
    if (k->in_file)
        k->rows[k->n - 1].to = e->offset;
    k->in_file = e->kind == MANIFEST_FILE;
    return k->in_file ? add_row(k, e, err) : 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->path, ((const struct row *)b)->path);
}

/* One that is damaged is worth nothing, and no reason not to make another. */
int known_open(struct backup_vault *v, struct known **ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error ignored = ERROR_INIT;
    struct known *k = NULL;

    *ret = NULL;
    if (backup_vault_list(v, &names, err) < 0)
        return -1;
    if (names.n == 0)
        return 0;
    k = calloc(1, sizeof(*k));
    if (!k)
        return error_set(err, ERR_SYSTEM, "read the last backup: out of memory");
    if (vault_open_manifest(v, names.v[names.n - 1], &k->manifest, &ignored) < 0 ||
        manifest_parse(k->manifest, &(struct manifest_sink){.entry = note, .self = k}, &ignored) <
            0) {
        known_free(k);
        return 0;
    }
    if (k->n)
        qsort(k->rows, k->n, sizeof(*k->rows), compare);
    *ret = k;
    return 0;
}

int known_find(struct known *k, const char *path, uint64_t size, struct buf *lines,
               uint64_t *ret_bytes, bool *ret_found, struct error *err)
{
    const struct row wanted = {.path = (char *)path};
    const struct row *row =
        k && k->n ? bsearch(&wanted, k->rows, k->n, sizeof(*k->rows), compare) : NULL;
    CLEANUP_FREE char *text = NULL;
    size_t len;

    *ret_found = row && row->size == size;
    if (!*ret_found)
        return 0;
    len = (size_t)(row->to - row->from);
    text = malloc(len);
    if (!text)
        return error_set(err, ERR_SYSTEM, "read the last backup: out of memory");
    if (fs_pread(fileno(k->manifest), text, len, row->from) != (ssize_t)len)
        return error_errno(err, errno, "read the last backup");
    buf_add(lines, text, len);
    *ret_bytes = row->bytes;
    return buf_check(lines, "a file's list of chunks", err);
}
