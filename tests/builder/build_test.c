/* Dockerfiles become images in the registry, or fail and say where. */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void test_a_dockerfile_becomes_an_image_in_the_registry(void **state)
{
    static const char *const files[] = {"app/hello.txt", "hello from the context", NULL};
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile = "FROM alpine:3.20\nCOPY app /app\nRUN cat /app/hello.txt && "
                                      "echo made >/made\nENV A=b\nEXPOSE 80\nCMD [\"/app/x\"]\n",
                        .push_to = "ws/sandbox/app"};
    struct buf config = BUF_INIT(1 << 20);
    struct buf layers = BUF_INIT(64 << 20);

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "[3/3] RUN cat");
    assert_says(&a, "hello from the context");
    machine_fetch_image(*state, "ws/sandbox/app", a.digest, &config, &layers);
    assert_true(buf_holds(&config, "\"A=b\""));
    assert_true(buf_holds(&config, "\"Cmd\":[\"/app/x\"]"));
    assert_true(buf_holds(&config, "80/tcp"));
    assert_true(buf_holds(&layers, "app/hello.txt"));
    assert_true(buf_holds(&layers, "hello from the context"));
    buf_release(&config);
    buf_release(&layers);
    attempt_release(&a);
}

static void test_a_step_begins_when_what_it_takes_files_from_is_there(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20 AS other\n"
                                      "RUN sleep 0.5; echo 1 >/made; echo it is made\n"
                                      "FROM alpine:3.20\n"
                                      "RUN --mount=type=bind,from=other,target=/o cat /o/made\n"
                                      "FROM alpine:3.20\n"
                                      "COPY --from=other /made /\n"
                                      "COPY --from=1 /etc/alpine-release /\n"};
    const char *made;

    attempt_run(*state, &a);
    assert_built(&a);
    made = strstr(buf_str(&a.log), "\nit is made");
    assert_non_null(made);
    assert_non_null(strstr(made, "RUN --mount"));
    assert_non_null(strstr(made, "COPY --from=other"));
    attempt_release(&a);
}

static void test_bases_are_found_by_every_name_they_have(void **state)
{
    static const char *const names[] = {"alpine:3.20",
                                        "docker.io/library/alpine:3.20",
                                        "docker.io/alpine:3.20",
                                        "index.docker.io/library/alpine:3.20",
                                        "ghcr.io/blaxel-ai/sandbox:latest",
                                        "ghcr.io/blaxel-ai/sandbox"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char workspace[8];
        char text[128];
        struct attempt a = {.workspace = workspace, .images = names[i], .dockerfile = text};

        (void)snprintf(workspace, sizeof(workspace), "names%zu", i);
        (void)snprintf(text, sizeof(text), "FROM %s\nLABEL a=b\n", names[i]);
        attempt_run(*state, &a);
        assert_built(&a);
        attempt_release(&a);
    }
}

static void test_a_base_is_found_by_its_digest_with_and_without_a_tag(void **state)
{
    const struct machine *m = *state;
    struct attempt first = {
        .images = ALPINE, .dockerfile = "FROM alpine:3.20\n", .push_to = "ws/base/x"};

    attempt_run(m, &first);
    assert_built(&first);
    for (int tagged = 0; tagged < 2; tagged++) {
        char image[256];
        char text[300];
        struct attempt a = {.workspace = "ws", .images = image, .dockerfile = text};

        (void)snprintf(image, sizeof(image), "%s/ws/base/x%s@%s", m->address,
                       tagged ? ":latest" : "", first.digest);
        (void)snprintf(text, sizeof(text), "FROM %s\nRUN true\n", image);
        attempt_run(m, &a);
        assert_built(&a);
        attempt_release(&a);
    }
    attempt_release(&first);
}

static void test_stages_images_and_scratch_are_copied_from(void **state)
{
    struct attempt a = {.images = ALPINE " " SANDBOX,
                        .dockerfile = "FROM alpine:3.20 AS one\nRUN echo from-one >/x\n"
                                      "FROM scratch\nCOPY --from=one /x /y\n"
                                      "COPY --from=" SANDBOX " /sandbox-api /usr/local/bin/\n",
                        .push_to = "ws/sandbox/stages"};
    struct buf config = BUF_INIT(1 << 20);
    struct buf layers = BUF_INIT(64 << 20);

    attempt_run(*state, &a);
    assert_built(&a);
    machine_fetch_image(*state, "ws/sandbox/stages", "latest", &config, &layers);
    assert_true(buf_holds(&layers, "from-one"));
    assert_true(buf_holds(&layers, "usr/local/bin/sandbox-api"));
    assert_false(buf_holds(&layers, "bin/busybox"));
    buf_release(&config);
    buf_release(&layers);
    attempt_release(&a);
}

