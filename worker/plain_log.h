/* worker/plain_log — a build's log in BuildKit's plain form, which the clients' parsers know:
 *
 *   #5 [2/4] RUN make
 *   #5 0.064 cc -o app app.c
 *   #5 DONE 1.2s
 *   #6 ERROR: process "/bin/sh -c exit 42" did not complete successfully: exit code: 42
 */
#ifndef WORKER_PLAIN_LOG_H
#define WORKER_PLAIN_LOG_H

#include "base/process.h"
#include "worker/journal.h"

struct plain_log {
    struct journal *journal;
    int number; /* of the vertex that runs, from 1; 0: none yet */
    bool running;
    int64_t began;  /* clock_monotonic */
    int64_t at;     /* the same by the journal's clock */
    int code;       /* exit code of the command that failed; -1: none did */
    char last[512]; /* the last line of output, for one-line reasons */
};

void plain_log_begin(struct plain_log *p, const char *fmt, ...) PRINTF(2, 3);
void plain_log_line(struct plain_log *p, enum process_stream stream, const char *text, size_t len);
/* The same of what a program of the user's says, whatever that is. */
void plain_log_output(struct plain_log *p, enum process_stream stream, const char *text,
                      size_t len);
void plain_log_done(struct plain_log *p);
void plain_log_error(struct plain_log *p, const char *fmt, ...) PRINTF(2, 3);

/* Bytes of "#5 " and "#5 0.064 ", for struct log_event. */
int plain_log_prefix(int number);
int plain_log_line_prefix(int number, double seconds);

/* A sink for what runs no command of the user's: buildah's chatter is left out. */
struct process_sink plain_log_sink(struct plain_log *p);

#endif
