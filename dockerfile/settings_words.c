/* dockerfile/settings_words — whatever the file holds, a message is one line of whole characters.
 */
#include "dockerfile/settings_words.h"

#include <inttypes.h>
#include <string.h>

#define SHOWN_MAX 60 /* bytes of a value in a message */

/* How many bytes of s fit into max without cutting a character. */
static size_t whole_characters(const char *s, size_t len, size_t max)
{
    size_t n = len <= max ? len : max;

    while (n < len && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

int settings_shown(const char *path)
{
    return (int)whole_characters(path, strlen(path), SETTINGS_SHOWN_MAX);
}

/* ---- what is wanted ---- */

static void add_allowed(struct buf *out, const char *const *allowed)
{
    for (size_t i = 0; allowed[i]; i++)
        buf_addf(out, "%s\"%s\"", i == 0 ? "" : allowed[i + 1] ? ", " : " or ", allowed[i]);
}

static void add_range(struct buf *out, const struct settings_key *k)
{
    buf_adds(out, "a whole number");
    if (k->min || k->max)
        buf_addf(out, " from %" PRId64 " to %" PRId64, k->min, k->max);
}

static void add_key_wanted(struct buf *out, const struct settings_key *k)
{
    switch (k->kind) {
    case SETTINGS_STRING:
        if (k->allowed)
            add_allowed(out, k->allowed);
        else
            buf_adds(out, k->inside ? "a path inside the project" : "a string");
        break;
    case SETTINGS_INTEGER:
        add_range(out, k);
        break;
    case SETTINGS_BOOL:
        buf_adds(out, "true or false");
        break;
    case SETTINGS_SECONDS:
        buf_adds(out, "a number of seconds, or a string like \"15m\"");
        break;
    case SETTINGS_ANY:
        break;
    }
}

void settings_add_wanted(struct buf *out, const char *path, const struct settings_place *place)
{
    const char *plain = strchr(path, '[') ? NULL : path;

    if (place->key) {
        add_key_wanted(out, place->key);
    } else if (place->table) {
        buf_adds(out, "a table");
        if (plain)
            buf_addf(out, " ([%.*s])", settings_shown(plain), plain);
    } else {
        buf_addf(out, "an array of %s", place->array_of_tables ? "tables" : "strings");
        if (place->array_of_tables && plain)
            buf_addf(out, " ([[%.*s]])", settings_shown(plain), plain);
    }
}

/* ---- what is there ---- */

/* In quotes, on one line, cut short at a character. */
static void add_quoted(struct buf *out, const char *s, size_t len)
{
    size_t n = whole_characters(s, len, SHOWN_MAX);

    buf_addc(out, '"');
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
            buf_addf(out, "\\u%04x", (unsigned char)s[i]);
        else
            buf_addc(out, s[i]);
    buf_adds(out, n < len ? "…\"" : "\"");
}

void settings_add_found(struct buf *out, const struct toml_leaf *leaf, bool secret)
{
    static const char *const types[] = {
        [TOML_INTEGER] = "a whole number",
        [TOML_FLOAT] = "a fraction",
        [TOML_BOOL] = "a boolean",
        [TOML_DATETIME] = "a date",
    };

    /* A string among the secrets is refused for one reason alone. */
    if (secret) {
        buf_adds(out, leaf->type == TOML_STRING ? "a string with a NUL byte" : types[leaf->type]);
        return;
    }
    switch (leaf->type) {
    case TOML_STRING:
        buf_adds(out, "the string ");
        add_quoted(out, leaf->text, leaf->text_len);
        break;
    case TOML_INTEGER:
        buf_addf(out, "%" PRId64, leaf->integer);
        break;
    case TOML_FLOAT:
        buf_addf(out, "the fraction %g", leaf->real);
        break;
    case TOML_BOOL:
        buf_adds(out, leaf->boolean ? "true" : "false");
        break;
    case TOML_DATETIME:
        buf_addf(out, "the date %.*s", SHOWN_MAX, leaf->text);
        break;
    }
}
