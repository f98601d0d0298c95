/* backup/writer — a backup in the making: its manifest grows in a file that is no backup yet. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/known.h"
#include "backup/manifest.h"
#include "backup/pieces.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"

#define MAKING   "backups/.making"
#define TRIES    5 /* to read a file that others change */
#define PAUSE_US 100000

struct backup_writer {
    struct backup_vault *vault;
    struct known *known; /* NULL: there is nothing to compare with */
    const struct backup_progress *progress;
    struct sha256 *sum;
    FILE *file;
    int64_t made;
    struct backup_totals totals;
};

static int put(struct backup_writer *w, const char *text, size_t len, struct error *err)
{
    sha256_add(w->sum, text, len);
    if (fwrite(text, 1, len, w->file) != len)
        return error_errno(err, errno, "write the manifest");
    return 0;
}

static int put_buf(struct backup_writer *w, const struct buf *text, struct error *err)
{
    if (buf_check(text, "a line of the manifest", err) < 0)
        return -1;
    return put(w, buf_str(text), text->len, err);
}

static int begin(struct backup_writer *w, const struct backup_facts *facts, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(MANIFEST_LINE);
    int fd;

    if (known_open(w->vault, &w->known, err) < 0 || sha256_new(&w->sum, err) < 0)
        return -1;
    fd = openat(w->vault->dir, MAKING, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    w->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!w->file) {
        cleanup_close(&fd);
        return error_errno(err, errno, "write " MAKING);
    }
    buf_addf(&text, "kiln-backup 1\nmade %lld\nprogram %.60s\nschema %d\n", (long long)facts->made,
             facts->program, facts->schema);
    return put_buf(w, &text, err);
}

int backup_begin(struct backup_vault *v, const struct backup_facts *facts,
                 const struct backup_progress *progress, struct backup_writer **ret,
                 struct error *err)
{
    struct backup_writer *w = calloc(1, sizeof(*w));

    if (!w)
        return error_set(err, ERR_SYSTEM, "begin a backup: out of memory");
    w->vault = v;
    w->progress = progress;
    w->made = facts->made;
    if (begin(w, facts, err) < 0) {
        backup_writer_free(w);
        return error_wrap(err, "begin a backup");
    }
    *ret = w;
    return 0;
}

void backup_writer_free(struct backup_writer *w)
{
    if (!w)
        return;
    known_free(w->known);
    sha256_free(w->sum);
    cleanup_fclose(&w->file);
    free(w);
}

int backup_note(struct backup_writer *w, const char *text, struct error *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(MANIFEST_LINE - 1);

    if (text_has_control(text, strlen(text)))
        return error_set(err, ERR_SYSTEM, "a note of a backup must be a line");
    buf_addf(&line, "note %s\n", text);
    return put_buf(w, &line, err);
}

static int check_path(const char *path, struct error *err)
{
    return manifest_path_is_valid(path)
               ? 0
               : error_set(err, ERR_INPUT, "%s: no path that a backup can hold",
                           text_show(path).text);
}

int backup_add_directory(struct backup_writer *w, const char *path, mode_t mode, struct error *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(MANIFEST_LINE - 1);

    if (check_path(path, err) < 0)
        return -1;
    buf_addf(&line, "dir %o %s\n", (unsigned)mode & 0777, path);
    return put_buf(w, &line, err);
}

static int read_stable(struct backup_writer *w, int fd, struct pieces *ret, struct error *err)
{
    bool stable = false;

    for (int i = 0; i < TRIES && !stable; i++) {
        if (i > 0)
            usleep(PAUSE_US);
        if (pieces_read(w->vault, fd, w->progress, ret, &stable, err) < 0)
            return -1;
    }
    return stable ? 0 : error_set(err, ERR_SYSTEM, "others change it again and again");
}

int backup_add_file(struct backup_writer *w, const char *path, int fd, mode_t mode,
                    struct error *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(MANIFEST_LINE - 1);
    struct pieces pieces = PIECES_INIT;
    int result = -1;

    if (check_path(path, err) < 0)
        return -1;
    if (read_stable(w, fd, &pieces, err) < 0) {
        (void)error_wrap(err, "%s", path);
    } else {
        buf_addf(&line, "file %o %llu %s\n", (unsigned)mode & 0777, (unsigned long long)pieces.size,
                 path);
        result = put_buf(w, &line, err);
    }
    if (result == 0)
        result = put(w, buf_str(&pieces.lines), pieces.lines.len, err);
    w->totals.files++;
    w->totals.bytes += pieces.bytes;
    w->totals.added += pieces.added;
    buf_release(&pieces.lines);
    return result;
}

int backup_add_known(struct backup_writer *w, const char *path, uint64_t size, bool *ret_known,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf lines = BUF_INIT(UINT64_C(1) << 30);
    uint64_t bytes = 0;

    if (known_find(w->known, path, size, &lines, &bytes, ret_known, err) < 0)
        return -1;
    if (!*ret_known)
        return 0;
    w->totals.files++;
    w->totals.bytes += bytes;
    if (w->progress)
        w->progress->report(w->progress->self, bytes);
    return put(w, buf_str(&lines), lines.len, err);
}

/* ---- the end ---- */

static int finish(struct backup_writer *w, struct error *err)
{
    unsigned char sum[SHA256_SIZE];
    char hex[SHA256_HEX];
    FILE *file = w->file;

    sha256_end(w->sum, sum);
    digest_hex(sum, sizeof(sum), hex);
    if (fprintf(file, "sum %s\n", hex) < 0 || fflush(file) != 0 || fsync(fileno(file)) < 0)
        return error_errno(err, errno, "write the manifest");
    w->file = NULL;
    if (fclose(file) != 0)
        return error_errno(err, errno, "write the manifest");
    return 0;
}

/* "20270115T080000.123Z" */
static void name_of(int64_t ns, char ret[BACKUP_NAME])
{
    char text[CLOCK_TEXT];

    clock_format(ns, text);
    (void)snprintf(ret, BACKUP_NAME, "%.4s%.2s%.2sT%.2s%.2s%.2s.%.3sZ", text, text + 5, text + 8,
                   text + 11, text + 14, text + 17, text + 20);
}

/* Behind all others, also when the clock was set back. */
static int draw_name(struct backup_writer *w, char ret[BACKUP_NAME], struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    const char *last;
    int64_t made = w->made;

    if (backup_vault_list(w->vault, &names, err) < 0)
        return -1;
    last = names.n ? names.v[names.n - 1] : "";
    name_of(made, ret);
    for (int64_t step = NS_PER_MS; strcmp(ret, last) <= 0; step *= 2) {
        made += step;
        name_of(made, ret);
    }
    return 0;
}

int backup_commit(struct backup_writer *w, char ret_name[BACKUP_NAME], struct backup_totals *ret,
                  struct error *err)
{
    char path[VAULT_PATH];

    if (finish(w, err) < 0 || draw_name(w, ret_name, err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "backups/%s", ret_name);
    if (renameat(w->vault->dir, MAKING, w->vault->dir, path) < 0)
        return error_errno(err, errno, "name the backup");
    *ret = w->totals;
    return fs_sync_parent(w->vault->dir, path, err);
}
