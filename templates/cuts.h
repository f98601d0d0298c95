/* templates/cuts — where the template's last revision was cut: the next one is mostly like it.
 *
 * Looking for the place of a cut (cdc) reads each byte with a shift and an addition.  Where bytes
 * come in the order in which they came last time, it is enough to see that the chunk that came next
 * then is here, too, by its hash, which is needed anyway.  What is not as it was is cut by cdc. */
#ifndef TEMPLATES_CUTS_H
#define TEMPLATES_CUTS_H

#include "templates/catalog.h"

struct known_cut {
    struct address address;
    uint32_t len; /* more than CDC_MIN: what is shorter is a file or an end, and needs no search */
};

struct cuts {
    const struct hasher *hasher;
    struct known_cut *v; /* in the order of the image */
    size_t n, cap;
    uint32_t *slots; /* numbers of v by address, plus 1 */
    size_t n_slots;  /* a power of 2 */
};

/* Of the template's latest revision; none where there is no such, or it cannot be read, which is no
 * failure: all is cut without it, and alike. */
void cuts_load(struct template_store *s, const struct view *view, const char *name,
               struct cuts *ret);
void cuts_release(struct cuts *c);

/* As cdc_cut.  *next: which is expected, of this thread, and 0 at first.  *ret_hash is the hash of
 * the chunk where *ret_hashed. */
size_t cuts_find(const struct cuts *c, size_t *next, const unsigned char *data, size_t len,
                 bool last, struct address *ret_hash, bool *ret_hashed);

#endif
