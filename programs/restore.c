/* programs/restore — `kiln restore`: a backup into an empty data directory and an empty database.
 *
 * DATA/.restoring (programs/restoring.h) is the first file there and the last to go.  It says of
 * which backup, and has a word that the database gets with the rows: so a restore that was killed
 * is done again from the beginning, and does not take its own database for somebody's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

#include "backup/backup.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "programs/commands.h"
#include "programs/installation.h"
#include "programs/restoring.h"
#include "programs/transfer_line.h"

#define MARK 16

struct restore {
    const struct config *config;
    const char *dir, *name; /* of the vault and the backup */
    bool files_only, quiet;
    struct transfer_line line;
    int data, marker;
    char mark[MARK + 1];
    struct state_resumed resumed;
};

/* ---- the data directory ---- */

static bool is_nothing(const char *name)
{
    return strcmp(name, "lost+found") == 0 || strcmp(name, RESTORING) == 0;
}

static int check_empty(const struct restore *r, const struct argv *names, struct error *err)
{
    for (size_t i = 0; i < names->n; i++)
        if (!is_nothing(names->v[i]))
            return error_set(err, ERR_INPUT,
                             "%s is not empty (there is %s): a restore needs a data directory of "
                             "its own",
                             r->config->data_dir, text_show(names->v[i]).text);
    return 0;
}

/* The word of an earlier restore of the same backup, or a new one. */
static int read_marker(struct restore *r, bool *ret_again, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    const char *name;

    *ret_again = faccessat(r->data, RESTORING, F_OK, 0) == 0;
    digest_random_name(r->mark, MARK);
    if (!*ret_again)
        return 0;
    if (fs_read_file(r->data, RESTORING, &text, err) < 0)
        return -1;
    name = buf_str(&text) + MARK + 1;
    if (text.len > MARK + 1 && strncmp(name, r->name, strlen(r->name)) == 0)
        memcpy(r->mark, buf_str(&text), MARK);
    return 0;
}

