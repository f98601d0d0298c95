/* Addresses of clients: their text, networks, and who is behind a proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/address.h"

static struct client_address of(const char *text)
{
    struct client_address a;

    assert_true(address_parse(text, &a));
    return a;
}

static void test_texts(void **state)
{
    static const char *const bad[] = {"", "1.2.3", "1.2.3.4:5", "::g", "localhost", "1.2.3.4 "};
    struct client_address a;

    (void)state;
    assert_string_equal(of("10.1.2.3").text, "10.1.2.3");
    assert_string_equal(of("::ffff:10.1.2.3").text, "10.1.2.3");
    assert_string_equal(of("FD00:0::1").text, "fd00::1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(address_parse(bad[i], &a));
}

static void test_networks(void **state)
{
    static const struct {
        const char *address, *network;
        bool in;
    } cases[] = {
        {"10.1.2.3", "10.0.0.0/8", true},        {"11.1.2.3", "10.0.0.0/8", false},
        {"10.1.2.3", "10.1.2.3", true},          {"10.1.2.4", "10.1.2.3", false},
        {"10.1.2.3", "0.0.0.0/0", true},         {"::1", "0.0.0.0/0", false},
        {"10.1.2.127", "10.1.2.0/25", true},     {"10.1.2.128", "10.1.2.0/25", false},
        {"::ffff:10.1.2.3", "10.0.0.0/8", true}, {"fd00::1", "fd00::/8", true},
        {"fe00::1", "fd00::/8", false},          {"fe00::1", "::/0", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct client_address a = of(cases[i].address);

        if (address_is_in(&a, cases[i].network) != cases[i].in)
            fail_msg("%s in %s", cases[i].address, cases[i].network);
    }
    assert_true(address_is_network("10.0.0.0/32"));
    assert_false(address_is_network("10.0.0.0/33"));
    assert_false(address_is_network("10.0.0.0/"));
    assert_false(address_is_network("example.com"));
}

static void test_a_client_of_ipv6_is_its_network(void **state)
{
    const struct client_address a = of("2001:db8:1:2:3::1"), b = of("2001:db8:1:2:ffff::2"),
                                c = of("2001:db8:1:3::1"), d = of("10.0.0.1"), e = of("10.0.0.2");
    unsigned char of_a[ADDRESS_BITS], of_x[ADDRESS_BITS];

    (void)state;
    address_of_client(&a, of_a);
    address_of_client(&b, of_x);
    assert_memory_equal(of_a, of_x, ADDRESS_BITS);
    address_of_client(&c, of_x);
    assert_memory_not_equal(of_a, of_x, ADDRESS_BITS);
    address_of_client(&d, of_a);
    address_of_client(&e, of_x);
    assert_memory_not_equal(of_a, of_x, ADDRESS_BITS);
}

/* What a client writes itself comes first in the header, and is believed of proxies alone. */
static void test_who_is_behind_a_proxy(void **state)
{
    static const struct {
        const char *peer, *header, *client;
    } cases[] = {
        {"9.9.9.9", "1.1.1.1", "9.9.9.9"},
        {"10.0.0.1", NULL, "10.0.0.1"},
        {"10.0.0.1", "", "10.0.0.1"},
        {"10.0.0.1", "1.1.1.1", "1.1.1.1"},
        {"10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"},
        {"10.0.0.1", "6.6.6.6,1.1.1.1 , 10.0.0.2", "1.1.1.1"},
        {"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
        {"10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"},
        {"::1", "2001:db8::1", "2001:db8::1"},
    };
    CLEANUP(argv_release) struct argv proxies = ARGV_INIT;

    (void)state;
    argv_push(&proxies, "10.0.0.0/8", "::1", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_address a = of(cases[i].peer);

        address_behind(&proxies, cases[i].header, &a);
        assert_string_equal(a.text, cases[i].client);
        a = of(cases[i].peer);
        address_behind(NULL, cases[i].header, &a);
        assert_string_equal(a.text, of(cases[i].peer).text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_a_client_of_ipv6_is_its_network),
        cmocka_unit_test(test_who_is_behind_a_proxy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
