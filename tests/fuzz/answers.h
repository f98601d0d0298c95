/* tests/fuzz/answers — a server that answers what a fuzzer's input says.
 *
 * The input is answers, each a status, headers up to an empty line, and a body up to a line "---".
 * The last one is repeated. */
#ifndef TESTS_FUZZ_ANSWERS_H
#define TESTS_FUZZ_ANSWERS_H

#include "base/http.h"

struct answers {
    const char *next; /* the rest of the input */
    const char *url;  /* what all requests begin with; NULL: whatever */
    int asks_max;     /* then it ends: ERR_REMOTE */
    const char *last; /* of the answers that was given */
    int asked;
};

/* For struct http; self is a struct answers. */
int answers_give(void *self, const struct http_request *req, struct http_response *resp,
                 struct error *err);

#endif
