/* RUN: heredocs, mounts, network, users and shells, in the image and in what the commands say. */
#include "feature.h"

#include <stdio.h>
#include <string.h>

static void test_heredocs_are_scripts_and_inputs(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "ARG WHO=me\n"
                                      "RUN <<EOF\n"
                                      "set -e\n"
                                      "mkdir /o\n"
                                      "echo \"$WHO\" >/o/plain\n"
                                      "EOF\n"
                                      "RUN <<EOF\n"
                                      "#!/bin/busybox ash\n"
                                      "echo \"$0\" >/o/shebang\n"
                                      "EOF\n"
                                      "RUN cat <<one <<two >/o/last && cat <<three >/o/three\n"
                                      "1\n"
                                      "one\n"
                                      "2\n"
                                      "two\n"
                                      "$WHO\n"
                                      "three\n"
                                      "RUN cat <<'quoted' >/o/quoted\n"
                                      "$WHO\n"
                                      "quoted\n"
                                      "RUN cat >/o/tabs <<-TABS\n"
                                      "\t\tx\n"
                                      "\tTABS\n"
                                      "RUN <<-TABS\n"
                                      "\techo y >>/o/tabs\n"
                                      "\tTABS\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 o\n"
                 "f 644 0:0 o/last \"2\\n\"\n"
                 "f 644 0:0 o/plain \"me\\n\"\n"
                 "f 644 0:0 o/quoted \"$WHO\\n\"\n"
                 "f 644 0:0 o/shebang \"/dev/pipes/EOF\\n\"\n"
                 "f 644 0:0 o/tabs \"x\\ny\\n\"\n"
                 "f 644 0:0 o/three \"me\\n\"\n");
    features_release(&a, &seen);
}

static void test_a_bind_mount_shows_files_and_forgets_what_is_written(void **state)
{
    static const char *const files[] = {"f", "1", "d/g", "2", NULL};
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile =
                            "FROM scratch AS empty\n"
                            "FROM alpine:3.20 AS other\n"
                            "RUN echo 3 >/three\n"
                            "FROM alpine:3.20\n"
                            "WORKDIR /w\n"
                            "RUN --mount=target=/context --mount=type=bind,source=d,dst=sub,rw \\\n"
                            "    --mount=from=other,source=/three,target=/one-file \\\n"
                            "    --mount=from=alpine:3.20,source=etc,target=/etc-of-image,ro \\\n"
                            "    cat /context/f /w/sub/g /one-file /etc-of-image/alpine-release | "
                            "tr -d '\\n' >/o; \\\n"
                            "    touch /context/x 2>/dev/null || echo read-only >>/o; \\\n"
                            "    echo new >sub/g && cat sub/g >>/o\n"
                            "RUN --mount=source=d,target=/d,readwrite cat /d/g >>/o\n"
                            "RUN --mount=from=empty,target=/e --mount=from=empty,target=/w,rw "
                            "[ -z \"$(ls -A /e)\" ] && touch /w/x && ! touch /e/x 2>/dev/null\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 644 0:0 o \"1233.20.0read-only\\nnew\\n2\"\n"
                 "d 755 0:0 w\n");
    features_release(&a, &seen);
}

static void test_what_a_bind_mount_shows_decides_whether_the_run_is_cached(void **state)
{
    static const char *const one[] = {"f", "1", "unread", "1", NULL};
    static const char *const two[] = {"f", "1", "unread", "2", NULL};
    static const char *const three[] = {"f", "2", "unread", "2", NULL};
    static const char *const *const contexts[] = {one, two, three};
    static const size_t cached[] = {0, 1, 0};

    for (size_t i = 0; i < 3; i++) {
        struct attempt a = {.workspace = "binds",
                            .cached = true,
                            .images = ALPINE,
                            .files = contexts[i],
                            .dockerfile = "FROM alpine:3.20\n"
                                          "RUN --mount=source=f,target=/f cat /f\n"};

        attempt_run(*state, &a);
        assert_built(&a);
        assert_int_equal(a.image.n_cached, cached[i]);
        attempt_release(&a);
    }
}

