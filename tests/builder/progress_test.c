/* What is read out of buildah's lines; they are copied from buildah 1.28.2. */
#include "machine.h"

#include <signal.h>
#include <string.h>

#include "builder/buildah.h"

static void say(struct progress *p, enum process_stream stream, const char *line)
{
    const struct process_sink sink = progress_sink(p);

    sink.line(sink.self, stream, line, strlen(line));
}

static void keep(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    buf_clear(self);
    buf_add(self, text, len);
}

static void test_signatures_in_urls_are_not_passed_on(void **state)
{
    struct buf got = BUF_INIT(1000);
    const struct process_sink next = {keep, &got};
    struct progress p;

    (void)state;
    progress_init(&p, &next);
    p.hide_queries = true;
    say(&p, PROCESS_STDERR, "Error: Get \"https://cdn.example/b?X-Sig=s3cr3t&a=b\": EOF");
    assert_string_equal(buf_str(&got), "Error: Get \"https://cdn.example/b?…\": EOF");
    assert_null(strstr(p.fault, "s3cr3t"));
    say(&p, PROCESS_STDERR, "really? yes");
    assert_string_equal(buf_str(&got), "really? yes");
    buf_release(&got);
}

static void test_the_reason_of_a_failed_pull_is_recognised(void **state)
{
    static const struct {
        const char *line;
        enum buildah_fault fault;
    } cases[] = {
        {"Error: initializing source docker://alpine:x: reading manifest x in 127.0.0.1:1/library/"
         "alpine: manifest unknown: manifest unknown",
         BUILDAH_FAULT_ABSENT},
        {"Error: initializing source docker://a/b:latest: reading manifest latest in "
         "docker.io/a/b: "
         "errors:\ndenied: requested access to the resource is denied",
         BUILDAH_FAULT_DENIED},
        {"Error: initializing source docker://x/y:z: unable to retrieve auth token: invalid "
         "username/password: unauthorized: incorrect username or password",
         BUILDAH_FAULT_DENIED},
        {"Error: initializing source docker://alpine:3: pinging container registry 127.0.0.1:5000: "
         "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
         BUILDAH_FAULT_REMOTE},
        {"Error: dial tcp: lookup quay.invalid: Name or service not known", BUILDAH_FAULT_REMOTE},
        {"Error: Source image rejected: Running image docker://a is rejected by policy.",
         BUILDAH_FAULT_REFUSED},
        {"Error: writing blob: no space left on device", BUILDAH_FAULT_OURS},
        {"Error: something else", BUILDAH_FAULT_OURS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct progress p;

        progress_init(&p, NULL);
        say(&p, PROCESS_STDERR, cases[i].line);
        assert_int_equal(buildah_read_fault(&p), cases[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_in_urls_are_not_passed_on),
        cmocka_unit_test(test_the_reason_of_a_failed_pull_is_recognised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
