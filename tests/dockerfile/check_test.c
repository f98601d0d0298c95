/* Which warnings there are, which are turned off, and how. */
#include "tests/dockerfile/sample.h"

struct check_case {
    const char *text;
    const char *option; /* BUILDKIT_DOCKERFILE_CHECK; NULL: not given */
    const char *want;   /* "Rule:line" parted by blanks, and the failure's message behind "! " */
};

static void list(const struct dockerfile_findings *f, struct buf *out)
{
    for (size_t i = 0; i < f->n; i++)
        buf_addf(out, "%s%s:%d", i ? " " : "", f->warnings[i].rule, f->warnings[i].first_line);
    if (f->failure.kind)
        buf_addf(out, "! %s", f->failure.msg);
}

static void check(const struct check_case *c)
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    CLEANUP(buf_release) struct buf have = BUF_INIT(1 << 16);
    const struct dockerfile_check_request request = {.build = {.build_args = &args},
                                                     .all_stages = true};
    struct dockerfile_report r;
    struct error err = ERROR_INIT;

    if (c->option)
        argv_pushf(&args, "BUILDKIT_DOCKERFILE_CHECK=%s", c->option);
    assert_int_equal(
        dockerfile_report(c->text, strlen(c->text), &dockerfile_limits_default, &request, &r, &err),
        0);
    list(&r.findings, &have);
    dockerfile_report_release(&r);
    if (strcmp(buf_str(&have), c->want) != 0)
        fail_msg("%s\nhave %s\nwant %s", c->text, buf_str(&have), c->want);
}

