/* dockerfile/rules/variables — ARG, ENV, and who uses them. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/quote.h"
#include "dockerfile/rules/rule.h"

void rule_undefined_variable(struct check *c, const struct dockerfile_step *s)
{
    for (size_t k = 0; k < s->n_unset; k++)
        CHECK_WARN_HERE(c, s, "Usage of undefined variable '$%s'%s", s->unset[k].name,
                        s->unset[k].hint);
}

/* ---- secrets ---- */

/* Is one of the words, parted by "_", among them, in any case? */
static bool has_word(const char *name, const char *const *words)
{
    while (*name) {
        size_t n = strcspn(name, "_");

        for (size_t i = 0; words[i]; i++)
            if (strlen(words[i]) == n && strncasecmp(name, words[i], n) == 0)
                return true;
        name += n + (name[n] == '_');
    }
    return false;
}

static bool is_secret(const char *name)
{
    static const char *const secret[] = {"apikey", "auth",  "credential", "credentials",
                                         "key",    "pword", "password",   "passwd",
                                         "secret", "token", NULL};
    static const char *const open[] = {"public", "file", "version", NULL};

    return has_word(name, secret) && !has_word(name, open);
}

static void check_name(struct check *c, const struct dockerfile_step *s, const char *name,
                       size_t len)
{
    char copy[256], quoted[QUOTE_SIZE];

    (void)snprintf(copy, sizeof(copy), "%.*s", (int)(len > 255 ? 255 : len), name);
    if (is_secret(copy))
        CHECK_WARN_HERE(c, s, "Do not use ARG or ENV instructions for sensitive data (%s %s)",
                        s->instruction->keyword, quote_short(copy, quoted));
}

void rule_secret(struct check *c, const struct dockerfile_step *s)
{
    const struct argv *words = &s->instruction->words;

    if (instruction_is(s->instruction, "ENV") && s->done) {
        for (size_t k = 0; k + 1 < s->words.n; k += 2)
            check_name(c, s, s->words.v[k], strlen(s->words.v[k]));
    } else if (instruction_is(s->instruction, "ARG")) {
        /* The name is looked at before its value, which may be what failed. */
        for (size_t k = 0; k < words->n && k <= s->words.n; k++)
            check_name(c, s, words->v[k], strcspn(words->v[k], "="));
    }
}
