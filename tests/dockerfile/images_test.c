/* Which images a build asks registries for, and when that can not be said. */
#include "tests/dockerfile/sample.h"

struct images_case {
    const char *text;
    const char *build_args; /* blank-separated */
    const char *want;       /* the images, blank-separated, or the error's message */
};

static void add_words(const char *text, struct argv *out)
{
    CLEANUP_FREE char *copy = strdup(text);
    char *save = NULL;

    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv_push1(out, w);
}

static void check(const struct images_case *c)
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    CLEANUP(buf_release) struct buf have = BUF_INIT(4096);
    struct dockerfile *d = must_parse(c->text);
    struct error err = ERROR_INIT;

    add_words(c->build_args, &args);
    if (dockerfile_images(d, &args, &images, &err) < 0)
        buf_adds(&have, err.msg);
    for (size_t i = 0; i < images.n; i++)
        buf_addf(&have, "%s%s", i ? " " : "", images.v[i]);
    dockerfile_free(d);
    assert_string_equal(buf_str(&have), c->want);
}

static void check_all(const struct images_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&table[i]);
}

#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

static void test_only_what_the_last_stage_needs_is_listed(void **state)
{
    static const struct images_case table[] = {
        {"FROM a\n", "", "a"},
        {"FROM scratch\n", "", ""},
        {"FROM a AS x\nFROM b AS y\nFROM c\nCOPY --from=x / /\n", "", "a c"},
        {"FROM a AS x\nFROM x\n", "", "a"},
        {"FROM a AS x\nFROM b\nCOPY --from=0 / /\nCOPY --from=X /y /y\n", "", "a b"},
        {"FROM a\nCOPY --from=ghcr.io/b/c:1 / /\nCOPY --from=ghcr.io/b/c:1 /x /\n", "",
         "a ghcr.io/b/c:1"},
        {"FROM a\nRUN --mount=type=bind,from=b,target=/b --mount=\"from=c,target=/c\" x\n", "",
         "a b c"},
        {"FROM a AS x\nRUN y\nFROM b\nRUN --mount=from=x,target=/b z\n", "", "a b"},
        {"FROM a AS x\nFROM b AS x\nFROM x\n", "", "b"},
        {"FROM unused AS x\nRUN y\nFROM b\n", "", "b"},
        {"FROM a\nONBUILD COPY --from=b / /\n", "", "a"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_global_args_and_build_args_name_bases(void **state)
{
    static const struct images_case table[] = {
        {"ARG V=1\nFROM a:$V\n", "", "a:1"},
        {"ARG V=1\nFROM a:$V\n", "V=2", "a:2"},
        {"ARG V=1 W=$V.5\nFROM a:${W}\n", "V=2", "a:2.5"},
        {"ARG V\nFROM a:${V:-latest}\n", "", "a:latest"},
        {"ARG V=v1.2\nFROM a:${V#v}\n", "", "a:1.2"},
        {"FROM --platform=$BUILDPLATFORM a-$TARGETOS\n", "", "a-linux"},
        {"FROM a-$TARGETOS\n", "TARGETOS=plan9", "a-plan9"},
        {"ARG STAGE=x\nFROM a AS x\nFROM $STAGE\n", "", "a"},
        {"FROM a\nARG V=1\nFROM b:${V:-2}\n", "", "b:2"},
        {"# escape=`\nARG V=`1\nFROM a:$V\n", "", "a:1"},
    };

    (void)state;
    CHECK_ALL(table);
}

#define AT(n) "dockerfile parse error on line " #n ": "

static void test_what_cannot_be_resolved_is_refused_with_its_line(void **state)
{
    static const struct images_case table[] = {
        {"FROM $X\n", "", AT(1) "base name ($X) should not be blank"},
        {"ARG X\nFROM ${X}\n", "", AT(2) "base name (${X}) should not be blank"},
        {"FROM ${X:?who}\n", "", AT(1) "failed to process \"${X:?who}\": X: who"},
        {"ARG A=${B\nFROM a\n", "", AT(1) "failed to process \"${B\": syntax error: missing '}'"},
        {"FROM --platform=$TARGETPLATFROM a\n", "",
         AT(1) "empty platform value from expression $TARGETPLATFROM (did you mean "
               "TARGETPLATFORM?)"},
        {"FROM a\nCOPY --from=3 / /\n", "", AT(2) "invalid stage index 3"},
        {"FROM a\nCOPY --from=$X / /\n", "",
         AT(2) "variable expansion is not supported for --from, define a new stage with FROM "
               "using ARG from global scope as a workaround"},
        {"FROM a AS x\nCOPY --from=x / /\n", "", AT(2) "circular dependency detected on stage: x"},
        {"FROM a\nCOPY --from=x / /\nFROM b AS x\nFROM c\nCOPY --from=0 / /\n", "",
         AT(2) "cannot copy from stage \"x\", it needs to be defined before current stage "
               "\"stage-0\""},
        {"FROM a AS x\nCOPY --from=y / /\nFROM x AS y\n", "",
         AT(2) "cannot copy from stage \"y\", it needs to be defined before current stage \"x\""},
        {"FROM Base\n", "",
         AT(1) "failed to parse stage name \"Base\": invalid reference format: repository name "
               "(library/Base) must be lowercase"},
        {"FROM a\nCOPY --from=a:b:c / /\n", "",
         AT(2) "failed to parse stage name \"a:b:c\": invalid reference format"},
    };

    (void)state;
    CHECK_ALL(table);
}

#define REFUSED(name, transport)                                                                   \
    "failed to parse stage name \"" name "\": invalid reference format: the transport " transport  \
    " is not allowed, only images from a registry are"

static void test_transports_are_refused_wherever_they_stand(void **state)
{
    static const struct images_case table[] = {
        {"FROM oci-archive:/etc/x\n", "", AT(1) REFUSED("oci-archive:/etc/x", "oci-archive")},
        {"ARG T=dir\nFROM $T:/\n", "", AT(2) REFUSED("dir:/", "dir")},
        {"FROM a\nCOPY --from=docker-daemon:x:1 / /\n", "",
         AT(2) REFUSED("docker-daemon:x:1", "docker-daemon")},
        {"FROM a\nRUN --mount=from=containers-storage:x,target=/y z\n", "",
         AT(2) REFUSED("containers-storage:x", "containers-storage")},
        {"FROM docker://a\n", "", AT(1) REFUSED("docker://a", "docker")},
        {"FROM oci:/x AS unused\nFROM a\n", "", AT(1) REFUSED("oci:/x", "oci")},
        {"FROM docker:dind\n", "", "docker:dind"},
        {"FROM localhost:5000/dir:1\n", "", "localhost:5000/dir:1"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void must_stop(const struct buf *text, const char *message)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    struct argv no_args = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct dockerfile *d = must_parse(buf_str(text));

    assert_int_equal(dockerfile_images(d, &no_args, &images, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.msg, message));
    dockerfile_free(d);
}

static void test_variables_nest_only_so_deep(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    (void)state;
    buf_adds(&text, "FROM ");
    for (int i = 0; i < 65; i++)
        buf_adds(&text, "${x:-");
    must_stop(&text, "variables are nested more than 64 deep");
}

static void test_expansion_that_multiplies_is_stopped(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    (void)state;
    buf_adds(&text, "ARG x=");
    for (int i = 0; i < 60000; i++)
        buf_addc(&text, 'a');
    for (int line = 0; line < 10; line++) {
        buf_adds(&text, "\nARG y=");
        for (int i = 0; i < 100; i++)
            buf_adds(&text, "${x##*b*b}");
    }
    buf_adds(&text, "\nFROM a\n");
    must_stop(&text, "expanding the variables takes too much work");
}

static void test_there_are_limits_to_variables_and_images(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_addf(&text, "%s v%d=x", i % 1000 ? "" : "\nARG", i);
    buf_adds(&text, "\nFROM a\n");
    must_stop(&text, "dockerfile parse error on line 4: more than 2048 variables");
    buf_clear(&text);
    buf_adds(&text, "FROM a\nRUN x\n");
    for (int i = 0; i < 257; i++)
        buf_addf(&text, "COPY --from=i%d / /\n", i);
    must_stop(&text, "dockerfile parse error on line 258: more than 256 images");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_the_last_stage_needs_is_listed),
        cmocka_unit_test(test_global_args_and_build_args_name_bases),
        cmocka_unit_test(test_what_cannot_be_resolved_is_refused_with_its_line),
        cmocka_unit_test(test_transports_are_refused_wherever_they_stand),
        cmocka_unit_test(test_variables_nest_only_so_deep),
        cmocka_unit_test(test_expansion_that_multiplies_is_stopped),
        cmocka_unit_test(test_there_are_limits_to_variables_and_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
