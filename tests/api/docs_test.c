/* docs/api.md and the table of routes say the same. */
#include "fixture.h"

#include <string.h>

#include "api/route.h"
#include "base/fs.h"

static void read_docs(struct buf *text)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
    const char *source = getenv("KILN_SOURCE");
    struct error err;

    assert_non_null(source);
    buf_addf(&path, "%s/docs/api.md", source);
    assert_int_equal(fs_read_file(AT_FDCWD, buf_str(&path), text, &err), 0);
}

static void test_every_route_is_in_the_manual(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    (void)state;
    read_docs(&text);
    for (size_t i = 0; i < api_routes_count; i++) {
        const struct route *r = &api_routes[i];
        char row[256];

        (void)snprintf(row, sizeof(row), "| `%s %s` | %s |\n", r->method, r->pattern, r->help);
        if (!strstr(buf_str(&text), row))
            fail_msg("docs/api.md lacks the row %s", row);
    }
}

static bool is_route(const char *row, size_t len)
{
    for (size_t i = 0; i < api_routes_count; i++) {
        char known[256];

        (void)snprintf(known, sizeof(known), "%s %s", api_routes[i].method, api_routes[i].pattern);
        if (strlen(known) == len && memcmp(known, row, len) == 0)
            return true;
    }
    return false;
}

static void test_every_row_of_the_manual_is_a_route(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    size_t rows = 0;
    const char *at;

    (void)state;
    read_docs(&text);
    at = strstr(buf_str(&text), "## Everything that is answered");
    assert_non_null(at);
    while ((at = strstr(at, "\n| `")) != NULL) {
        const char *row = at + 4;
        size_t len = strcspn(row, "`");

        at = row;
        if (memchr(row, '/', len) == NULL)
            continue; /* a row of another table */
        rows++;
        if (!is_route(row, len))
            fail_msg("docs/api.md tells of %.*s, which is no route", (int)len, row);
    }
    assert_int_equal(rows, api_routes_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_in_the_manual),
        cmocka_unit_test(test_every_row_of_the_manual_is_a_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