static void test_a_cache_mount_persists_by_its_id_and_is_not_in_the_image(void **state)
{
    struct seen seen;
    struct attempt first = {
        .workspace = "caches",
        .images = ALPINE,
        .dockerfile =
            "FROM alpine:3.20 AS seed\n"
            "RUN mkdir /seed && echo 0 >/seed/from\n"
            "FROM alpine:3.20\n"
            "RUN --mount=type=cache,target=/c echo 1 >/c/n\n"
            "RUN --mount=type=cache,id=own,target=/c,sharing=locked echo 2 >/c/n\n"
            "RUN --mount=type=cache,target=/p,sharing=private echo 3 >/p/n\n"
            "RUN --mount=type=cache,target=/m,mode=0700,uid=1000,gid=12 "
            "stat -c '%a %u:%g' /m\n"
            "RUN --mount=type=cache,target=/s,from=seed,source=/seed echo 4 >/s/n\n"
            "USER node\n"
            "RUN --mount=type=cache,target=/home/node/.c,uid=1000 touch /home/node/.c/x\n"};
    struct attempt second = {
        .workspace = "caches",
        .push_to = "caches/features/image",
        .images = ALPINE,
        .dockerfile = "FROM alpine:3.20 AS seed\n"
                      "RUN mkdir /seed && echo 0 >/seed/from\n"
                      "FROM alpine:3.20\n"
                      "RUN --mount=type=cache,target=/c cat /c/n >>/o\n"
                      "RUN --mount=type=cache,id=own,target=/other cat /other/n >>/o\n"
                      "RUN --mount=type=cache,target=/p,sharing=private cat /p/n >>/o\n"
                      "RUN --mount=type=cache,target=/s,from=seed,source=/seed "
                      "cat /s/from /s/n >>/o\n"
                      "RUN --mount=type=cache,target=/s [ -z \"$(ls -A /s)\" ]\n"
                      "RUN --mount=type=cache,target=/c,ro touch /c/x || echo read-only >>/o\n"};

    attempt_run(*state, &first);
    assert_built(&first);
    assert_says(&first, "\n700 1000:12\n");
    features_build(*state, &second, &seen);
    assert_files(&second, &seen, "f 644 0:0 o \"1\\n2\\n3\\n0\\n4\\nread-only\\n\"\n");
    attempt_release(&first);
    features_release(&second, &seen);
}

static void test_a_tmpfs_is_empty_limited_and_forgotten(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .dockerfile =
                            "FROM alpine:3.20\n"
                            "RUN --mount=type=tmpfs,target=/t,size=1m [ -z \"$(ls -A /t)\" ] && "
                            "! head -c 2000000 /dev/zero >/t/x 2>/dev/null && "
                            "stat -c %s /t/x >/o && grep ' /t tmpfs' /proc/mounts\n"
                            "RUN --mount=type=tmpfs,target=/var/log echo 1 >/var/log/x\n"};

    features_build(*state, &a, &seen);
    assert_says(&a, "size=1024k");
    assert_files(&a, &seen, "f 644 0:0 o \"1048576\\n\"\n");
    features_release(&a, &seen);
}

static void test_a_secret_is_a_file_or_a_variable_and_not_in_the_image(void **state)
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .build_args = &args,
        .dockerfile =
            "FROM alpine:3.20\n"
            "RUN --mount=type=secret,id=TOKEN [ \"$(cat /run/secrets/TOKEN)\" = hush\"\"-hush ] && "
            "stat -c '%a %u:%g' /run/secrets/TOKEN >>/o\n"
            "RUN --mount=type=secret,id=TOKEN,target=/etc/t,mode=0440,uid=1000,gid=12 "
            "stat -c '%a %u:%g' /etc/t >>/o\n"
            "RUN --mount=type=secret,id=TOKEN,env=T [ \"$T\" = hush\"\"-hush ] && "
            "[ ! -e /run/secrets/TOKEN ] && echo env >>/o\n"
            "RUN --mount=type=secret,id=TOKEN,env=T,target=/both [ \"$T\" = \"$(cat /both)\" ] && "
            "echo both >>/o\n"
            "RUN --mount=type=secret,id=NONE [ ! -e /run/secrets/NONE ] && echo none >>/o\n"};

    argv_push(&args, "TOKEN=hush-hush", NULL);
    features_build(*state, &a, &seen);
    assert_files(&a, &seen, "f 644 0:0 o \"400 0:0\\n440 1000:12\\nenv\\nboth\\nnone\\n\"\n");
    assert_false(buf_holds(&seen.config, "hush-hush"));
    features_release(&a, &seen);
}

