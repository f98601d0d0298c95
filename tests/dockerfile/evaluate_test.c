/* Scopes, bases, triggers and the configuration that comes of them. */
#include "tests/dockerfile/sample.h"

/* Bases by name; all others are unknown. */
static int give_base(void *self, const char *image, const char *platform, struct buf *out,
                     bool *ret_found, struct error *err)
{
    static const char *const bases[][2] = {
        {"plain", "{}"},
        {"app",
         "{\"config\":{\"Env\":[\"A=base\",\"PATH=/bin\"],\"Cmd\":[\"serve\"],\"User\":\"app\","
         "\"WorkingDir\":\"/srv\",\"ExposedPorts\":{\"80/tcp\":{}},\"Labels\":{\"l\":\"1\"}}}"},
        {"trigger", "{\"config\":{\"OnBuild\":[\"ENV T=$A\",\"COPY --from=files /f /\"]}}"},
        {"bad", "{"},
    };

    (void)self;
    (void)platform;
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        if (strcmp(bases[i][0], image) != 0)
            continue;
        buf_adds(out, bases[i][1]);
        *ret_found = true;
    }
    return buf_check(out, "a configuration", err);
}

struct evaluate_case {
    const char *text;
    const char *build_args; /* parted by ";" */
    const char *target;
    const char *want; /* the configuration's JSON, or the error's message */
};

static void add_args(const char *text, struct argv *out)
{
    CLEANUP_FREE char *copy = strdup(text);
    char *save = NULL;

    for (char *w = strtok_r(copy, ";", &save); w; w = strtok_r(NULL, ";", &save))
        argv_push1(out, w);
}

static void check(const struct evaluate_case *c)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    CLEANUP(buf_release) struct buf have = BUF_INIT(1 << 16);
    CLEANUP(dockerfile_freep) struct dockerfile *d = must_parse(c->text);
    const struct dockerfile_bases bases = {.config = give_base};
    const struct dockerfile_request request = {
        .target = c->target, .build_args = &args, .bases = &bases};
    struct error err = ERROR_INIT;

    add_args(c->build_args, &args);
    if (dockerfile_evaluate(d, &request, &e, &err) < 0) {
        buf_adds(&have, err.msg);
    } else {
        size_t n, target;
        const struct dockerfile_outcome *outcomes = dockerfile_outcomes(e, &n, &target);

        assert_int_equal(dockerfile_config_write(&outcomes[target].config, &have, &err), 0);
    }
    assert_string_equal(buf_str(&have), c->want);
}

static void check_all(const struct evaluate_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&cases[i]);
}
#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof((cases)[0]))

/* Of scratch, with more behind PATH. */
#define IMAGE(env, rest)                                                                           \
    "{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"" env "]"      \
    ",\"WorkingDir\":\"/\"" rest "}"
#define AT(n) "dockerfile parse error on line " #n ": "

