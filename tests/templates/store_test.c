/* What is packed is read back, whatever the hash; damage is named; what is needed stays. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "bucket.h"
#include "fixture.h"
#include "templates/writer.h"

#define TAR_MAX (64u << 20)

/* On an object store where there is one (tests/objects/s3_server.py), else in a directory. */
struct fixture {
    char path[64];
    struct bucket_scene bucket;
    bool in_bucket;
    struct template_store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;

    (void)snprintf(f->path, sizeof(f->path), "/tmp/kiln-templates-XXXXXX");
    *state = f;
    f->in_bucket = getenv("KILN_TEST_S3") != NULL;
    if (!mkdtemp(f->path))
        return -1;
    if (!f->in_bucket)
        return template_store_open(f->path, NULL, &f->store, &err);
    bucket_scene_open(&f->bucket, f->path);
    /* A condemned pack need not wait for its hour. */
    objects_scene_fault(&f->bucket.objects,
                        "[{\"later\":7200,\"path\":\"condemned/\",\"count\":1000000}]");
    f->store = bucket_scene_store(&f->bucket, "cache", NULL);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err;
    int result;

    template_store_free(f->store);
    if (f->in_bucket)
        bucket_scene_close(&f->bucket);
    result = fs_remove_tree(AT_FDCWD, f->path, &err);
    free(f);
    return result;
}

static struct template_pack_report pack(struct template_store *s, const char *name, unsigned seed,
                                        unsigned turn)
{
    struct buf tar = BUF_INIT(TAR_MAX);
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    tar_make(&tar, seed, 200, 20000, turn, 10);
    if (pack_tar(s, name, &tar, &report, &err) < 0)
        fail_msg("%s", err.msg);
    buf_release(&tar);
    return report;
}

static void assert_right(struct template_store *s, const char *name)
{
    struct error err = ERROR_INIT;

    if (!image_is_right(s, name, &err))
        fail_msg("%s: %s", name, err.msg);
}

static size_t count_damage(struct template_store *s)
{
    struct template_verify_report r;
    struct error err = ERROR_INIT;
    size_t n;

    if (template_verify(s, true, NULL, &r, &err) < 0)
        fail_msg("%s", err.msg);
    n = r.damage.n;
    template_verify_report_release(&r);
    return n;
}

static void test_both_kinds_of_storage_give_back_what_was_packed(void **state)
{
    struct fixture *f = *state;
    struct template_store *memory = NULL;
    struct template_pack_report a, b;
    struct error err;

    assert_int_equal(template_store_open_memory(NULL, &memory, &err), 0);
    a = pack(f->store, "one", 1, 0);
    b = pack(memory, "one", 1, 0);
    assert_string_equal(a.digest, b.digest);
    assert_right(f->store, "one");
    assert_right(memory, "one:1");
    assert_int_equal(count_damage(memory), 0);
    template_store_free(memory);
}

static void test_a_hash_of_8_bits_gives_back_every_byte(void **state)
{
    const struct template_options options = {.hash_bits = 8};
    struct template_store *s = NULL;
    struct template_pack_report wide, narrow;
    struct error err;

    wide = pack(((struct fixture *)*state)->store, "one", 1, 0);
    assert_int_equal(template_store_open_memory(&options, &s, &err), 0);
    narrow = pack(s, "one", 1, 0);
    assert_string_equal(wide.digest, narrow.digest);
    (void)pack(s, "one", 1, 1);
    assert_right(s, "one:1");
    assert_right(s, "one:2");
    assert_int_equal(count_damage(s), 0);
    template_store_free(s);
}

static void test_a_second_revision_adds_what_is_new(void **state)
{
    struct fixture *f = *state;
    struct template_pack_report first = pack(f->store, "one", 1, 0);
    struct template_pack_report second = pack(f->store, "one", 1, 1);
    struct template_pack_report again = pack(f->store, "one", 1, 1);

    assert_int_equal(second.ref.revision, 2);
    assert_true(second.bytes_new < first.bytes_new / 5);
    assert_true(second.bytes_shared > first.bytes_new / 2);
    assert_int_equal(again.bytes_new, 0);
    assert_int_equal(again.bytes_added, 0);
    assert_string_equal(again.digest, second.digest);
}

/* ---- cuts ---- */

#define LONG (3u << 20)

static void fill_random(unsigned char *data, size_t len, uint64_t state)
{
    for (size_t i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (unsigned char)(state >> 40);
    }
}

