/* dockerfile/dispatch_copy — COPY and ADD. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/evaluator.h"
#include "dockerfile/flags.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/origin.h"
#include "dockerfile/quote.h"

/* ---- putting variables in ---- */

static int expand_flag(struct dispatcher *d, const char *name, const char **ret, struct error *err)
{
    const char *value = flags_value(&d->step->instruction->flags, name);
    char *expanded;

    if (!value)
        return 0;
    if (dispatch_expand(d, value, &expanded, err) < 0)
        return -1;
    *ret = expanded;
    return 0;
}

/* The content of the instruction's heredoc of that name, with variables put in where none of the
 * delimiter was quoted: quotes stay, and only \ escapes. */
static int expand_content(struct dispatcher *d, struct dockerfile_heredoc *doc, struct error *err)
{
    struct expander kept = d->e->scope.expander;
    char *expanded;
    int r;

    if (!doc->expand)
        return 0;
    d->e->scope.expander.escape = '\\';
    d->e->scope.expander.keep_quotes = true;
    r = dispatch_expand(d, doc->content, &expanded, err);
    kept.work = d->e->scope.expander.work;
    d->e->scope.expander = kept;
    if (r == 0)
        doc->content = expanded;
    return r;
}

/* Words of a JSON array that look like heredocs have no body: theirs is empty. */
static const char *content_of(const struct dockerfile_instruction *i, const char *name)
{
    for (size_t k = i->n_heredocs; k-- > 0;)
        if (strcmp(i->heredocs[k].name, name) == 0)
            return i->heredocs[k].content;
    return "";
}

/* Parts the sources into paths, which go to *ret_paths, and heredocs. */
static int split_sources(struct dispatcher *d, struct argv *ret_paths,
                         struct dockerfile_heredoc **ret_docs, size_t *ret_n, struct error *err)
{
    const struct dockerfile_instruction *i = d->step->instruction;
    struct arena *arena = &d->e->arena;
    struct dockerfile_heredoc *docs = NULL;
    size_t n = 0, cap = 0;

    for (size_t k = 0; k + 1 < i->words.n; k++) {
        struct dockerfile_heredoc doc;
        struct error ignored;
        bool is = false;

        if (heredoc_parse_word(arena, i->words.v[k], &is, &doc, &ignored) < 0 || !is) {
            arena_push(arena, ret_paths, i->words.v[k]);
            continue;
        }
        doc.content = content_of(i, doc.name);
        docs = arena_grow(arena, docs, n, &cap, sizeof(*docs));
        if (!docs)
            return arena_check(arena, err);
        docs[n++] = doc;
    }
    *ret_docs = docs;
    *ret_n = n;
    return arena_check(arena, err);
}

static int expand_paths(struct dispatcher *d, const struct argv *paths, struct error *err)
{
    const struct argv *words = &d->step->instruction->words;
    char *expanded;

    for (size_t k = 0; k <= paths->n; k++) {
        const char *word = k < paths->n ? paths->v[k] : words->v[words->n - 1];

        if (dispatch_expand(d, word, &expanded, err) < 0)
            return -1;
        arena_push(&d->e->arena, &d->step->words, expanded);
    }
    return arena_check(&d->e->arena, err);
}

static int set_options(struct dispatcher *d, struct error *err)
{
    struct dockerfile_step *step = d->step;
    const struct argv *flags = &step->instruction->flags;
    const char *pattern;
    char *expanded;

    step->parents = flags_is_set(flags, "parents");
    step->link = flags_is_set(flags, "link");
    step->keep_git_dir = flags_is_set(flags, "keep-git-dir");
    if (flags_value(flags, "unpack"))
        step->unpack = flags_value(flags, "unpack");
    else if (flags_is_set(flags, "unpack"))
        step->unpack = "true";
    for (size_t at = 0; (pattern = flags_next(flags, "exclude", &at));) {
        if (dispatch_expand(d, pattern, &expanded, err) < 0)
            return -1;
        arena_push(&d->e->arena, &step->exclude, expanded);
    }
    return 0;
}

static int expand(struct dispatcher *d, struct error *err)
{
    struct dockerfile_step *step = d->step;
    struct dockerfile_heredoc *docs;
    struct argv paths = ARGV_INIT;
    size_t n;

    if (split_sources(d, &paths, &docs, &n, err) < 0 ||
        expand_flag(d, "chown", &step->chown, err) < 0 ||
        expand_flag(d, "chmod", &step->chmod, err) < 0 ||
        expand_flag(d, "checksum", &step->checksum, err) < 0 || set_options(d, err) < 0 ||
        expand_paths(d, &paths, err) < 0)
        return -1;
    step->heredocs = docs;
    step->n_heredocs = n;
    for (size_t k = 0; k < n; k++)
        if (expand_content(d, &docs[k], err) < 0)
            return -1;
    return 0;
}

/* ---- what must hold ---- */