static void test_a_stage_sees_what_it_declares(void **state)
{
    static const struct evaluate_case cases[] = {
        {"ARG X=g\nFROM scratch\nENV e=[$X]\n", "", NULL, IMAGE(",\"e=[]\"", "")},
        {"ARG X=g\nFROM scratch\nARG X\nENV e=[$X]\n", "", NULL, IMAGE(",\"e=[g]\"", "")},
        {"ARG X=g\nFROM scratch\nARG X=s\nENV e=[$X]\n", "", NULL, IMAGE(",\"e=[s]\"", "")},
        {"ARG X=g\nFROM scratch\nARG X=s\nENV e=[$X]\n", "X=b", NULL, IMAGE(",\"e=[b]\"", "")},
        {"FROM scratch\nENV e=[$X]\n", "X=b", NULL, IMAGE(",\"e=[]\"", "")},
        {"FROM scratch\nARG X\nENV e=[${X-unset}]\n", "", NULL, IMAGE(",\"e=[unset]\"", "")},
        {"FROM scratch\nARG X\nENV e=[${X-unset}]\n", "X=", NULL, IMAGE(",\"e=[]\"", "")},
        {"ARG Y=$X\nARG X=1\nARG Z=$X\nFROM scratch\nARG Y\nARG Z\nENV e=$Y$Z\n", "", NULL,
         IMAGE(",\"e=1\"", "")},
        /* as many as one likes in a line, each seeing those before it */
        {"FROM scratch\nARG a=1 b=$a\nENV e=$b\n", "", NULL, IMAGE(",\"e=1\"", "")},
        {"FROM scratch\nARG TARGETARCH\nENV e=[$TARGETOS$TARGETARCH]\n", "TARGETARCH=m68k", NULL,
         IMAGE(",\"e=[m68k]\"", "")},
        {"FROM scratch AS last\nARG TARGETSTAGE\nENV e=$TARGETSTAGE\n", "", NULL,
         IMAGE(",\"e=last\"", "")},
        {"FROM scratch\nARG HTTP_PROXY\nENV e=[$HTTP_PROXY$NO_PROXY]\n", "HTTP_PROXY=p;NO_PROXY=n",
         NULL, IMAGE(",\"e=[p]\"", "")},
        {"FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nENV e=[$BUILDKIT_SBOM_SCAN_STAGE]\n", "",
         NULL, IMAGE(",\"e=[]\"", "")},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_an_instruction_sees_what_was_set_before_it(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM scratch\nENV a=1 b=$a\nENV c=$a\n", "", NULL, IMAGE(",\"a=1\",\"b=\",\"c=1\"", "")},
        {"FROM scratch\nENV a=1\nENV b=2\nENV a=3\n", "", NULL, IMAGE(",\"a=3\",\"b=2\"", "")},
        {"FROM scratch\nENV a=env\nARG a=arg\nENV b=$a\n", "", NULL,
         IMAGE(",\"a=env\",\"b=arg\"", "")},
        {"FROM scratch\nARG a=arg\nENV a=env\nENV b=$a\n", "a=built", NULL,
         IMAGE(",\"a=env\",\"b=env\"", "")},
        {"FROM scratch\nENV k=a\nENV $k=1\n", "", NULL, IMAGE(",\"k=a\",\"a=1\"", "")},
        {"FROM scratch\nENV a one  \"two\"  $x\n", "", NULL, IMAGE(",\"a=one  two  \"", "")},
        {"FROM scratch\nENV a='$x' b=\"\\$x\" c=\\$x\n", "", NULL,
         IMAGE(",\"a=$x\",\"b=$x\",\"c=$x\"", "")},
        {"FROM scratch\nENV PATH=/x:$PATH\n", "", NULL,
         "{\"Env\":[\"PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],"
         "\"WorkingDir\":\"/\"}"},
        {"FROM scratch\nENV a=\"${b:?is needed}\"\n", "", NULL,
         AT(2) "failed to process \"\\\"${b:?is needed}\\\"\": b: is needed"},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_a_stage_inherits_from_the_stage_it_is_from(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM scratch AS a\nARG X=1\nENV E=2\nFROM a\nENV f=$X$E\n", "", NULL,
         IMAGE(",\"E=2\",\"f=12\"", "")},
        /* the environment comes back over an argument of its name */
        {"FROM scratch AS a\nENV x=env\nARG x=arg\nFROM a\nENV y=$x\n", "", NULL,
         IMAGE(",\"x=env\",\"y=env\"", "")},
        {"FROM scratch AS a\nUSER u\nCMD [\"c\"]\nEXPOSE 1\nFROM a\nEXPOSE 2/udp\n", "", NULL,
         "{\"User\":\"u\",\"ExposedPorts\":{\"1/tcp\":{},\"2/udp\":{}},\"Env\":["
         "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],\"Cmd\":[\"c\"],"
         "\"WorkingDir\":\"/\",\"ArgsEscaped\":true}"},
        {"FROM scratch AS a\nENV e=1\nFROM scratch\nENV e=2\n", "", "A", IMAGE(",\"e=1\"", "")},
        {"FROM scratch AS a\nENV e=1\nFROM scratch\nENV e=2\n", "", "0", IMAGE(",\"e=1\"", "")},
        {"FROM scratch AS a\n", "", "b", "target stage \"b\" could not be found"},
        {"FROM scratch AS a\nENV e=1\nFROM scratch AS a\nENV e=2\nFROM a\n", "", NULL,
         IMAGE(",\"e=2\"", "")},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_an_image_starts_as_its_base(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM app\nENV B=$A\nWORKDIR sub\nLABEL m=2\nEXPOSE 81\n", "", NULL,
         "{\"User\":\"app\",\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{}},\"Env\":[\"A=base\","
         "\"PATH=/bin\",\"B=base\"],\"Cmd\":[\"serve\"],\"WorkingDir\":\"/srv/sub\",\"Labels\":{"
         "\"l\":\"1\",\"m\":\"2\"}}"},
        {"FROM unknown\n", "", NULL,
         "{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]}"},
        {"FROM bad\n", "", NULL, AT(1) "failed to parse image config of bad"},
        {"FROM Bad\n", "", NULL,
         AT(1) "failed to parse stage name \"Bad\": invalid reference format: repository name "
               "(library/Bad) must be lowercase"},
    };

    (void)state;
    CHECK_ALL(cases);
}

