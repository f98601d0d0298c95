/* worker/state_rotate — the key that upload URLs are signed with, and the one before it. */
#ifndef WORKER_STATE_ROTATE_H
#define WORKER_STATE_ROTATE_H

#include "worker/state.h"

#define STATE_KEY 32 /* bytes */

struct state_upload_keys {
    unsigned char current[STATE_KEY];
    unsigned char old[STATE_KEY];
    int64_t
        old_until; /* ns since 1970: URLs of the old one are good until then; 0: there is none */
};
/* Made at the first use.  All who use the database have the same, at once. */
MUST_CHECK int state_upload_keys(struct state *s, struct state_upload_keys *ret, struct error *err);

/* Makes another key; the one that is becomes the old one, for overlap ns (0: it is not accepted any
 * more).  ERR_INPUT, unless overlap is 0: there still is an old one that is accepted. */
MUST_CHECK int state_upload_rotate(struct state *s, int64_t overlap, struct error *err);

/* Forgets an old one that is not accepted any more. */
MUST_CHECK int state_upload_purge(struct state *s, struct error *err);

#endif
