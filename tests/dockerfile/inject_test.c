/* A sandbox gets its sandbox-api when, and only when, it lacks it. */
#include "tests/dockerfile/sample.h"

#define IMAGE      "ghcr.io/blaxel-ai/sandbox:latest"
#define COPY       "COPY --from=" IMAGE " /sandbox-api /usr/local/bin/sandbox-api\n"
#define ENTRYPOINT "ENTRYPOINT [\"/usr/local/bin/sandbox-api\"]\n"

struct inject_case {
    const char *text;
    const char *added; /* at the end of text */
};

static void inject(const char *text, const char *image, struct dockerfile_injection *ret)
{
    const struct dockerfile_sandbox_request request = {.image = image};
    struct dockerfile *d = must_parse(text);
    struct error err = ERROR_INIT;

    if (dockerfile_inject_sandbox_api(d, &request, ret, &err) < 0)
        fail_msg("%s\n%s", err.msg, text);
    dockerfile_free(d);
}

/* The instructions of the old text are all there, unchanged, before the added ones. */
static void must_extend(const char *old_text, const char *new_text)
{
    struct dockerfile *a = must_parse(old_text);
    struct dockerfile *b = must_parse(new_text);
    size_t n, m;
    const struct dockerfile_stage *before = dockerfile_stages(a, &n);
    const struct dockerfile_stage *after = dockerfile_stages(b, &m);

    assert_int_equal(n, m);
    for (size_t s = 0; s < n; s++) {
        assert_true(after[s].n_instructions >= before[s].n_instructions);
        for (size_t i = 0; i < before[s].n_instructions; i++)
            assert_string_equal(after[s].instructions[i].text, before[s].instructions[i].text);
    }
    dockerfile_free(a);
    dockerfile_free(b);
}

static void check(const struct inject_case *c)
{
    CLEANUP(buf_release) struct buf want = BUF_INIT(1 << 16);
    struct dockerfile_injection i;

    inject(c->text, IMAGE, &i);
    buf_addf(&want, "%s%s", c->text, c->added);
    assert_string_equal(buf_str(&i.text), buf_str(&want));
    assert_int_equal(i.copied, strstr(c->added, "COPY ") != NULL);
    assert_int_equal(i.entrypoint_set, strstr(c->added, "ENTRYPOINT ") != NULL);
    assert_true(i.notes.len > 0);
    assert_int_equal(i.notes.data[i.notes.len - 1], '\n');
    must_extend(c->text, buf_str(&i.text));
    dockerfile_injection_release(&i);
}

static void check_all(const struct inject_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&table[i]);
}

#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

