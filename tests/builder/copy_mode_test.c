/* --chmod: what becomes of a mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include "builder/copy_mode.h"

static const struct {
    const char *text;
    mode_t before, after;
} cases[] = {
    {"", 04755, 04755},
    {"0", 07777, 0},
    {"644", 0777, 0644},
    {"00000755", 0, 0755},
    {"07421", 0, 07421},

    {"u+r", 0, 0400},
    {"g+w", 0, 0020},
    {"o+x", 0, 0001},
    {"a+rx", 0, 0555},
    {"+w", 0, 0222},
    {"+", 0421, 0421},
    {"-", 0777, 0777},
    {"=", 0777, 0},
    {"go-w", 0777, 0755},
    {"-r", 0777, 0333},
    {"u=", 0777, 0077},
    {"u=rw", 0777, 0677},
    {"=rw", 0777, 0666},
    {"a=r,ug=rw,u+x", 0777, 0764},
    {"u=rwx,g=rx,o=", 0, 0750},
    {"u+r-w+x", 0200, 0500},
    {"u+r+", 0, 0400},

    {"+X", 0644, 0644},
    {"+X", 0744, 0755},
    {"u+X", 0001, 0101},
    {"u+X", S_IFDIR | 0, 0100},
    {"u=rwX,go=rX", S_IFREG | 0640, 0644},
    {"u=rwX,go=rX", S_IFREG | 0700, 0755},
    {"u=rwX,go=rX", S_IFDIR | 0700, 0755},
    {"=rw,+X", 0766, 0777},
    {"a-X", 0755, 0644},
    {"a-x,a+X", 0755, 0755},

    {"u+s", 0755, 04755},
    {"g+s", 0755, 02755},
    {"+s", 0755, 06755},
    {"o+s", 0755, 0755},
    {"u-s", 06755, 02755},
    {"u=rwx", 04755, 0755},
    {"=", 06755, 0},
    {"+t", 0755, 01755},
    {"a+t", 0755, 01755},
    {"o+t", 0755, 0755},
    {"-t", 01755, 0755},
    {"=r", 01777, 01444},

    {"u=g", 0042, 0442},
    {"u=g-w", 0762, 0462},
    {"go=u-w", 0670, 0644},
    {"u+go", 0021, 0321},
    {"o=u", 0750, 0757},
    {"-u", 0111, 0000},
    {"u=rg", 0040, 0440},
    {"u-w,g+w", 0644, 0464},
    {"o+r,g+w,a+t,g-s,u+og", S_IFDIR | 06000, 05624},
};

static void test_every_mode_becomes_what_chmod_makes_of_it(void **state)
{
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mode_t after;

        assert_int_equal(copy_mode_check(cases[i].text, &err), 0);
        after = copy_mode_apply(cases[i].text, cases[i].before);
        if (after != cases[i].after)
            fail_msg("%s of %04o: %04o, not %04o", cases[i].text, cases[i].before, after,
                     cases[i].after);
    }
}

static void test_what_is_no_mode_is_refused(void **state)
{
    static const char *const bad[] = {"9",        "17777", "0o755", "u",    "ugo",  ",",  "u+r,",
                                      "q+r",      "z",     "u!x",   "u+y",  "+r w", "7 ", "-1",
                                      "u+r,,o+r", "rwx",   "8644",  "644x", "u+r+q"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (copy_mode_check(bad[i], &err) == 0)
            fail_msg("%s is taken for a mode", bad[i]);
        assert_int_equal(err.kind, ERR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mode_becomes_what_chmod_makes_of_it),
        cmocka_unit_test(test_what_is_no_mode_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
