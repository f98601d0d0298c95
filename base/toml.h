/* base/toml — a TOML 1.0 document, read leaf by leaf.
 *
 * The parser is toml++, known to toml.cpp alone.  Documents may come from outside. */
#ifndef BASE_TOML_H
#define BASE_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/error.h"

#define TOML_TEXT_MAX  (1 << 20) /* bytes of a document */
#define TOML_DEPTH_MAX 32        /* tables and arrays above a leaf */
#define TOML_PATH_MAX  4096      /* bytes of a path */

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOL, TOML_DATETIME };

/* Borrowed for the length of the call. */
struct toml_leaf {
    const char *path; /* "build.args[0].name"; a key that is no bare key stands in quotes */
    int line;         /* of the value, from 1 */
    enum toml_type type;
    const char *text; /* STRING: the value; DATETIME: as RFC 3339 or a part of it; else "" */
    size_t text_len;  /* a string may hold NUL bytes */
    int64_t integer;  /* INTEGER */
    double real;      /* FLOAT */
    bool boolean;     /* BOOL */
};

/* A table or an array, borrowed likewise. */
struct toml_group {
    const char *path;
    int line; /* of the header, key or bracket that makes it */
    bool array;
};

struct toml_visitor {
    /* -1 with err set ends the walk. */
    int (*leaf)(void *self, const struct toml_leaf *leaf, struct error *err);
    /* NULL: not asked for.  Each table and array, before what is in it; not the document itself. */
    int (*group)(void *self, const struct toml_group *group, struct error *err);
    void *self;
};

/* Calls v->leaf for every value that is no table and no array: array elements in their order, keys
 * of a table in the order of their names.  Nothing is called before the whole text is known to be
 * well formed.  ERR_INPUT: "line 3, column 7: …"; ERR_LIMIT: too long or too deep, or keys that are
 * longer than any reader wants them (a path is made anew for every value). */
MUST_CHECK int toml_walk(const char *text, size_t len, const struct toml_visitor *v,
                         struct error *err);

#ifdef __cplusplus
}
#endif

#endif
