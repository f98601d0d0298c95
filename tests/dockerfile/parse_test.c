/* What a parsed file hands out, and what is refused with which words. */
#include "tests/dockerfile/sample.h"

static void test_an_instruction_has_all_its_parts(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "  copy --from=x \\\n"
                                      "   --chown='a b' \\\n"
                                      "# a comment in between\n"
                                      "\n"
                                      "   src dst/  \n");
    const struct dockerfile_instruction *i = nth(d, 1);

    (void)state;
    assert_string_equal(i->keyword, "COPY");
    assert_string_equal(i->written, "copy");
    assert_string_equal(i->text, "src dst/");
    assert_string_equal(i->original, "copy --from=x    --chown='a b'    src dst/  ");
    assert_int_equal(i->flags.n, 2);
    assert_string_equal(i->flags.v[0], "--from=x");
    assert_string_equal(i->flags.v[1], "--chown=a b");
    assert_null(i->flags.v[2]);
    assert_false(i->json);
    assert_int_equal(i->words.n, 2);
    assert_string_equal(i->words.v[0], "src");
    assert_string_equal(i->words.v[1], "dst/");
    assert_int_equal(i->n_heredocs, 0);
    assert_int_equal(i->first_line, 2);
    assert_int_equal(i->last_line, 6);
    dockerfile_free(d);
}

static void test_json_form_is_told_from_shell_form(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "CMD [\"a\", \"b\\u00e9\\n\"]\n"
                                      "RUN [ -f x ] && y\n"
                                      "CMD []\n"
                                      "HEALTHCHECK CMD [\"x\"]\n");

    (void)state;
    assert_true(nth(d, 1)->json);
    assert_string_equal(nth(d, 1)->words.v[1], "bé\n");
    assert_false(nth(d, 2)->json);
    assert_int_equal(nth(d, 2)->words.n, 1);
    assert_string_equal(nth(d, 2)->words.v[0], "[ -f x ] && y");
    assert_true(nth(d, 3)->json);
    assert_int_equal(nth(d, 3)->words.n, 0);
    assert_true(nth(d, 4)->json);
    assert_string_equal(nth(d, 4)->words.v[0], "CMD");
    assert_string_equal(nth(d, 4)->words.v[1], "x");
    dockerfile_free(d);
}

static void test_pairs_come_in_two_forms(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "ENV a=\"b c\" d=e\\ f\n"
                                      "ENV old  style = value\n");

    (void)state;
    assert_false(nth(d, 1)->legacy);
    assert_int_equal(nth(d, 1)->words.n, 2);
    assert_string_equal(nth(d, 1)->words.v[0], "a=\"b c\"");
    assert_string_equal(nth(d, 1)->words.v[1], "d=e\\ f");
    assert_true(nth(d, 2)->legacy);
    assert_string_equal(nth(d, 2)->words.v[0], "old");
    assert_string_equal(nth(d, 2)->words.v[1], "style = value");
    dockerfile_free(d);
}

static void test_heredocs_come_with_their_bodies(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "RUN <<A cat <<-'B C'\n"
                                      "# no comment\n"
                                      "a \\\n"
                                      "A\n"
                                      "\t\tindented\n"
                                      "\tB C\n"
                                      "CMD x\n");
    const struct dockerfile_instruction *i = nth(d, 1);

    (void)state;
    assert_int_equal(i->n_heredocs, 2);
    assert_string_equal(i->heredocs[0].name, "A");
    assert_string_equal(i->heredocs[0].content, "# no comment\na \\\n");
    assert_true(i->heredocs[0].expand);
    assert_false(i->heredocs[0].chomp);
    assert_string_equal(i->heredocs[1].name, "B C");
    assert_string_equal(i->heredocs[1].content, "indented\n");
    assert_false(i->heredocs[1].expand);
    assert_true(i->heredocs[1].chomp);
    assert_int_equal(i->first_line, 2);
    assert_int_equal(i->last_line, 7);
    assert_string_equal(nth(d, 2)->keyword, "CMD");
    dockerfile_free(d);
}

