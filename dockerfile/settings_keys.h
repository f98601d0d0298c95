/* dockerfile/settings_keys — every key of blaxel.toml, and where a path of the file stands among
 * them. */
#ifndef DOCKERFILE_SETTINGS_KEYS_H
#define DOCKERFILE_SETTINGS_KEYS_H

#include "dockerfile/settings.h"

enum settings_kind {
    SETTINGS_STRING,
    SETTINGS_INTEGER,
    SETTINGS_BOOL,
    SETTINGS_SECONDS, /* a whole number, or a string as "15m" */
    SETTINGS_ANY,     /* not looked into */
};

struct settings_key {
    /* As base/toml writes paths, with "*" for any key, "[]" for any index, and "**" at the end for
     * all below. */
    const char *pattern;
    enum settings_kind kind;
    const char *const *allowed; /* of a STRING, in any case if any_case; NULL: all */
    bool any_case;
    int64_t min, max; /* of an INTEGER or SECONDS; both 0: all */
    /* The client replaces "$NAME" and "${NAME:default}" from its own environment, in what it sends
     * but not in the file: such a string is not looked into, and sets nothing. */
    bool client_fills;
    bool secret;       /* the value may be one: it stands in no message */
    bool inside;       /* a path inside the project */
    bool names_an_arg; /* the last key becomes the name of a build argument */
    /* Keeps a good value; NULL: only checked, as a build has no use for it. */
    int (*store)(struct dockerfile_settings *s, const struct settings_key *k, const char *name,
                 const void *value, struct error *err);
    size_t field; /* offset in dockerfile_settings, for store */
};

/* Ends with a NULL pattern. */
extern const struct settings_key settings_keys[];

/* How a path stands to the keys. */
struct settings_place {
    const struct settings_key *key; /* it is this one; NULL: it is none */
    bool table, array;              /* keys lie below it, which makes it a table or an array */
    bool array_of_tables;
};
struct settings_place settings_place(const char *path);

/* " (did you mean NAME?)" in text for a path that has no place: the nearest key beside it, or the
 * key of that name in another table; "" without one.  Returns text. */
#define SETTINGS_HINT_SIZE 128
const char *settings_hint(const char *path, char text[SETTINGS_HINT_SIZE]);

#endif