/* Files of every length that counts: read by one thread and by many, one chunk and more.  Turn 1:
 * bytes are put in, replaced, added to an end and taken from one; a file is new, and one is gone.
 */
static void tar_of_long_files(struct buf *tar, unsigned turn)
{
    unsigned char *data = malloc(LONG + 4096);

    fill_random(data, LONG, 1);
    if (turn) {
        memmove(data + LONG / 2 + 57, data + LONG / 2, LONG / 2);
        data[LONG - 5] ^= 1;
    }
    tar_add(tar, "a-long", data, LONG + (turn ? 57 : 0));
    fill_random(data, LONG, 2);
    tar_add(tar, "b-longer-at-its-end", data, turn ? LONG : LONG - 300001);
    tar_add(tar, "c-shorter-at-its-end", data + 4, turn ? 600000 : 900000);
    tar_add(tar, turn ? "d-new" : "d-gone", data + 1000, 400000);
    for (unsigned i = 0; i < 40; i++) {
        char name[40];

        fill_random(data, 200000, 100 + i + (i % 7 == 6 ? turn : 0));
        (void)snprintf(name, sizeof(name), "e-%u", i);
        tar_add(tar, name, data, 9000 + 4801 * i + (i % 5 == 4 ? 3000 * turn : 0));
    }
    tar_end(tar);
    free(data);
}

static struct template_pack_report pack_buf(struct template_store *s, const char *name,
                                            const struct buf *tar)
{
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    if (pack_tar(s, name, tar, &report, &err) < 0)
        fail_msg("%s", err.msg);
    return report;
}

/* Cut alike, all is there already: chunks, and the nodes that list them. */
static void test_what_follows_a_revision_is_cut_as_it_would_be_by_itself(void **state)
{
    struct fixture *f = *state;
    struct buf before = BUF_INIT(TAR_MAX), after = BUF_INIT(TAR_MAX);
    struct template_pack_report second, alone;

    tar_of_long_files(&before, 0);
    tar_of_long_files(&after, 1);
    (void)pack_buf(f->store, "one", &before);
    second = pack_buf(f->store, "one", &after);
    alone = pack_buf(f->store, "alone", &after);
    assert_true(second.bytes_new > 0 && second.bytes_new < second.content_size / 3);
    assert_string_equal(alone.digest, second.digest);
    assert_int_equal(alone.chunks, second.chunks);
    assert_int_equal(alone.bytes_new, 0);
    second = pack_buf(f->store, "one", &before);
    assert_int_equal(second.bytes_new, 0);
    assert_right(f->store, "one:2");
    assert_right(f->store, "one:3");
    buf_release(&before);
    buf_release(&after);
}

struct overlaps {
    uint64_t bytes[4][4]; /* by revision */
    size_t n;
};

static void note_overlap(void *self, uint64_t a, uint64_t b, uint64_t bytes)
{
    struct overlaps *o = self;

    assert_true(a <= b && b < 4);
    o->bytes[a][b] = bytes;
    o->n++;
}

static void test_every_two_revisions_are_compared(void **state)
{
    struct template_store *s = ((struct fixture *)*state)->store;
    const struct template_ref first = {.name = "one", .revision = 1};
    const struct template_ref second = {.name = "one", .revision = 2};
    struct template_difference d;
    struct overlaps all = {.n = 0}, newest = {.n = 0};
    struct error err;

    (void)pack(s, "one", 1, 0);
    (void)pack(s, "one", 1, 1);
    (void)pack(s, "one", 1, 1);
    (void)pack(s, "two", 2, 0);
    assert_int_equal(template_compare(s, &first, &second, &d, &err), 0);
    assert_int_equal(template_overlaps(s, "one", 10, note_overlap, &all, &err), 0);
    assert_int_equal(all.n, 6);
    assert_int_equal(all.bytes[1][2], d.both);
    assert_int_equal(all.bytes[1][1], d.both + d.only_a);
    assert_int_equal(all.bytes[2][2], d.both + d.only_b);
    assert_int_equal(all.bytes[2][3], all.bytes[3][3]);
    assert_int_equal(template_overlaps(s, "one", 2, note_overlap, &newest, &err), 0);
    assert_int_equal(newest.n, 3);
    assert_int_equal(newest.bytes[1][1], 0);
    assert_int_equal(newest.bytes[2][3], all.bytes[2][3]);
    assert_int_equal(template_overlaps(s, "none", 2, note_overlap, &newest, &err), 0);
    assert_int_equal(newest.n, 3);
}

