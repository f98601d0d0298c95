/* dockerfile/grammar — BuildKit's dispatch tables (parser and instructions) as one table. */
#include "dockerfile/grammar.h"

#include <ctype.h>
#include <string.h>

#include "dockerfile/quote.h"
#include "dockerfile/runes.h"
#include "dockerfile/suggest.h"
#include "dockerfile/words.h"

static const struct flag_rule add_flags[] = {
    {"checksum", FLAG_STRING}, {"chmod", FLAG_STRING},      {"chown", FLAG_STRING},
    {"exclude", FLAG_LIST},    {"keep-git-dir", FLAG_BOOL}, {"link", FLAG_BOOL},
    {"unpack", FLAG_BOOL},     {NULL, FLAG_BOOL},
};

static const struct flag_rule copy_flags[] = {
    {"chmod", FLAG_STRING}, {"chown", FLAG_STRING}, {"exclude", FLAG_LIST}, {"from", FLAG_STRING},
    {"link", FLAG_BOOL},    {"parents", FLAG_BOOL}, {NULL, FLAG_BOOL},
};

static const struct flag_rule from_flags[] = {{"platform", FLAG_STRING}, {NULL, FLAG_BOOL}};

static const struct flag_rule run_flags[] = {
    {"device", FLAG_LIST},     {"mount", FLAG_LIST}, {"network", FLAG_STRING},
    {"security", FLAG_STRING}, {NULL, FLAG_BOOL},
};

static const struct flag_rule health_flags[] = {
    {"interval", FLAG_STRING},     {"retries", FLAG_STRING}, {"start-interval", FLAG_STRING},
    {"start-period", FLAG_STRING}, {"timeout", FLAG_STRING}, {NULL, FLAG_BOOL},
};

/* clang-format off */
/* The most frequent ones come first, as grammar_find goes from the top. */
static const struct grammar_row table[] = {
    {.name = "RUN", .form = FORM_JSON_OR_TEXT, .heredocs = true, .flags = run_flags,
     .check = check_run},
    {.name = "COPY", .form = FORM_JSON_OR_WORDS, .count = COUNT_SOURCE_AND_DESTINATION,
     .heredocs = true, .flags = copy_flags, .check = check_copy},
    {.name = "ENV", .form = FORM_PAIRS, .check = check_pairs},
    {.name = "FROM", .form = FORM_WORDS, .flags = from_flags, .check = check_from},
    {.name = "ARG", .form = FORM_QUOTED, .count = COUNT_AT_LEAST_ONE, .own_flags = true,
     .check = check_arg},
    {.name = "ADD", .form = FORM_JSON_OR_WORDS, .count = COUNT_SOURCE_AND_DESTINATION,
     .heredocs = true, .flags = add_flags, .check = check_copy},
    {.name = "CMD", .form = FORM_JSON_OR_TEXT},
    {.name = "ENTRYPOINT", .form = FORM_JSON_OR_TEXT},
    {.name = "EXPOSE", .form = FORM_WORDS, .count = COUNT_AT_LEAST_ONE},
    {.name = "HEALTHCHECK", .form = FORM_HEALTH, .count = COUNT_AT_LEAST_ONE, .own_flags = true,
     .flags = health_flags, .check = check_healthcheck},
    {.name = "LABEL", .form = FORM_PAIRS, .check = check_pairs},
    {.name = "MAINTAINER", .form = FORM_TEXT, .count = COUNT_EXACTLY_ONE},
    {.name = "ONBUILD", .form = FORM_TRIGGER, .count = COUNT_AT_LEAST_ONE, .check = check_onbuild},
    {.name = "SHELL", .form = FORM_JSON_OR_TEXT, .check = check_shell},
    {.name = "STOPSIGNAL", .form = FORM_TEXT, .count = COUNT_EXACTLY_ONE, .own_flags = true},
    {.name = "USER", .form = FORM_TEXT, .count = COUNT_EXACTLY_ONE},
    {.name = "VOLUME", .form = FORM_JSON_OR_WORDS, .count = COUNT_AT_LEAST_ONE,
     .check = check_volume},
    {.name = "WORKDIR", .form = FORM_TEXT, .count = COUNT_EXACTLY_ONE},
};

const char *const grammar_names[] = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR", NULL,
};
/* clang-format on */

