/* worker/log_json — a line of a build's log as an object of JSON lines (docs/api.md). */
#ifndef WORKER_LOG_JSON_H
#define WORKER_LOG_JSON_H

#include "base/buf.h"
#include "worker/state.h"

/* Appends the object and a line end:
 *
 *   {"seq": 7, "time": "2026-…Z", "severity": "INFO", "step": 5, "state": "running",
 *    "name": "[2/4] RUN make", "start": "…"}
 *   {…, "step": 5, "stream": "stdout", "text": "cc -o app app.c"}
 *   {…, "step": 5, "state": "done", "start": "…", "end": "…", "bytes": 81920}
 *   {…, "step": 6, "state": "failed", "start": "…", "end": "…", "exitCode": 42, "text": "process
 * …"}
 *
 * state is running, cached, done or failed, where the line says so; step is missing from lines that
 * are of none; exitCode where no command failed. */
MUST_CHECK int log_line_json(const struct log_line *l, struct buf *out, struct error *err);

#endif
