/* BuildKit's cases of variable expansion, and its answers to 6,532 words. */
#include <string.h>

#include "dockerfile/expand.h"
#include "dockerfile/vars.h"
#include "tests/dockerfile/conformance.h"

static void set_pair(struct vars *vars, const char *pair)
{
    size_t len = strcspn(pair, "=");
    struct error err;

    assert_int_equal(vars_set(vars, pair, len, pair[len] ? pair + len + 1 : "", &err), 0);
}

static struct expander expander(struct vars *vars, const char *escape)
{
    return (struct expander){.escape = *escape, .get = vars_get, .self = vars, .work = EXPAND_WORK};
}

/* want NULL: an error is. */
static bool expands(struct vars *vars, const char *escape, const char *word, const char *want)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct expander x = expander(vars, escape);
    struct error err = ERROR_INIT;
    int r = expand_word(&x, word, &out, &err);

    if (!want)
        return r < 0 && err.kind == ERR_INPUT;
    return r == 0 && strcmp(buf_str(&out), want) == 0;
}

static char *trimmed(char *s)
{
    char *end = s + strlen(s);

    while (end > s && (end[-1] == ' ' || end[-1] == '\n'))
        end--;
    *end = '\0';
    return s + strspn(s, " ");
}

static void test_the_upstream_table_of_words(void **state)
{
    static const char *const env[] = {"PWD=/home", "SHELL=bash", "KOREAN=한국어", "NULL="};
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct score s = {.what = "envVarTest"};
    struct arena arena = {.blocks = NULL};
    struct vars vars = {.arena = &arena};
    char *save = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
        set_pair(&vars, env[i]);
    conformance_read("buildkit/shell/envVarTest", &text);
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *platform, *word, *want;

        if (*line == '#')
            continue;
        platform = strsep(&line, "|");
        word = trimmed(strsep(&line, "|"));
        want = trimmed(line);
        if (!strchr("AU", *platform))
            continue;
        score_add(&s, expands(&vars, "\\", word, strcmp(want, "error") == 0 ? NULL : want), word);
    }
    arena_release(&arena);
    score_is(&s, 228, 228);
}

static void test_words_with_modifiers_and_patterns(void **state)
{
    struct score s = {.what = "matches"};
    json_t *rows = conformance_lines("buildkit/shell/matches.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        struct arena arena = {.blocks = NULL};
        struct vars vars = {.arena = &arena};
        json_t *value;
        const char *name;
        struct error err;

        json_object_foreach (json_object_get(row, "env"), name, value)
            assert_int_equal(vars_set(&vars, name, strlen(name), json_string_value(value), &err),
                             0);
        score_add(&s,
                  expands(&vars, "\\", text_of(row, "input"),
                          is_true(row, "error") ? NULL : text_of(row, "expected")),
                  text_of(row, "input"));
        arena_release(&arena);
    }
    json_decref(rows);
    score_is(&s, 47, 47);
}

static bool splits(struct vars *vars, const char *escape, const char *text, const json_t *want)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    struct expander x = expander(vars, escape);
    struct error err;

    if (expand_words(&x, text, &words, &err) < 0 || words.n != json_array_size(want))
        return false;
    for (size_t i = 0; i < words.n; i++)
        if (strcmp(words.v[i], json_string_value(json_array_get(want, i))) != 0)
            return false;
    return true;
}

static void test_thousands_of_words_come_out_as_buildkits(void **state)
{
    struct score s = {.what = "oracle_words"}, split = {.what = "oracle_words, split"};
    json_t *rows = conformance_lines("buildkit/shell/oracle_words.jsonl");
    const json_t *row, *pair;
    size_t k, i;

    (void)state;
    json_array_foreach (rows, k, row) {
        const char *word = text_of(row, "in"), *escape = text_of(row, "escape");
        const json_t *want = json_object_get(row, "words");
        struct arena arena = {.blocks = NULL};
        struct vars vars = {.arena = &arena};

        json_array_foreach (json_object_get(row, "env"), i, pair)
            set_pair(&vars, json_string_value(pair));
        score_add(&s,
                  expands(&vars, escape, word,
                          json_object_get(row, "error") ? NULL : text_of(row, "word")),
                  word);
        if (want)
            score_add(&split, splits(&vars, escape, word, want), word);
        arena_release(&arena);
    }
    json_decref(rows);
    score_is(&s, 6532, 6532);
    score_is(&split, 5893, 5893);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_upstream_table_of_words),
        cmocka_unit_test(test_words_with_modifiers_and_patterns),
        cmocka_unit_test(test_thousands_of_words_come_out_as_buildkits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