const struct grammar_row *grammar_find(const char *keyword)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (*table[i].name == *keyword && strcmp(table[i].name, keyword) == 0)
            return &table[i];
    return NULL;
}

/* ---- reading ---- */

#define TRIGGER_DEPTH_MAX 4

static int read_json(struct dockerfile *d, const char *text, struct dockerfile_instruction *ret,
                     struct argv *ret_words, struct error *err)
{
    switch (words_json(&d->arena, text, ret_words)) {
    case JSON_STRINGS:
        ret->json = true;
        return 0;
    case JSON_MIXED:
        return error_set(err, ERR_INPUT,
                         "when using JSON array syntax, arrays must be comprised of strings only");
    case JSON_NO_ARRAY:
        break;
    }
    return 0;
}

/* All of a text that lies in the arena, as one word. */
static void push_text(struct dockerfile *d, const char *text, struct argv *words)
{
    if (*text)
        arena_push(&d->arena, words, (char *)text);
}

/* A name with its "=value" each, or, as in the oldest Dockerfiles, a name and the rest. */
static int read_pairs(struct dockerfile *d, struct dockerfile_instruction *ret, struct error *err)
{
    const char *text = ret->text;
    size_t name_len = 0, rest;
    char quoted[QUOTE_SIZE];

    words_split_quoted(&d->arena, text, d->directives.escape, &ret->words);
    if (ret->words.n == 0 || strchr(ret->words.v[0], '=')) {
        for (size_t i = 0; i < ret->words.n; i++)
            if (!strchr(ret->words.v[i], '='))
                return error_set(
                    err, ERR_INPUT,
                    "Syntax error - can't find = in %s. Must be of the form: name=value",
                    quote_short(ret->words.v[i], quoted));
        return 0;
    }
    while (text[name_len] && !is_blank(text[name_len]))
        name_len++;
    for (rest = name_len; is_blank(text[rest]);)
        rest++;
    if (!text[name_len])
        return error_set(err, ERR_INPUT, "%s must have two arguments", ret->keyword);
    ret->words = (struct argv)ARGV_INIT;
    ret->legacy = true;
    arena_push(&d->arena, &ret->words, arena_string(&d->arena, text, name_len));
    arena_push(&d->arena, &ret->words, arena_string(&d->arena, text + rest, strlen(text + rest)));
    return 0;
}

static int read_health(struct dockerfile *d, struct dockerfile_instruction *ret, struct error *err)
{
    const char *text = ret->text;
    struct argv command = ARGV_INIT;
    size_t n = 0;

    while (text[n] && !is_ascii_space(text[n]))
        n++;
    if (n == 0)
        return 0;
    arena_push(&d->arena, &ret->words, arena_string(&d->arena, text, n));
    while (is_ascii_space(text[n]))
        n++;
    if (read_json(d, text + n, ret, &command, err) < 0)
        return -1;
    if (!ret->json)
        push_text(d, text + n, &command);
    for (size_t i = 0; i < command.n; i++)
        arena_push(&d->arena, &ret->words, command.v[i]);
    return 0;
}

/* ONBUILD's instruction.  One inside the other is refused later, so how deep they go matters only
 * for the time that reading them takes. */
static int read_trigger(struct dockerfile *d, struct dockerfile_instruction *ret, struct error *err)
{
    struct dockerfile_instruction *trigger;
    int r;

    if (!*ret->text)
        return 0;
    push_text(d, ret->text, &ret->words);
    trigger =
        d->trigger_depth < TRIGGER_DEPTH_MAX ? arena_alloc(&d->arena, sizeof(*trigger)) : NULL;
    if (!trigger)
        return arena_check(&d->arena, err);
    ret->trigger = trigger;
    d->trigger_depth++;
    r = grammar_read(d, ret->text, strlen(ret->text), trigger, err);
    d->trigger_depth--;
    return r;
}