/* Flips one bit of each byte in turn of what file says, with strides, and back again. */
static void flip_bits(struct fixture *f, const char *area, const char *name, size_t stride)
{
    char path[256];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", f->path, area, name);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 0; at < st.st_size; at += (off_t)stride) {
        unsigned char byte, bad;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        bad = byte ^ (unsigned char)(1u << (at % 8));
        assert_int_equal(pwrite(fd, &bad, 1, at), 1);
        if (count_damage(f->store) == 0)
            fail_msg("a flipped bit at byte %lld of %s/%s was not found", (long long)at, area,
                     name);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    assert_int_equal(count_damage(f->store), 0);
}

static void test_a_flipped_bit_is_found_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    struct argv packs = ARGV_INIT;
    struct error err;

    if (f->in_bucket)
        skip();
    (void)pack(f->store, "one", 1, 0);
    assert_int_equal(storage_list(f->store->storage, AREA_PACKS, &packs, &err), 0);
    assert_int_equal(packs.n, 1);
    flip_bits(f, "packs", packs.v[0], 40009);
    flip_bits(f, "revisions", "one:1", 17);
    argv_release(&packs);
}

struct watch {
    uint64_t looked, done, total;
};

static void see(void *self, enum template_phase phase, uint64_t done, uint64_t total)
{
    struct watch *w = self;

    assert_true(phase == TEMPLATE_LOOKING || phase == TEMPLATE_WRITING);
    assert_true(done > 0 && done <= total);
    w->looked += phase == TEMPLATE_LOOKING;
    if (phase == TEMPLATE_WRITING) {
        assert_true(done > w->done);
        w->done = done;
        w->total = total;
    }
}

static void test_collecting_frees_what_nobody_needs_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct template_gc_report gc;
    struct template_ref ref;
    struct error err = ERROR_INIT;

    (void)pack(f->store, "one", 1, 0);
    (void)pack(f->store, "two", 2, 0);
    (void)pack(f->store, "one", 1, 7);
    assert_int_equal(template_ref_parse("two", &ref, &err), 0);
    assert_int_equal(template_remove(f->store, &ref, &err), 0);
    assert_int_equal(template_gc(f->store, NULL, &gc, &err), 0);
    assert_int_equal(gc.packs_removed, 1);
    assert_true(gc.bytes_freed > 0);
    assert_right(f->store, "one:1");
    assert_right(f->store, "one:2");
    assert_int_equal(count_damage(f->store), 0);
    assert_int_equal(template_ref_parse("one:1", &ref, &err), 0);
    assert_int_equal(template_remove(f->store, &ref, &err), 0);
    assert_int_equal(template_gc(f->store, NULL, &gc, &err), 0);
    assert_right(f->store, "one:2");
    assert_int_equal(count_damage(f->store), 0);
    ref.revision = 2;
    assert_int_equal(template_remove(f->store, &ref, &err), -1); /* the only one */
    assert_int_equal(err.kind, ERR_INPUT);
}

static void test_collecting_copies_what_is_left_and_says_how_far_it_is(void **state)
{
    struct fixture *f = *state;
    struct watch seen = {.looked = 0};
    const struct template_progress progress = {.report = see, .self = &seen};
    struct buf tar = BUF_INIT(TAR_MAX);
    struct template_pack_report report;
    struct template_gc_report gc;
    struct template_ref ref;
    struct error err = ERROR_INIT;

    (void)pack(f->store, "all", 1, 0);
    tar_make(&tar, 1, 40, 20000, 0, 10);
    assert_int_equal(pack_tar(f->store, "part", &tar, &report, &err), 0);
    buf_release(&tar);
    assert_int_equal(template_ref_parse("all", &ref, &err), 0);
    assert_int_equal(template_remove(f->store, &ref, &err), 0);
    assert_int_equal(template_gc(f->store, &progress, &gc, &err), 0);
    assert_int_equal(gc.packs_rewritten, 1);
    assert_int_equal(seen.looked, 2); /* at one revision, twice */
    assert_true(seen.total > 0);
    assert_int_equal(seen.done, seen.total);
    assert_right(f->store, "part:1");
}

