/* Contents whose addresses collide, by order or because the hash was cut: each comes back as it
 * was.
 *
 * XXH3 of more than 240 bytes adds to eight sums, for each 64 bytes, the eight words w of them:
 *
 *   sum[i ^ 1] += w;  sum[i] += low half of (w ^ k) × high half of (w ^ k)
 *
 * with k from the secret.  Who knows the secret chooses the low half of w as that of k.  Then the
 * product is 0 whatever the high half is, and two such words, of one lane in two of the stripes,
 * may trade with each other: what is added to one's high half and taken from the other's leaves
 * every sum as it was.  So there are 2^32 contents of one length with one XXH3-64 and one XXH3-128.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL /* for XXH3_kSecret: the secret that everybody knows */
#include <xxhash.h>

#include "fixture.h"
#include "templates/bytes.h"

#define CRAFTED 1024 /* bytes: one block of the hash, and one chunk */
#define TAR_MAX (64u << 20)

static void craft(const unsigned char *secret, uint32_t k, unsigned char out[CRAFTED])
{
    for (size_t i = 0; i < CRAFTED; i++)
        out[i] = (unsigned char)(i * 7 + i / 64);
    bytes_put32(out, bytes_get32(secret));
    bytes_put32(out + 4, k);
    bytes_put32(out + 64, bytes_get32(secret + 8)); /* the second stripe's key is 8 bytes further */
    bytes_put32(out + 68, 0x12345678u - k);
}

/* Files of contents that collide under the secret, from number k on. */
static void add_crafted(struct buf *tar, const unsigned char *secret, uint32_t k, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned char data[CRAFTED];
        char name[40];

        craft(secret, k + i, data);
        (void)snprintf(name, sizeof(name), "crafted-%u", i);
        tar_add(tar, name, data, sizeof(data));
    }
    tar_end(tar);
}

static struct template_store *open_memory(unsigned hash_bits)
{
    const struct template_options options = {.hash_bits = hash_bits, .threads = 2};
    struct template_store *s = NULL;
    struct error err = ERROR_INIT;

    if (template_store_open_memory(&options, &s, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

static struct template_pack_report pack(struct template_store *s, const char *name, struct buf *tar)
{
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    if (pack_tar(s, name, tar, &report, &err) < 0)
        fail_msg("%s", err.msg);
    buf_release(tar);
    return report;
}

static void assert_right(struct template_store *s, const char *name)
{
    struct error err = ERROR_INIT;

    if (!image_is_right(s, name, &err))
        fail_msg("%s: %s", name, err.msg);
}

static void assert_whole(struct template_store *s)
{
    struct template_verify_report r;
    struct error err = ERROR_INIT;

    if (template_verify(s, true, NULL, &r, &err) < 0)
        fail_msg("%s", err.msg);
    if (r.damage.n)
        fail_msg("%s", r.damage.v[0]);
    template_verify_report_release(&r);
}

static void test_contents_collide_for_who_knows_the_secret(void **state)
{
    struct hasher known = {.bits = 128}, other = {.bits = 128};
    unsigned char a[CRAFTED], b[CRAFTED];

    (void)state;
    memcpy(known.secret, XXH3_kSecret, SECRET_SIZE);
    digest_random(other.secret, SECRET_SIZE);
    craft(known.secret, 0, a);
    for (uint32_t k = 1; k < 1000; k++) {
        craft(known.secret, k, b);
        assert_memory_not_equal(a, b, CRAFTED);
        assert_true(
            address_equal(hasher_address(&known, a, CRAFTED), hasher_address(&known, b, CRAFTED)));
        assert_true(hasher_checksum(&known, a, CRAFTED) == hasher_checksum(&known, b, CRAFTED));
        assert_false(
            address_equal(hasher_address(&other, a, CRAFTED), hasher_address(&other, b, CRAFTED)));
    }
}

static void test_crafted_contents_come_back_from_a_store_with_the_default_secret(void **state)
{
    struct template_store *s = open_memory(0);
    struct buf tar = BUF_INIT(TAR_MAX);
    struct template_gc_report gc;
    struct template_ref ref = {.name = "one"};
    struct error err = ERROR_INIT;

    (void)state;
    memcpy(s->hasher.secret, XXH3_kSecret, SECRET_SIZE);
    add_crafted(&tar, s->hasher.secret, 0, 200);
    (void)pack(s, "one", &tar);
    add_crafted(&tar, s->hasher.secret, 100, 200); /* half of them are there already */
    assert_true(pack(s, "two", &tar).bytes_shared >= 100 * CRAFTED);
    add_crafted(&tar, s->hasher.secret, 5000, 1); /* the first address is another's */
    (void)pack(s, "three", &tar);
    assert_right(s, "one");
    assert_right(s, "two");
    assert_right(s, "three");
    assert_whole(s);

    assert_int_equal(template_remove(s, &ref, &err), 0); /* whose chunks come first in the row */
    assert_int_equal(template_gc(s, NULL, &gc, &err), 0);
    assert_int_equal(template_gc(s, NULL, &gc, &err), 0);
    add_crafted(&tar, s->hasher.secret, 50, 200);
    (void)pack(s, "one", &tar);
    assert_right(s, "one");
    assert_right(s, "two");
    assert_right(s, "three");
    assert_whole(s);
    template_store_free(s);
}

static void test_they_are_like_any_others_where_the_secret_is_not_known(void **state)
{
    struct template_store *s = open_memory(0);
    struct buf tar = BUF_INIT(TAR_MAX);

    (void)state;
    add_crafted(&tar, XXH3_kSecret, 0, 200);
    (void)pack(s, "one", &tar);
    assert_right(s, "one");
    assert_whole(s);
    template_store_free(s);
}

static void test_every_tree_comes_back_with_a_hash_of_8_bits(void **state)
{
    static const struct {
        unsigned n;
        size_t size;
    } trees[] = {{1, 10}, {500, 60}, {700, 3000}, {40, 200000}, {3, 2000000}};
    struct template_store *s = open_memory(8);
    char name[20];

    (void)state;
    for (unsigned i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
        for (unsigned turn = 0; turn < 2; turn++) {
            struct template_gc_report gc;
            struct buf tar = BUF_INIT(TAR_MAX);
            struct error err = ERROR_INIT;

            tar_make(&tar, i, trees[i].n, trees[i].size, turn, trees[i].n / 3);
            (void)snprintf(name, sizeof(name), "tree-%u", i);
            (void)pack(s, name, &tar);
            assert_int_equal(template_gc(s, NULL, &gc, &err), 0);
        }
    for (unsigned i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        (void)snprintf(name, sizeof(name), "tree-%u:1", i);
        assert_right(s, name);
        (void)snprintf(name, sizeof(name), "tree-%u:2", i);
        assert_right(s, name);
    }
    assert_whole(s);
    template_store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_collide_for_who_knows_the_secret),
        cmocka_unit_test(test_crafted_contents_come_back_from_a_store_with_the_default_secret),
        cmocka_unit_test(test_they_are_like_any_others_where_the_secret_is_not_known),
        cmocka_unit_test(test_every_tree_comes_back_with_a_hash_of_8_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
