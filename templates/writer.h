/* templates/writer — new chunks on their way into packs.
 *
 * One writer is one session: it sees the packs that were there when it began, and what it adds is
 * seen by others once writer_commit has returned.  Many threads add at once, each with a hand. */
#ifndef TEMPLATES_WRITER_H
#define TEMPLATES_WRITER_H

#include "templates/store.h"

/* Nodes of revisions are compressed apart from contents, so that a reader finds them together. */
enum writer_kind { WRITER_CONTENT, WRITER_NODE, WRITER_KINDS };

struct writer_counts {
    uint64_t chunks_new, bytes_new; /* raw */
    uint64_t bytes_shared;          /* raw bytes of chunks that were there, each time */
    uint64_t bytes_stored;          /* of the packs that were made */
};

struct writer;
struct writer_hand;

MUST_CHECK int writer_open(struct template_store *s, struct writer **ret, struct error *err);
/* Without a commit all that was added is gone. */
void writer_free(struct writer *w);

MUST_CHECK int writer_hand_new(struct writer *w, struct writer_hand **ret, struct error *err);
void writer_hand_free(struct writer_hand *h);

#define WRITER_NOWHERE UINT64_MAX
struct writer_chunk {
    enum writer_kind kind;
    const void *data;
    uint32_t len; /* 1 … CHUNK_MAX */
    uint64_t
        origin; /* where the same bytes stand in writer_compare_with's file, or WRITER_NOWHERE */
    const struct address *hash; /* of the bytes (hasher_address); NULL: not known yet */
};

/* From here on, what comes again may be compared with where it stood first in this file, instead of
 * with the store, where it would have to be decompressed.  fd: borrowed; -1: there is none. */
void writer_compare_with(struct writer *w, int fd);

/* Adds a chunk, or finds it; *ret is its address. */
MUST_CHECK int writer_add(struct writer *w, struct writer_hand *h, const struct writer_chunk *c,
                          struct address *ret, struct error *err);

/* Puts a chunk under the address that it has elsewhere, unless it is there. */
MUST_CHECK int writer_keep(struct writer *w, struct writer_hand *h, struct address a,
                           const void *data, uint32_t len, struct error *err);

/* No hand may be adding.  All is durable and visible afterwards; the session goes on until
 * writer_free, so that nothing it refers to is collected before the revision is published. */
MUST_CHECK int writer_commit(struct writer *w, struct writer_hand *h, struct error *err);

struct writer_counts writer_counts(struct writer *w);
/* The packs that it sees. */
const struct view *writer_view(const struct writer *w);

#endif
