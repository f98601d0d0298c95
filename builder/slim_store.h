/* builder/slim_store — what slimming found in diffs, kept in the cache beside them:
 *
 *   records/<key>   names the diff, so that both are kept and go together
 *   inputs/<key>    the facts (JSON) */
#ifndef BUILDER_SLIM_STORE_H
#define BUILDER_SLIM_STORE_H

#include "builder/cache.h"
#include "builder/slim_scan.h"

/* *ret_found false: they are not there, or damaged.  ret is to be released in any case. */
MUST_CHECK int slim_facts_load(const struct cache *c, const char *key, bool *ret_found,
                               struct slim_facts *ret, struct error *err);

/* of: the record of the step that the facts are about. */
MUST_CHECK int slim_facts_store(const struct cache *c, const char *key,
                                const struct cache_record *of, const struct slim_facts *f,
                                struct error *err);

#endif