static void test_what_lacks_it_gets_it(void **state)
{
    static const struct inject_case table[] = {
        {"FROM alpine\n", COPY ENTRYPOINT},
        /* words are no instructions */
        {"FROM alpine\nRUN echo sandbox-api blaxel-ai/sandbox\n", COPY ENTRYPOINT},
        {"FROM alpine\n# COPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api /x\n", COPY ENTRYPOINT},
        {"FROM alpine\nCOPY sandbox-api /usr/local/bin/\n", COPY ENTRYPOINT},
        /* in a stage that is not the last one's */
        {"FROM ghcr.io/blaxel-ai/sandbox AS s\nFROM alpine\n", COPY ENTRYPOINT},
        {"FROM alpine AS s\n" COPY "FROM debian\n", COPY ENTRYPOINT},
        {"FROM alpine AS s\n" COPY "FROM debian\nCOPY --from=s /etc /etc\n", COPY ENTRYPOINT},
        /* something else from the image, or something that can not be told */
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /LICENSE /\n", COPY ENTRYPOINT},
        {"FROM alpine\nARG P\nCOPY --from=ghcr.io/blaxel-ai/sandbox $P /\n", COPY ENTRYPOINT},
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /$P/.. /\n", COPY ENTRYPOINT},
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api $P\n", COPY ENTRYPOINT},
        {"FROM alpine\nCOPY --from=ghcr.io/other/sandbox /sandbox-api /\n", COPY ENTRYPOINT},
        {"FROM alpine\nONBUILD COPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api /x\n",
         COPY ENTRYPOINT},
        {"FROM $BASE\n", COPY ENTRYPOINT},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_what_has_it_is_left_alone(void **state)
{
    static const struct inject_case table[] = {
        {"FROM ghcr.io/blaxel-ai/sandbox:v1\n", ""},
        {"FROM ghcr.io/blaxel-ai/sandbox@sha256:"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
         ""},
        {"ARG V=latest\nFROM ghcr.io/blaxel-ai/sandbox:${V}\n", ""},
        {"FROM ghcr.io/blaxel-ai/sandbox AS a\nFROM a AS b\nFROM b\nRUN x\n", ""},
        {"FROM alpine\n" COPY ENTRYPOINT, ""},
        {"ARG V=latest\nFROM ghcr.io/blaxel-ai/sandbox:${V} AS sandbox-api\nFROM node\n"
         "COPY --from=sandbox-api /sandbox-api /usr/local/bin/sandbox-api\n" ENTRYPOINT,
         ""},
        {"FROM ghcr.io/blaxel-ai/sandbox AS S\nFROM node\nCOPY --from=s / /\n"
         "ENTRYPOINT [\"/sandbox-api\"]",
         ""},
        {"FROM ghcr.io/blaxel-ai/sandbox\nFROM node\nCOPY --from=0 /sandbox-* /bin/\n"
         "ENTRYPOINT /bin/sandbox-api",
         ""},
        {"FROM alpine AS s\n" COPY ENTRYPOINT "FROM s\nRUN x\n", ""},
        {"FROM alpine AS s\n" COPY "FROM node\nWORKDIR /opt\nWORKDIR api\n"
         "COPY --from=s /usr/local ./\nENTRYPOINT [\"/opt/api/bin/sandbox-api\"]\n",
         ""},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_the_entrypoint_starts_it_where_it_is(void **state)
{
    static const struct inject_case table[] = {
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api /opt/api\n",
         "ENTRYPOINT [\"/opt/api\"]\n"},
        {"FROM alpine\nWORKDIR /a b\nCOPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api .\n",
         "ENTRYPOINT [\"/a b/sandbox-api\"]\n"},
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api /usr/bin\n",
         "ENTRYPOINT [\"/usr/bin/sandbox-api\"]\n"},
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api /x /y\n",
         "ENTRYPOINT [\"/y/sandbox-api\"]\n"},
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox --parents /sandbox-api /x/\n",
         "ENTRYPOINT [\"/x/sandbox-api\"]\n"},
        {"FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox [\"/sandbox-api\", \"/q\\\"\\\\t\"]\n",
         "ENTRYPOINT [\"/q\\\"\\\\t\"]\n"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_an_entrypoint_of_the_chain_stays(void **state)
{
    static const struct inject_case table[] = {
        {"FROM alpine\nENTRYPOINT [\"/start.sh\"]\n", COPY},
        {"FROM alpine\nENTRYPOINT /start.sh\n", COPY},
        {"FROM alpine AS a\nENTRYPOINT [\"/start.sh\"]\nFROM a\nRUN x\n", COPY},
        /* taken back, or kept for later, or of a stage that the last is not made from */
        {"FROM alpine\nENTRYPOINT [\"/start.sh\"]\nENTRYPOINT []\n", COPY ENTRYPOINT},
        {"FROM alpine\nONBUILD ENTRYPOINT [\"/start.sh\"]\n", COPY ENTRYPOINT},
        {"FROM alpine AS a\nENTRYPOINT [\"/start.sh\"]\nFROM debian\n", COPY ENTRYPOINT},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_the_users_cmd_becomes_its_arguments(void **state)
{
    static const struct inject_case table[] = {
        {"FROM alpine\nCMD [\"node\", \"x\"]\n", COPY ENTRYPOINT},
        /* an ENTRYPOINT clears the CMD of the stage below, so it is said again */
        {"FROM alpine AS a\nCMD node \\\n  x\nFROM a\n", COPY ENTRYPOINT "CMD node   x\n"},
    };
    struct dockerfile_injection i;

    (void)state;
    CHECK_ALL(table);
    inject(table[0].text, IMAGE, &i);
    assert_non_null(strstr(buf_str(&i.notes),
                           "The CMD on line 2 is kept: sandbox-api gets it as its arguments.\n"));
    dockerfile_injection_release(&i);
}

static void test_notes_say_what_was_done_and_why(void **state)
{
    struct dockerfile_injection i;

    (void)state;
    inject("FROM alpine AS App\n", IMAGE, &i);
    assert_string_equal(
        buf_str(&i.notes),
        "Added sandbox-api: COPY --from=" IMAGE " /sandbox-api /usr/local/bin/sandbox-api (the "
        "final stage \"app\" neither is nor copies ghcr.io/blaxel-ai/sandbox).\n"
        "Added ENTRYPOINT [\"/usr/local/bin/sandbox-api\"]: the Dockerfile sets none.\n"
        "The base image's own ENTRYPOINT and CMD, if it has any, no longer apply.\n");
    dockerfile_injection_release(&i);
    inject("FROM alpine\n" COPY "ENTRYPOINT x\n", IMAGE, &i);
    assert_string_equal(
        buf_str(&i.notes),
        "Left sandbox-api as it is: the final stage (line 1) has it at "
        "/usr/local/bin/sandbox-api by COPY on line 2.\n"
        "Left the ENTRYPOINT on line 3 as it is: it has to start sandbox-api itself.\n");
    dockerfile_injection_release(&i);
}

static void test_the_operators_image_counts_as_well_as_blaxels(void **state)
{
    static const char image[] = "localhost:5000/base/sandbox:1";
    struct dockerfile_injection i;

    (void)state;
    inject("FROM alpine\nCOPY --from=localhost:5000/base/sandbox:2 /sandbox-api /x\n", image, &i);
    assert_false(i.copied);
    dockerfile_injection_release(&i);
    inject("FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox:2 /sandbox-api /x\n", image, &i);
    assert_false(i.copied);
    dockerfile_injection_release(&i);
    inject("FROM alpine\n", image, &i);
    assert_non_null(strstr(buf_str(&i.text), "COPY --from=localhost:5000/base/sandbox:1 "));
    dockerfile_injection_release(&i);
}

static void test_the_lines_start_on_a_line_of_their_own(void **state)
{
    static const struct {
        const char *text, *want;
    } table[] = {
        {"FROM alpine", "FROM alpine\n" COPY ENTRYPOINT},
        {"FROM alpine\r\nRUN x\r\n", "FROM alpine\r\nRUN x\r\n" COPY ENTRYPOINT},
        {"FROM alpine\nRUN <<E\nx\nE", "FROM alpine\nRUN <<E\nx\nE\n" COPY ENTRYPOINT},
        {"FROM alpine\nRUN x # y", "FROM alpine\nRUN x # y\n" COPY ENTRYPOINT},
        {"FROM alpine\n# end", "FROM alpine\n# end\n" COPY ENTRYPOINT},
        /* an open continuation would swallow them, empty lines and all */
        {"FROM alpine\nRUN x \\", "FROM alpine\nRUN x \n" COPY ENTRYPOINT},
        {"FROM alpine\nRUN x \\\n\n# y\n\n", "FROM alpine\nRUN x \n" COPY ENTRYPOINT},
        {"FROM alpine\nRUN x \\\n  \\\n\\\n", "FROM alpine\nRUN x \n" COPY ENTRYPOINT},
        {"FROM alpine\nRUN x \\\n y \\ \n", "FROM alpine\nRUN x \\\n y \n" COPY ENTRYPOINT},
        {"# escape=`\nFROM alpine\nRUN x `\n", "# escape=`\nFROM alpine\nRUN x \n" COPY ENTRYPOINT},
        {"FROM alpine\nRUN x \\\\", "FROM alpine\nRUN x \\\\\n" COPY ENTRYPOINT},
    };

    (void)state;
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        struct dockerfile_injection i;

        inject(table[k].text, IMAGE, &i);
        assert_string_equal(buf_str(&i.text), table[k].want);
        must_extend(table[k].text, buf_str(&i.text));
        dockerfile_injection_release(&i);
    }
}

/* Such a text ends in escape tokens that nothing can follow: they go with the last one. */
static void test_doubly_open_lines_are_closed(void **state)
{
    struct dockerfile_injection i;

    (void)state;
    inject("FROM alpine\nRUN x \\ \\\n\\ \\", IMAGE, &i);
    assert_string_equal(buf_str(&i.text), "FROM alpine\nRUN x \n" COPY ENTRYPOINT);
    dockerfile_injection_release(&i);
}

static void test_an_image_that_is_none_is_an_error(void **state)
{
    const struct dockerfile_sandbox_request request = {.image = "x y"};
    struct dockerfile *d = must_parse("FROM a\n");
    struct dockerfile_injection i;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(dockerfile_inject_sandbox_api(d, &request, &i, &err), -1);
    assert_string_equal(err.msg, "sandbox image x y: invalid reference format");
    dockerfile_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_lacks_it_gets_it),
        cmocka_unit_test(test_what_has_it_is_left_alone),
        cmocka_unit_test(test_the_entrypoint_starts_it_where_it_is),
        cmocka_unit_test(test_an_entrypoint_of_the_chain_stays),
        cmocka_unit_test(test_the_users_cmd_becomes_its_arguments),
        cmocka_unit_test(test_notes_say_what_was_done_and_why),
        cmocka_unit_test(test_the_operators_image_counts_as_well_as_blaxels),
        cmocka_unit_test(test_the_lines_start_on_a_line_of_their_own),
        cmocka_unit_test(test_doubly_open_lines_are_closed),
        cmocka_unit_test(test_an_image_that_is_none_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
