/* Any bytes as the files of a store's catalog, and as names in it: names stay names, numbers that
 * were given are not given again, and what cannot be read is said. */
#include <string.h>

#include "fixture.h"
#include "templates/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE_MAX 200

/* A piece of the input up to a NUL: what a file may be called, or hold. */
static void take_text(const uint8_t **data, size_t *size, char ret[PIECE_MAX + 1])
{
    size_t len = strnlen((const char *)*data, *size < PIECE_MAX ? *size : PIECE_MAX);

    memcpy(ret, *data, len);
    ret[len] = '\0';
    len += len < *size;
    *data += len;
    *size -= len;
}

static void check_reason(int result, const struct error *err)
{
    if (result < 0 && (err->kind == ERR_NONE || err->msg[0] == '\0'))
        abort();
}

static void check_name(const char *text)
{
    struct template_ref ref, again;
    struct error err = ERROR_INIT;
    char name[REVISION_NAME];

    if (template_ref_parse(text, &ref, &err) < 0) {
        check_reason(-1, &err);
        return;
    }
    if (strspn(ref.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(ref.name))
        abort(); /* it becomes a part of a path */
    catalog_name(&ref, name);
    if (ref.revision > 0 && (!catalog_parse(name, &again) || again.revision != ref.revision ||
                             strcmp(again.name, ref.name) != 0))
        abort();
}

static void see_info(void *self, const struct template_info *info)
{
    (void)self;
    if (memchr(info->name, '\0', sizeof(info->name)) == NULL)
        abort();
}

static void see_revision(void *self, const struct template_revision_info *info)
{
    (void)self;
    if (info->ref.revision == 0)
        abort();
}

static void put(struct template_store *s, enum storage_area area, const char *name,
                const char *text)
{
    struct error err = ERROR_INIT;

    if (*name && !strchr(name, '/') &&
        storage_put(s->storage, area, name, text, strlen(text), &err) < 0)
        abort();
}

static void read_all(struct template_store *s, const char *name)
{
    struct template_verify_report report;
    struct template_info info;
    struct error err = ERROR_INIT;
    bool there;

    check_reason(template_list(s, see_info, NULL, &err), &err);
    check_reason(template_get(s, name, &info, &there, &err), &err);
    check_reason(template_revisions(s, NULL, see_revision, NULL, &err), &err);
    if (template_verify(s, false, NULL, &report, &err) < 0)
        check_reason(-1, &err);
    else
        template_verify_report_release(&report);
}

static void change_all(struct template_store *s, const char *name, const char *holder)
{
    struct template_ref ref = {.revision = 1};
    struct error err = ERROR_INIT;
    struct template_info before, after;
    bool there = false;

    (void)snprintf(ref.name, sizeof(ref.name), "%s", name);
    if (template_get(s, name, &before, &there, &err) == 0 && there) {
        check_reason(template_set(s, name, 7, &err), &err);
        if (template_get(s, name, &after, &there, &err) < 0 || !there ||
            after.default_size_mb != 7 || after.latest != before.latest)
            abort();
    }
    check_reason(template_hold(s, &ref, holder, &err), &err);
    check_reason(template_let_go(s, &ref, holder, &err), &err);
    ref.revision = 0;
    check_reason(template_remove(s, &ref, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[PIECE_MAX + 1], record[PIECE_MAX + 1], revision[PIECE_MAX + 1], hold[PIECE_MAX + 1];
    struct template_store *s = NULL;
    struct error err = ERROR_INIT;

    take_text(&data, &size, name);
    take_text(&data, &size, record);
    take_text(&data, &size, revision);
    take_text(&data, &size, hold);
    check_name(name);
    check_name(revision);
    if (template_store_open_memory(NULL, &s, &err) < 0)
        abort();
    put(s, AREA_TEMPLATES, name, record);
    put(s, AREA_TEMPLATES, "t", record);
    put(s, AREA_REVISIONS, revision, record);
    put(s, AREA_HOLDS, hold, "");
    read_all(s, name);
    change_all(s, "t", hold);
    template_store_free(s);
    return 0;
}
