/* programs/backup_data — what of a data directory is in a backup, and how it is read while a
 * service works there. */
#ifndef PROGRAMS_BACKUP_DATA_H
#define PROGRAMS_BACKUP_DATA_H

#include "backup/backup.h"
#include "programs/config.h"
#include "programs/transfer_line.h"

struct backup_data {
    const struct config *config;
    struct backup_writer *writer;
    struct transfer_line *line;
};

/* Notes what the backup does not have. */
MUST_CHECK int backup_data_note(struct backup_data *d, struct error *err);
/* The archives that unfinished builds need, by their keys in DATA/uploads.  One that is not there
 * is left out: its build has ended. */
MUST_CHECK int backup_data_uploads(struct backup_data *d, const struct argv *keys,
                                   struct error *err);
/* All the rest but the database. */
MUST_CHECK int backup_data_files(struct backup_data *d, struct error *err);

#endif
