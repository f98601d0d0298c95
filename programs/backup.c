/* programs/backup — `kiln backup`: all state, into a directory that keeps many backups of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "programs/backup_data.h"
#include "programs/commands.h"
#include "programs/installation.h"

#define COPY "making.db" /* in the vault: the database's copy, while it is made */

struct backup_words {
    const char *dir;
    size_t keep; /* 0: all */
    bool quiet;
};

/* ---- making one ---- */

struct making {
    struct backup_data data;
    struct transfer_line line;
    struct backup_progress progress;
    char copy[PATH_MAX];
};

static int note_begun(void *self, const struct argv *archives, struct error *err)
{
    struct making *m = self;

    if (backup_data_uploads(&m->data, archives, err) < 0)
        return -1;
    transfer_line_begin(&m->line, "database");
    return 0;
}

static void note_rows(void *self, const char *table, uint64_t rows)
{
    transfer_line_rows(&((struct making *)self)->line, table, rows);
}

static void remove_copy(const struct making *m)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char path[PATH_MAX + 16];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", m->copy, ends[i]);
        (void)unlink(path);
    }
}

/* The first thing, so that all that it names is there when the files are read. */
static int copy_state(struct making *m, struct error *err)
{
    const struct state_copying copying = {note_begun, note_rows, m};
    struct state *s = NULL;
    int result;

    if (installation_open_state(m->data.config, NULL, &s, err) < 0)
        return -1;
    result = state_copy_out(s, m->copy, &copying, err);
    state_close(s);
    return result;
}

