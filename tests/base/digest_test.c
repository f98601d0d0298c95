/* Known answers of SHA-256 (FIPS 180-4), HMAC (RFC 4231) and base64 (RFC 4648). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

static void test_sha256_gives_the_known_answers(void **state)
{
    static const char *const table[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SHA256_HEX];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        digest_sha256_hex(table[i][0], strlen(table[i][0]), hex);
        assert_string_equal(hex, table[i][1]);
    }
    digest_sha256_hex(NULL, 0, hex);
    assert_string_equal(hex, table[0][1]);
}

static void test_hashing_in_pieces_is_hashing_the_whole(void **state)
{
    struct error err = ERROR_INIT;
    struct sha256 *s = NULL;
    unsigned char raw[SHA256_SIZE];
    char block[1000];
    char hex[SHA256_HEX];

    (void)state;
    memset(block, 'a', sizeof(block));
    assert_int_equal(sha256_new(&s, &err), 0);
    for (int i = 0; i < 1000; i++)
        sha256_add(s, block, sizeof(block));
    sha256_end(s, raw);
    sha256_free(s);
    digest_hex(raw, sizeof(raw), hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_hmac_gives_the_known_answers(void **state)
{
    static const unsigned char key1[20] = {11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
                                           11, 11, 11, 11, 11, 11, 11, 11, 11, 11};
    unsigned char key6[131];
    unsigned char raw[SHA256_SIZE];
    char hex[SHA256_HEX];

    (void)state;
    digest_hmac_sha256(key1, sizeof(key1), "Hi There", 8, raw);
    digest_hex(raw, sizeof(raw), hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memset(key6, 0xaa, sizeof(key6));
    digest_hmac_sha256(key6, sizeof(key6), "Test Using Larger Than Block-Size Key - Hash Key First",
                       54, raw);
    digest_hex(raw, sizeof(raw), hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    digest_hmac_sha256("", 0, "", 0, raw);
    digest_hex(raw, sizeof(raw), hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_base64_pads_as_rfc_4648_says(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf out = BUF_INIT(100);

        digest_base64(table[i][0], strlen(table[i][0]), &out);
        assert_string_equal(buf_str(&out), table[i][1]);
        buf_clear(&out);
        assert_true(digest_unbase64(table[i][1], &out));
        assert_int_equal(out.len, strlen(table[i][0]));
        assert_memory_equal(buf_str(&out), table[i][0], out.len);
        buf_release(&out);
    }
}

static void test_what_is_not_base64_is_refused(void **state)
{
    static const char *const texts[] = {
        "Zg",   "Zg=",  "Z===",         "Zm9v\n", "Zm9v Zm9v",
        "=Zm9", "Zm=v", "Zm9vZg==Zm9v", "Zm-_",   "\xc3\xa4\xc3\xa4"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf out = BUF_INIT(100);

        if (digest_unbase64(texts[i], &out))
            fail_msg("\"%s\" was taken", texts[i]);
        buf_release(&out);
    }
}

static void test_base64url_has_no_padding_and_other_letters(void **state)
{
    static const unsigned char bytes[] = {0xfb, 0xef, 0xff, 0x01};
    struct buf out = BUF_INIT(100);

    (void)state;
    digest_base64url(bytes, sizeof(bytes), &out);
    assert_string_equal(buf_str(&out), "--__AQ");
    buf_release(&out);
}

static void test_hex_is_lower_case_and_keeps_leading_zeros(void **state)
{
    static const unsigned char raw[] = {0x00, 0x0f, 0xab, 0xff};
    char hex[9];

    (void)state;
    digest_hex(raw, sizeof(raw), hex);
    assert_string_equal(hex, "000fabff");
}

static void test_equal_looks_at_every_byte(void **state)
{
    unsigned char a[32];
    unsigned char b[32];

    (void)state;
    memset(a, 1, sizeof(a));
    memset(b, 1, sizeof(b));
    assert_true(digest_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] ^= 0x80;
        assert_false(digest_equal(a, b, sizeof(a)));
        b[i] ^= 0x80;
    }
}

/* 36,000 draws: each of 36 characters is due 1,000 times; 800 to 1,200 is more than six sigma. */
static void test_random_names_draw_every_character_alike(void **state)
{
    enum { DRAWS = 36000 };
    char *name = malloc(DRAWS + 1);
    int seen[256] = {0};

    (void)state;
    assert_non_null(name);
    digest_random_name(name, DRAWS);
    assert_int_equal(strlen(name), DRAWS);
    for (int i = 0; i < DRAWS; i++)
        seen[(unsigned char)name[i]]++;
    free(name);
    for (const char *c = "abcdefghijklmnopqrstuvwxyz0123456789"; *c; c++)
        assert_in_range(seen[(unsigned char)*c], 800, 1200);
}

static void test_random_fills_all_it_was_given(void **state)
{
    unsigned char block[100000] = {0};
    size_t zeros = 0;

    (void)state;
    digest_random(block, sizeof(block));
    for (size_t i = 0; i < sizeof(block); i++)
        zeros += block[i] == 0;
    assert_in_range(zeros, 200, 600); /* due: 390 */
}

static void test_a_digest_is_64_lower_case_hex_digits(void **state)
{
    static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char text[80];

    (void)state;
    assert_true(digest_is_hex(hex));
    assert_false(digest_is_hex(NULL));
    assert_false(digest_is_hex(""));
    assert_false(digest_is_hex(hex + 1));
    (void)snprintf(text, sizeof(text), "%s0", hex);
    assert_false(digest_is_hex(text));
    (void)snprintf(text, sizeof(text), "%.63sA", hex);
    assert_false(digest_is_hex(text));
    (void)snprintf(text, sizeof(text), "sha256:%s", hex);
    assert_true(digest_is_sha256(text));
    assert_false(digest_is_sha256(hex));
    assert_false(digest_is_sha256(NULL));
    text[3] = '5';
    assert_false(digest_is_sha256(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_gives_the_known_answers),
        cmocka_unit_test(test_hashing_in_pieces_is_hashing_the_whole),
        cmocka_unit_test(test_hmac_gives_the_known_answers),
        cmocka_unit_test(test_base64_pads_as_rfc_4648_says),
        cmocka_unit_test(test_what_is_not_base64_is_refused),
        cmocka_unit_test(test_base64url_has_no_padding_and_other_letters),
        cmocka_unit_test(test_hex_is_lower_case_and_keeps_leading_zeros),
        cmocka_unit_test(test_equal_looks_at_every_byte),
        cmocka_unit_test(test_random_names_draw_every_character_alike),
        cmocka_unit_test(test_random_fills_all_it_was_given),
        cmocka_unit_test(test_a_digest_is_64_lower_case_hex_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