static void test_what_looks_like_a_heredoc_is_none(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "RUN cat <<<word\n"
                                      "RUN echo $((1<<2))\n"
                                      "RUN [\"sh\", \"-c\", \"<<X\"]\n"
                                      "CMD cat <<X\n");

    (void)state;
    for (size_t i = 1; i <= 4; i++)
        assert_int_equal(nth(d, i)->n_heredocs, 0);
    dockerfile_free(d);
}

static void test_onbuild_holds_an_instruction(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "ONBUILD COPY --from=x <<E /y\n"
                                      "body\n"
                                      "E\n");
    const struct dockerfile_instruction *i = nth(d, 1);

    (void)state;
    assert_non_null(i->trigger);
    assert_string_equal(i->trigger->keyword, "COPY");
    assert_string_equal(i->trigger->flags.v[0], "--from=x");
    assert_int_equal(i->n_heredocs, 1);
    assert_string_equal(i->heredocs[0].content, "body\n");
    dockerfile_free(d);
}

static void test_stages_have_names_bases_and_platforms(void **state)
{
    struct dockerfile *d = must_parse("ARG V=1\n"
                                      "FROM --platform=$BUILDPLATFORM a:$V as Build\n"
                                      "RUN x\n"
                                      "FROM scratch\n");
    size_t n;
    const struct dockerfile_stage *s = dockerfile_stages(d, &n);

    (void)state;
    assert_int_equal(n, 2);
    assert_string_equal(s[0].name, "build");
    assert_string_equal(s[0].base, "a:$V");
    assert_string_equal(s[0].platform, "$BUILDPLATFORM");
    assert_int_equal(s[0].n_instructions, 2);
    assert_null(s[1].name);
    assert_string_equal(s[1].base, "scratch");
    assert_null(s[1].platform);
    dockerfile_free(d);
}

static void test_windows_line_ends_and_a_bom_are_fine(void **state)
{
    struct dockerfile *d = must_parse("\xef\xbb\xbf# escape=`\r\n"
                                      "FROM scratch\r\n"
                                      "RUN a `\r\n"
                                      "  b\r\n"
                                      "RUN <<E\r\n"
                                      "x\r\n"
                                      "E\r\n");

    (void)state;
    assert_string_equal(nth(d, 1)->text, "a   b");
    assert_string_equal(nth(d, 2)->heredocs[0].content, "x\r\n");
    dockerfile_free(d);
}

static void test_escape_tokens_join_lines_only_at_their_end(void **state)
{
    struct dockerfile *d = must_parse("FROM scratch\n"
                                      "RUN a \\ \t\n"
                                      "b\n"
                                      "RUN c \\\\\n"
                                      "RUN d \\");

    (void)state;
    assert_string_equal(nth(d, 1)->text, "a b");
    assert_string_equal(nth(d, 2)->text, "c \\\\");
    assert_string_equal(nth(d, 3)->text, "d");
    dockerfile_free(d);
}

/* ---- refusals ---- */

struct refusal {
    const char *text, *message;
};

