/* Commands in containers of their own: what they get, how they end, and what is left of them. */
#include "run_fixture.h"

#include <string.h>

static void test_output_comes_by_stream_and_the_exit_code_is_the_commands(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=echo out; echo err >&2; exit 3");
    assert_line(&r, "1 out");
    assert_line(&r, "2 err");
    assert_line(&r, "exited 3");
    ASSERT_CLEAN(&r, "/etc");
    ran_release(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_comes_by_stream_and_the_exit_code_is_the_commands),
    };

    builder_jail_main(argc, argv, run_fixture_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