static void test_what_a_volume_holds_outlives_its_removal(void **state)
{
    struct fixture *f = *state;
    struct template_gc_report gc;
    struct template_ref ref;
    struct template_info info;
    struct error err = ERROR_INIT;
    bool there;

    (void)pack(f->store, "one", 1, 0);
    assert_int_equal(template_ref_parse("one:1", &ref, &err), 0);
    assert_int_equal(template_hold(f->store, &ref, "volume-1", &err), 0);
    ref.revision = 0;
    assert_int_equal(template_remove(f->store, &ref, &err), 0);
    assert_int_equal(template_get(f->store, "one", &info, &there, &err), 0);
    assert_false(there);
    assert_int_equal(template_gc(f->store, NULL, &gc, &err), 0);
    assert_int_equal(gc.packs_removed, 0);
    assert_right(f->store, "one:1");
    ref.revision = 1;
    assert_int_equal(template_let_go(f->store, &ref, "volume-1", &err), 0);
    assert_int_equal(template_gc(f->store, NULL, &gc, &err), 0);
    assert_int_equal(gc.packs_removed, 1);
    assert_int_equal(gc.bytes_live, 0);
}

static void test_old_revisions_are_dropped_but_not_those_that_are_held(void **state)
{
    const struct template_options options = {.revisions_max = 3};
    struct template_store *s = NULL;
    struct template_info info;
    struct template_ref ref = {.name = "one", .revision = 1};
    struct error err = ERROR_INIT;
    bool there;

    (void)state;
    assert_int_equal(template_store_open_memory(&options, &s, &err), 0);
    (void)pack(s, "one", 1, 0);
    assert_int_equal(template_hold(s, &ref, "v", &err), 0);
    for (unsigned turn = 1; turn < 6; turn++)
        (void)pack(s, "one", 1, turn);
    assert_int_equal(template_get(s, "one", &info, &there, &err), 0);
    assert_int_equal(info.latest, 6);
    assert_int_equal(info.revisions, 3);
    assert_right(s, "one:1");
    assert_right(s, "one:6");
    template_store_free(s);
}

static void test_a_pack_that_is_in_a_session_is_not_removed(void **state)
{
    struct fixture *f = *state;
    struct template_gc_report gc;
    struct template_ref ref = {.name = "one"};
    struct error err = ERROR_INIT;
    int session = -1;

    (void)pack(f->store, "one", 1, 0);
    {
        struct argv packs = ARGV_INIT;

        assert_int_equal(storage_list(f->store->storage, AREA_PACKS, &packs, &err), 0);
        assert_int_equal(storage_session_begin(f->store->storage, packs.v[0], &session, &err), 0);
        argv_release(&packs);
    }
    assert_int_equal(template_remove(f->store, &ref, &err), 0);
    assert_int_equal(template_gc(f->store, NULL, &gc, &err), 0);
    assert_int_equal(gc.packs_removed, 0);
    assert_int_equal(gc.packs_waiting, 1);
    storage_session_end(f->store->storage, &session);
    assert_int_equal(template_gc(f->store, NULL, &gc, &err), 0);
    assert_int_equal(gc.packs_removed, 1);
}

static void note_hold(void *self, const struct template_ref *ref, const char *holder)
{
    (void)snprintf(self, 64, "%s:%llu=%s", ref->name, (unsigned long long)ref->revision, holder);
}

static struct template_pack_report pack_held(struct template_store *s, const char *holder)
{
    CLEANUP_CLOSE int fd = memfd_create("tar", MFD_CLOEXEC);
    struct template_pack_request req = {
        .name = "deps", .archive_fd = fd, .holder = holder, .now = 1};
    struct buf tar = BUF_INIT(TAR_MAX);
    struct template_pack_report report = {.dropped = 0};
    struct error err = ERROR_INIT;

    tar_make(&tar, 1, 5, 2000, 1, 1);
    if (fs_write_all(fd, tar.data, tar.len, &err) < 0 || template_pack(s, &req, &report, &err) < 0)
        fail_msg("%s", err.msg);
    buf_release(&tar);
    return report;
}

