/* tests/postgres/database — where a test's state lies: in memory or a file, or on the PostgreSQL
 * server that $KILN_TEST_DATABASE names (a URL without parameters), in a schema of its own. */
#ifndef TESTS_POSTGRES_DATABASE_H
#define TESTS_POSTGRES_DATABASE_H

#include <stdbool.h>

#define DATABASE_URL 256

/* Whether the tests of this run are to use the server. */
bool database_is_remote(void);

/* A schema without any rows, and the URL by which a state finds it: one that the program has left,
 * or a new one.  false, and it is printed why, on failure. */
bool database_get(char url[DATABASE_URL]);
/* Nobody uses it any more, and its tables are as Kiln makes them: making them takes long. */
void database_leave(const char *url);
/* Removes it with all that is in it. */
bool database_drop(const char *url);

/* Runs a statement there; *ret (may be NULL) is the first column of its first row as a number. */
bool database_run(const char *url, const char *sql, long long *ret);

#endif
