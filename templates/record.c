/* templates/record — see the header. */
#include "templates/record.h"

#include <string.h>

#define RECORD_MAX 128

/* *ret_summed: how much of it the sum in its last line is of. */
static void encode(const struct template_store *s, const struct record *r, char ret[RECORD_MAX],
                   size_t *ret_summed)
{
    int n = snprintf(ret, RECORD_MAX, "next %llu\nsize %llu\n", (unsigned long long)r->next,
                     (unsigned long long)r->size);

    *ret_summed = (size_t)n;
    (void)snprintf(ret + n, RECORD_MAX - (size_t)n, "sum %016llx\n",
                   (unsigned long long)hasher_checksum(&s->hasher, ret, (size_t)n));
}

/* Only the very text that would be written for its numbers is one.  Kiln wrote none with a sum at
 * first: such a text is one as well. */
static bool decode(const struct template_store *s, const char *text, struct record *ret)
{
    unsigned long long next = 0, size = 0;
    char expected[RECORD_MAX];
    size_t summed;

    if (sscanf(text, "next %20llu\nsize %20llu\n", &next, &size) != 2 || next == 0)
        return false;
    ret->next = next;
    ret->size = size;
    encode(s, ret, expected, &summed);
    return strcmp(text, expected) == 0 ||
           (strncmp(text, expected, summed) == 0 && text[summed] == '\0');
}

int record_read(struct template_store *s, const char *name, struct record *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    struct record r = {.next = 1};

    if (storage_get(s->storage, AREA_TEMPLATES, name, &text, &r.there, err) < 0)
        return -1;
    if (r.there && (strlen(buf_str(&text)) != text.len || !decode(s, buf_str(&text), &r)))
        return error_set(
            err, ERR_SYSTEM,
            "the store's file templates/%s is damaged: delete it, and the next pack makes "
            "it again",
            name);
    *ret = r;
    return 0;
}

int record_write(struct template_store *s, const char *name, const struct record *r,
                 struct error *err)
{
    char text[RECORD_MAX];
    size_t summed;

    encode(s, r, text, &summed);
    return storage_put(s->storage, AREA_TEMPLATES, name, text, strlen(text), err);
}
