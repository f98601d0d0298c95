/* docs/configuration.md holds the table of the code: every row, in order, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "programs/config.h"

/* The documentation's lines that are rows of a key. */
static void read_documented(struct buf *out)
{
    const char *source = getenv("KILN_SOURCE");
    struct buf text = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char path[4096];

    assert_non_null(source);
    (void)snprintf(path, sizeof(path), "%s/docs/configuration.md", source);
    if (fs_read_file(AT_FDCWD, path, &text, &err) < 0)
        fail_msg("%s", err.msg);
    for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1)
        if (strncmp(line, "| `", 3) == 0)
            buf_add(out, line, strcspn(line, "\n") + 1);
    buf_release(&text);
}

static void write_expected(struct buf *out)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct config_row row = config_row(i);

        buf_addf(out, "| `%s` | ", row.name);
        config_row_allowed(i, out);
        buf_addf(out, " | %s | %s |\n", *row.default_value ? row.default_value : "(empty)",
                 row.help);
    }
}

static void test_the_documentation_lists_every_key_as_the_code_does(void **state)
{
    struct buf documented = BUF_INIT(1 << 20);
    struct buf expected = BUF_INIT(1 << 20);

    (void)state;
    read_documented(&documented);
    write_expected(&expected);
    if (strcmp(buf_str(&documented), buf_str(&expected)) != 0) {
        fprintf(stderr, "docs/configuration.md should say:\n%s", buf_str(&expected));
        fail();
    }
    buf_release(&documented);
    buf_release(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_documentation_lists_every_key_as_the_code_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
