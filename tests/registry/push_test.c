/* Blobs and images to and from a real registry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "tests/registry/fixture.h"

#define REPO  "team/sandbox/demo"
#define OTHER "team/sandbox/other"
#define MANY  (9u << 20)

/* A file of len bytes that differ with seed, and its digest. */
static int make_file(unsigned seed, size_t len, char digest[REGISTRY_DIGEST])
{
    CLEANUP_FREE unsigned char *data = malloc(len + 1);
    struct error err = ERROR_INIT;
    int fd = memfd_create("blob", MFD_CLOEXEC);

    assert_true(fd >= 0 && data);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245u + 12345u;
        data[i] = (unsigned char)(seed >> 16);
    }
    assert_int_equal(fs_write_all(fd, data, len, &err), 0);
    memcpy(digest, "sha256:", 7);
    digest_sha256_hex(data, len, digest + 7);
    return fd;
}

static bool is_there(const struct fixture *f, const char *repository, const char *digest)
{
    enum registry_presence presence = REGISTRY_ABSENT;
    struct error err = ERROR_INIT;

    if (registry_has_blob(&f->registry, repository, digest, &presence, &err) < 0)
        fail_msg("%s", err.msg);
    return presence == REGISTRY_PRESENT;
}

static void put(const struct fixture *f, const char *repository, unsigned seed, size_t len,
                char digest[REGISTRY_DIGEST])
{
    CLEANUP_CLOSE int fd = make_file(seed, len, digest);
    struct error err = ERROR_INIT;

    if (registry_put_blob(&f->registry, repository, digest, fd, len, &err) < 0)
        fail_msg("%s", err.msg);
}

static void check_fetched(const struct fixture *f, const char *digest, size_t len)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(2 * MANY);
    CLEANUP_CLOSE int fd = memfd_create("fetched", MFD_CLOEXEC);
    enum registry_presence presence = REGISTRY_ABSENT;
    struct error err = ERROR_INIT;
    char hex[SHA256_HEX];

    if (registry_get_blob(&f->registry, REPO, digest, len, fd, &presence, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(presence, REGISTRY_PRESENT);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fs_read_fd(fd, &content, &err), 0);
    assert_int_equal(content.len, len);
    digest_sha256_hex(buf_str(&content), content.len, hex);
    assert_string_equal(hex, digest + 7);
}

static void test_a_blob_that_was_sent_is_there_and_comes_back(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, MANY};
    char digest[REGISTRY_DIGEST];

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(*state, REPO, i, sizes[i], digest);
        assert_true(is_there(*state, REPO, digest));
        check_fetched(*state, digest, sizes[i]);
    }
}

static void test_a_blob_that_was_sent_in_pieces_is_there_and_comes_back(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];

    f->registry.chunk = 1 << 20;
    put(f, REPO, 11, (5u << 20) + 17, digest);
    check_fetched(f, digest, (5u << 20) + 17);
}

static void test_a_blob_that_is_not_there_is_absent(void **state)
{
    const struct fixture *f = *state;
    CLEANUP_CLOSE int fd = memfd_create("fetched", MFD_CLOEXEC);
    enum registry_presence presence = REGISTRY_PRESENT;
    char digest[REGISTRY_DIGEST];
    struct error err = ERROR_INIT;

    put(f, OTHER, 5, 100, digest);
    assert_false(is_there(f, REPO, digest));
    assert_int_equal(registry_get_blob(&f->registry, REPO, digest, 100, fd, &presence, &err), 0);
    assert_int_equal(presence, REGISTRY_ABSENT);
}

