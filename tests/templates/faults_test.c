/* A bit that flips, in whatever file of a store: verify names the file, and nothing that is read,
 * served or exported is other than what was packed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "fixture.h"

#define FLIPS 60 /* in each file, about, besides its beginning and its end */
#define READS 15 /* one flip in so many is also read in every way, which takes longer */

struct fixture {
    char path[64];
    char *image, *tar; /* of one:1, as it was packed and as it is exported */
    size_t image_len, tar_len;
};

static struct template_store *open_store(struct fixture *f, struct error *err)
{
    struct template_store *s = NULL;

    return template_store_open(f->path, &(struct template_options){.threads = 1}, &s, err) < 0
               ? NULL
               : s;
}

static void pack(struct template_store *s, const char *name, unsigned seed, unsigned turn)
{
    struct buf tar = BUF_INIT(1u << 20);
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    tar_make(&tar, seed, 12, 9000, turn, 2);
    if (pack_tar(s, name, &tar, &report, &err) < 0)
        fail_msg("%s", err.msg);
    buf_release(&tar);
}

/* The whole of what a way of reading gives; NULL when it is refused. */
static char *read_revision(struct template_store *s, size_t *ret_len, struct error *err)
{
    struct template_ref ref = {"one", 1};
    struct template_revision *r = NULL;
    char *data = NULL;

    if (template_revision_open(s, &ref, &r, err) < 0)
        return NULL;
    *ret_len = template_revision_info(r)->image_size;
    data = malloc(*ret_len);
    if (template_revision_read(r, 0, data, *ret_len, err) < 0) {
        free(data);
        data = NULL;
    }
    template_revision_free(r);
    return data;
}

static char *take_memfd(int fd, size_t *ret_len)
{
    struct stat st;
    char *data;

    assert_int_equal(fstat(fd, &st), 0);
    *ret_len = (size_t)st.st_size;
    data = malloc(*ret_len + 1);
    assert_int_equal(fs_pread(fd, data, *ret_len, 0), *ret_len);
    return data;
}

static char *export(struct template_store *s, bool tar, size_t *ret_len, struct error *err)
{
    struct template_disk_request req = {.ref = {"one", 1}};
    CLEANUP_CLOSE int fd = memfd_create("exported", MFD_CLOEXEC);
    struct template_disk *d = NULL;
    int result;

    if (template_disk_open(s, &req, &d, err) < 0)
        return NULL;
    result = tar ? template_disk_export_tar(d, fd, NULL, err)
                 : template_disk_export_raw(d, fd, NULL, err);
    template_disk_free(d);
    return result < 0 ? NULL : take_memfd(fd, ret_len);
}

static char *create_volume(struct template_store *s, const char *dir, size_t *ret_len,
                           struct error *err)
{
    struct template_volume_request req = {.ref = {"one", 1}};
    struct template_volume_report report;
    CLEANUP_CLOSE int fd = -1;
    char path[80];

    (void)snprintf(path, sizeof(path), "%s.img", dir);
    req.path = path;
    if (template_volume_create(s, &req, &report, err) < 0)
        return NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(unlink(path), 0);
    return take_memfd(fd, ret_len);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct template_store *s;
    struct error err = ERROR_INIT;

    (void)snprintf(f->path, sizeof(f->path), "/tmp/kiln-faults-XXXXXX");
    *state = f;
    if (!mkdtemp(f->path) || !(s = open_store(f, &err)))
        return -1;
    pack(s, "one", 1, 0);
    pack(s, "one", 1, 1);
    pack(s, "two", 2, 0);
    f->image = read_revision(s, &f->image_len, &err);
    f->tar = export(s, true, &f->tar_len, &err);
    template_store_free(s);
    return f->image && f->tar ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err;
    int result = fs_remove_tree(AT_FDCWD, f->path, &err);

    free(f->image);
    free(f->tar);
    free(f);
    return result;
}

static void expect(char *got, size_t len, const char *whole, size_t whole_len, const char *how,
                   const char *where)
{
    if (got && (len != whole_len || memcmp(got, whole, len) != 0))
        fail_msg("%s gave other bytes than those packed, with a flipped bit in %s", how, where);
    free(got);
}

