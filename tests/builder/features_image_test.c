/* Stages, arguments, configuration and layers: what an image is beside its COPYs and RUNs. */
#include "feature.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_the_configuration_is_all_that_was_written(void **state)
{
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .dockerfile =
            "FROM alpine:3.20\n"
            "MAINTAINER me\n"
            "ENV A=1 B=\"two words\"\n"
            "ENV A=$B C=${A:-x}\n"
            "LABEL l=\"a b\" m=$A\n"
            "EXPOSE 80 53/udp 7000-7002\n"
            "VOLUME /v [\"/w\"]\n"
            "VOLUME [\"/x y\"]\n"
            "STOPSIGNAL SIGINT\n"
            "HEALTHCHECK --interval=5s --timeout=2s --start-period=1m --start-interval=3s "
            "--retries=4 CMD [\"/bin/true\"]\n"
            "ONBUILD COPY . /app\n"
            "ENTRYPOINT [\"/bin/echo\"]\n"
            "CMD [\"x\"]\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen, "");
    assert_int_equal(seen.n_layers, 0);
    assert_config(&seen, "author", "\"me\"");
    assert_config(&seen, "config.Env",
                  "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
                  "\"A=two words\",\"B=two words\",\"C=1\"]");
    assert_config(&seen, "config.Labels.l", "\"a b\"");
    assert_config(&seen, "config.Labels.m", "\"two words\"");
    assert_config(&seen, "config.ExposedPorts",
                  "{\"53/udp\":{},\"7000/tcp\":{},\"7001/tcp\":{},\"7002/tcp\":{},\"80/tcp\":{}}");
    assert_config(&seen, "config.Volumes./v", "{}");
    assert_config(&seen, "config.Volumes./x y", "{}");
    assert_config(&seen, "config.StopSignal", "\"SIGINT\"");
    assert_config(&seen, "config.Healthcheck.Test", "[\"CMD\",\"/bin/true\"]");
    assert_config(&seen, "config.Healthcheck.Interval", "5000000000");
    assert_config(&seen, "config.Healthcheck.Timeout", "2000000000");
    assert_config(&seen, "config.Healthcheck.StartPeriod", "60000000000");
    assert_config(&seen, "config.Healthcheck.StartInterval", "3000000000");
    assert_config(&seen, "config.Healthcheck.Retries", "4");
    assert_config(&seen, "config.OnBuild", "[\"COPY . /app\"]");
    assert_config(&seen, "config.Entrypoint", "[\"/bin/echo\"]");
    assert_config(&seen, "config.Cmd", "[\"x\"]");
    features_release(&a, &seen);
}

static void test_an_entrypoint_takes_the_command_of_the_base_away(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE, .dockerfile = "FROM alpine:3.20\nENTRYPOINT exec x\n"};

    features_build(*state, &a, &seen);
    assert_config(&seen, "config.Entrypoint", "[\"/bin/sh\",\"-c\",\"exec x\"]");
    assert_config(&seen, "config.Cmd", "null");
    features_release(&a, &seen);
}

static void test_from_scratch_has_a_path_and_a_working_directory(void **state)
{
    struct seen seen;
    struct attempt a = {.dockerfile = "FROM scratch\nHEALTHCHECK NONE\nCOPY <<f /\n1\nf\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen, "f 644 0:0 f \"1\\n\"\n");
    assert_config(&seen, "config.Env",
                  "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"]");
    assert_config(&seen, "config.WorkingDir", "\"/\"");
    assert_config(&seen, "config.Healthcheck.Test", "[\"NONE\"]");
    assert_config(&seen, "os", "\"linux\"");
    assert_config(&seen, "architecture", "\"amd64\"");
    features_release(&a, &seen);
}

static void test_triggers_run_in_the_build_on_top(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    const struct machine *m = *state;
    char text[256], image[128];
    struct seen seen;
    struct attempt base = {.images = ALPINE,
                           .push_to = "ws/features/onbuild",
                           .dockerfile = "FROM alpine:3.20\n"
                                         "ONBUILD COPY f /app/\n"
                                         "ONBUILD RUN cat /app/f >/ran\n"
                                         "ONBUILD ENV T=1\n"};
    struct attempt a = {.images = image, .files = files, .dockerfile = text};

    attempt_run(m, &base);
    assert_built(&base);
    (void)snprintf(image, sizeof(image), "%s/ws/features/onbuild:latest", m->address);
    (void)snprintf(text, sizeof(text), "FROM %s\nRUN echo $T >>/ran\n", image);
    features_build(m, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 app\n"
                 "f 644 0:0 app/f \"1\"\n"
                 "f 644 0:0 ran \"11\\n\"\n");
    assert_config(&seen, "config.OnBuild", "null");
    attempt_release(&base);
    features_release(&a, &seen);
}

