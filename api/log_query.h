/* api/log_query — which lines of a log are asked for: the parameters of GET /v0/observability/logs
 * (PROTOCOL.md 1.4). */
#ifndef API_LOG_QUERY_H
#define API_LOG_QUERY_H

#include "api/call.h"

#define LOG_LIMIT_MAX 10000 /* lines in one answer */

struct log_query {     /* borrows from the request */
    const char *build; /* the id of the one that counts; "": the newest of the time */
    /* Builds that were there between these moments (ns), and their lines up to the second. */
    int64_t since, until;
    bool all;         /* no severity is asked for */
    unsigned levels;  /* bit n: severity n passes */
    const char *text; /* what lines hold; "" passes all */
    bool nothing;     /* what no line of a build has is asked for: a trace, an execution */
    int64_t offset, limit;
};

/* False in *ret_good: resp holds the refusal. */
MUST_CHECK int log_query_read(struct api_call *c, struct log_query *ret, bool *ret_good,
                              struct error *err);

bool log_query_passes(const struct log_query *q, const struct log_line *l);
/* Whether there is no line that it would not pass. */
bool log_query_passes_all(const struct log_query *q);

/* The target's build that is asked for, or else its newest that was there then.  Whoever follows
 * its log is noted while the end is not visible, for build_status to wait for. */
MUST_CHECK int log_query_build(struct api_call *c, const struct log_query *q,
                               const struct target *t, enum presence *ret_presence,
                               struct build *ret, struct error *err);

/* {"logs":[…],"totalCount":n} of that build; no lines for a target that has none. */
MUST_CHECK int log_query_page(struct api_call *c, const struct log_query *q, const struct target *t,
                              bool newest, json_t **ret, struct error *err);

#endif