static void test_a_file_that_is_not_what_its_digest_says_is_refused(void **state)
{
    const struct fixture *f = *state;
    char digest[REGISTRY_DIGEST], wrong[REGISTRY_DIGEST];
    CLEANUP_CLOSE int fd = make_file(1, 1000, digest);
    struct error err = ERROR_INIT;

    close(make_file(2, 1000, wrong));
    assert_int_equal(registry_put_blob(&f->registry, REPO, wrong, fd, 1000, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_true(text_starts(err.msg, "send sha256:"));
    assert_non_null(strstr(err.msg, fixture_is_other() ? " to " REPO
                                                         ": HTTP 400 BLOB_UPLOAD_INVALID"
                                                       : " to " REPO ": HTTP 400 DIGEST_INVALID"));
    assert_false(is_there(f, REPO, wrong));
}

static void test_a_file_that_is_too_short_is_our_fault(void **state)
{
    const struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    CLEANUP_CLOSE int fd = make_file(1, 1000, digest);
    struct error err = ERROR_INIT;

    assert_int_equal(registry_put_blob(&f->registry, REPO, digest, fd, 1001, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "shorter"));
}

static void test_a_blob_of_another_size_than_said_is_not_taken(void **state)
{
    const struct fixture *f = *state;
    CLEANUP_CLOSE int fd = memfd_create("fetched", MFD_CLOEXEC);
    struct registry impatient = f->registry;
    enum registry_presence presence;
    char digest[REGISTRY_DIGEST];
    struct stat st;

    impatient.tries = 2;
    impatient.wait_ms = 1;
    put(f, REPO, 3, 1000, digest);
    for (uint64_t size = 999; size <= 1001; size += 2) {
        struct error err = ERROR_INIT;

        assert_int_equal(registry_get_blob(&impatient, REPO, digest, size, fd, &presence, &err),
                         -1);
        assert_int_equal(err.kind, ERR_REMOTE);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 0);
    }
}

static void test_a_blob_is_mounted_from_where_it_is_and_from_nowhere_else(void **state)
{
    const struct fixture *f = *state;
    char digest[REGISTRY_DIGEST], absent[REGISTRY_DIGEST];
    struct error err = ERROR_INIT;
    bool mounted = false;

    put(f, OTHER, 4, 5000, digest);
    close(make_file(5, 10, absent));
    assert_int_equal(registry_mount_blob(&f->registry, REPO, digest, OTHER, &mounted, &err), 0);
    assert_true(mounted);
    assert_true(is_there(f, REPO, digest));
    assert_int_equal(registry_mount_blob(&f->registry, REPO, absent, OTHER, &mounted, &err), 0);
    assert_false(mounted);
    assert_int_equal(registry_mount_blob(&f->registry, REPO, absent, "no/such", &mounted, &err), 0);
    assert_false(mounted);
}

/* ---- images ---- */

struct blob {
    char digest[REGISTRY_DIGEST];
    size_t len;
    int fd;
    int opened;
};

static int open_blob(void *self, int *ret_fd, struct error *err)
{
    struct blob *b = self;

    (void)err;
    __atomic_add_fetch(&b->opened, 1, __ATOMIC_SEQ_CST);
    *ret_fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
    return *ret_fd < 0 ? error_errno(err, errno, "duplicate") : 0;
}

#define N 6

struct image {
    struct blob blobs[N];
    struct registry_layer layers[N];
    char config[64];
    struct buf manifest;
    struct registry_image image;
};

/* Layers of different sizes; the last one is the first again. */
static void make_image(struct image *m, unsigned seed)
{
    char digest[REGISTRY_DIGEST] = "sha256:";

    memset(m, 0, sizeof(*m));
    m->manifest = (struct buf)BUF_INIT(65536);
    (void)snprintf(m->config, sizeof(m->config), "{\"seed\":%u}", seed);
    digest_sha256_hex(m->config, strlen(m->config), digest + 7);
    buf_addf(&m->manifest,
             "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":{\"mediaType\":"
             "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
             "\"layers\":[",
             digest, strlen(m->config));
    for (unsigned i = 0; i < N; i++) {
        struct blob *b = &m->blobs[i];
        unsigned which = i == N - 1 ? 0 : i;

        b->len = 1000 + which * 300000;
        b->fd = make_file(seed + which, b->len, b->digest);
        m->layers[i] = (struct registry_layer){
            .digest = b->digest, .size = b->len, .open = open_blob, .self = b};
        buf_addf(&m->manifest,
                 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
                 "\"digest\":\"%s\",\"size\":%zu}",
                 i ? "," : "", b->digest, b->len);
    }
    buf_adds(&m->manifest, "]}");
    m->image = (struct registry_image){.repository = REPO,
                                       .tag = "v1",
                                       .config = m->config,
                                       .config_len = strlen(m->config),
                                       .layers = m->layers,
                                       .n_layers = N,
                                       .media_type = OCI_MANIFEST,
                                       .manifest = buf_str(&m->manifest),
                                       .manifest_len = m->manifest.len};
}

static void release_image(struct image *m)
{
    for (int i = 0; i < N; i++)
        close(m->blobs[i].fd);
    buf_release(&m->manifest);
}

static uint64_t bytes_of(const struct image *m)
{
    uint64_t sum = strlen(m->config);

    for (int i = 0; i < N - 1; i++)
        sum += m->blobs[i].len;
    return sum;
}

static void push(const struct fixture *f, const struct image *m, struct registry_pushed *ret)
{
    struct error err = ERROR_INIT;

    if (registry_push(&f->registry, &m->image, ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static void test_an_image_is_pushed_whole_and_the_second_time_nothing_is_sent(void **state)
{
    const struct fixture *f = *state;
    struct registry_manifest stored;
    enum registry_presence presence;
    struct registry_pushed pushed;
    struct error err = ERROR_INIT;
    struct image m;

    for (int at_once = 0; at_once <= 2; at_once++) {
        make_image(&m, 100 + (unsigned)at_once * 50);
        m.image.at_once = at_once;
        push(f, &m, &pushed);
        assert_int_equal(pushed.sent, bytes_of(&m));
        assert_int_equal(pushed.skipped, 0);
        for (int i = 0; i < N; i++)
            assert_int_equal(m.blobs[i].opened, i < N - 1);
        push(f, &m, &pushed);
        assert_int_equal(pushed.sent, 0);
        assert_int_equal(pushed.skipped, bytes_of(&m));
        assert_int_equal(m.blobs[1].opened, 1);
        assert_int_equal(registry_get_manifest(&f->registry, REPO, "v1", &presence, &stored, &err),
                         0);
        assert_string_equal(stored.digest, pushed.digest);
        assert_int_equal(stored.size, bytes_of(&m) + m.blobs[0].len);
        registry_manifest_release(&stored);
        release_image(&m);
    }
}

static void test_what_another_repository_has_is_mounted(void **state)
{
    const struct fixture *f = *state;
    struct registry_pushed pushed;
    struct image m;

    make_image(&m, 300);
    push(f, &m, &pushed);
    m.image.repository = OTHER;
    for (int i = 0; i < N; i++)
        m.layers[i].mount_from = i == 2 ? "no/such" : REPO;
    push(f, &m, &pushed);
    assert_int_equal(pushed.sent, m.blobs[2].len + strlen(m.config));
    assert_int_equal(pushed.skipped + pushed.sent, bytes_of(&m));
    release_image(&m);
}

static int refuse_to_open(void *self, int *ret_fd, struct error *err)
{
    (void)self;
    (void)ret_fd;
    return error_set(err, ERR_SYSTEM, "it is gone");
}

static void test_an_image_that_lacks_a_layer_gets_no_tag(void **state)
{
    const struct fixture *f = *state;
    struct registry_manifest stored;
    enum registry_presence presence;
    struct registry_pushed pushed;
    struct error err = ERROR_INIT;
    struct image m;

    make_image(&m, 400);
    m.layers[3].open = refuse_to_open;
    assert_int_equal(registry_push(&f->registry, &m.image, &pushed, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "it is gone"));
    assert_non_null(strstr(err.msg, m.blobs[3].digest));
    assert_int_equal(registry_get_manifest(&f->registry, REPO, "v1", &presence, &stored, &err), 0);
    assert_int_equal(presence, REGISTRY_ABSENT);
    release_image(&m);
}

static void test_a_manifest_goes_by_its_own_digest_only(void **state)
{
    const struct fixture *f = *state;
    char digest[REGISTRY_DIGEST] = "sha256:", said[REGISTRY_DIGEST];
    struct registry_pushed pushed;
    struct error err = ERROR_INIT;
    struct image m;

    make_image(&m, 500);
    push(f, &m, &pushed);
    digest_sha256_hex(m.image.manifest, m.image.manifest_len, digest + 7);
    assert_string_equal(pushed.digest, digest);
    assert_int_equal(registry_put_manifest(&f->registry, REPO, digest, OCI_MANIFEST,
                                           m.image.manifest, m.image.manifest_len, said, &err),
                     0);
    assert_string_equal(said, digest);
    assert_int_equal(registry_put_manifest(&f->registry, REPO, m.blobs[0].digest, OCI_MANIFEST,
                                           m.image.manifest, m.image.manifest_len, said, &err),
                     -1);
    assert_int_equal(err.kind, ERR_INPUT);
    release_image(&m);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_blob_that_was_sent_is_there_and_comes_back),
        TEST(test_a_blob_that_was_sent_in_pieces_is_there_and_comes_back),
        TEST(test_a_blob_that_is_not_there_is_absent),
        TEST(test_a_file_that_is_not_what_its_digest_says_is_refused),
        TEST(test_a_file_that_is_too_short_is_our_fault),
        TEST(test_a_blob_of_another_size_than_said_is_not_taken),
        TEST(test_a_blob_is_mounted_from_where_it_is_and_from_nowhere_else),
        TEST(test_an_image_is_pushed_whole_and_the_second_time_nothing_is_sent),
        TEST(test_what_another_repository_has_is_mounted),
        TEST(test_an_image_that_lacks_a_layer_gets_no_tag),
        TEST(test_a_manifest_goes_by_its_own_digest_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