#define PLAIN(rest)                                                                                \
    "{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]" rest "}"

static void test_an_entrypoint_takes_the_bases_command_away(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM app\nENTRYPOINT [\"e\"]\n", "", NULL,
         "{\"User\":\"app\",\"ExposedPorts\":{\"80/tcp\":{}},\"Env\":[\"A=base\",\"PATH=/bin\"],"
         "\"Entrypoint\":[\"e\"],\"WorkingDir\":\"/srv\",\"Labels\":{\"l\":\"1\"}}"},
        {"FROM plain\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n", "", NULL,
         PLAIN(",\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\"],\"ArgsEscaped\":true")},
        {"FROM plain AS a\nCMD [\"c\"]\nFROM a\nENTRYPOINT [\"e\"]\n", "", NULL,
         PLAIN(",\"Entrypoint\":[\"e\"],\"ArgsEscaped\":true")},
        {"FROM plain\nSHELL [\"sh\",\"-e\"]\nCMD a b\n", "", NULL,
         PLAIN(",\"Cmd\":[\"sh\",\"-e\",\"a b\"],\"ArgsEscaped\":true,\"Shell\":[\"sh\",\"-e\"]")},
        {"FROM plain\nENTRYPOINT\nCMD []\n", "", NULL,
         PLAIN(",\"Entrypoint\":[\"/bin/sh\",\"-c\",\"\"],\"ArgsEscaped\":true")},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_triggers_run_first(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM scratch AS files\nFROM trigger\n", "", NULL,
         "{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"T=\"]"
         "}"},
        {"FROM scratch AS a\nONBUILD ENV x=$PATH y=1\nFROM a\nENV z=$y\n", "", NULL,
         IMAGE(
             ",\"x=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"y=1\",\"z=1\"",
             "")},
        /* not of the base's base */
        {"FROM scratch AS a\nONBUILD ENV x=1\nFROM a AS b\nENV x=2\nFROM b\n", "", NULL,
         IMAGE(",\"x=2\"", "")},
        {"FROM scratch\nONBUILD RUN  a\n", "", NULL, IMAGE("", ",\"OnBuild\":[\"RUN  a\"]")},
        {"FROM scratch AS a\nONBUILD COPY --from=b / /\nFROM a\nFROM scratch AS b\n", "", "1",
         AT(3) "cannot copy from stage \"b\", it needs to be defined before current stage "
               "\"stage-1\""},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_ports_volumes_and_places(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM scratch\nENV p=\"7 8-9/UDP\"\nEXPOSE $p 127.0.0.1:80:81 [::1]:1:1\n", "", NULL,
         "{\"ExposedPorts\":{\"1/tcp\":{},\"7/tcp\":{},\"81/tcp\":{},\"8/udp\":{},\"9/udp\":{}},"
         "\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"p=7 "
         "8-9/UDP\"],\"WorkingDir\":\"/\"}"},
        {"FROM scratch\nEXPOSE abc\n", "", NULL, AT(2) "invalid containerPort: abc"},
        {"FROM scratch\nEXPOSE 80/xtp\n", "", NULL,
         AT(2) "invalid port: \"80/xtp\": invalid proto: xtp"},
        {"FROM scratch\nEXPOSE 65536\n", "", NULL, AT(2) "invalid containerPort: 65536"},
        {"FROM scratch\nEXPOSE 9-8\n", "", NULL, AT(2) "invalid containerPort: 9-8"},
        {"FROM scratch\nEXPOSE 1-2:5-7\n", "", NULL,
         AT(2) "invalid ranges specified for container and host Ports: 5-7 and 1-2"},
        {"FROM scratch\nENV v=/v\nVOLUME $v/a  b\nVOLUME [\" c \"]\n", "", NULL,
         "{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"v=/v\"]"
         ",\"Volumes\":{\"/v/a\":{},\"b\":{},\"c\":{}},\"WorkingDir\":\"/\"}"},
        {"FROM scratch\nVOLUME $v\n", "", NULL,
         AT(2) "VOLUME specified can not be an empty string"},
        {"FROM plain\nWORKDIR a/\nWORKDIR ../b/./c//d\n", "", NULL,
         PLAIN(",\"WorkingDir\":\"/b/c/d\"")},
        {"FROM plain\nWORKDIR /a/../b/\n", "", NULL, PLAIN(",\"WorkingDir\":\"/a/../b/\"")},
        {"FROM plain\nWORKDIR ../..\n", "", NULL, PLAIN(",\"WorkingDir\":\"/\"")},
        {"FROM plain\nWORKDIR /a\nWORKDIR $v\n", "", NULL, PLAIN(",\"WorkingDir\":\"/a\"")},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_what_a_container_is_told(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM plain\nHEALTHCHECK --interval=90s --retries=3 CMD [\"a\"]\n", "", NULL,
         PLAIN(",\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"],\"Interval\":90000000000,"
               "\"Retries\":3}")},
        {"FROM plain\nHEALTHCHECK CMD a b\nHEALTHCHECK none\n", "", NULL,
         PLAIN(",\"Healthcheck\":{\"Test\":[\"NONE\"]}")},
        {"FROM plain\nARG s=kill\nSTOPSIGNAL SIG$s\n", "", NULL,
         PLAIN(",\"StopSignal\":\"SIGkill\"")},
        {"FROM plain\nSTOPSIGNAL RTMIN+15\n", "", NULL, PLAIN(",\"StopSignal\":\"RTMIN+15\"")},
        {"FROM plain\nSTOPSIGNAL RTMIN+16\n", "", NULL, AT(2) "invalid signal: RTMIN+16"},
        {"FROM plain\nSTOPSIGNAL 0\n", "", NULL, AT(2) "invalid signal: 0"},
        {"FROM plain\nUSER $u\nUSER a:b\n", "", NULL,
         "{\"User\":\"a:b\",\"Env\":["
         "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]}"},
        {"FROM plain\nLABEL a=1 \"b c\"=\"d e\"\nLABEL f g h\n", "", NULL,
         PLAIN(",\"Labels\":{\"a\":\"1\",\"b c\":\"d e\",\"f\":\"g h\"}")},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_what_can_not_be_built_is_refused(void **state)
{
    static const struct evaluate_case cases[] = {
        {"FROM a\nCOPY --chmod=8 a b\n", "", NULL,
         AT(2) "invalid chmod parameter: '8'. it should be octal string and between 0 and 07777"},
        {"FROM a\nCOPY --chmod=u+rwX,go-w a b\n", "", NULL, PLAIN("")},
        {"FROM a\nCOPY --chmod=u+q a b\n", "", NULL, AT(2) "invalid mode: u+q"},
        {"FROM a\nCOPY https://x/y z\n", "", NULL, AT(2) "source can't be a URL for COPY"},
        {"FROM a\nCOPY git@x.org:y z\n", "", NULL, AT(2) "source can't be a git ref for COPY"},
        {"FROM a\nCOPY https://x/y.git#v1:d z\n", "", NULL,
         AT(2) "source can't be a git ref for COPY"},
        {"FROM a\nADD --checksum=sha256:0 a b\n", "", NULL,
         AT(2) "checksum requires HTTP(S) or Git sources"},
        {"FROM a\nADD --checksum=sha256:0 https://x/y z\n", "", NULL,
         AT(2) "invalid checksum digest length"},
        {"FROM a\nADD --checksum=sha256:0 https://x/y https://x/z w/\n", "", NULL,
         AT(2) "checksum can't be specified for multiple sources"},
        {"FROM a\nRUN --mount=type=cach,target=/x y\n", "", NULL,
         AT(2) "unsupported mount type \"cach\" (did you mean cache?)"},
        {"FROM a\nRUN --mount=type=secret y\n", "", NULL,
         AT(2) "invalid secret mount. one of source, target required"},
        {"FROM a\nRUN --mount=target=/ y\n", "", NULL, AT(2) "invalid mount target \"/\""},
        {"FROM a\nRUN --mount=type=tmpfs,target=/x,size=1q y\n", "", NULL,
         AT(2) "invalid value for size: 1q"},
        {"FROM a\nRUN --mount=from=b,target=/x y\nFROM c AS b\nFROM a\nCOPY --from=0 / /\n", "",
         NULL,
         AT(2) "cannot mount from stage \"b\" to \"/x\", stage needs to be defined before current "
               "command"},
        {"FROM --platform=linux/ a\n", "", NULL,
         AT(1) "failed to parse platform linux/: \"\" is an invalid component of \"linux/\": "
               "platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"},
        {"FROM --platform=x a\n", "", NULL,
         AT(1) "failed to parse platform x: \"x\": unknown operating system or architecture: "
               "invalid argument"},
        {"FROM a\n", "SOURCE_DATE_EPOCH=now", NULL, "invalid SOURCE_DATE_EPOCH: now"},
        {"FROM a\n", "SOURCE_DATE_EPOCH=1700000000", NULL, PLAIN("")},
    };

    (void)state;
    CHECK_ALL(cases);
}

static void test_steps_say_what_to_do(void **state)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    CLEANUP(dockerfile_freep)
    struct dockerfile *d = must_parse(
        "FROM scratch AS a\nFROM scratch\nARG v=1\n"
        "COPY --from=A --chown=$v:$v x$v <<E <<'F' /to/\n$v \"q\"\nE\n$v\nF\n"
        "RUN --mount=type=cache,target=/c$v,uid=5,sharing=locked --mount=from=a,target=m "
        "<<E\n#!/bin/x\nE\n");
    const struct dockerfile_request request = {.target = NULL};
    const struct dockerfile_outcome *o;
    const struct dockerfile_step *copy, *run;
    struct error err = ERROR_INIT;
    size_t n, target;

    (void)state;
    if (dockerfile_evaluate(d, &request, &e, &err) < 0)
        fail_msg("%s", err.msg);
    o = dockerfile_outcomes(e, &n, &target);
    assert_int_equal(target, 1);
    assert_int_equal(o[1].n_steps, 3);
    copy = &o[1].steps[1];
    assert_string_equal(copy->chown, "1:1");
    assert_int_equal(copy->from_stage, 0);
    assert_int_equal(copy->words.n, 2);
    assert_string_equal(copy->words.v[0], "x1");
    assert_int_equal(copy->n_heredocs, 2);
    assert_string_equal(copy->heredocs[0].content, "1 \"q\"\n");
    assert_string_equal(copy->heredocs[1].content, "$v\n");
    run = &o[1].steps[2];
    assert_string_equal(run->script, "#!/bin/x\n");
    assert_string_equal(run->words.v[2], "/dev/pipes/E");
    assert_int_equal(run->n_mounts, 2);
    assert_string_equal(run->mounts[0].target, "/c1");
    assert_int_equal(run->mounts[0].uid, 5);
    assert_false(run->mounts[0].read_only);
    assert_int_equal(run->mounts[1].from_stage, 0);
    assert_true(run->mounts[1].read_only);
    assert_true(o[0].needed);
}

