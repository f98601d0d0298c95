/* Eight times the text takes about eight times as long, whatever it is made of.
 *
 * What grows with the square takes 64 times as long; the bound lies between, far from both, because
 * the clock is the machine's. */
#include <time.h>

#include "tests/dockerfile/sample.h"

#include "dockerfile/source.h"

#define SMALL ((size_t)24 << 10)
#define TIMES 8
#define BOUND 24.0

/* start, then piece again and again, with an LF whenever a line grows long, then end. */
struct shape {
    const char *what, *start, *piece, *end;
    bool one_line; /* no LFs */
};

static const struct shape shapes[] = {
    {"continuations", "FROM a\nRUN x", " \\\n y", "\n", true},
    {"bare escapes", "FROM a\nRUN x", " \\\n\\\n", "\n", true},
    {"comments in a continuation", "FROM a\nRUN x \\\n", "# c\n\n", "y\n", true},
    {"instructions", "FROM a\n", "ENV a=b\n", "", true},
    {"flags", "FROM a\nRUN ", "--mount=from=b,target=c ", "x\n", false},
    {"flags over lines", "FROM a\nRUN ", "--mount=target=c \\\n", "x\n", true},
    {"unclosed quotes", "FROM a\nRUN --x", "\"'", "\n", true},
    {"words", "FROM a\nCOPY ", "x ", "y\n", false},
    {"quoted words", "FROM a\nENV ", "a=\"b c\" ", "d=e\n", false},
    {"JSON strings", "FROM a\nCMD [\"\"", ",\"a\\u00e9\"", "]\n", true},
    {"nested JSON", "FROM a\nCMD ", "[", "\n", true},
    {"JSON that breaks at its end", "FROM a\nCMD [\"\"", ",\"a\"", "\n", true},
    {"heredoc marks", "FROM a\nCMD x\nRUN x ", "<< \"", "\n", true},
    {"a long heredoc", "FROM a\nRUN <<-E\n", "\t\tx\n\tEE\n", "E\n", true},
    {"empty heredocs", "FROM a\nRUN", " <<E", "\nE\n", true},
    {"variables", "ARG x=abcdefghijklmnop\nFROM ", "${x}", "\n", true},
    {"unset variables", "FROM a", "$x${y}", "\n", true},
    {"defaults in defaults", "FROM ", "${x:-", "\n", true},
    {"patterns", "ARG x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nFROM a", "${x%%*a*a*a*b}", "\n", true},
    {"arguments", "", "ARG a b=$a\n", "FROM a\n", true},
    {"triggers", "FROM a\n", "ONBUILD ", "RUN x\n", true},
    {"copies", "FROM a\n", "COPY --from=b /*/*/* /x\n", "", true},
    {"long names", "FROM a\nCOPY --from=", "b", " /a /b\n", true},
    {"files that could be the entrypoint", "FROM a\nENTRYPOINT [\"x\", \"y\", \"z\"]\n",
     "COPY a b* /\n", "", true},
    {"sources of one copy", "FROM a\nENTRYPOINT [\"x\", \"y\", \"z\"]\nCOPY ", "a b* ", "/\n",
     false},
    {"words of an entrypoint", "FROM a\nCOPY . /\nENTRYPOINT ", "a.sh ", "\n", false},
    {"entrypoints", "FROM a\n", "ENTRYPOINT [\"x\"]\nCMD y z\n", "", true},
    {"commands beside a mount",
     "FROM ghcr.io/x/sandbox AS s\nFROM a\nRUN --mount=from=s,target=/m --mount=from=s,target=/n ",
     "cp /m/s* /n/sandbox-api /x; ", "\n", false},
    {"runs with a mount", "FROM ghcr.io/x/sandbox AS s\nFROM a\n",
     "RUN --mount=from=s,target=/m cp /m/sandbox-api /x\n", "", true},
    {"long paths", "FROM ghcr.io/blaxel-ai/sandbox\nFROM a\nCOPY --from=0 / ", "/a/..", "/b\n",
     true},
};

static void make(const struct shape *s, size_t size, struct buf *out)
{
    size_t line = 0;

    buf_clear(out);
    buf_adds(out, s->start);
    while (out->len < size) {
        buf_adds(out, s->piece);
        line += strlen(s->piece);
        if (!s->one_line && line > 60000) {
            buf_adds(out, "\\\n");
            line = 0;
        }
    }
    buf_adds(out, s->end);
}

/* All that is asked of a Dockerfile; whether it is a good one does not matter here. */
static void work(const struct buf *text)
{
    static const struct dockerfile_limits wide = {.text_max = 16 << 20,
                                                  .line_max = 16 << 20,
                                                  .instructions_max = 1 << 20,
                                                  .stages_max = 1 << 20};
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    CLEANUP(buf_release) struct buf excerpt = BUF_INIT(32 << 20);
    static const struct dockerfile_source_file file = {.path = "a/x", .text = "x"};
    static const struct dockerfile_source_files files = {.v = &file, .n = 1};
    const struct dockerfile_source context = dockerfile_source_memory(&files);
    const struct dockerfile_sandbox_request request = {.image = "ghcr.io/x/sandbox",
                                                       .context = &context};
    struct argv no_args = ARGV_INIT;
    struct dockerfile_injection injection;
    struct dockerfile *d;
    struct error err;

    dockerfile_excerpt_text(buf_str(text), text->len, 2, 3, &excerpt);
    if (dockerfile_parse(buf_str(text), text->len, &wide, &d, &err) < 0)
        return;
    (void)!dockerfile_images(d, &no_args, &images, &err);
    if (dockerfile_inject_sandbox_api(d, &request, &injection, &err) == 0)
        dockerfile_injection_release(&injection);
    dockerfile_free(d);
}

/* CPU seconds of the fastest of five runs. */
static double measure(const struct shape *s, size_t size)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(32 << 20);
    double best = 1e9;

    make(s, size, &text);
    assert_false(text.full);
    for (int i = 0; i < 5; i++) {
        struct timespec from, to;
        double seconds;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        work(&text);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
        if (seconds < best)
            best = seconds;
    }
    return best;
}

static void test_eight_times_the_text_takes_about_eight_times_as_long(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        double small = measure(&shapes[i], SMALL);
        double large = measure(&shapes[i], SMALL * TIMES);

        print_message("%-28s %8.3f ms %8.3f ms  x%.1f\n", shapes[i].what, small * 1e3, large * 1e3,
                      large / small);
        /* Below a millisecond there is nothing to fear, and little to measure. */
        if (large > 0.001 && large > BOUND * small)
            fail_msg("%s", shapes[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_times_the_text_takes_about_eight_times_as_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
