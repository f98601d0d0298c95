/* backup/known — the files of an earlier backup, by path, with their lines. */
#ifndef BACKUP_KNOWN_H
#define BACKUP_KNOWN_H

#include "backup/vault.h"
#include "base/buf.h"

struct known;
/* Of the vault's newest backup; *ret NULL: there is none that can be read. */
MUST_CHECK int known_open(struct backup_vault *v, struct known **ret, struct error *err);
void known_free(struct known *k);

/* Adds the lines of the file of that path and size, the first too.  *ret_bytes: those that are no
 * zeros. */
MUST_CHECK int known_find(struct known *k, const char *path, uint64_t size, struct buf *lines,
                          uint64_t *ret_bytes, bool *ret_found, struct error *err);

#endif