static void test_a_history_that_would_not_end_is_stopped(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
    struct dockerfile_evaluation *e;
    const struct dockerfile_request request = {.target = NULL};
    struct error err = ERROR_INIT;

    (void)state;
    buf_adds(&text, "FROM scratch\n");
    for (int i = 0; i < 40; i++)
        buf_adds(&text, "EXPOSE 0-65535\n");
    d = must_parse(buf_str(&text));
    assert_int_equal(dockerfile_evaluate(d, &request, &e, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void must_stop(const struct buf *text, const char *message)
{
    const struct dockerfile_request request = {.target = NULL};
    struct dockerfile_evaluation *e = NULL;
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(
        dockerfile_parse(buf_str(text), text->len, &dockerfile_limits_default, &d, &err), 0);
    assert_int_equal(dockerfile_evaluate(d, &request, &e, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.msg, message));
    dockerfile_free(d);
}

/* As many stages as there may be, each on the one before it. */
static void add_stages(struct buf *text, const char *each)
{
    for (int i = 1; i < 64; i++)
        buf_addf(text, "FROM s%d AS s%d\n%s%d\n", i - 1, i, each, i);
}

static void test_stages_that_multiply_what_they_inherit_are_stopped(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    (void)state;
    buf_adds(&text, "FROM a AS s0\n");
    for (int i = 0; i < 10; i++) {
        buf_addf(&text, "LABEL l%d=", i);
        for (int k = 0; k < 60000; k++)
            buf_addc(&text, 'x');
        buf_addc(&text, '\n');
    }
    add_stages(&text, "USER ");
    must_stop(&text, "the stages inherit too many variables");
    buf_clear(&text);
    buf_adds(&text, "FROM a AS s0\nEXPOSE 1000-65535\n");
    add_stages(&text, "EXPOSE ");
    must_stop(&text, "the stages expose too many ports");
}

static void test_stages_share_the_ports_that_they_do_not_add_to(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    const struct dockerfile_request request = {.target = NULL};
    struct dockerfile_evaluation *e = NULL;
    const struct dockerfile_outcome *outcomes;
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;
    size_t n, target;

    (void)state;
    buf_adds(&text, "FROM a AS s0\nEXPOSE 1000-65535\n");
    add_stages(&text, "USER ");
    assert_int_equal(
        dockerfile_parse(buf_str(&text), text.len, &dockerfile_limits_default, &d, &err), 0);
    assert_int_equal(dockerfile_evaluate(d, &request, &e, &err), 0);
    outcomes = dockerfile_outcomes(e, &n, &target);
    assert_int_equal(outcomes[63].config.exposed_ports.n, 64536);
    assert_string_equal(outcomes[63].config.exposed_ports.v[0], "1000/tcp");
    dockerfile_evaluation_free(e);
    dockerfile_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stage_sees_what_it_declares),
        cmocka_unit_test(test_an_instruction_sees_what_was_set_before_it),
        cmocka_unit_test(test_a_stage_inherits_from_the_stage_it_is_from),
        cmocka_unit_test(test_an_image_starts_as_its_base),
        cmocka_unit_test(test_an_entrypoint_takes_the_bases_command_away),
        cmocka_unit_test(test_triggers_run_first),
        cmocka_unit_test(test_ports_volumes_and_places),
        cmocka_unit_test(test_what_a_container_is_told),
        cmocka_unit_test(test_what_can_not_be_built_is_refused),
        cmocka_unit_test(test_steps_say_what_to_do),
        cmocka_unit_test(test_stages_that_multiply_what_they_inherit_are_stopped),
        cmocka_unit_test(test_stages_share_the_ports_that_they_do_not_add_to),
        cmocka_unit_test(test_a_history_that_would_not_end_is_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
