/* backup/manifest — the list of a backup's files, as text, a line each:
 *
 *   kiln-backup 1
 *   made NANOSECONDS        since 1970
 *   program TEXT
 *   schema NUMBER           version of the database's schema
 *   note TEXT               any number of them
 *   dir MODE PATH           mode: octal; a path's parents come before it
 *   file MODE SIZE PATH     followed by its content, in order:
 *   chunk HEX LENGTH          a chunk of the vault
 *   zeros LENGTH              so many zeros
 *   text BASE64               the bytes themselves, where they are few
 *   sum HEX                 the last line: SHA-256 of all before it
 */
#ifndef BACKUP_MANIFEST_H
#define BACKUP_MANIFEST_H

#include <stdio.h>

#include "backup/backup.h"
#include "base/digest.h"

#define MANIFEST_TEXT 8192  /* bytes that are worth no chunk */
#define MANIFEST_LINE 16384 /* bytes of a line, with its end */
#define MANIFEST_SIZE (UINT64_C(1) << 50)

enum manifest_kind {
    MANIFEST_NOTE,
    MANIFEST_DIRECTORY,
    MANIFEST_FILE,
    MANIFEST_CHUNK,
    MANIFEST_ZEROS,
    MANIFEST_BYTES,
    MANIFEST_SUM,
};

struct manifest_entry { /* borrowed for the length of a call */
    enum manifest_kind kind;
    const char *text; /* of a note */
    const char *path; /* of a directory or file */
    mode_t mode;
    uint64_t size; /* of a file, or of a piece of one */
    char hex[SHA256_HEX];
    const void *bytes; /* of MANIFEST_BYTES */
    uint64_t offset;   /* where the line begins in the manifest */
};

struct manifest_sink {
    int (*facts)(void *self, const struct backup_facts *facts, struct error *err);
    int (*entry)(void *self, const struct manifest_entry *e, struct error *err);
    void *self;
};

/* Reads from's lines and calls the sink for each.  ERR_INPUT: they are no manifest.  The sum is not
 * checked: its line's is. */
MUST_CHECK int manifest_parse(FILE *from, const struct manifest_sink *sink, struct error *err);

/* Whether the last line has the sum of all others; from is at its beginning afterwards. */
MUST_CHECK int manifest_check(FILE *from, struct error *err);

/* "a/b": relative, plain, and leading nowhere else. */
bool manifest_path_is_valid(const char *path);

#endif
