/* worker/db_engine — what an engine does for worker/db.
 *
 * db.c has the lock on the connection, the nesting of transactions, the waiting and the migrations;
 * an engine has one connection, and is called with that lock held.  self is what open gave. */
#ifndef WORKER_DB_ENGINE_H
#define WORKER_DB_ENGINE_H

#include "worker/db.h"

struct db_engine {
    int (*open)(const char *path, void **ret_self, struct error *err);
    void (*close)(void *self);

    /* There is a connection; NULL: there always is. */
    int (*ready)(void *self, struct error *err);
    /* workspace: NULL for a write that excludes all others. */
    int (*begin)(void *self, enum tx_mode mode, const char *workspace, struct error *err);
    int (*commit)(void *self, bool tells, struct error *err);
    void (*rollback)(void *self);
    int (*lock)(void *self, const char *name, const char *of, struct error *err);

    /* The schema's version; 0: there is none.  migrate runs the statements that lead to it. */
    int (*get_version)(void *self, int64_t *ret, struct error *err);
    int (*migrate)(void *self, int version, const char *sql, struct error *err);
    /* The same in a write that was begun, as cheap as can be. */
    int (*look_at_version)(void *self, int64_t *ret, struct error *err);

    struct clock (*clock)(void *self);
    int (*listen)(void *self, void (*heard)(void *self), void *heard_self, bool *ret_hears,
                  struct error *err);

    /* q->stmt is the engine's own; the rest as in worker/db.h. */
    void (*query_init)(void *self, struct query *q, const char *sql);
    void (*query_end)(void *self, struct query *q);
    void (*query_text)(struct query *q, const char *text);
    void (*query_int)(struct query *q, int64_t value);
    void (*query_blob)(struct query *q, const void *data, size_t len);
    int (*query_next)(void *self, struct query *q, bool *ret_row, struct error *err);
    int64_t (*query_changed)(void *self, struct query *q);
    void (*query_reset)(struct query *q);
    const char *(*query_get_text)(struct query *q, int column);
    int64_t (*query_get_int)(struct query *q, int column);
    size_t (*query_get_blob)(struct query *q, int column, void *out, size_t max);
    bool (*query_is_null)(struct query *q, int column);
};

extern const struct db_engine db_sqlite;
extern const struct db_engine db_postgres;

#endif