/* chmod's symbolic form: [ugoa]*([-+=][rwxXstugo]*)+ parted by commas. */
static bool is_symbolic_mode(const char *s)
{
    do {
        s += strspn(s, "ugoa");
        if (!*s || !strchr("+-=", *s))
            return false;
        while (*s && strchr("+-=", *s)) {
            s++;
            s += strspn(s, "rwxXstugo");
        }
    } while (*s++ == ',');
    return s[-1] == '\0';
}

static bool is_octal_mode(const char *s)
{
    size_t n = strspn(s, "01234567");
    size_t zeros = strspn(s, "0");

    return n > 0 && !s[n] && n - zeros <= 4;
}

static int check_chmod(const char *mode, struct error *err)
{
    if (!*mode || is_octal_mode(mode) || is_symbolic_mode(mode))
        return 0;
    if (*mode >= '0' && *mode <= '9')
        return error_set(err, ERR_INPUT,
                         "invalid chmod parameter: '%.100s'. it should be octal string and "
                         "between 0 and 07777",
                         mode);
    return error_set(err, ERR_INPUT, "invalid mode: %.100s", mode);
}

static int check_digest(const char *digest, struct error *err)
{
    static const struct {
        const char *prefix;
        size_t length;
    } kinds[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};
    const char *colon = strchr(digest, ':');

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!text_starts(digest, kinds[i].prefix))
            continue;
        if (strlen(digest + 7) != kinds[i].length)
            return error_set(err, ERR_INPUT, "invalid checksum digest length");
        if (strspn(digest + 7, "0123456789abcdef") != kinds[i].length)
            return error_set(err, ERR_INPUT, "invalid checksum digest format");
        return 0;
    }
    return error_set(err, ERR_INPUT,
                     colon && colon > digest && colon[1] ? "unsupported digest algorithm"
                                                         : "invalid checksum digest format");
}

static int check_checksum(const struct dockerfile_step *step, struct error *err)
{
    struct error ignored = ERROR_INIT;
    enum origin origin = ORIGIN_CONTEXT;

    if (!*step->checksum)
        return 0;
    if (step->words.n != 2)
        return error_set(err, ERR_INPUT, "checksum can't be specified for multiple sources");
    if (origin_of(step->words.v[0], &origin, &ignored) < 0 || origin == ORIGIN_CONTEXT)
        return error_set(err, ERR_INPUT, "checksum requires HTTP(S) or Git sources");
    return 0;
}

static int check_source(const struct dockerfile_step *step, const char *source, bool add,
                        struct error *err)
{
    enum origin origin;

    if (origin_of(source, &origin, err) < 0)
        return -1;
    if (origin == ORIGIN_GIT && !add)
        return error_set(err, ERR_INPUT, "source can't be a git ref for COPY");
    if (origin == ORIGIN_HTTP && !add)
        return error_set(err, ERR_INPUT, "source can't be a URL for COPY");
    return origin == ORIGIN_HTTP && *step->checksum ? check_digest(step->checksum, err) : 0;
}

static int resolve_from(struct dispatcher *d, struct error *err)
{
    const struct graph_node *node = &d->e->graph.nodes[d->stage];
    struct dockerfile_step *step = d->step;

    for (size_t k = 0; k < node->n_uses; k++) {
        if (node->uses[k].instruction != step->instruction)
            continue;
        step->from = node->uses[k].from;
        step->from_stage = node->uses[k].stage;
    }
    if (step->from_stage == DOCKERFILE_NO_STAGE || step->from_stage < d->stage)
        return 0;
    return graph_refuse_later(d->e->d, step->from, d->stage, err);
}

/* ---- together ---- */

static void add_word(struct buf *line, const char *word)
{
    buf_addc(line, ' ');
    buf_adds(line, word);
}

static int commit(struct dispatcher *d, struct error *err)
{
    const struct dockerfile_step *step = d->step;
    struct buf *line = dispatch_line(d);

    if (step->parents)
        buf_adds(line, " --parents");
    if (*step->chown)
        buf_addf(line, " --chown=%s", step->chown);
    if (*step->chmod)
        buf_addf(line, " --chmod=%s", step->chmod);
    for (size_t k = 0; k + 1 < step->words.n; k++)
        add_word(line, step->words.v[k]);
    for (size_t k = 0; k < step->n_heredocs; k++)
        buf_addf(line, " <<%s", step->heredocs[k].name);
    add_word(line, step->words.v[step->words.n - 1]);
    buf_adds(line, " # buildkit");
    return dispatch_commit(d, err);
}

int dispatch_copy(struct dispatcher *d, struct error *err)
{
    struct dockerfile_step *step = d->step;
    bool add = instruction_is(step->instruction, "ADD");

    if (expand(d, err) < 0 || resolve_from(d, err) < 0 || check_chmod(step->chmod, err) < 0 ||
        check_checksum(step, err) < 0)
        return -1;
    for (size_t k = 0; k + 1 < step->words.n; k++)
        if (check_source(step, step->words.v[k], add, err) < 0)
            return -1;
    return commit(d, err);
}
