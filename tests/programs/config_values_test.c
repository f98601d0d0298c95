/* Numbers with units, and what each key may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "programs/config_keys.h"

static const struct key *find(const char *name)
{
    const struct key *k = key_find(name);

    assert_non_null(k);
    return k;
}

static void test_numbers_are_read_with_their_units(void **state)
{
    static const struct {
        const char *key, *text;
        bool ok;
        int64_t value;
    } table[] = {
        {"upload_max", "5GiB", true, INT64_C(5) << 30},
        {"upload_max", "500MB", true, 500000000},
        {"upload_max", "64mib", true, 64 << 20},
        {"upload_max", "3kB", true, 3000},
        {"upload_max", "3KiB", true, 3072},
        {"upload_max", "1TB", true, INT64_C(1000000000000)},
        {"upload_max", "7B", true, 7},
        {"upload_max", "7", true, 7},
        {"upload_max", "0", false, 0},
        {"upload_max", "1025GiB", false, 0},
        {"upload_max", "9999999999999TiB", false, 0},
        {"upload_max", "99999999999999999999999999", false, 0},
        {"upload_max", "5 GiB", false, 0},
        {"upload_max", "5G", false, 0},
        {"upload_max", "5.5GiB", false, 0},
        {"upload_max", "-1", false, 0},
        {"upload_max", "GiB", false, 0},
        {"upload_max", "", false, 0},
        {"build_timeout", "30s", true, 30},
        {"build_timeout", "15m", true, 900},
        {"build_timeout", "1h", true, 3600},
        {"build_timeout", "45", true, 45},
        {"build_timeout", "24h", true, 86400},
        {"build_timeout", "25h", false, 0},
        {"build_timeout", "0s", false, 0},
        {"build_timeout", "1d", false, 0},
        {"build_timeout", "1h30m", false, 0},
        {"workers", "0", true, 0},
        {"workers", "256", true, 256},
        {"workers", "257", false, 0},
        {"workers", "4x", false, 0},
        {"workers", "4B", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int64_t value = -7;

        if (key_parse_number(find(table[i].key), table[i].text, &value) != table[i].ok ||
            value != (table[i].ok ? table[i].value : -7))
            fail_msg("%s: \"%s\" is read wrong", table[i].key, table[i].text);
    }
}

static void test_numbers_are_written_in_the_largest_unit_that_divides_them(void **state)
{
    static const struct {
        const char *key;
        int64_t value;
        const char *text;
    } table[] = {
        {"upload_max", INT64_C(5) << 30, "5GiB"},
        {"upload_max", 500000000, "500MB"},
        {"upload_max", 1000, "1kB"},
        {"upload_max", 1023, "1023B"},
        {"upload_max", 1, "1B"},
        {"build_timeout", 1800, "30m"},
        {"build_timeout", 7200, "2h"},
        {"build_timeout", 90, "90s"},
        {"workers", 0, "0"},
        {"uid_base", 1000000000, "1000000000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf out = BUF_INIT(100);
        int64_t again = -7;

        key_add_number(find(table[i].key), table[i].value, &out);
        assert_string_equal(buf_str(&out), table[i].text);
        assert_true(key_parse_number(find(table[i].key), buf_str(&out), &again));
        assert_int_equal(again, table[i].value);
        buf_release(&out);
    }
}

static void test_texts_are_judged_by_their_key(void **state)
{
    static const struct {
        const char *key, *text;
        bool ok;
    } table[] = {
        {"listen", "127.0.0.1:8080", true},
        {"listen", "[::1]:8080", true},
        {"listen", "localhost:0", true},
        {"listen", "8080", false},
        {"listen", ":8080", false},
        {"listen", "::1:8080", false},
        {"listen", "127.0.0.1:65536", false},
        {"listen", "127.0.0.1:http", false},
        {"listen", "http://127.0.0.1:80", false},
        {"public_url", "", true},
        {"public_url", "https://kiln.example", true},
        {"public_url", "https://kiln.example/below", true},
        {"public_url", "https://kiln.example/", false},
        {"public_url", "https://", false},
        {"public_url", "kiln.example", false},
        {"public_url", "ftp://kiln.example", false},
        {"probe", "on", true},
        {"probe", "yes", false},
        {"webhooks", "https://cluster.example/kiln/", true},
        {"webhooks", "http://10.0.0.7:8080", true},
        {"webhooks", "https://user:word@cluster.example/", false},
        {"webhooks", "https://cluster.example/?token=1", false},
        {"webhooks", "cluster.example", false},
        {"webhook_secrets", "secrets", false},
        {"registry_url", "https://user:secret@registry.example", false},
        {"registry_url", "https://registry.example?a", false},
        {"sandbox_image", "ghcr.io/blaxel-ai/sandbox:latest", true},
        {"sandbox_image", "", false},
        {"sandbox_image", "a b", false},
        {"database", "", true},
        {"database", "postgresql:///kiln", true},
        {"database", "postgres://kiln@one:5432,two/kiln?sslmode=verify-full", true},
        {"database", "postgresql://?service=kiln", true},
        {"database", "postgresql://kiln:hunter2@db/kiln", false},
        {"database", "postgresql://db/kiln?user=kiln&password=hunter2", false},
        {"database", "mysql://db/kiln", false},
        {"database", "/var/lib/kiln.db", false},
        {"mirrors", "docker.io=127.0.0.1:5000/hub", true},
        {"mirrors", "docker.io=127.0.0.1:5000/hub,insecure", true},
        {"mirrors", "docker.io=127.0.0.1:5000/hub,secure", false},
        {"mirrors", "docker.io=", false},
        {"mirrors", "docker.io=,insecure", false},
        {"mirrors", "=127.0.0.1", false},
        {"mirrors", "docker.io", false},
        {"egress", "nat", true},
        {"egress", "none", true},
        {"egress", "list", true},
        {"egress", "all", false},
        {"proxies", "10.0.0.0/8", true},
        {"proxies", "fd00::1", true},
        {"proxies", "proxy.internal", false},
        {"egress_allow", "192.0.2.7", true},
        {"egress_allow", "10.1.0.0/16", true},
        {"egress_allow", "0.0.0.0/0", true},
        {"egress_allow", "pypi.org", true},
        {"egress_allow", "x--1.internal", true},
        {"egress_allow", "", false},
        {"egress_allow", "10.1.0.0/33", false},
        {"egress_allow", "10.1.0/16", false},
        {"egress_allow", "pypi.org:443", true},
        {"egress_allow", "192.0.2.7:1-65535", true},
        {"egress_allow", "10.1.0.0/16:8000-8099", true},
        {"egress_allow", "pypi.org:", false},
        {"egress_allow", "pypi.org:0", false},
        {"egress_allow", "pypi.org:443-", false},
        {"egress_allow", "pypi.org:443-442", false},
        {"egress_allow", "pypi.org:65536", false},
        {"egress_allow", "pypi.org:https", false},
        {"egress_allow", "127.0.0.1:80", false},
        {"egress_allow", "[2001:db8::1]:443", false},
        {"egress_allow", "2001:db8::/32", false},
        {"egress_allow", "*.pypi.org", false},
        {"egress_allow", "https://pypi.org", false},
        {"egress_allow", "a..b", false},
        {"egress_allow", "-a.b", false},
        {"egress_allow", "2001:db8::1", false},
        {"egress_allow", "localhost", false},
        {"egress_allow", "127.0.0.1", false},
        {"egress_allow", "127.1", false},
        {"egress_allow", "0x7f000001", false},
        {"egress_allow", "169.254.169.254", false},
        {"egress_allow", "169.254.0.0/17", false},
        {"egress_allow", "10.0.2.3", false},
        {"egress_allow", "0.0.0.1/31", false},
        {"egress_allow", "224.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (find(table[i].key)->valid(table[i].text) != table[i].ok)
            fail_msg("%s: \"%s\" is judged wrong", table[i].key, table[i].text);
}

static void test_every_key_says_what_it_may_be_and_what_it_is_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        struct buf out = BUF_INIT(1000);
        const struct key *k = &config_keys[i];

        key_add_allowed(k, &out);
        assert_true(out.len > 0);
        assert_true(*k->help);
        assert_true(k->fallback || k->shown);
        assert_true(key_is_number(k) || k->kind == PATH || k->valid);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_read_with_their_units),
        cmocka_unit_test(test_numbers_are_written_in_the_largest_unit_that_divides_them),
        cmocka_unit_test(test_texts_are_judged_by_their_key),
        cmocka_unit_test(test_every_key_says_what_it_may_be_and_what_it_is_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
