/* backup/reader — what a backup says of itself. */
#include <string.h>

#include "backup/manifest.h"
#include "backup/vault.h"

struct reading {
    struct backup_facts *facts;
    struct argv *notes;
    struct backup_totals *totals;
};

static int take_facts(void *self, const struct backup_facts *facts, struct error *err)
{
    (void)err;
    *((struct reading *)self)->facts = *facts;
    return 0;
}

static int take_entry(void *self, const struct manifest_entry *e, struct error *err)
{
    struct reading *r = self;

    (void)err;
    if (e->kind == MANIFEST_NOTE)
        argv_push1(r->notes, e->text);
    r->totals->files += e->kind == MANIFEST_FILE;
    if (e->kind == MANIFEST_CHUNK || e->kind == MANIFEST_BYTES)
        r->totals->bytes += e->size;
    return 0;
}

int backup_read_facts(struct backup_vault *v, const char *name, struct backup_facts *ret,
                      struct argv *ret_notes, struct backup_totals *ret_totals, struct error *err)
{
    CLEANUP_FILE FILE *file = NULL;
    struct reading r = {ret, ret_notes, ret_totals};
    const struct manifest_sink sink = {take_facts, take_entry, &r};

    *ret_totals = (struct backup_totals){.files = 0};
    if (vault_open_manifest(v, name, &file, err) < 0 || manifest_parse(file, &sink, err) < 0)
        return error_wrap(err, "backup %s", name);
    return 0;
}
