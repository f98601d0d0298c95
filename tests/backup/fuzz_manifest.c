/* Any bytes as a backup's manifest: what is accepted leads nowhere but below the root, and the
 * pieces of a file are as many bytes as it has. */
#include <string.h>

#include "backup/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t missing; /* of the file */
};

static int look(void *self, const struct manifest_entry *e, struct error *err)
{
    struct seen *s = self;

    (void)err;
    switch (e->kind) {
    case MANIFEST_DIRECTORY:
    case MANIFEST_FILE:
        if (s->missing || !manifest_path_is_valid(e->path) || e->path[0] == '/' ||
            strcmp(e->path, "..") == 0 || strncmp(e->path, "../", 3) == 0 ||
            strstr(e->path, "/../") || e->mode > 07777)
            abort();
        s->missing = e->kind == MANIFEST_FILE ? e->size : 0;
        break;
    case MANIFEST_CHUNK:
    case MANIFEST_ZEROS:
    case MANIFEST_BYTES:
        if (e->size == 0 || e->size > s->missing ||
            (e->kind == MANIFEST_CHUNK && e->size > BACKUP_CHUNK))
            abort();
        s->missing -= e->size;
        break;
    case MANIFEST_NOTE:
    case MANIFEST_SUM:
        if (s->missing)
            abort();
        break;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.missing = 0};
    const struct manifest_sink sink = {.entry = look, .self = &seen};
    struct error err = ERROR_INIT;
    FILE *file = size ? fmemopen((void *)data, size, "r") : NULL;

    if (!file)
        return 0;
    if (manifest_parse(file, &sink, &err) < 0 && err.kind != ERR_INPUT)
        abort();
    rewind(file);
    err = (struct error)ERROR_INIT;
    (void)!manifest_check(file, &err);
    (void)fclose(file);
    return 0;
}