static int add_state(struct making *m, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    transfer_line_begin(&m->line, "database");
    fd = open(m->copy, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", m->copy);
    return backup_add_file(m->data.writer, "kiln.db", fd, 0600, err);
}

static int fill(struct making *m, struct error *err)
{
    if (backup_data_note(&m->data, err) < 0 || copy_state(m, err) < 0 ||
        backup_data_files(&m->data, err) < 0)
        return -1;
    return add_state(m, err);
}

static void print_end(struct making *m, const char *name, const struct backup_totals *t,
                      uint64_t freed, const struct backup_words *w)
{
    char all[TEXT_SIZE], added[TEXT_SIZE], gone[TEXT_SIZE], speed[TRANSFER_TEXT];

    transfer_line_end(&m->line);
    transfer_line_sum(&m->line, speed);
    text_size(t->bytes, all);
    text_size(t->added, added);
    text_size(freed, gone);
    printf("backup %s: %llu files, %s, of which %s were new (%s)\n", name,
           (unsigned long long)t->files, all, added, speed);
    if (w->keep)
        printf("older backups: %s freed\n", gone);
}

static int make(struct making *m, struct backup_vault *v, const struct backup_words *w,
                struct error *err)
{
    CLEANUP(backup_writer_freep) struct backup_writer *writer = NULL;
    const struct backup_facts facts = {.made = clock_now(&clock_system),
                                       .schema = state_schema_version(),
                                       .program = "kiln " KILN_VERSION};
    struct backup_totals totals;
    char name[BACKUP_NAME];
    uint64_t freed = 0;
    int result;

    remove_copy(m);
    if (backup_begin(v, &facts, &m->progress, &writer, err) < 0)
        return -1;
    m->data.writer = writer;
    result = fill(m, err);
    remove_copy(m);
    if (result < 0 || backup_commit(writer, name, &totals, err) < 0 ||
        (w->keep && backup_vault_forget(v, w->keep, &freed, err) < 0))
        return -1;
    print_end(m, name, &totals, freed, w);
    return 0;
}

static int backup(const struct config *c, const struct backup_words *w, struct error *err)
{
    CLEANUP(backup_vault_freep) struct backup_vault *v = NULL;
    struct making m = {.data = {.config = c, .line = &m.line},
                       .progress = {transfer_line_bytes, &m.line}};
    char db[PATH_MAX];
    int result;

    if (snprintf(m.copy, sizeof(m.copy), "%s/" COPY, w->dir) >= (int)sizeof(m.copy) ||
        snprintf(db, sizeof(db), "%s/kiln.db", c->data_dir) >= (int)sizeof(db))
        return error_set(err, ERR_INPUT, "%s: path too long", w->dir);
    if (!c->database[0] && access(db, F_OK) < 0)
        return error_set(err, ERR_INPUT, "there is no %s: which --data-dir is it?", db);
    transfer_line_init(&m.line, w->quiet);
    if (backup_vault_open(w->dir, BACKUP_TO_WRITE, &v, err) < 0)
        return -1;
    result = make(&m, v, w, err);
    transfer_line_end(&m.line);
    return result;
}

/* ---- looking at them ---- */

static int list(const char *dir, struct error *err)
{
    CLEANUP(backup_vault_freep) struct backup_vault *v = NULL;
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (backup_vault_open(dir, BACKUP_TO_READ, &v, err) < 0 ||
        backup_vault_list(v, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP(argv_release) struct argv notes = ARGV_INIT;
        struct error damaged = ERROR_INIT;
        struct backup_totals totals;
        struct backup_facts facts;
        char size[TEXT_SIZE];

        if (backup_read_facts(v, names.v[i], &facts, &notes, &totals, &damaged) < 0) {
            printf("%s  %s\n", names.v[i], damaged.msg);
            continue;
        }
        text_size(totals.bytes, size);
        printf("%s  %10s  %8llu files  %s, schema %d\n", names.v[i], size,
               (unsigned long long)totals.files, facts.program, facts.schema);
        for (size_t n = 0; n < notes.n; n++)
            printf("    %s\n", notes.v[n]);
    }
    return 0;
}

/* name: NULL for all. */
static int verify(const char *dir, const char *name, struct error *err)
{
    CLEANUP(backup_vault_freep) struct backup_vault *v = NULL;
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct transfer_line line;
    const struct backup_progress progress = {transfer_line_bytes, &line};
    int result = 0;

    if (backup_vault_open(dir, BACKUP_TO_READ, &v, err) < 0 ||
        (!name && backup_vault_list(v, &names, err) < 0))
        return -1;
    if (name)
        argv_push1(&names, name);
    transfer_line_init(&line, false);
    transfer_line_begin(&line, "read");
    for (size_t i = 0; i < names.n && result == 0; i++) {
        result = backup_restore(v, names.v[i], -1, &progress, err);
        transfer_line_end(&line);
        if (result == 0)
            printf("backup %s is whole\n", names.v[i]);
    }
    return result;
}

/* ---- words ---- */

static int read_words(int argc, char **argv, struct backup_words *ret)
{
    for (int i = 1; i < argc; i++) {
        uint64_t keep;

        if (strcmp(argv[i], "--quiet") == 0) {
            ret->quiet = true;
        } else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc &&
                   text_to_u64(argv[i + 1], 100000, &keep) && keep > 0) {
            ret->keep = (size_t)keep;
            i++;
        } else if (argv[i][0] != '-' && !ret->dir) {
            ret->dir = argv[i];
        } else {
            fprintf(stderr, "kiln backup: unexpected word \"%s\"; see kiln backup --help\n",
                    argv[i]);
            return -1;
        }
    }
    if (!ret->dir)
        fprintf(stderr, "kiln backup: say kiln backup DIR; see kiln backup --help\n");
    return ret->dir ? 0 : -1;
}

int command_backup(const struct config *c, int argc, char **argv)
{
    struct backup_words words = {.dir = NULL};
    struct error err = ERROR_INIT;
    int result;

    command_may_be_killed();
    if (argc == 3 && strcmp(argv[1], "ls") == 0) {
        result = list(argv[2], &err);
    } else if ((argc == 3 || argc == 4) && strcmp(argv[1], "verify") == 0) {
        result = verify(argv[2], argc == 4 ? argv[3] : NULL, &err);
    } else {
        if (read_words(argc, argv, &words) < 0)
            return 2;
        result = backup(c, &words, &err);
    }
    if (result < 0)
        fprintf(stderr, "kiln backup: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