static void test_what_is_required_and_not_there_fails_plainly(void **state)
{
    struct attempt secret = {.images = ALPINE,
                             .dockerfile = "FROM alpine:3.20\n"
                                           "RUN --mount=type=secret,id=GONE,required true\n"};
    struct attempt ssh = {.images = ALPINE,
                          .dockerfile = "FROM alpine:3.20\n"
                                        "RUN --mount=type=ssh,required true\n"};
    struct attempt optional = {.images = ALPINE,
                               .dockerfile = "FROM alpine:3.20\n"
                                             "RUN --mount=type=ssh [ -z \"$SSH_AUTH_SOCK\" ]\n"};
    struct attempt source = {.images = ALPINE,
                             .dockerfile = "FROM alpine:3.20\n"
                                           "RUN --mount=source=gone,target=/x true\n"};

    assert_refused(*state, &secret, "secret GONE: not found");
    assert_refused(*state, &ssh,
                   "no SSH agent to offer; give the step a key or a token as a secret");
    assert_refused(*state, &source, "\"/gone\": not found");
    attempt_run(*state, &optional);
    assert_built(&optional);
    attempt_release(&secret);
    attempt_release(&ssh);
    attempt_release(&optional);
    attempt_release(&source);
}

static void test_network_none_has_lo_alone(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN --network=none tail -n +3 /proc/net/dev | wc -l; "
                                      "ip route | wc -l\n"
                                      "RUN --network=default true\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "\n1\n0\n");
    attempt_release(&a);
}

static void test_users_and_working_directories(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN mkdir -m 777 /o\n"
                                      "USER node\n"
                                      "WORKDIR /home/node/app/src\n"
                                      "RUN echo \"$(id -u):$(id -g) $HOME $PWD\" >/o/name\n"
                                      "USER 12:34\n"
                                      "RUN echo \"$(id -u):$(id -g) $HOME\" >/o/numbers\n"
                                      "WORKDIR sub\n"
                                      "USER node:nogroup\n"
                                      "RUN id -g >/o/group\n"
                                      "WORKDIR /home/node/app\n"
                                      "RUN pwd >/o/back\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 home\n"
                 "d 755 0:0 home/node\n"
                 "d 755 1000:1000 home/node/app\n"
                 "d 755 1000:1000 home/node/app/src\n"
                 "d 755 12:34 home/node/app/src/sub\n"
                 "d 777 0:0 o\n"
                 "f 644 1000:65534 o/back \"/home/node/app\\n\"\n"
                 "f 644 1000:65534 o/group \"65534\\n\"\n"
                 "f 644 1000:1000 o/name \"1000:1000 /home/node /home/node/app/src\\n\"\n"
                 "f 644 12:34 o/numbers \"12:34 /\\n\"\n");
    assert_config(&seen, "config.User", "\"node:nogroup\"");
    assert_config(&seen, "config.WorkingDir", "\"/home/node/app\"");
    features_release(&a, &seen);
}

static void test_shell_forms_use_the_shell_and_exec_forms_none(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN [\"/bin/sh\", \"-c\", \"echo $0 >/o\", \"exec\"]\n"
                                      "SHELL [\"/bin/busybox\", \"ash\", \"-ec\"]\n"
                                      "RUN false || true; tr '\\0' ' ' </proc/$$/cmdline >>/o; :\n"
                                      "RUN <<EOF\n"
                                      "echo \"$-\" | tr -dc e >>/o\n"
                                      "EOF\n"
                                      "CMD serve --all\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 644 0:0 o \"exec\\n/bin/busybox ash -ec false || true; "
                 "tr '\\0' ' ' </proc/$$/cmdline >>/o; : e\"\n");
    assert_config(&seen, "config.Cmd", "[\"/bin/busybox\",\"ash\",\"-ec\",\"serve --all\"]");
    assert_config(&seen, "config.Shell", "[\"/bin/busybox\",\"ash\",\"-ec\"]");
    features_release(&a, &seen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heredocs_are_scripts_and_inputs),
        cmocka_unit_test(test_a_bind_mount_shows_files_and_forgets_what_is_written),
        cmocka_unit_test(test_what_a_bind_mount_shows_decides_whether_the_run_is_cached),
        cmocka_unit_test(test_a_cache_mount_persists_by_its_id_and_is_not_in_the_image),
        cmocka_unit_test(test_a_tmpfs_is_empty_limited_and_forgotten),
        cmocka_unit_test(test_a_secret_is_a_file_or_a_variable_and_not_in_the_image),
        cmocka_unit_test(test_what_is_required_and_not_there_fails_plainly),
        cmocka_unit_test(test_network_none_has_lo_alone),
        cmocka_unit_test(test_users_and_working_directories),
        cmocka_unit_test(test_shell_forms_use_the_shell_and_exec_forms_none),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
