/* registry/keys — the keys that tokens are signed with, as files that others may exchange:
 *
 *   PATH        signs
 *   PATH.next   will, after the next rotation: a registry trusts it before it is used
 *   PATH.old    did; what it has signed is accepted for some time after it was given up (its mtime)
 *
 * Every process looks at the files when it needs a key, so a rotation by any other is seen at once.
 */
#ifndef REGISTRY_KEYS_H
#define REGISTRY_KEYS_H

#include "base/es256.h"

struct registry_keys;

/* PATH is made if it is not there.  overlap: how long an old key is accepted, ns. */
MUST_CHECK int registry_keys_open(const char *path, int64_t overlap, struct registry_keys **ret,
                                  struct error *err);
void registry_keys_free(struct registry_keys *k);

/* From any thread; keys live as long as k.  A file that cannot be read changes nothing. */
const struct es256_key *registry_keys_current(struct registry_keys *k);
/* NULL: there is none, or none that is accepted any more. */
const struct es256_key *registry_keys_old(struct registry_keys *k);
const struct es256_key *registry_keys_next(struct registry_keys *k);
/* When the old one is accepted no longer, ns since 1970; 0: there is none. */
int64_t registry_keys_old_until(const struct registry_keys *k);

/* Removes an old one that is not accepted any more, and makes a next one where there is none. */
MUST_CHECK int registry_keys_tend(struct registry_keys *k, struct error *err);

/* The next key signs from now on.  at_once: nothing that was signed before is accepted; else
 * ERR_INPUT while the old one of the last rotation is. */
MUST_CHECK int registry_keys_rotate(struct registry_keys *k, bool at_once, struct error *err);

/* Adds certificates of all that are accepted or will be, PEM. */
MUST_CHECK int registry_keys_certificates(struct registry_keys *k, const char *common_name,
                                          struct buf *out, struct error *err);

#endif