static void test_a_pack_that_is_tried_again_makes_one_revision(void **state)
{
    struct fixture *f = *state;
    struct template_revision_info info;
    struct template_pack_report first;
    struct error err = ERROR_INIT;
    char hold[64] = "";
    bool there;

    assert_int_equal(template_find_held(f->store, "deps", "build-a", &there, &info, &err), 0);
    assert_false(there);
    first = pack_held(f->store, "build-a");
    assert_int_equal(first.ref.revision, 1);
    assert_int_equal(pack_held(f->store, "build-a").ref.revision, 1);
    assert_int_equal(template_find_held(f->store, "deps", "build-a", &there, &info, &err), 0);
    assert_true(there);
    assert_int_equal(info.ref.revision, 1);
    assert_string_equal(info.digest, first.digest);
    assert_int_equal(pack_held(f->store, "build-b").ref.revision, 2);
    assert_int_equal(template_let_go(f->store, &first.ref, "build-a", &err), 0);
    assert_int_equal(template_holds(f->store, note_hold, hold, &err), 0);
    assert_string_equal(hold, "deps:2=build-b");
    assert_int_equal(pack_held(f->store, "build-a").ref.revision, 3);
}

/* A collector that comes between a packer's last pack and its revision. */
static void test_packs_without_a_revision_yet_are_not_removed(void **state)
{
    struct fixture *f = *state;
    CLEANUP(argv_release) struct argv packs = ARGV_INIT;
    static const char data[70000] = "chunk";
    const struct writer_chunk c = {
        .kind = WRITER_CONTENT, .data = data, .len = sizeof(data), .origin = WRITER_NOWHERE};
    struct template_gc_report report;
    struct writer_hand *hand = NULL;
    struct writer *w = NULL;
    struct error err = ERROR_INIT;
    struct address address;

    assert_int_equal(writer_open(f->store, &w, &err), 0);
    assert_int_equal(writer_hand_new(w, &hand, &err), 0);
    assert_int_equal(writer_add(w, hand, &c, &address, &err), 0);
    assert_int_equal(writer_commit(w, hand, &err), 0);
    assert_int_equal(template_gc(f->store, NULL, &report, &err), 0);
    assert_int_equal(report.packs_removed, 0);
    assert_int_equal(storage_list(f->store->storage, AREA_PACKS, &packs, &err), 0);
    assert_int_equal(packs.n, 1);
    writer_hand_free(hand);
    writer_free(w);
    assert_int_equal(template_gc(f->store, NULL, &report, &err), 0);
    assert_int_equal(report.packs_removed, 1);
}

/* As a packer would leave it that its archive has taken over. */
static void test_links_that_were_planted_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    CLEANUP_CLOSE int dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct template_store *again = NULL;
    struct template_gc_report report;
    struct template_info info;
    struct error err = ERROR_INIT;
    char outside[80], victim[100];
    bool there;

    if (f->in_bucket)
        skip();
    (void)pack(f->store, "deps", 1, 1);
    (void)snprintf(outside, sizeof(outside), "%s/outside", f->path);
    (void)snprintf(victim, sizeof(victim), "%s/victim", outside);
    assert_int_equal(mkdir(outside, 0755), 0);
    assert_int_equal(fs_write_file(AT_FDCWD, victim, "x", 1, 0644, &err), 0);
    assert_int_equal(fs_remove_tree(dir, "tmp", &err), 0);
    assert_int_equal(symlinkat(outside, dir, "tmp"), 0);

    /* Who has it open already works in the directory that was there; nobody else opens it. */
    assert_int_equal(template_gc(f->store, NULL, &report, &err), 0);
    assert_int_equal(template_store_open(f->path, NULL, &again, &err), -1);
    assert_int_equal(access(victim, F_OK), 0);

    assert_int_equal(unlinkat(dir, "tmp", 0), 0);
    assert_int_equal(unlinkat(dir, "templates/deps", 0), 0);
    assert_int_equal(mkfifoat(dir, "templates/deps", 0600), 0);
    assert_int_equal(template_store_open(f->path, NULL, &again, &err), 0);
    assert_int_equal(template_get(again, "deps", &info, &there, &err), -1); /* and does not hang */
    template_store_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_pack_that_is_tried_again_makes_one_revision, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_packs_without_a_revision_yet_are_not_removed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_links_that_were_planted_lead_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both_kinds_of_storage_give_back_what_was_packed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_hash_of_8_bits_gives_back_every_byte, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_second_revision_adds_what_is_new, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_what_follows_a_revision_is_cut_as_it_would_be_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_two_revisions_are_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_is_found_wherever_it_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_collecting_frees_what_nobody_needs_and_nothing_else,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_collecting_copies_what_is_left_and_says_how_far_it_is,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_volume_holds_outlives_its_removal, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_old_revisions_are_dropped_but_not_those_that_are_held,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pack_that_is_in_a_session_is_not_removed, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
