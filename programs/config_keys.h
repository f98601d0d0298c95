/* programs/config_keys — the table behind programs/config, and what its values may be. */
#ifndef PROGRAMS_CONFIG_KEYS_H
#define PROGRAMS_CONFIG_KEYS_H

#include "programs/config.h"

#define KEY_NAME 40 /* bytes of a name in any of its forms, with the NUL */

enum kind { STRING, PATH, INTEGER, SIZE, DURATION, LIST };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;        /* in struct config */
    const char *fallback; /* the default as text; NULL: found out at the start */
    const char *shown;    /* the default for people, where the text does not do */
    int64_t min, max;     /* of the number kinds */
    bool (*valid)(const char *value);
    const char *allowed; /* what valid accepts */
    const char *help;
};

extern const struct key config_keys[CONFIG_KEYS];

bool key_is_string(const struct key *k); /* STRING or PATH */
bool key_is_number(const struct key *k);
/* A wrong value is not repeated, for it may hold a password. */
bool key_is_hidden(const struct key *k);

/* Where the key's value is in c. */
char **key_string(const struct config *c, const struct key *k);
int64_t *key_number(const struct config *c, const struct key *k);
struct argv *key_list(const struct config *c, const struct key *k);

/* Number and unit as text, within the key's bounds; false and *ret untouched otherwise. */
bool key_parse_number(const struct key *k, const char *text, int64_t *ret);
/* Appends value in the largest unit that divides it: "5GiB". */
void key_add_number(const struct key *k, int64_t value, struct buf *out);
/* Appends what its value may be: "an integer from 0 to 256". */
void key_add_allowed(const struct key *k, struct buf *out);

/* "KILN_DATA_DIR" and "--data-dir" of "data_dir". */
void key_variable(const struct key *k, char out[KEY_NAME]);
void key_option(const struct key *k, char out[KEY_NAME]);

/* The key that a path in a TOML document stands for ("mirrors[0]" for mirrors), NULL if none. */
const struct key *key_find(const char *path);
/* The key whose name is most like this one, NULL when none is alike. */
const struct key *key_nearest(const char *name);

#endif