static int read_arguments(struct dockerfile *d, const struct grammar_row *row,
                          struct dockerfile_instruction *ret, struct error *err)
{
    switch (row->form) {
    case FORM_TEXT:
        push_text(d, ret->text, &ret->words);
        return 0;
    case FORM_WORDS:
        words_split(&d->arena, ret->text, &ret->words);
        return 0;
    case FORM_QUOTED:
        words_split_quoted(&d->arena, ret->text, d->directives.escape, &ret->words);
        return 0;
    case FORM_PAIRS:
        return read_pairs(d, ret, err);
    case FORM_JSON_OR_TEXT:
        if (read_json(d, ret->text, ret, &ret->words, err) < 0)
            return -1;
        if (!ret->json)
            push_text(d, ret->text, &ret->words);
        return 0;
    case FORM_JSON_OR_WORDS:
        if (read_json(d, ret->text, ret, &ret->words, err) < 0)
            return -1;
        if (!ret->json)
            words_split(&d->arena, ret->text, &ret->words);
        return 0;
    case FORM_HEALTH:
        return read_health(d, ret, err);
    case FORM_TRIGGER:
        return read_trigger(d, ret, err);
    }
    return 0;
}

/* The word in upper case, which it mostly is already. */
static const char *upper(struct arena *a, const char *word)
{
    size_t n = 0;
    char *copy;

    while (word[n] && !islower((unsigned char)word[n]))
        n++;
    if (!word[n])
        return word;
    copy = arena_string(a, word, strlen(word));
    for (char *p = copy; p && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return copy;
}

int grammar_read(struct dockerfile *d, const char *line, size_t len,
                 struct dockerfile_instruction *ret, struct error *err)
{
    struct span all = span_trim((struct span){line, len});
    const struct grammar_row *row;
    const char *rest;
    size_t n = 0;

    ret->original = arena_string(&d->arena, line, len);
    while (n < all.len && !is_blank(all.s[n]))
        n++;
    ret->written = arena_string(&d->arena, all.s, n);
    if (arena_check(&d->arena, err) < 0)
        return -1;
    ret->keyword = upper(&d->arena, ret->written);
    all = span_trim_left((struct span){all.s + n, all.len - n});
    /* Without white space behind it, the text is the end of the line. */
    ret->text = all.s + all.len == line + len ? ret->original + (all.s - line)
                                              : arena_string(&d->arena, all.s, all.len);
    if (arena_check(&d->arena, err) < 0)
        return -1;
    flags_split(&d->arena, ret->text, &ret->flags, &rest);
    all = span_trim_left((struct span){rest, strlen(rest)});
    ret->text = all.s;
    row = grammar_find(ret->keyword);
    if (row && read_arguments(d, row, ret, err) < 0)
        return -1;
    return arena_check(&d->arena, err);
}

bool grammar_takes_heredocs(const struct dockerfile_instruction *instruction)
{
    const struct dockerfile_instruction *i =
        instruction->trigger ? instruction->trigger : instruction;
    const struct grammar_row *row = grammar_find(i->keyword);

    return row && row->heredocs && !i->json;
}

/* ---- checking ---- */

static int check_nul(const struct dockerfile_instruction *instruction, struct error *err)
{
    for (size_t i = 0; instruction->json && i < instruction->words.n; i++)
        if (strstr(instruction->words.v[i], WORD_NUL))
            return error_set(err, ERR_INPUT, "a string of the JSON array holds a NUL character");
    return instruction->trigger ? check_nul(instruction->trigger, err) : 0;
}

static int check_count(const struct grammar_row *row, size_t n, struct error *err)
{
    if (row->count == COUNT_AT_LEAST_ONE && n == 0)
        return error_set(err, ERR_INPUT, "%s requires at least one argument", row->name);
    if (row->count == COUNT_EXACTLY_ONE && n != 1)
        return error_set(err, ERR_INPUT, "%s requires exactly one argument", row->name);
    if (row->count == COUNT_SOURCE_AND_DESTINATION && n < 2)
        return error_set(err, ERR_INPUT,
                         "%s requires at least two arguments, but only one was provided. "
                         "Destination could not be determined",
                         row->name);
    return 0;
}

int grammar_check(const struct dockerfile_instruction *instruction, struct error *err)
{
    const struct grammar_row *row = grammar_find(instruction->keyword);
    char hint[SUGGEST_SIZE];

    if (!row)
        return error_set(err, ERR_INPUT, "unknown instruction: %.200s%s", instruction->written,
                         suggest(instruction->written, grammar_names, true, hint));
    if (check_nul(instruction, err) < 0 || check_count(row, instruction->words.n, err) < 0)
        return -1;
    if (!row->own_flags && flags_check(&instruction->flags, row->flags, err) < 0)
        return -1;
    return row->check ? row->check(instruction, err) : 0;
}
