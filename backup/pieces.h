/* backup/pieces — a file's content as lines of a manifest. */
#ifndef BACKUP_PIECES_H
#define BACKUP_PIECES_H

#include "backup/vault.h"
#include "base/buf.h"

struct pieces {
    struct buf lines;
    uint64_t size;  /* of the file */
    uint64_t bytes; /* of it that are no zeros */
    uint64_t added; /* of these that the vault did not have */
};
#define PIECES_INIT                                                                                \
    {                                                                                              \
        .lines = BUF_INIT(UINT64_C(1) << 30)                                                       \
    }

/* Puts the file's chunks into the vault.  *ret_stable false: the file became shorter meanwhile. */
MUST_CHECK int pieces_read(struct backup_vault *v, int fd, const struct backup_progress *progress,
                           struct pieces *ret, bool *ret_stable, struct error *err);

#endif
