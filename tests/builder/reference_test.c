/* Which images may be named, and where a pull may go. */
#include "machine.h"

#include <string.h>

#include "builder/reference.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_a_name_is_filled_in_as_docker_does(void **state)
{
    static const struct {
        const char *given, *full, *host;
    } cases[] = {
        {"alpine", "docker.io/library/alpine:latest", "docker.io"},
        {"alpine:3.20", "docker.io/library/alpine:3.20", "docker.io"},
        {"user/app", "docker.io/user/app:latest", "docker.io"},
        {"docker.io/alpine", "docker.io/library/alpine:latest", "docker.io"},
        {"index.docker.io/library/alpine:1", "docker.io/library/alpine:1", "docker.io"},
        {"ghcr.io/a/b:c", "ghcr.io/a/b:c", "ghcr.io"},
        {"localhost/a", "localhost/a:latest", "localhost"},
        {"host:5000/a/b", "host:5000/a/b:latest", "host:5000"},
        {"[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000"},
        {"a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "docker.io"},
        {"alpine@sha256:" HEX64, "docker.io/library/alpine@sha256:" HEX64, "docker.io"},
        {"alpine:3.20@sha256:" HEX64, "docker.io/library/alpine@sha256:" HEX64, "docker.io"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reference r;
        struct error err = ERROR_INIT;

        assert_int_equal(reference_parse(cases[i].given, &r, &err), 0);
        assert_string_equal(r.full, cases[i].full);
        assert_string_equal(r.host, cases[i].host);
    }
}

static void test_what_is_no_name_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "oci-archive:/x",
        "docker-daemon:alpine:3",
        "containers-storage:[overlay@/a]b",
        "dir:/etc",
        "docker://alpine",
        "Alpine",
        "a//b",
        "a/",
        "/a",
        "a:",
        "a:b:c",
        "a:-x",
        "a@sha256:short",
        "a@sha256",
        "a b",
        "a\nb",
        "a..b/c",
        "a___b",
        "host:99999999/a",
        "host:/a",
        "-a",
        "--all-tags",
        "a;b",
        "é",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reference r;
        struct error err = ERROR_INIT;

        if (reference_parse(cases[i], &r, &err) == 0)
            fail_msg("\"%s\" was taken for %s", cases[i], r.full);
        assert_int_equal(err.kind, ERR_INPUT);
    }
}

static void test_a_pull_goes_to_other_machines_mirrors_and_the_own_workspace(void **state)
{
    static const struct builder_mirror mirrors[] = {
        {"docker.io", "127.0.0.1:5000/mirror", true},
        {"localhost/tools", "127.0.0.1:5000/tools", true},
    };
    static const struct builder_config config = {
        .mirrors = mirrors, .n_mirrors = 2, .push_registry = "127.0.0.1:5000"};
    static char *words[] = {"ws3/sandbox/app"};
    static const struct argv shared = {.v = words, .n = 1};
    static const struct {
        const char *image;
        enum reference_place place;
    } cases[] = {
        {"alpine", REFERENCE_CONFIGURED},
        {"docker.io/x/y", REFERENCE_CONFIGURED},
        {"localhost/tools/a", REFERENCE_CONFIGURED},
        {"localhost/tools", REFERENCE_CONFIGURED},
        {"localhost/toolsy", REFERENCE_FORBIDDEN},
        {"docker.io.evil.example/x", REFERENCE_OUTSIDE},
        {"ghcr.io/x/y", REFERENCE_OUTSIDE},
        {"10.0.0.5:5000/x", REFERENCE_OUTSIDE},
        {"127.0.0.1:5000/ws/sandbox/app", REFERENCE_CONFIGURED},
        {"127.0.0.1:5000/ws2/sandbox/app", REFERENCE_FOREIGN},
        {"127.0.0.1:5000/ws", REFERENCE_FOREIGN},
        {"127.0.0.1:5000/ws3/sandbox/app", REFERENCE_CONFIGURED},
        {"127.0.0.1:5000/ws3/sandbox/app:one", REFERENCE_CONFIGURED},
        {"127.0.0.1:5000/ws3/sandbox/app@sha256:" HEX64, REFERENCE_CONFIGURED},
        {"127.0.0.1:5000/ws3/sandbox/apps", REFERENCE_FOREIGN},
        {"127.0.0.1:5000/ws3/sandbox/app/more", REFERENCE_FOREIGN},
        {"127.0.0.1:5000/ws3/agent/app", REFERENCE_FOREIGN},
        {"127.0.0.1:5001/ws3/sandbox/app", REFERENCE_FORBIDDEN},
        {"127.0.0.1:5001/ws/sandbox/app", REFERENCE_FORBIDDEN},
        {"localhost:5000/ws/sandbox/app", REFERENCE_FORBIDDEN},
        {"localhost./x", REFERENCE_FORBIDDEN},
        {"LOCALHOST/x", REFERENCE_FORBIDDEN},
        {"a.localhost/x", REFERENCE_FORBIDDEN},
        {"127.1:80/x", REFERENCE_FORBIDDEN},
        {"127.255.255.254:80/x", REFERENCE_FORBIDDEN},
        {"2130706433:80/x", REFERENCE_FORBIDDEN},
        {"0x7f000001:80/x", REFERENCE_FORBIDDEN},
        {"0177.0.0.1/x", REFERENCE_FORBIDDEN},
        {"0.0.0.0:80/x", REFERENCE_FORBIDDEN},
        {"169.254.169.254/x", REFERENCE_FORBIDDEN},
        {"100.100.100.200/x", REFERENCE_FORBIDDEN},
        {"[::1]:5000/x", REFERENCE_FORBIDDEN},
        {"[::]:5000/x", REFERENCE_FORBIDDEN},
        {"[fe80::1]:5000/x", REFERENCE_FORBIDDEN},
        {"[fd00:ec2::254]/x", REFERENCE_FORBIDDEN},
        {"[::ffff:127.0.0.1]:5000/x", REFERENCE_FORBIDDEN},
        {"[2001:db8::1]:5000/x", REFERENCE_OUTSIDE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reference r;
        struct error err = ERROR_INIT;

        if (reference_parse(cases[i].image, &r, &err) < 0)
            fail_msg("%s", err.msg);
        if (reference_where(&r, &config, "ws", &shared) != cases[i].place)
            fail_msg("%s is in another place", cases[i].image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_filled_in_as_docker_does),
        cmocka_unit_test(test_what_is_no_name_is_refused),
        cmocka_unit_test(test_a_pull_goes_to_other_machines_mirrors_and_the_own_workspace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