static void test_an_image_from_scratch_needs_no_base(void **state)
{
    static const char *const files[] = {"f", "x", NULL};
    struct attempt a = {.workspace = "fresh",
                        .files = files,
                        .dockerfile = "FROM scratch\nCOPY f /f\n",
                        .push_to = "fresh/a/b"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_int_equal(strlen(a.digest), 71);
    attempt_release(&a);
}

static void test_a_failing_command_is_named_with_its_stage_step_and_exit_code(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20 AS a\nRUN echo x >/x\n"
                                      "FROM alpine:3.20\nCOPY --from=a /x /\n"
                                      "RUN echo out; echo err >&2; exit 42\nRUN echo never\n"};

    attempt_run(*state, &a);
    assert_outcome(&a, "build", BUILDER_FAILED);
    assert_int_equal(a.failure.stage, 1);
    assert_int_equal(a.failure.step, 1);
    assert_int_equal(a.failure.exit_code, 42);
    assert_string_equal(a.failure.reason, "process \"/bin/sh -c echo out; echo err >&2; exit 42\" "
                                          "did not complete successfully: exit code: 42");
    assert_says(&a, "out\n");
    assert_says(&a, "err\n");
    assert_does_not_say(&a, "\nnever\n");
    attempt_release(&a);
}

static void test_a_failing_copy_has_no_exit_code(void **state)
{
    struct attempt a = {.images = ALPINE, .dockerfile = "FROM alpine:3.20\nCOPY absent /\n"};

    attempt_run(*state, &a);
    assert_outcome(&a, "build", BUILDER_FAILED);
    assert_int_equal(a.failure.step, 0);
    assert_int_equal(a.failure.exit_code, -1);
    assert_string_equal(a.failure.reason, "\"/absent\": not found");
    attempt_release(&a);
}

static void test_a_base_that_was_not_pulled_is_not_fetched(void **state)
{
    struct attempt a = {.workspace = "empty", .dockerfile = "FROM busybox\nRUN true\n"};

    attempt_run(*state, &a);
    assert_int_equal(a.result, -1);
    assert_non_null(strstr(a.err.msg, "busybox was not fetched"));
    attempt_release(&a);
}

static void test_values_of_build_arguments_reach_a_run_and_nothing_else(void **state)
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    struct attempt a = {.images = ALPINE,
                        .build_args = &args,
                        .dockerfile = "FROM alpine:3.20\nARG TOKEN\nARG EMPTY=no\n"
                                      "RUN [ ${#TOKEN} = 21 ] && [ -z \"$EMPTY\" ] && "
                                      "cat /proc/*/cmdline | tr -c -d 's3cr-tvalu' >/words\n"
                                      "RUN ! grep -q s3cr3t /words\n",
                        .push_to = "ws/sandbox/args"};
    struct buf config = BUF_INIT(1 << 20);
    struct buf layers = BUF_INIT(64 << 20);

    argv_push(&args, "TOKEN=s3cr3t-value, \"quoted", "EMPTY=", "UNUSED=s3cr3t", NULL);
    attempt_run(*state, &a);
    assert_built(&a);
    assert_does_not_say(&a, "s3cr3t-value");
    machine_fetch_image(*state, "ws/sandbox/args", a.digest, &config, &layers);
    assert_false(buf_holds(&config, "s3cr3t-value"));
    assert_false(buf_holds(&layers, "s3cr3t-value"));
    buf_release(&config);
    buf_release(&layers);
    attempt_release(&a);
}

static void test_labels_stand_in_the_config(void **state)
{
    CLEANUP(argv_release) struct argv labels = ARGV_INIT;
    struct attempt a = {
        .labels = &labels, .dockerfile = "FROM scratch\nLABEL mine=1\n", .push_to = "ws/a/labels"};
    struct buf config = BUF_INIT(1 << 20);
    struct buf layers = BUF_INIT(1 << 20);

    argv_push(&labels, "dev.kiln.program=kiln 0.1.0", NULL);
    attempt_run(*state, &a);
    assert_built(&a);
    machine_fetch_image(*state, "ws/a/labels", "latest", &config, &layers);
    assert_true(buf_holds(&config, "\"dev.kiln.program\":\"kiln 0.1.0\""));
    assert_true(buf_holds(&config, "\"mine\":\"1\""));
    assert_false(buf_holds(&config, "buildah"));
    buf_release(&config);
    buf_release(&layers);
    attempt_release(&a);
}

static void test_the_rules_that_are_given_hold_and_no_file_of_the_context_does(void **state)
{
    static const char *const files[] = {
        ".dockerignore", "keep.log\n", ".containerignore", "sub\n", "a.log", "1",
        "keep.log",      "2",          "sub/b.txt",        "3",     NULL};
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .ignore = "*.log\n!keep.log\n",
                        .dockerfile = "FROM alpine:3.20\nCOPY . /c\n"
                                      "RUN cd /c && [ ! -e a.log ] && [ -e keep.log ] && "
                                      "[ -e sub/b.txt ]\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    attempt_release(&a);
}

