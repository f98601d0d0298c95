/* base/note — one line of the operator's log, and what it is about, for those who search logs. */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

#include <stdint.h>

/* Of a request that ended. */
struct note_request {
    const char *method, *path, *address; /* plain ASCII */
    const char *key;                     /* its id; NULL: there was none */
    int status;                          /* 0: no answer */
    uint64_t received, sent;             /* bytes of body */
    int64_t ms;
};

/* Borrowed for the length of the call. */
struct note {
    const char *line;                   /* all of it; "error: …" and "warning: …" are that */
    const char *workspace, *build;      /* NULL or "": of none */
    const struct note_request *request; /* NULL: of none */
};

#endif