static void test_only_the_stages_that_the_target_needs_are_built(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20 AS needed\n"
                                      "RUN echo 1 >/x\n"
                                      "FROM alpine:3.20 AS not-needed\n"
                                      "RUN exit 3\n"
                                      "FROM needed\n"
                                      "RUN cat /x\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_does_not_say(&a, "not-needed");
    attempt_release(&a);
}

/* Each writes down when it began, waits, and writes down when it ended. */
static void test_stages_that_do_not_need_each_other_run_beside_each_other(void **state)
{
    struct attempt a = {
        .images = ALPINE,
        .dockerfile = "FROM alpine:3.20 AS one\n"
                      "RUN cut -d' ' -f1 /proc/uptime >/t && sleep 1 && "
                      "cut -d' ' -f1 /proc/uptime >>/t\n"
                      "FROM alpine:3.20 AS two\n"
                      "RUN : && cut -d' ' -f1 /proc/uptime >/t && sleep 1 && "
                      "cut -d' ' -f1 /proc/uptime >>/t\n"
                      "FROM alpine:3.20\n"
                      "COPY --from=one /t /one\n"
                      "COPY --from=two /t /two\n"
                      "RUN { head -n1 /one; head -n1 /two; } | sort -n | tail -n1 >/last-begin && "
                      "{ tail -n1 /one; tail -n1 /two; } | sort -n | head -n1 >/first-end && "
                      "[ \"$(sort -n /last-begin /first-end | head -n1)\" = \"$(cat /last-begin)\" "
                      "]\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    attempt_release(&a);
}

static void test_arguments_are_seen_where_they_are_declared(void **state)
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .build_args = &args,
                        .dockerfile = "ARG TAG=3.20\n"
                                      "ARG GLOBAL=g\n"
                                      "FROM alpine:${TAG} AS first\n"
                                      "ARG OWN=o\n"
                                      "ARG GIVEN=default\n"
                                      "RUN echo \"1 $GLOBAL $OWN $GIVEN $HTTP_PROXY\" >/o\n"
                                      "ARG GLOBAL\n"
                                      "ENV OWN=env\n"
                                      "ARG OWN=late\n"
                                      "RUN echo \"2 $GLOBAL $OWN $UNDECLARED\" >>/o\n"
                                      "FROM first\n"
                                      "ARG TARGETARCH\n"
                                      "RUN echo \"3 $GLOBAL $GIVEN $TARGETARCH\" >>/o\n"};

    argv_push(&args, "GIVEN=gi-ven", "UNDECLARED=u", "HTTP_PROXY=http://p-roxy", NULL);
    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 644 0:0 o \"1  o gi-ven http://p-roxy\\n2 g late \\n3 g gi-ven amd64\\n\"\n");
    assert_false(buf_holds(&seen.config, "gi-ven"));
    assert_false(buf_holds(&seen.config, "p-roxy"));
    features_release(&a, &seen);
}

static const char reproducible[] =
    "FROM alpine:3.20 AS build\n"
    "ARG SOURCE_DATE_EPOCH\n"
    "RUN mkdir /d && for i in c a b; do date >/d/$i.tmp; echo $i >/d/$i; done; rm /d/*.tmp\n"
    "FROM alpine:3.20\n"
    "WORKDIR /app\n"
    "COPY --chmod=600 . src\n"
    "COPY --from=build /d d\n"
    "ADD <<EOF now\n"
    "EOF\n"
    "RUN ln d/a d/linked && rm /etc/alpine-release && touch now && mkdir -p /deep/er\n"
    "ENV X=1\n";

static void build_reproducibly(const struct machine *m, const char *workspace, const char *repo,
                               const char *const *files, const char *epoch, char digest[128])
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    struct attempt a = {.workspace = workspace,
                        .images = ALPINE,
                        .files = files,
                        .build_args = &args,
                        .dockerfile = reproducible,
                        .push_to = repo};

    argv_pushf(&args, "SOURCE_DATE_EPOCH=%s", epoch);
    attempt_run(m, &a);
    assert_built(&a);
    assert_int_equal(a.image.n_cached, 0);
    (void)snprintf(digest, 128, "%s", a.digest);
    attempt_release(&a);
}

static void test_two_builds_with_a_date_are_equal_to_the_bit(void **state)
{
    static const char *const one[] = {"a", "1", "s/b", "2", NULL};
    static const char *const two[] = {"s/b", "2", "a", "1", NULL};
    char digests[3][128];

    build_reproducibly(*state, "first", "first/features/x", one, "1700000000", digests[0]);
    sleep(1); /* times are whole seconds */
    build_reproducibly(*state, "second", "second/features/x", two, "1700000000", digests[1]);
    build_reproducibly(*state, "third", "third/features/x", two, "1700000001", digests[2]);
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
}

