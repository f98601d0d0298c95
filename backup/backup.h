/* backup — a vault: a directory of backups that share their content.
 *
 *   VAULT/format         "kiln-vault 1"
 *   VAULT/lock           flocked: alone by who writes, shared by who reads
 *   VAULT/chunks/ab/HEX  up to 4 MiB of some file, named by its SHA-256
 *   VAULT/backups/NAME   a manifest (manifest.h): what files there were, and of what chunks
 *
 * A chunk is durable before it has its name, and a manifest comes after all chunks that it names:
 * whatever is killed when, a backup is whole or not there.  What a killed one has left is used by
 * the next, or goes with backup_vault_forget.  Nothing but plain files is ever changed or read, so
 * a vault may be copied elsewhere by anything that copies files. */
#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/argv.h"
#include "base/error.h"

#define BACKUP_NAME  40 /* "20270115T080000.123Z", with the NUL */
#define BACKUP_CHUNK (UINT64_C(4) << 20)
#define BACKUP_PATH  1024 /* bytes of a file's path below the root, with the NUL */

struct backup_vault;

enum backup_use { BACKUP_TO_READ, BACKUP_TO_WRITE };
/* To write, a directory that is not there or empty becomes a vault.  ERR_INPUT: it is none, or
 * somebody else writes there (or reads, for who wants to write). */
MUST_CHECK int backup_vault_open(const char *dir, enum backup_use use, struct backup_vault **ret,
                                 struct error *err);
void backup_vault_free(struct backup_vault *v);
static inline void backup_vault_freep(struct backup_vault **v)
{
    backup_vault_free(*v);
}

/* Adds the names of its backups, oldest first. */
MUST_CHECK int backup_vault_list(struct backup_vault *v, struct argv *ret, struct error *err);

/* Removes all backups but the newest `keep`, and what no other needs.  *ret_freed: bytes.  For who
 * writes, and has begun no backup. */
MUST_CHECK int backup_vault_forget(struct backup_vault *v, size_t keep, uint64_t *ret_freed,
                                   struct error *err);

struct backup_facts {
    int64_t made;     /* ns since 1970 */
    int schema;       /* version of the database's */
    char program[64]; /* "kiln 0.1.0" */
};

/* ---- writing ---- */

struct backup_progress { /* called again and again with the bytes that were done since */
    void (*report)(void *self, uint64_t bytes);
    void *self;
};

struct backup_writer;
MUST_CHECK int backup_begin(struct backup_vault *v, const struct backup_facts *facts,
                            const struct backup_progress *progress, struct backup_writer **ret,
                            struct error *err);
/* For people: what is not in it.  Before the first file. */
MUST_CHECK int backup_note(struct backup_writer *w, const char *text, struct error *err);
/* path: "a/b", below the root; parents come first. */
MUST_CHECK int backup_add_directory(struct backup_writer *w, const char *path, mode_t mode,
                                    struct error *err);
/* The file as it is now; holes and zeros take no room. */
MUST_CHECK int backup_add_file(struct backup_writer *w, const char *path, int fd, mode_t mode,
                               struct error *err);
/* A file that never changes under this name and with this size, if the last backup has it: then it
 * is not read again.  *ret_known false: it has not. */
MUST_CHECK int backup_add_known(struct backup_writer *w, const char *path, uint64_t size,
                                bool *ret_known, struct error *err);
struct backup_totals {
    uint64_t files, bytes; /* of the backup; holes not counted */
    uint64_t added;        /* bytes that the vault did not have */
};
/* Now the backup is there, under a name that sorts behind all others. */
MUST_CHECK int backup_commit(struct backup_writer *w, char ret_name[BACKUP_NAME],
                             struct backup_totals *ret, struct error *err);
/* NULL is fine; what was not committed is no backup. */
void backup_writer_free(struct backup_writer *w);
static inline void backup_writer_freep(struct backup_writer **w)
{
    backup_writer_free(*w);
}

/* ---- reading ---- */

/* name: of a backup.  The manifest's own checksum is checked. */
MUST_CHECK int backup_read_facts(struct backup_vault *v, const char *name, struct backup_facts *ret,
                                 struct argv *ret_notes, struct backup_totals *ret_totals,
                                 struct error *err);

/* Writes all of it below the directory, where nothing has these names, and syncs it; every chunk is
 * checked on the way.  dirfd -1: only checks.  ERR_INPUT names what is missing or damaged. */
MUST_CHECK int backup_restore(struct backup_vault *v, const char *name, int dirfd,
                              const struct backup_progress *progress, struct error *err);

#endif
