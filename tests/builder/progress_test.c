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

static void test_what_buildah_refuses_is_told_from_what_does_not_work(void **state)
{
    static const struct {
        const char *line;
        bool refuses;
    } cases[] = {
        {"Error: Source image rejected: Running image docker://a is rejected by policy.", true},
        {"Error: choosing an image from manifest list docker://a:1: no image found in manifest "
         "list "
         "for architecture amd64, variant \"\", OS linux",
         true},
        {"Error: writing blob: no space left on device", false},
        {"Error: something else", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct progress p;

        progress_init(&p, NULL);
        say(&p, PROCESS_STDERR, cases[i].line);
        assert_int_equal(buildah_refuses(p.fault), cases[i].refuses);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_buildah_refuses_is_told_from_what_does_not_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