static int lock_marker(struct restore *r, struct error *err)
{
    r->marker = openat(r->data, RESTORING, O_RDONLY | O_CLOEXEC);
    if (r->marker < 0)
        return error_errno(err, errno, "open %s/" RESTORING, r->config->data_dir);
    if (flock(r->marker, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK
               ? error_set(err, ERR_INPUT, "another kiln restore works on %s", r->config->data_dir)
               : error_errno(err, errno, "lock %s/" RESTORING, r->config->data_dir);
}

static int begin(struct restore *r, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    bool again;

    if (fs_mkdirs(r->config->data_dir, 0755, err) < 0 ||
        fs_open_dir(AT_FDCWD, r->config->data_dir, &r->data, err) < 0 ||
        read_marker(r, &again, err) < 0 || fs_list(r->data, ".", &names, err) < 0)
        return -1;
    if (!again && check_empty(r, &names, err) < 0)
        return -1;
    if (again && lock_marker(r, err) < 0)
        return -1;
    cleanup_close(&r->marker);
    buf_addf(&text, "%s %s\n", r->mark, r->name);
    if (fs_write_file(r->data, RESTORING, buf_str(&text), text.len, 0600, err) < 0 ||
        lock_marker(r, err) < 0)
        return -1;
    for (size_t i = 0; again && i < names.n; i++)
        if (!is_nothing(names.v[i]) && fs_remove_tree(r->data, names.v[i], err) < 0)
            return -1;
    return 0;
}

/* All has reached the disk before it may be used. */
static int end(struct restore *r, struct error *err)
{
    if (syncfs(r->data) < 0)
        return error_errno(err, errno, "sync %s", r->config->data_dir);
    if (unlinkat(r->data, RESTORING, 0) < 0)
        return error_errno(err, errno, "remove %s/" RESTORING, r->config->data_dir);
    return fs_sync_parent(r->data, RESTORING, err);
}

/* ---- the database ---- */

static bool has_archive(void *self, const char *key)
{
    const struct restore *r = self;
    char path[PATH_MAX];

    if (r->config->uploads[0])
        return true; /* it is in the bucket, or will be said not to be */
    (void)snprintf(path, sizeof(path), "uploads/%s", key);
    return faccessat(r->data, path, F_OK, 0) == 0;
}

static int resume(struct restore *r, const char *file, struct error *err)
{
    struct state *s = NULL;
    int result;

    if (installation_open_state(r->config, file, &s, err) < 0)
        return -1;
    result = state_resume(s, has_archive, r, &r->resumed, err);
    state_close(s);
    return result;
}

static int copy_to_server(struct restore *r, const char *file, struct error *err)
{
    struct state *s = NULL;
    int result;

    transfer_line_begin(&r->line, "database");
    if (installation_open_state(r->config, r->config->database, &s, err) < 0)
        return -1;
    result = state_copy_in(s, file, r->mark, transfer_line_rows, &r->line, err);
    state_close(s);
    return result;
}

/* Closing the last connection leaves one file. */
static int restore_database(struct restore *r, struct error *err)
{
    char file[PATH_MAX];

    if (snprintf(file, sizeof(file), "%s/kiln.db", r->config->data_dir) >= (int)sizeof(file))
        return error_set(err, ERR_INPUT, "%s: path too long", r->config->data_dir);
    if (!r->files_only && resume(r, file, err) < 0)
        return -1;
    if (!r->files_only && !r->config->database[0])
        return 0;
    if (!r->files_only && copy_to_server(r, file, err) < 0)
        return -1;
    return fs_remove_tree(AT_FDCWD, file, err);
}

/* Before hours of copying. */
static int check_server(const struct restore *r, struct error *err)
{
    struct state *s = NULL;
    int result;

    if (r->files_only || !r->config->database[0])
        return 0;
    if (installation_open_state(r->config, r->config->database, &s, err) < 0)
        return -1;
    result = state_copy_allowed(s, r->mark, err);
    state_close(s);
    return result;
}

/* ---- all of it ---- */

static int work(struct restore *r, struct backup_vault *v, struct error *err)
{
    const struct backup_progress progress = {transfer_line_bytes, &r->line};

    if (begin(r, err) < 0 || check_server(r, err) < 0)
        return -1;
    transfer_line_begin(&r->line, "files");
    if (backup_restore(v, r->name, r->data, &progress, err) < 0 || restore_database(r, err) < 0)
        return -1;
    return end(r, err);
}

static int check_version(const struct backup_facts *facts, struct error *err)
{
    if (facts->schema <= state_schema_version())
        return 0;
    return error_set(err, ERR_INPUT,
                     "the backup is of %s, with version %d of the database, and this kiln knows "
                     "%d: use a newer kiln",
                     facts->program, facts->schema, state_schema_version());
}

static void print_end(struct restore *r, const struct argv *notes)
{
    char speed[TRANSFER_TEXT];

    transfer_line_end(&r->line);
    transfer_line_sum(&r->line, speed);
    printf("backup %s is in %s (%s)\n", r->name, r->config->data_dir, speed);
    if (r->resumed.requeued || r->resumed.failed)
        printf("builds that ran are queued again: %lld; that failed without their archive: %lld\n",
               (long long)r->resumed.requeued, (long long)r->resumed.failed);
    for (size_t i = 0; i < notes->n; i++)
        printf("%s\n", notes->v[i]);
}

static int restore(struct restore *r, struct error *err)
{
    CLEANUP(backup_vault_freep) struct backup_vault *v = NULL;
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(argv_release) struct argv notes = ARGV_INIT;
    struct backup_totals totals;
    struct backup_facts facts;
    int result;

    if (backup_vault_open(r->dir, BACKUP_TO_READ, &v, err) < 0 ||
        backup_vault_list(v, &names, err) < 0)
        return -1;
    if (!r->name && names.n == 0)
        return error_set(err, ERR_INPUT, "%s: there is no backup in it yet", r->dir);
    if (!r->name)
        r->name = names.v[names.n - 1];
    if (backup_read_facts(v, r->name, &facts, &notes, &totals, err) < 0 ||
        check_version(&facts, err) < 0)
        return -1;
    transfer_line_init(&r->line, r->quiet);
    result = work(r, v, err);
    transfer_line_end(&r->line);
    cleanup_close(&r->marker);
    cleanup_close(&r->data);
    if (result == 0)
        print_end(r, &notes);
    return result;
}

static int read_words(int argc, char **argv, struct restore *ret)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quiet") == 0) {
            ret->quiet = true;
        } else if (strcmp(argv[i], "--files-only") == 0) {
            ret->files_only = true;
        } else if (strcmp(argv[i], "--backup") == 0 && i + 1 < argc) {
            ret->name = argv[++i];
        } else if (argv[i][0] != '-' && !ret->dir) {
            ret->dir = argv[i];
        } else {
            fprintf(stderr, "kiln restore: unexpected word \"%s\"; see kiln restore --help\n",
                    argv[i]);
            return -1;
        }
    }
    if (!ret->dir)
        fprintf(stderr, "kiln restore: say kiln restore DIR; see kiln restore --help\n");
    return ret->dir ? 0 : -1;
}

int command_restore(const struct config *c, int argc, char **argv)
{
    struct restore r = {.config = c, .data = -1, .marker = -1};
    struct error err = ERROR_INIT;

    if (read_words(argc, argv, &r) < 0)
        return 2;
    command_may_be_killed();
    if (restore(&r, &err) == 0)
        return 0;
    fprintf(stderr, "kiln restore: %s\n", err.msg);
    return 1;
}