static void test_without_rules_everything_is_copied(void **state)
{
    static const char *const files[] = {
        ".containerignore", "a\n", ".dockerignore", "a\n", "a", "1", NULL};
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile = "FROM alpine:3.20\nCOPY . /c\nRUN [ -e /c/a ]\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    attempt_release(&a);
}

static void test_the_dockerfile_is_not_in_the_context(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nCOPY . /c\nRUN [ -z \"$(ls -A /c)\" ]\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    attempt_release(&a);
}

/* sudo in a Dockerfile: nothing must stand in the way of a set-uid program of the image. */
static void test_set_uid_programs_of_an_image_work_in_a_run(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nUSER node\n"
                                      "RUN grep NoNewPrivs /proc/self/status\n"
                                      "RUN ! grep ' / ' /proc/mounts | grep nosuid\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "NoNewPrivs:\t0");
    attempt_release(&a);
}

static void test_localhost_is_known_in_a_run(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile =
                            "FROM alpine:3.20\nRUN cat /etc/hosts; ping -c1 -W1 127.0.0.1;"
                            " grep -q 'localhost' /etc/hosts\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    attempt_release(&a);
}

#define PACKAGE(name) "{\"name\":\"" name "\",\"version\":\"1.0.0\"}"

static size_t count_listed_layers(const struct machine *m)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/cache/listed/packages", m->config.dir);
    return count_entries(path);
}

/* Each layer is looked at once, and hides what is below it. */
static void test_the_packages_of_an_image_are_those_that_it_shows(void **state)
{
    static const char *const files[] = {"node_modules/kept/package.json",
                                        PACKAGE("kept"),
                                        "node_modules/gone/package.json",
                                        PACKAGE("gone"),
                                        "node_modules/other/package.json",
                                        PACKAGE("old"),
                                        "opt/node_modules/hidden/package.json",
                                        PACKAGE("hidden"),
                                        NULL};
    struct attempt a = {.workspace = "listed",
                        .images = ALPINE,
                        .files = files,
                        .dockerfile =
                            "FROM alpine:3.20\nCOPY . /srv/\n"
                            "RUN rm -r /srv/node_modules/gone /srv/opt && mkdir /srv/opt "
                            "&& rm /srv/node_modules/other/package.json\n"
                            "RUN echo '" PACKAGE("new") "' "
                                                        ">/srv/node_modules/other/package.json\n"};
    struct attempt again = a;
    size_t layers;

    again.cached = true;
    attempt_run(*state, &a);
    assert_built(&a);
    assert_true(buf_holds(&a.image.packages, "\"kept\""));
    assert_true(buf_holds(&a.image.packages, "\"new\""));
    assert_false(buf_holds(&a.image.packages, "\"gone\""));
    assert_false(buf_holds(&a.image.packages, "\"old\""));
    assert_false(buf_holds(&a.image.packages, "\"hidden\""));
    layers = count_listed_layers(*state);
    assert_int_equal(layers, 4); /* of the base, and three steps */
    attempt_run(*state, &again);
    assert_built(&again);
    assert_string_equal(buf_str(&again.image.packages), buf_str(&a.image.packages));
    assert_int_equal(count_listed_layers(*state), layers);
    attempt_release(&a);
    attempt_release(&again);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dockerfile_becomes_an_image_in_the_registry),
        cmocka_unit_test(test_the_packages_of_an_image_are_those_that_it_shows),
        cmocka_unit_test(test_a_step_begins_when_what_it_takes_files_from_is_there),
        cmocka_unit_test(test_bases_are_found_by_every_name_they_have),
        cmocka_unit_test(test_a_base_is_found_by_its_digest_with_and_without_a_tag),
        cmocka_unit_test(test_stages_images_and_scratch_are_copied_from),
        cmocka_unit_test(test_an_image_from_scratch_needs_no_base),
        cmocka_unit_test(test_a_failing_command_is_named_with_its_stage_step_and_exit_code),
        cmocka_unit_test(test_a_failing_copy_has_no_exit_code),
        cmocka_unit_test(test_a_base_that_was_not_pulled_is_not_fetched),
        cmocka_unit_test(test_values_of_build_arguments_reach_a_run_and_nothing_else),
        cmocka_unit_test(test_labels_stand_in_the_config),
        cmocka_unit_test(test_the_rules_that_are_given_hold_and_no_file_of_the_context_does),
        cmocka_unit_test(test_without_rules_everything_is_copied),
        cmocka_unit_test(test_the_dockerfile_is_not_in_the_context),
        cmocka_unit_test(test_set_uid_programs_of_an_image_work_in_a_run),
        cmocka_unit_test(test_localhost_is_known_in_a_run),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
