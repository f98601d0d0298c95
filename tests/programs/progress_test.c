/* What somebody who waits sees: in a terminal a line that changes, in a log a line now and then. */
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* clang-format off: cmocka wants those before it */
#include <cmocka.h>
/* clang-format on */

#include "base/clock.h"
#include "programs/progress_line.h"

/* stderr is `to` while this runs; what was said is in ret. */
struct saying {
    int kept, from;
};

static void begin(struct saying *s, bool terminal)
{
    int ends[2] = {-1, -1};

    if (terminal)
        assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
    else
        assert_int_equal(pipe(ends), 0);
    s->kept = dup(STDERR_FILENO);
    s->from = ends[0];
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
}

static void end(struct saying *s, char ret[512])
{
    size_t n = 0;

    fputs("#", stderr); /* so that its end is seen */
    (void)fflush(stderr);
    do
        assert_int_equal(read(s->from, ret + n, 1), 1);
    while (ret[n] != '#' && ++n < 511);
    ret[n] = '\0';
    assert_true(dup2(s->kept, STDERR_FILENO) >= 0);
    close(s->kept);
    close(s->from);
}

static void tell(struct progress_line *p, enum template_phase phase, uint64_t done, uint64_t total)
{
    const struct template_progress *progress = progress_line_of(p);

    if (progress)
        progress->report(progress->self, phase, done, total);
}

static void a_terminal_has_one_line_after_half_a_second(void **state)
{
    struct progress_line p;
    struct saying s;
    char said[512], c, more;
    double rate, left;

    (void)state;
    begin(&s, true);
    progress_line_init(&p, "packing", false);
    tell(&p, TEMPLATE_PACKING, 1, 100);
    p.started -= 10 * NS_PER_SEC;
    tell(&p, TEMPLATE_PACKING, 500000000, 1000000000);
    tell(&p, TEMPLATE_PACKING, 600000000, 1000000000); /* too soon */
    progress_line_end(&p);
    end(&s, said);
    /* How fast it is depends on how long this test was kept waiting. */
    assert_int_equal(sscanf(said,
                            "\r\033[Kpacking: 50 %% of 1.0 GB, %lf MB/s, %lf s left%c\033[K%c",
                            &rate, &left, &c, &more),
                     3);
    assert_true(rate > 0 && rate <= 50 && left >= 10);
}

static void a_log_has_a_line_every_ten_seconds(void **state)
{
    struct progress_line p;
    struct saying s;
    char said[512], c, more;
    double first, rate, left;

    (void)state;
    begin(&s, false);
    progress_line_init(&p, "collecting", false);
    p.started -= 9 * NS_PER_SEC;
    tell(&p, TEMPLATE_LOOKING, 1, 4);
    p.started -= 1 * NS_PER_SEC;
    tell(&p, TEMPLATE_LOOKING, 2, 4);
    tell(&p, TEMPLATE_LOOKING, 3, 4);
    p.shown -= 10 * NS_PER_SEC;
    tell(&p, TEMPLATE_WRITING, 250, 1000);
    progress_line_end(&p);
    end(&s, said);
    assert_int_equal(sscanf(said,
                            "collecting: 2 of 4 revisions read, %lf s left\n"
                            "collecting: 25 %% of 1.0 kB, %lf B/s, %lf s left%c%c",
                            &first, &rate, &left, &c, &more),
                     4);
    assert_true(first >= 9.5 && rate > 0 && rate <= 25 && left >= 29.5);
    assert_int_equal(c, '\n');
}

static void quiet_says_nothing(void **state)
{
    struct progress_line p;
    struct saying s;
    char said[512];

    (void)state;
    begin(&s, false);
    progress_line_init(&p, "reading", true);
    p.started -= 100 * NS_PER_SEC;
    assert_null(progress_line_of(&p));
    tell(&p, TEMPLATE_WRITING, 1, 2);
    end(&s, said);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_has_one_line_after_half_a_second),
        cmocka_unit_test(a_log_has_a_line_every_ten_seconds),
        cmocka_unit_test(quiet_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
