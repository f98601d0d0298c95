/* dockerfile/practices/values — WORKDIR, EXPOSE and ENV: what their values say. */
#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/practices/practice.h"
#include "dockerfile/quote.h"

/* ---- WORKDIR ---- */

static bool is_windows_path(const char *s)
{
    return isalpha((unsigned char)s[0]) && s[1] == ':' && (s[2] == '\\' || s[2] == '/');
}

static void look_workdir(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *path = i->words.n ? i->words.v[0] : i->text;
    char quoted[QUOTE_SIZE];

    path += *path == '"' || *path == '\'';
    if (*path && *path != '/' && *path != '$' && !is_windows_path(path))
        practice_found(p, "WORKDIR %s depends on the WORKDIR before it", quote_short(path, quoted));
}

/* ---- EXPOSE ---- */

static bool is_port(const char *s, size_t len)
{
    char text[8];
    uint64_t n;

    if (len == 0 || len >= sizeof(text))
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    return text_to_u64(text, 65535, &n);
}

/* "80", "80/tcp", "8000-8010/udp" */
static bool is_port_range(const char *word)
{
    size_t len = strcspn(word, "/"), first = strcspn(word, "-/");

    if (first == len)
        return is_port(word, len);
    return is_port(word, first) && is_port(word + first + 1, len - first - 1);
}

static void look_port(struct practice *p, const struct dockerfile_instruction *i)
{
    char quoted[QUOTE_SIZE];

    for (size_t k = 0; k < i->words.n; k++) {
        const char *word = i->words.v[k];

        if (!strpbrk(word, "$:\"'") && !is_port_range(word))
            practice_found(p, "%s is no port from 0 to 65535", quote_short(word, quoted));
    }
}

/* ---- ENV ---- */

struct name {
    const char *s;
    size_t len;
};

static bool is_same(const struct name *a, const struct name *b)
{
    return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

static struct name name_at(const char *s)
{
    struct name n = {s, 0};

    while (isalnum((unsigned char)s[n.len]) || s[n.len] == '_')
        n.len++;
    return n;
}

/* The next $NAME or ${NAME behind *s, which moves behind it; len 0 at the end.  Single quotes and
 * backslashes keep a dollar from being one. */
static struct name next_reference(const char **s, bool *single)
{
    struct name n = {*s, 0};

    for (; **s; ++*s) {
        if (**s == '\\' && (*s)[1]) {
            ++*s;
        } else if (**s == '\'') {
            *single = !*single;
        } else if (**s == '$' && !*single) {
            n = name_at(*s + 1 + ((*s)[1] == '{'));
            if (n.len > 0) {
                *s = n.s + n.len;
                return n;
            }
        }
    }
    n.len = 0;
    return n;
}

static bool is_set_before(const struct practice *p, const struct name *n)
{
    for (size_t k = 0; k < p->stage.names.n; k++) {
        struct name other = {p->stage.names.v[k], strlen(p->stage.names.v[k])};

        if (is_same(n, &other))
            return true;
    }
    return false;
}

/* The names that an ENV sets, and what it is about them that is asked for each reference. */
struct line {
    struct name names[PRACTICE_NAMES_MAX];
    size_t n;
};

/* Another word of the same line that sets the name. */
static bool is_set_beside(const struct line *line, size_t self, const struct name *n)
{
    for (size_t k = 0; k < line->n; k++)
        if (k != self && is_same(n, &line->names[k]))
            return true;
    return false;
}

/* The first name that the word at k refers to and the line sets; len 0 when there is none. */
static struct name find_unset(const struct practice *p, const struct line *line, size_t k)
{
    const char *value = line->names[k].s + line->names[k].len;
    bool single = false;
    struct name n = next_reference(&value, &single);

    for (size_t count = 0; n.len > 0 && count < PRACTICE_NAMES_MAX; count++) {
        if (!is_same(&n, &line->names[k]) && is_set_beside(line, k, &n) && !is_set_before(p, &n))
            return n;
        n = next_reference(&value, &single);
    }
    n.len = 0;
    return n;
}

static void look_env(struct practice *p, const struct dockerfile_instruction *i)
{
    struct line line = {.n = 0};
    char quoted[QUOTE_SIZE];

    if (i->legacy)
        return;
    for (; line.n < i->words.n && line.n < PRACTICE_NAMES_MAX; line.n++)
        line.names[line.n] = (struct name){i->words.v[line.n], strcspn(i->words.v[line.n], "=")};
    for (size_t k = 0; k < line.n; k++) {
        struct name n = find_unset(p, &line, k);

        if (n.len > 0)
            practice_found(p, "$%.*s is used by %s and set by the same ENV, so it is not set yet",
                           (int)(n.len < 100 ? n.len : 100), n.s,
                           quote_short(i->words.v[k], quoted));
    }
}

const struct practice_rule practice_values[] = {
    {{.name = "DL3000",
      .description = "A relative WORKDIR is below whatever the base image or a line before set.",
      .advice = "write the whole path, from /",
      .url = HADOLINT("DL3000")},
     "WORKDIR",
     look_workdir},
    {{.name = "DL3011",
      .description = "Ports are from 0 to 65535.",
      .advice = "write a port in that range",
      .url = HADOLINT("DL3011")},
     "EXPOSE",
     look_port},
    {{.name = "DL3044",
      .description = "The variables of one ENV are set together, after their values were read.",
      .advice = "set it in an ENV of its own, before this one",
      .url = HADOLINT("DL3044")},
     "ENV",
     look_env},
    {.keyword = NULL},
};
