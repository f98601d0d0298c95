/* base/error — what went wrong, whose fault it is, and whether trying again can help. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#include "base/cleanup.h"

enum error_kind {
    ERR_NONE = 0,
    ERR_INPUT,  /* the user's upload or request: show it to them, never retry */
    ERR_LIMIT,  /* valid, but larger or longer than allowed: show it, never retry */
    ERR_REMOTE, /* another machine: retry */
    ERR_SYSTEM, /* this machine: retry, tell the operator */
};

struct error {
    enum error_kind kind;
    char msg[1024]; /* lower case, the act and the object, no full stop; cut, at a character, if
                       longer */
};

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        .kind = ERR_NONE                                                                           \
    }

/* Each of these returns -1, so that a failure is one line: return error_set(err, …). */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...) PRINTF(3, 4);

/* ERR_SYSTEM with ": strerror(errnum)" at the end. */
int error_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF(3, 4);

/* Puts "text: " before the message that is there; the kind stays. */
int error_wrap(struct error *err, const char *fmt, ...) PRINTF(2, 3);

/* "input", "limit", "remote", "system" or "none": stored in the database and shown in JSON. */
const char *error_kind_name(enum error_kind kind);

/* True for the kinds that another try may cure. */
bool error_may_retry(enum error_kind kind);

#endif
