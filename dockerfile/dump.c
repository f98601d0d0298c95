/* dockerfile/dump — (keyword ["--flag"] "word" …), with a third word for each pair of ENV and
 * LABEL: how it was written. */
#include "dockerfile/dump.h"

#include <ctype.h>
#include <string.h>

#include "dockerfile/grammar.h"
#include "dockerfile/quote.h"

static void add_word(struct buf *out, const char *word)
{
    buf_addc(out, ' ');
    quote_add(out, word);
}

static void add_pair(struct buf *out, const char *pair)
{
    size_t n = strcspn(pair, "=");
    char *name = strndup(pair, n);

    add_word(out, name ? name : "");
    add_word(out, pair + n + 1);
    add_word(out, "=");
    free(name);
}

static void add_words(const struct dockerfile_instruction *i, struct buf *out)
{
    const struct grammar_row *row = grammar_find(i->keyword);
    bool pairs = row && row->form == FORM_PAIRS;

    for (size_t k = 0; k < i->words.n; k++) {
        if (pairs && !i->legacy)
            add_pair(out, i->words.v[k]);
        else
            add_word(out, i->words.v[k]);
    }
    if (i->legacy)
        add_word(out, "");
}

static void add_instruction(const struct dockerfile_instruction *i, struct buf *out)
{
    buf_addc(out, '(');
    for (const char *p = i->written; *p; p++)
        buf_addc(out, (char)tolower((unsigned char)*p));
    for (size_t k = 0; k < i->flags.n; k++) {
        buf_adds(out, k == 0 ? " [" : " ");
        quote_add(out, i->flags.v[k]);
    }
    if (i->flags.n)
        buf_addc(out, ']');
    if (i->trigger) {
        buf_addc(out, ' ');
        add_instruction(i->trigger, out);
    } else if (!grammar_find(i->keyword)) {
        if (*i->written || i->flags.n)
            buf_addc(out, ' ');
        quote_add(out, "");
    } else {
        add_words(i, out);
    }
    buf_addc(out, ')');
}

void dump_text(const struct dockerfile *d, struct buf *out)
{
    for (size_t k = 0; k < d->n_instructions; k++) {
        if (k > 0)
            buf_addc(out, '\n');
        add_instruction(&d->instructions[k], out);
    }
}