static void check_all(const struct check_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&cases[i]);
}
#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_rules_are_turned_off_for_the_file(void **state)
{
    static const struct check_case cases[] = {
        {"FROM scratch as a\nMAINTAINER m\n", NULL, "FromAsCasing:1 MaintainerDeprecated:2"},
        {"# check=skip=FromAsCasing\nFROM scratch as a\nMAINTAINER m\n", NULL,
         "MaintainerDeprecated:3"},
        {"# check=skip=FromAsCasing,MaintainerDeprecated\nFROM scratch as a\nMAINTAINER m\n", NULL,
         ""},
        {"# check=skip=all\nFROM scratch as a\n", NULL, ""},
        {"# check=skip=FromAsCasing // it is old\nFROM scratch as a\n", NULL, ""},
        /* a blank ends it */
        {"# check=skip=FromAsCasing, MaintainerDeprecated\nFROM scratch as a\nMAINTAINER m\n", NULL,
         "MaintainerDeprecated:3"},
        {"FROM scratch as a\nMAINTAINER m\n", "skip= FromAsCasing , MaintainerDeprecated ", ""},
        {"#!/usr/bin/docker\n# check=skip=all\nFROM scratch as a\n", NULL, ""},
        {"#\n# check=skip=all\n#\nFROM scratch as a\n", NULL, "FromAsCasing:4"},
        {" # check=skip=all\nFROM scratch as a\n", NULL, "FromAsCasing:2"},
        {"FROM scratch\nEXPOSE 1/TCP ${x:?}\n", NULL,
         "! dockerfile parse error on line 2: failed to process \"${x:?}\": x: is not allowed to "
         "be "
         "unset"},
        {"# check=skip=all\nFROM scratch as a\n", "skip=None", "FromAsCasing:2"},
        {"FROM scratch as a\n", "skip=all", ""},
        {"# check=skip=all\nFROM scratch as a\n", "", "FromAsCasing:2"},
        {"# check=error=true\nFROM scratch as a\n", NULL,
         "FromAsCasing:2! lint violation found for rules: FromAsCasing"},
        {"# check=error=true;skip=all\nFROM scratch as a\n", NULL, ""},
        {"FROM scratch\n", "skip",
         "! failed to parse check options: invalid check option \"skip\""},
        {"FROM scratch\n", "jump=x",
         "! failed to parse check options: invalid check option \"jump\""},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_rules_are_turned_off_for_an_instruction(void **state)
{
    static const struct check_case cases[] = {
        {"FROM scratch\n# check=skip=MaintainerDeprecated\nMAINTAINER m\nMAINTAINER n\n", NULL,
         "MaintainerDeprecated:4"},
        {"FROM scratch\n# check=skip=all\n# why\nMAINTAINER m\n", NULL, ""},
        {"FROM scratch\n# check=skip=all\n\nMAINTAINER m\n", NULL, ""},
        {"FROM scratch\n# Check = skip=all // why\nMAINTAINER m\n", NULL, ""},
        {"FROM scratch\n  # check=skip=all\nMAINTAINER m\n", NULL, "MaintainerDeprecated:3"},
        /* the first of them counts, also when it is no good */
        {"FROM scratch\n# check=skip=A\n# check=skip=all\nMAINTAINER m\n", NULL,
         "MaintainerDeprecated:4"},
        {"FROM scratch\n# check=a\n# check=skip=all\nMAINTAINER m\n", NULL,
         "MaintainerDeprecated:4"},
        {"FROM scratch\n# check=skip=all\n#\nMAINTAINER m\n", NULL, "MaintainerDeprecated:4"},
        {"FROM scratch\n# check=skip=FromAsCasing\nMAINTAINER m\n", NULL, "MaintainerDeprecated:3"},
        {"FROM scratch\n# hadolint ignore=MaintainerDeprecated,DL4000\nMAINTAINER m\n", NULL, ""},
        {"FROM scratch\n# hadolint ignore=DL4000\nMAINTAINER m\n", NULL, "MaintainerDeprecated:3"},
        /* inside a continuation it is above nothing */
        {"FROM scratch\nENV \\\n# check=skip=all\na b\nENV c d\n", NULL,
         "LegacyKeyValueFormat:2 LegacyKeyValueFormat:5"},
        /* the directive is for the file, not for what stands below it */
        {"# check=skip=all\nFROM scratch as a\n", "skip=x", "FromAsCasing:2"},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_warnings_go_as_far_as_the_build(void **state)
{
    static const struct check_case cases[] = {
        {"FROM scratch as a\nMAINTAINER m\nNOSUCH\nMAINTAINER n\n", NULL,
         "FromAsCasing:1 MaintainerDeprecated:2! unknown instruction: NOSUCH"},
        {"FROM scratch as a\nRUN \\\n\n x\nADD x\n", NULL,
         "FromAsCasing:1 NoEmptyContinuation:4! ADD requires at least two arguments, but only one "
         "was provided. Destination could not be determined"},
        {"FROM scratch as a\nENV [\n", NULL, "! ENV must have two arguments"},
        {"FROM scratch\nENV a b\nCOPY $x ${y:?} /\nENV c d\n", NULL,
         "UndefinedVar:3 UndefinedVar:3 LegacyKeyValueFormat:2! dockerfile parse error on line 3: "
         "failed to process \"${y:?}\": y: is not allowed to be unset"},
        {"ARG a\n", NULL, ""},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_variables_that_nobody_set(void **state)
{
    static const struct check_case cases[] = {
        {"FROM scratch\nARG a\nCOPY $a$b /\nENV c=$b$b d=$b\n", NULL,
         "UndefinedVar:3 UndefinedVar:4 UndefinedVar:4"},
        {"FROM scratch AS s\nARG a=1\nFROM s\nWORKDIR /$a$b\n", NULL, "UndefinedVar:4"},
        {"FROM scratch\nEXPOSE $p 80\nRUN echo $x\nCMD [\"$y\"]\n", NULL, ""},
        {"FROM scratch\nRUN --mount=type=cache,target=/a$x y\n", NULL, "UndefinedVar:2"},
        {"FROM scratch\nCOPY <<E /\n$x\nE\nCOPY <<'F' /\n$x\nF\n", NULL, "UndefinedVar:2"},
        {"FROM scratch\nARG SECRET_FILE TOKEN my_KEY=1\nENV MONKEY=1 auth_b=2\n", NULL,
         "SecretsUsedInArgOrEnv:2 SecretsUsedInArgOrEnv:2 SecretsUsedInArgOrEnv:3"},
        {"ARG x\nFROM scratch$x$y\n", NULL, "UndefinedArgInFrom:2"},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_casing(void **state)
{
    static const struct check_case cases[] = {
        {"arg x\nFROM scratch\nrun a\n", NULL, "ConsistentInstructionCasing:3"},
        {"From scratch as A\nRuN a\n", NULL,
         "StageNameCasing:1 ConsistentInstructionCasing:1 ConsistentInstructionCasing:2"},
        {"from scratch aS a\nrun a\n", NULL, "FromAsCasing:1"},
        {"FROM scratch\nEXPOSE 1/TCP 2/Udp 3:4/tcp\n", NULL,
         "ExposeProtoCasing:2 ExposeProtoCasing:2 ExposeInvalidFormat:2"},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_commands(void **state)
{
    static const struct check_case cases[] = {
        {"FROM scratch\nCMD a\nCMD b\nCMD [\"c\"]\n", NULL,
         "JSONArgsRecommended:2 JSONArgsRecommended:3 MultipleInstructionsDisallowed:2 "
         "MultipleInstructionsDisallowed:3"},
        {"FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n", NULL, ""},
        {"FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\n", NULL,
         "MultipleInstructionsDisallowed:2"},
        {"FROM scratch AS a\nWORKDIR a\nWORKDIR b\nFROM a\nWORKDIR c\n", NULL,
         "WorkdirRelativePath:2"},
        {"FROM scratch\nONBUILD CMD a\nFROM scratch AS b\nONBUILD CMD a\nFROM b\nCMD c\n", NULL,
         "JSONArgsRecommended:5 JSONArgsRecommended:6 MultipleInstructionsDisallowed:5"},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_what_is_ignored_is_not_copied(void **state)
{
    static const struct {
        const char *rules, *text;
        size_t n;
    } cases[] = {
        {"a\n", "FROM scratch\nCOPY a b /\nADD ./a/c /\n", 2},
        {"a\n", "FROM scratch AS x\nFROM scratch\nCOPY --from=x a /\nADD https://x/a /\n", 0},
        {"a\n!b\n", "FROM scratch\nCOPY a /\n", 0},
        {".*\n", "FROM scratch\nCOPY . /\n", 0},
        {"**\n", "FROM scratch\nCOPY . /\n", 1},
        {"a\n", "FROM scratch\n# check=skip=CopyIgnoredFile\nCOPY a /\nARG v=a\nCOPY $v /\n", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *g = NULL;
        CLEANUP(dockerfile_freep) struct dockerfile *d = must_parse(cases[i].text);
        struct dockerfile_check_request request = {.all_stages = true};
        struct dockerfile_findings f;
        struct error err = ERROR_INIT;

        assert_int_equal(dockerfile_ignore_parse(cases[i].rules, strlen(cases[i].rules), &g, &err),
                         0);
        request.ignore = g;
        assert_int_equal(dockerfile_check(d, &request, &f, &err), 0);
        if (f.n != cases[i].n)
            fail_msg("%s: %zu", cases[i].text, f.n);
        for (size_t k = 0; k < f.n; k++)
            assert_string_equal(f.warnings[k].rule, "CopyIgnoredFile");
        dockerfile_findings_release(&f);
    }
}

static int give_arm(void *self, const char *image, const char *platform, struct buf *out,
                    bool *ret_found, struct error *err)
{
    (void)self;
    (void)image;
    (void)platform;
    buf_adds(out, "{\"os\":\"linux\",\"architecture\":\"s390x\"}");
    *ret_found = true;
    return buf_check(out, "a configuration", err);
}

static void test_a_base_for_another_machine(void **state)
{
    static const struct dockerfile_bases bases = {.config = give_arm};
    const struct dockerfile_check_request request = {.build = {.bases = &bases}};
    CLEANUP(dockerfile_freep)
    struct dockerfile *d =
        must_parse("FROM a\nFROM --platform=linux/s390x b AS s390x\nFROM b\nCOPY --from=1 / /\n");
    struct dockerfile_findings f;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(dockerfile_check(d, &request, &f, &err), 0);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.warnings[0].rule, "InvalidBaseImagePlatform");
    assert_int_equal(f.warnings[0].first_line, 3);
    dockerfile_findings_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_turned_off_for_the_file),
        cmocka_unit_test(test_rules_are_turned_off_for_an_instruction),
        cmocka_unit_test(test_warnings_go_as_far_as_the_build),
        cmocka_unit_test(test_variables_that_nobody_set),
        cmocka_unit_test(test_casing),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_what_is_ignored_is_not_copied),
        cmocka_unit_test(test_a_base_for_another_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