static void test_errors_are_in_buildkits_words_with_their_line(void **state)
{
    static const struct refusal table[] = {
        {"", "dockerfile parse error: file with no instructions"},
        {"# only\n\n", "dockerfile parse error: file with no instructions"},
        {"ARG x\n", "dockerfile parse error: dockerfile contains no stages to build"},
        {"RUN x\nFROM a\n", "dockerfile parse error on line 1: no build stage in current context"},
        {"FROM a\n\nFOO x\n",
         "dockerfile parse error on line 3: unknown instruction: FOO (did you mean FROM?)"},
        {"from a\nruns x\n",
         "dockerfile parse error on line 2: unknown instruction: runs (did you mean run?)"},
        {"FROM a\nXYZZY\n", "dockerfile parse error on line 2: unknown instruction: XYZZY"},
        {"# escape=x\nFROM a\n",
         "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\"},
        {"# escape=`\n# ESCAPE=`\nFROM a\n", "dockerfile parse error on line 2: only one escape "
                                             "parser directive can be used"},
        {"FROM a AS 1x\n", "dockerfile parse error on line 1: invalid name for build stage: "
                           "\"1x\", name can't start with a number or contain symbols"},
        {"FROM a b\n",
         "dockerfile parse error on line 1: FROM requires either one or three arguments"},
        {"FROM a\nCOPY --form=x a b\n",
         "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)"},
        {"FROM a\nCOPY --link= a b\n",
         "dockerfile parse error on line 2: missing a value on flag: --link"},
        {"FROM a\nCOPY --link=maybe a b\n", "dockerfile parse error on line 2: expecting boolean "
                                            "value for flag --link, not: maybe"},
        {"FROM a\nCOPY --from=b --from=c a b\n",
         "dockerfile parse error on line 2: duplicate flag specified: --from"},
        {"FROM a\nRUN <<E\nx\n", "dockerfile parse error on line 2: unterminated heredoc"},
        {"FROM a\nCMD [\"a\", 1]\n", "dockerfile parse error on line 2: when using JSON array "
                                     "syntax, arrays must be comprised of strings only"},
        {"FROM a\nCMD [\"a\\u0000\"]\n",
         "dockerfile parse error on line 2: a string of the JSON array holds a NUL character"},
        {"FROM a\nENV a=b c\n", "dockerfile parse error on line 2: Syntax error - can't find = in "
                                "\"c\". Must be of the form: name=value"},
        {"FROM a\nENV =b\n", "dockerfile parse error on line 2: ENV names can not be blank"},
        {"FROM a\nARG =b\n", "dockerfile parse error on line 2: ARG names can not be blank"},
        {"FROM a\nVOLUME [\" \"]\n",
         "dockerfile parse error on line 2: VOLUME specified can not be an empty string"},
        {"FROM a\nHEALTHCHECK --interval=1x CMD a\n",
         "dockerfile parse error on line 2: time: invalid duration \"1x\""},
        {"FROM a\nHEALTHCHECK --interval=1us CMD a\n", "dockerfile parse error on line 2: Interval "
                                                       "\"interval\" cannot be less than 1ms"},
        {"FROM a\nHEALTHCHECK --retries=-1 CMD a\n",
         "dockerfile parse error on line 2: --retries cannot be negative (-1)"},
        {"FROM a\nHEALTHCHECK NONE x\n",
         "dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments"},
        {"FROM a\nHEALTHCHECK CMD\n",
         "dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD"},
        {"FROM a\nHEALTHCHECK PING x\n",
         "dockerfile parse error on line 2: Unknown type \"PING\" in HEALTHCHECK (try CMD)"},
        {"FROM a\nRUN --network=all x\n",
         "dockerfile parse error on line 2: invalid network mode \"all\""},
        {"FROM a\nRUN --mount=a\\\"b x\n", "dockerfile parse error on line 2: failed to parse csv "
                                           "mounts: bare \" in non-quoted-field"},
        {"FROM a\nRUN --mount= x\n",
         "dockerfile parse error on line 2: failed to parse csv mounts: EOF"},
        {"FROM a\nRUN --mount=from=$x,target=/y z\n",
         "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define "
         "alias stage instead"},
        {"FROM a\nONBUILD ONBUILD ONBUILD ONBUILD ONBUILD ONBUILD RUN x\n",
         "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        must_refuse(table[i].text, strlen(table[i].text), &dockerfile_limits_default, ERR_INPUT,
                    table[i].message);
}

static void test_durations_are_read_as_go_reads_them(void **state)
{
    static const char *const good[] = {"1s", "1h30m", "500ms", "1.5s", ".5m", "0", "+2s", "1µs1s"};
    static const char *const bad[] = {"1", "s", "1 s", "-1s", "1s2", "99999999999h", "."};
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        (void)snprintf(text, sizeof(text), "FROM a\nHEALTHCHECK --timeout='%s' CMD x\n", good[i]);
        dockerfile_free(must_parse(text));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dockerfile *d = NULL;
        struct error err;

        (void)snprintf(text, sizeof(text), "FROM a\nHEALTHCHECK --timeout='%s' CMD x\n", bad[i]);
        if (dockerfile_parse(text, strlen(text), &dockerfile_limits_default, &d, &err) == 0)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_nul_and_broken_utf8_are_refused_with_their_line(void **state)
{
    static const char nul[] = "FROM a\nRUN x\0y\n";
    static const char broken[] = "FROM a\n\nRUN \xff\n";
    static const char surrogate[] = "FROM \xed\xa0\x80\n";

    (void)state;
    must_refuse(nul, sizeof(nul) - 1, &dockerfile_limits_default, ERR_INPUT,
                "dockerfile parse error on line 2: the line holds a NUL character");
    must_refuse(broken, sizeof(broken) - 1, &dockerfile_limits_default, ERR_INPUT,
                "dockerfile parse error on line 3: the line is not valid UTF-8");
    must_refuse(surrogate, sizeof(surrogate) - 1, &dockerfile_limits_default, ERR_INPUT,
                "dockerfile parse error on line 1: the line is not valid UTF-8");
}

static void test_limits_hold_to_the_byte(void **state)
{
    static const struct dockerfile_limits small = {
        .text_max = 64, .line_max = 16, .instructions_max = 3, .stages_max = 2};
    static const char fits[] = "FROM a\nRUN 789012345678\nFROM b\n";
    static const char long_line[] = "FROM a\nRUN 7890123456789\n";
    static const char in_heredoc[] = "FROM a\nRUN <<E\n01234567890123456\nE\n";
    static const char stages[] = "FROM a\nFROM b\nFROM c\n";
    static const char many[] = "FROM a\nRUN b\nRUN c\nRUN d\n";
    static const char large[] = "FROM a\n#########\n#########\n#########\n#########\n#########"
                                "\n###############\n";
    struct dockerfile *d;
    struct error err;

    (void)state;
    assert_int_equal(dockerfile_parse(fits, sizeof(fits) - 1, &small, &d, &err), 0);
    dockerfile_free(d);
    must_refuse(long_line, sizeof(long_line) - 1, &small, ERR_LIMIT,
                "dockerfile parse error on line 2: dockerfile line greater than max allowed size "
                "of 16");
    must_refuse(in_heredoc, sizeof(in_heredoc) - 1, &small, ERR_LIMIT,
                "dockerfile parse error on line 3: dockerfile line greater than max allowed size "
                "of 16");
    must_refuse(stages, sizeof(stages) - 1, &small, ERR_LIMIT,
                "dockerfile parse error on line 3: more than 2 stages");
    must_refuse(many, sizeof(many) - 1, &small, ERR_LIMIT,
                "dockerfile parse error on line 4: more than 3 instructions");
    must_refuse(large, sizeof(large) - 1, &small, ERR_LIMIT,
                "dockerfile parse error: the file is larger than 64 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_instruction_has_all_its_parts),
        cmocka_unit_test(test_json_form_is_told_from_shell_form),
        cmocka_unit_test(test_pairs_come_in_two_forms),
        cmocka_unit_test(test_heredocs_come_with_their_bodies),
        cmocka_unit_test(test_what_looks_like_a_heredoc_is_none),
        cmocka_unit_test(test_onbuild_holds_an_instruction),
        cmocka_unit_test(test_stages_have_names_bases_and_platforms),
        cmocka_unit_test(test_windows_line_ends_and_a_bom_are_fine),
        cmocka_unit_test(test_escape_tokens_join_lines_only_at_their_end),
        cmocka_unit_test(test_errors_are_in_buildkits_words_with_their_line),
        cmocka_unit_test(test_durations_are_read_as_go_reads_them),
        cmocka_unit_test(test_nul_and_broken_utf8_are_refused_with_their_line),
        cmocka_unit_test(test_limits_hold_to_the_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
