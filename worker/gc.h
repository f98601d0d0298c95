/* worker/gc — garbage that nobody removes by the way: what there is of it, and a thread that sees
 * to it from time to time.  Of all processes that share a database one does a task at a time, and
 * each task once in an interval. */
#ifndef WORKER_GC_H
#define WORKER_GC_H

#include "base/note.h"
#include "worker/places.h"
#include "worker/state_gc.h"

struct gc_config {       /* what it points to is borrowed until gc_stop */
    struct state *state; /* best one of its own: reading what is old may take seconds */
    const struct places *places;
    int64_t interval;            /* ns between two runs of a task; 0: the thread does nothing */
    int64_t log_ns;              /* how long logs are kept; 0: for ever */
    int64_t event_ns;            /* and events */
    int64_t audit_ns;            /* and entries of the audit log */
    const struct cancel *cancel; /* ends what is being done; NULL: nothing does */
    const char *name;            /* of this process: worker_name_of(getpid()) */
    /* The operator's log.  Called from any thread. */
    void (*log)(void *self, const struct note *note);
    void *log_self;
};

struct gc_task {
    const char *name, *what;
    /* What there is, removing nothing. */
    int (*look)(const struct gc_config *c, struct gc_found *ret, struct error *err);
    int (*run)(const struct gc_config *c, struct gc_found *ret, struct error *err);
};
/* The last has no name. */
extern const struct gc_task gc_tasks[];

/* Does the task, if it is due after interval ns (0: at any time) and nobody else is at it, and
 * notes it.  *ret_done false: neither. */
MUST_CHECK int gc_run_task(const struct gc_config *c, const struct gc_task *task, int64_t interval,
                           bool *ret_done, struct gc_found *ret, struct error *err);

struct gc;
/* *ret is NULL where there is nothing to do. */
MUST_CHECK int gc_start(const struct gc_config *config, struct gc **ret, struct error *err);
void gc_stop(struct gc *g); /* NULL is fine */

#endif
