/* uploads/git_refs — see the header. */
#include "uploads/git_refs.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "uploads/entry_name.h"

#define SHOWN_MAX 8
#define BRANCHES  "refs/heads/"
#define TAGS      "refs/tags/"

static bool is_part(const char *part, size_t len)
{
    return len > 0 && part[0] != '.' && part[len - 1] != '.' &&
           !(len >= 5 && memcmp(part + len - 5, ".lock", 5) == 0);
}

bool git_ref_is_name(const char *name)
{
    if (!*name || name[0] == '-' || strcmp(name, "@") == 0 || strstr(name, "..") ||
        strstr(name, "@{") || strpbrk(name, " ~^:?*[\\") || text_has_control(name, strlen(name)))
        return false;
    for (const char *part = name;;) {
        size_t len = strcspn(part, "/");

        if (!is_part(part, len))
            return false;
        if (!part[len])
            return true;
        part += len + 1;
    }
}

static size_t hex_length(const char *ref)
{
    size_t n = strspn(ref, "0123456789abcdefABCDEF");

    return ref[n] ? 0 : n;
}

bool git_ref_may_be_commit(const char *ref)
{
    return hex_length(ref) >= 7 && hex_length(ref) <= 40;
}

bool git_ref_is_commit(const char *ref)
{
    return hex_length(ref) == 40;
}

bool git_ref_find(const struct argv *names, const char *ref, size_t *ret)
{
    static const char *const places[] = {"", "refs/", TAGS, BRANCHES};

    if (!*ref)
        ref = "HEAD";
    for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
        for (size_t i = 0; i < names->n; i++)
            if (text_starts(names->v[i], places[p]) &&
                strcmp(names->v[i] + strlen(places[p]), ref) == 0) {
                *ret = i;
                return true;
            }
    return false;
}

/* ---- the hint ---- */

/* "main" of "refs/heads/main"; NULL for what is neither branch nor tag, or a tag's peeled twin. */
static const char *short_name(const char *name)
{
    if (text_ends(name, "^{}"))
        return NULL;
    if (text_starts(name, BRANCHES))
        return name + strlen(BRANCHES);
    return text_starts(name, TAGS) ? name + strlen(TAGS) : NULL;
}

/* The same but for case, or all but the last or first letters of one another. */
static bool are_alike(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

    if (n < 2)
        return strcasecmp(a, b) == 0;
    return strncasecmp(a, b, n > 3 ? n - 1 : n) == 0 || strcasestr(a, b) || strcasestr(b, a);
}

struct hint {
    const char *ref;
    struct argv shown;
    size_t more;
};

/* Adds those of one kind; alike: only such as resemble the ref. */
static void add_kind(struct hint *h, const struct argv *names, const char *place, bool alike)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = text_starts(names->v[i], place) ? short_name(names->v[i]) : NULL;

        if (!name || (alike && !are_alike(name, h->ref)) || argv_contains(&h->shown, name))
            continue;
        if (h->shown.n < SHOWN_MAX)
            argv_push1(&h->shown, name);
        else
            h->more += !alike;
    }
}

void git_ref_hint(const struct argv *names, const char *ref, struct buf *out)
{
    struct hint h = {.ref = ref};

    add_kind(&h, names, BRANCHES, true);
    add_kind(&h, names, TAGS, true);
    add_kind(&h, names, BRANCHES, false);
    add_kind(&h, names, TAGS, false);
    if (h.shown.n == 0)
        buf_adds(out, "it has no branches or tags");
    for (size_t i = 0; i < h.shown.n; i++) {
        bool plain = text_is_utf8(h.shown.v[i], strlen(h.shown.v[i])) &&
                     !text_has_control(h.shown.v[i], strlen(h.shown.v[i]));

        buf_addf(out, "%s%.60s", i == 0 ? "it has " : ", ",
                 plain ? h.shown.v[i] : text_show(h.shown.v[i]).text);
    }
    if (h.more > 0)
        buf_addf(out, " and %zu more", h.more);
    argv_release(&h.shown);
}
