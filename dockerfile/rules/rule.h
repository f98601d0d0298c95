/* dockerfile/rules/rule — what a rule is, and what it can ask.
 *
 * A rule is a row: its texts, and one function for each kind of thing it looks at.  BuildKit's
 * stand in table.c; a set of others is one more entry of rule_sets there. */
#ifndef DOCKERFILE_RULES_RULE_H
#define DOCKERFILE_RULES_RULE_H

#include "dockerfile/check.h"
#include "dockerfile/evaluator.h"

struct check;

struct rule {
    const char *name, *description, *url;
    const char *advice; /* one line: what to write instead; BuildKit's have none */
    bool experimental;  /* runs only where it is asked for by name, or all of them are */
    bool whole_file;    /* a comment above an instruction does not turn it off: as in BuildKit */

    /* Each instruction of a text that could be read, though one may be refused afterwards. */
    void (*line)(struct check *c, const struct dockerfile_instruction *i);
    /* Each instruction up to and with the first that is refused; global ARGs and FROM included. */
    void (*instruction)(struct check *c, const struct dockerfile_instruction *i);
    /* The file, once all its instructions are good ones. */
    void (*file)(struct check *c);
    /* Each stage, once its FROM was evaluated (c->e->graph.nodes[stage]). */
    void (*stage)(struct check *c, size_t stage);
    /* Each instruction of a stage, evaluated; triggers too.  c->outcome is its stage. */
    void (*step)(struct check *c, const struct dockerfile_step *s);
};

struct rule_set {
    const struct rule *rules;
    size_t n;
    bool hadolint; /* runs only on request */
    /* In place of rules: looks at a file of good instructions by itself, and sets c->rule and
     * c->about before it warns. */
    void (*apply)(struct check *c);
};
extern const struct rule_set rule_sets[];
extern const size_t rule_sets_n;

/* "skip=A,B;error=true;experimental=C" */
struct check_options {
    struct argv skip, experimental; /* in an arena */
    bool skip_all, experimental_all, error;
};

/* Adds to what is in *ret.  ERR_INPUT in BuildKit's words. */
MUST_CHECK int check_options_read(const char *text, struct arena *arena, struct check_options *ret,
                                  struct error *err);

/* The same from a comment or a directive, where a blank ends it: "check=skip=A // why". */
MUST_CHECK int check_options_read_comment(const char *text, struct arena *arena,
                                          struct check_options *ret, struct error *err);

/* Adds the rules of "hadolint ignore=A,B". */
void check_options_skip(const char *text, struct arena *arena, struct check_options *ret);

/* What dockerfile_check does, for a file whose instructions may not all be good: then only those
 * up to the first bad one are looked at.  *out is released by the caller in any case. */
MUST_CHECK int rules_run(const struct dockerfile *d, bool good,
                         const struct dockerfile_check_request *request,
                         struct dockerfile_findings *out, struct error *err);

struct check {
    const struct dockerfile *d;
    const struct dockerfile_check_request *request;
    struct dockerfile_evaluation *e; /* NULL before there is one */
    const struct dockerfile_outcome *outcome;
    size_t stage;
    const struct rule *rule;                    /* the one at work */
    const struct dockerfile_instruction *about; /* the instruction it looks at; NULL: the file */
    struct check_options options;               /* of the file */
    const struct dockerfile_instruction *noted; /* whose comments here says */
    struct check_options here;
    struct dockerfile_findings *out;
};

/* Says so, unless the rule is turned off.  The lines are where the reader should look. */
void check_warn(struct check *c, int first_line, int last_line, const char *fmt, ...) PRINTF(4, 5);

/* At the instruction that is looked at. */
#define CHECK_WARN_HERE(c, place, ...)                                                             \
    check_warn(c, (place)->first_line, (place)->last_line, __VA_ARGS__)

/* ---- BuildKit's rules ---- */
void rule_stage_name_casing(struct check *c, const struct dockerfile_instruction *i);
void rule_from_as_casing(struct check *c, const struct dockerfile_instruction *i);
void rule_consistent_casing(struct check *c);
void rule_expose_casing(struct check *c, const struct dockerfile_step *s);

void rule_duplicate_stage(struct check *c);
void rule_reserved_stage(struct check *c);
void rule_undefined_arg(struct check *c, size_t stage);
void rule_redundant_platform(struct check *c, size_t stage);
void rule_constant_platform(struct check *c, size_t stage);
void rule_base_platform(struct check *c, size_t stage);
void rule_default_arg(struct check *c);

void rule_json_arguments(struct check *c, const struct dockerfile_step *s);
void rule_once(struct check *c, const struct dockerfile_step *s);
void rule_relative_workdir(struct check *c, const struct dockerfile_step *s);
void rule_ignored_file(struct check *c, const struct dockerfile_step *s);

void rule_empty_continuation(struct check *c, const struct dockerfile_instruction *i);
void rule_maintainer(struct check *c, const struct dockerfile_instruction *i);
void rule_legacy_pair(struct check *c, const struct dockerfile_step *s);
void rule_description(struct check *c, const struct dockerfile_instruction *i);
void rule_expose_format(struct check *c, const struct dockerfile_step *s);

void rule_undefined_variable(struct check *c, const struct dockerfile_step *s);
void rule_secret(struct check *c, const struct dockerfile_step *s);

#endif