static void test_layers_say_what_was_removed_remade_and_linked(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .dockerfile =
                            "FROM alpine:3.20\n"
                            "RUN rm /etc/alpine-release\n"
                            "RUN rm -rf /var/log && mkdir /var/log && echo 1 >/var/log/x\n"
                            "RUN rm -r /home/node\n"
                            "RUN mkdir /h && echo 1 >/h/a && ln /h/a /h/b && ln -s a /h/c\n"
                            "RUN mkfifo -m 640 /h/pipe && chmod 2755 /h\n"
                            "RUN true\n"
                            "RUN touch /tmp/x && rm /tmp/x && mkdir -p /srv/x && rm -r /srv\n"
                            "RUN chmod 700 /lib\n"
                            "RUN echo 2 >>/etc/group && echo 1 >/gone && rm /gone\n"};

    features_build(*state, &a, &seen);
    assert_int_equal(seen.n_layers, 7);
    assert_files(&a, &seen,
                 "d 755 0:0 etc\n"
                 "f 0 0:0 etc/.wh.alpine-release \"\"\n"
                 "f 644 0:0 etc/group \"root:x:0:\\nnode:x:1000:\\nnogroup:x:65534:\\n2\\n\"\n"
                 "d 2755 0:0 h\n"
                 "f 644 0:0 h/a \"1\\n\"\n"
                 "h h/b = h/a\n"
                 "l h/c -> a\n"
                 "o 640 0:0 h/pipe\n"
                 "d 755 0:0 home\n"
                 "f 0 0:0 home/.wh.node \"\"\n"
                 "d 700 0:0 lib\n"
                 "d 755 0:0 var\n"
                 "d 755 0:0 var/log\n"
                 "f 0 0:0 var/log/.wh..wh..opq \"\"\n"
                 "f 644 0:0 var/log/x \"1\\n\"\n");
    features_release(&a, &seen);
}

static void test_long_names_and_paths_stay_whole(void **state)
{
    CLEANUP(buf_release) struct buf deep = BUF_INIT(4096);
    CLEANUP(buf_release) struct buf text = BUF_INIT(16384);
    CLEANUP(buf_release) struct buf expected = BUF_INIT(16384);
    struct seen seen;
    struct attempt a = {.images = ALPINE};

    for (int i = 0; i < 8; i++)
        buf_addf(&deep, "/%.*s%d", 100,
                 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
                 "nnnnnnnnnnnnnnnnnnnn",
                 i);
    buf_addf(&text,
             "FROM alpine:3.20 AS build\nRUN mkdir -p %s && echo 1 >%s/f && ln %s/f /h && ln -s %s "
             "/l\nFROM scratch\nCOPY --from=build /h /l /\nCOPY --from=build %s/f %s/\n",
             buf_str(&deep), buf_str(&deep), buf_str(&deep), buf_str(&deep), buf_str(&deep),
             buf_str(&deep));
    a.dockerfile = buf_str(&text);
    features_build(*state, &a, &seen);
    buf_addf(&expected, "f 644 0:0 %s/f \"1\\n\"\n", buf_str(&deep) + 1);
    assert_true(buf_holds(&seen.files, buf_str(&expected)));
    features_release(&a, &seen);
}

static void test_a_dockerfile_may_have_130_steps(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(65536);
    struct seen seen;
    struct attempt a = {.images = ALPINE};

    buf_adds(&text, "FROM alpine:3.20\n");
    for (int i = 0; i < 128; i++)
        buf_addf(&text, "COPY <<f%d /d/\n%d\nf%d\n", i, i, i);
    buf_adds(&text, "RUN ls /d | wc -l >/n\nRUN cat /d/f0 /d/f127 >>/n\n");
    a.dockerfile = buf_str(&text);
    features_build(*state, &a, &seen);
    assert_int_equal(seen.n_layers, 130);
    assert_true(buf_holds(&seen.files, "f 644 0:0 n \"128\\n0\\n127\\n\"\n"));
    features_release(&a, &seen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_configuration_is_all_that_was_written),
        cmocka_unit_test(test_an_entrypoint_takes_the_command_of_the_base_away),
        cmocka_unit_test(test_from_scratch_has_a_path_and_a_working_directory),
        cmocka_unit_test(test_triggers_run_in_the_build_on_top),
        cmocka_unit_test(test_only_the_stages_that_the_target_needs_are_built),
        cmocka_unit_test(test_stages_that_do_not_need_each_other_run_beside_each_other),
        cmocka_unit_test(test_arguments_are_seen_where_they_are_declared),
        cmocka_unit_test(test_two_builds_with_a_date_are_equal_to_the_bit),
        cmocka_unit_test(test_layers_say_what_was_removed_remade_and_linked),
        cmocka_unit_test(test_long_names_and_paths_stay_whole),
        cmocka_unit_test(test_a_dockerfile_may_have_130_steps),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
