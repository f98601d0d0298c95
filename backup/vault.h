/* backup/vault — a vault's directories, its chunks and its manifests. */
#ifndef BACKUP_VAULT_H
#define BACKUP_VAULT_H

#include <stdio.h>

#include "backup/backup.h"
#include "base/digest.h"

struct backup_vault {
    int dir, lock;
    enum backup_use use;
};

#define VAULT_PATH 80 /* "chunks/ab/" and a name, with the NUL */
void vault_chunk_path(const char *hex, char ret[VAULT_PATH]);

/* Puts a chunk where it is not yet; *ret_new: it was not. */
MUST_CHECK int vault_put(struct backup_vault *v, const void *data, size_t len,
                         char ret_hex[SHA256_HEX], bool *ret_new, struct error *err);
/* Reads one of exactly len bytes.  ERR_INPUT: it is not there, or has other bytes. */
MUST_CHECK int vault_get(struct backup_vault *v, const char *hex, void *data, size_t len,
                         struct error *err);

/* For reading, its sum checked. */
MUST_CHECK int vault_open_manifest(struct backup_vault *v, const char *name, FILE **ret,
                                   struct error *err);
/* Whether it is a name that backup_commit gives. */
bool vault_name_is_valid(const char *name);

#endif
