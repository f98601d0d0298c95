/* dockerfile/grammar — the table of instructions: how each one's arguments are read, and what must
 * hold for them. */
#ifndef DOCKERFILE_GRAMMAR_H
#define DOCKERFILE_GRAMMAR_H

#include "dockerfile/flags.h"
#include "dockerfile/parse.h"

enum argument_form {
    FORM_TEXT,          /* one word: the whole text */
    FORM_WORDS,         /* at blanks */
    FORM_QUOTED,        /* at white space outside quotes */
    FORM_PAIRS,         /* like QUOTED when the first word has a "=", else a name and the rest */
    FORM_JSON_OR_TEXT,  /* a JSON array of strings, else TEXT */
    FORM_JSON_OR_WORDS, /* a JSON array of strings, else WORDS */
    FORM_HEALTH,        /* a word, then JSON_OR_TEXT */
    FORM_TRIGGER,       /* an instruction */
};

enum argument_count {
    COUNT_ANY,
    COUNT_AT_LEAST_ONE,
    COUNT_EXACTLY_ONE,
    COUNT_SOURCE_AND_DESTINATION,
};

struct grammar_row {
    const char *name; /* upper case */
    enum argument_form form;
    enum argument_count count;
    bool heredocs;                 /* takes bodies, unless in JSON form */
    bool own_flags;                /* check looks at the flags itself, or nobody does */
    const struct flag_rule *flags; /* NULL: none are allowed */
    /* What no column says; NULL: nothing. */
    int (*check)(const struct dockerfile_instruction *instruction, struct error *err);
};

/* keyword in upper case; NULL: there is no such instruction. */
const struct grammar_row *grammar_find(const char *keyword);

/* All names in alphabetical order, NULL at the end: for suggestions. */
extern const char *const grammar_names[];

/* Cuts a logical line into an instruction; its lines and heredocs are the caller's to fill.  What
 * is no instruction is kept with its text in no words: grammar_check refuses it. */
MUST_CHECK int grammar_read(struct dockerfile *d, const char *line, size_t len,
                            struct dockerfile_instruction *ret, struct error *err);

/* Does it take heredocs as it stands? */
bool grammar_takes_heredocs(const struct dockerfile_instruction *instruction);

/* Is it a good one, looked at alone? */
MUST_CHECK int grammar_check(const struct dockerfile_instruction *instruction, struct error *err);

/* ---- checks.c: the checks of single rows ---- */
int check_arg(const struct dockerfile_instruction *i, struct error *err);
int check_copy(const struct dockerfile_instruction *i, struct error *err);
int check_from(const struct dockerfile_instruction *i, struct error *err);
int check_healthcheck(const struct dockerfile_instruction *i, struct error *err);
int check_onbuild(const struct dockerfile_instruction *i, struct error *err);
int check_pairs(const struct dockerfile_instruction *i, struct error *err);
int check_run(const struct dockerfile_instruction *i, struct error *err);
int check_shell(const struct dockerfile_instruction *i, struct error *err);
int check_volume(const struct dockerfile_instruction *i, struct error *err);

#endif
