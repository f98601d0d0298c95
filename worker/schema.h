/* worker/schema — the tables, as migrations that only ever go forward. */
#ifndef WORKER_SCHEMA_H
#define WORKER_SCHEMA_H

/* schema_migrations[v] takes a database from version v to v + 1. */
extern const char *const schema_migrations[];
extern const int schema_version;

#endif
