/* worker/facts — what an inner main that works on templates and volumes says when it ends. */
#ifndef WORKER_FACTS_H
#define WORKER_FACTS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"

enum fact {
    /* of a pack */
    FACT_REVISION,
    FACT_FILES,
    FACT_CONTENT, /* bytes, as are all that follow but FACT_DROPPED */
    FACT_ADDED,
    FACT_NEW,
    FACT_SHARED,
    FACT_DROPPED,
    /* of a collection */
    FACT_FREED,
    FACT_LIVE,
    FACT_WAITING,
    FACTS,
};

struct facts {
    uint64_t v[FACTS];
    char digest[SHA256_HEX]; /* of a packed image; "" */
};

/* failure: NULL when there is none. */
void facts_write(const struct facts *f, const struct error *failure, struct buf *out);
/* A failure that was written is -1, with its kind and text.  The text may be anything: whoever
 * wrote it had read an archive. */
MUST_CHECK int facts_read(const char *text, struct facts *ret, struct error *err);

#endif