/* A store that cannot be opened serves nothing; that it names the file is looked at below. */
static void check_reads(struct fixture *f, const char *where)
{
    struct error err = ERROR_INIT;
    struct template_store *s = open_store(f, &err);
    size_t len = 0;
    char *got;

    if (!s)
        return;
    got = read_revision(s, &len, &err);
    expect(got, len, f->image, f->image_len, "a revision", where);
    got = export(s, false, &len, &err);
    expect(got, len, f->image, f->image_len, "an exported image", where);
    got = export(s, true, &len, &err);
    expect(got, len, f->tar, f->tar_len, "an exported tar", where);
    got = create_volume(s, f->path, &len, &err);
    expect(got, len, f->image, f->image_len, "a volume", where);
    template_store_free(s);
}

static void check_named(struct fixture *f, const char *name, const char *where)
{
    struct template_verify_report r;
    struct error err = ERROR_INIT;
    struct template_store *s = open_store(f, &err);
    bool named = false;

    if (!s) {
        if (!strstr(err.msg, name))
            fail_msg("a flipped bit in %s: \"%s\"", where, err.msg);
        return;
    }
    if (template_verify(s, false, NULL, &r, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < r.damage.n; i++)
        named = named || strstr(r.damage.v[i], name);
    if (!named)
        fail_msg("a flipped bit in %s is not named: %s", where, r.damage.n ? r.damage.v[0] : "-");
    template_verify_report_release(&r);
    template_store_free(s);
}

/* Evenly over the file, another bit each time, and all of its first and last bytes. */
static void flip_file(struct fixture *f, const char *path, const char *name)
{
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    off_t step, at = 0;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    step = st.st_size / FLIPS + 1;
    for (unsigned turn = 0; at < st.st_size; turn++) {
        unsigned char byte, bad;
        char where[200];

        (void)snprintf(where, sizeof(where), "byte %lld of %s", (long long)at, path);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        bad = byte ^ (unsigned char)(1u << (turn % 8));
        assert_int_equal(pwrite(fd, &bad, 1, at), 1);
        check_named(f, name, where);
        if (turn % READS == 0)
            check_reads(f, where);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        at += at < 16 || at >= st.st_size - 72 ? 1 : step;
    }
}

static void flip_area(struct fixture *f, const char *area)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[256];
    struct error err;

    (void)snprintf(path, sizeof(path), "%s/%s", f->path, area);
    assert_int_equal(fs_list(AT_FDCWD, path, &names, &err), 0);
    assert_true(names.n > 0);
    for (size_t i = 0; i < names.n; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s/%s", f->path, area, names.v[i]);
        flip_file(f, path, names.v[i]);
    }
}

static void test_a_bit_that_flips_in_a_pack_is_named_and_not_served(void **state)
{
    flip_area(*state, "packs");
}

static void test_a_bit_that_flips_in_a_revision_is_named_and_not_served(void **state)
{
    flip_area(*state, "revisions");
}

static void test_a_bit_that_flips_in_a_templates_record_is_named(void **state)
{
    flip_area(*state, "templates");
}

static void test_a_bit_that_flips_in_the_secret_or_the_format_is_named(void **state)
{
    struct fixture *f = *state;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/secret", f->path);
    flip_file(f, path, "secret");
    (void)snprintf(path, sizeof(path), "%s/format", f->path);
    flip_file(f, path, "format");
}

/* So the files above are all there are.  Sessions have names of packs, for as long as a packer
 * lives. */
static void test_no_other_file_of_a_store_has_content(void **state)
{
    static const char *const others[] = {"condemned", "holds", "tmp", "raw"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CLEANUP(argv_release) struct argv names = ARGV_INIT;
        char path[256];
        struct error err;

        (void)snprintf(path, sizeof(path), "%s/%s", f->path, others[i]);
        if (access(path, F_OK) == 0) {
            assert_int_equal(fs_list(AT_FDCWD, path, &names, &err), 0);
            if (names.n)
                fail_msg("%s/%s", others[i], names.v[0]);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_bit_that_flips_in_a_pack_is_named_and_not_served),
        TEST(test_a_bit_that_flips_in_a_revision_is_named_and_not_served),
        TEST(test_a_bit_that_flips_in_a_templates_record_is_named),
        TEST(test_a_bit_that_flips_in_the_secret_or_the_format_is_named),
        TEST(test_no_other_file_of_a_store_has_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
