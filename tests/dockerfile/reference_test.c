/* Image references, after the distribution grammar. */
#include "tests/dockerfile/sample.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct reference_case {
    const char *text;
    const char *host, *path, *tag, *digest;
};

static void test_a_reference_has_its_parts_filled_in(void **state)
{
    static const struct reference_case table[] = {
        {"alpine", "docker.io", "library/alpine", "latest", ""},
        {"alpine:3.22", "docker.io", "library/alpine", "3.22", ""},
        {"a/b", "docker.io", "a/b", "latest", ""},
        {"docker.io/alpine", "docker.io", "library/alpine", "latest", ""},
        {"index.docker.io/a/b:c", "docker.io", "a/b", "c", ""},
        {"localhost/a", "localhost", "a", "latest", ""},
        {"localhost:5000/a/b:c", "localhost:5000", "a/b", "c", ""},
        {"ghcr.io/blaxel-ai/sandbox:latest", "ghcr.io", "blaxel-ai/sandbox", "latest", ""},
        {"ghcr.io/x@sha256:" HEX64, "ghcr.io", "x", "", "sha256:" HEX64},
        {"x:1@sha256:" HEX64, "docker.io", "library/x", "1", "sha256:" HEX64},
        {"[2001:db8::1]:5000/x", "[2001:db8::1]:5000", "x", "latest", ""},
        {"HOST/x", "HOST", "x", "latest", ""},
        {"a__b/c---d/e.f_g", "docker.io", "a__b/c---d/e.f_g", "latest", ""},
        {"docker:24-cli", "docker.io", "library/docker", "24-cli", ""},
        {"a:_T.-x", "docker.io", "library/a", "_T.-x", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dockerfile_reference r;
        struct error err = ERROR_INIT;

        if (dockerfile_parse_reference(table[i].text, &r, &err) < 0)
            fail_msg("%s: %s", table[i].text, err.msg);
        assert_string_equal(r.host, table[i].host);
        assert_string_equal(r.path, table[i].path);
        assert_string_equal(r.tag, table[i].tag);
        assert_string_equal(r.digest, table[i].digest);
    }
}

static void test_what_is_no_reference_is_refused(void **state)
{
    static const char *const table[] = {
        "",           " ",          "a b",
        "/a",         "a/",         "a//b",
        "a:",         ":a",         "a:b:c",
        "a@",         "a@sha256:0", "a@md5:" HEX64,
        "-a",         "a-",         "a..b",
        "a___b",      "a/-b",       "A",
        "x/A",        "a:.b",       "a:-b",
        "a:b/c:é",    "http://a/b", "host:x/a",
        "ho_st.io/a", ".io/a",      "a.-b.c/d",
        HEX64,        "dir:/x",     "oci:x",
        "docker://x", "sif:x",      "ostree:x@/",
        "[::1/x",     "[]:1/x",     "a\n",
        "a$b",        "tarball:/x", "a@sha256:" HEX64 "0",
        "atomic:x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dockerfile_reference r = {.host = "untouched"};
        struct error err = ERROR_INIT;

        if (dockerfile_parse_reference(table[i], &r, &err) == 0)
            fail_msg("accepted: \"%s\"", table[i]);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_string_equal(r.host, "untouched");
    }
}

/* n times c behind a prefix */
static void add_repeated(struct buf *out, const char *prefix, char c, size_t n)
{
    buf_clear(out);
    buf_adds(out, prefix);
    while (n-- > 0)
        buf_addc(out, c);
}

static void test_lengths_are_limited_as_registries_limit_them(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 16);
    struct dockerfile_reference r;
    struct error err;

    (void)state;
    add_repeated(&text, "h.io/", 'a', 250);
    assert_int_equal(dockerfile_parse_reference(buf_str(&text), &r, &err), 0);
    assert_int_equal(strlen(r.path), 250);
    add_repeated(&text, "h.io/", 'a', 251);
    assert_int_equal(dockerfile_parse_reference(buf_str(&text), &r, &err), -1);
    add_repeated(&text, "a:", 't', 128);
    assert_int_equal(dockerfile_parse_reference(buf_str(&text), &r, &err), 0);
    add_repeated(&text, "a:", 't', 129);
    assert_int_equal(dockerfile_parse_reference(buf_str(&text), &r, &err), -1);
    add_repeated(&text, "", 'h', 60000);
    assert_int_equal(dockerfile_parse_reference(buf_str(&text), &r, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reference_has_its_parts_filled_in),
        cmocka_unit_test(test_what_is_no_reference_is_refused),
        cmocka_unit_test(test_lengths_are_limited_as_registries_limit_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
