/* A served volume, without nbdkit: reads, writes, extents, restarts, and threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "templates/templates.h"

#define CONTENT 300000
#define BLOCK   4096

struct fixture {
    char dir[64], overlay[80];
    struct template_store *store;
    unsigned char *image; /* as template_revision_read gives it */
    uint64_t size;
};

static void write_file(const char *dir, const char *name, unsigned char seed)
{
    static unsigned char data[CONTENT];
    char path[128];
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(seed + i / 7 + (i >> 9) * 3);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(fs_write_file(AT_FDCWD, path, data, sizeof(data), 0644, &err), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct template_pack_request req = {.name = "t", .archive_fd = -1, .now = 1};
    struct template_pack_report report;
    struct template_revision *r = NULL;
    struct error err = ERROR_INIT;
    char tree[80];

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-disk-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->overlay, sizeof(f->overlay), "%s/overlay", f->dir);
    (void)snprintf(tree, sizeof(tree), "%s/tree", f->dir);
    assert_int_equal(mkdir(tree, 0755), 0);
    write_file(tree, "a", 1);
    write_file(tree, "b", 77);
    req.directory = tree;
    if (template_store_open_memory(NULL, &f->store, &err) < 0 ||
        template_pack(f->store, &req, &report, &err) < 0 ||
        template_revision_open(f->store, &report.ref, &r, &err) < 0)
        fail_msg("%s", err.msg);
    f->size = report.image_size;
    f->image = malloc(f->size);
    assert_int_equal(template_revision_read(r, 0, f->image, f->size, &err), 0);
    template_revision_free(r);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    int result;

    template_store_free(f->store);
    result = fs_remove_tree(AT_FDCWD, f->dir, &err);
    free(f->image);
    free(f);
    return result;
}

static struct template_disk *open_disk(struct fixture *f, bool overlay, uint64_t size)
{
    struct template_disk_request req = {.ref = {"t", 0},
                                        .overlay = overlay ? f->overlay : NULL,
                                        .size = size,
                                        .cache_max = TEMPLATE_DISK_CACHE,
                                        .cache_dir = f->dir};
    struct template_disk *d = NULL;
    struct error err = ERROR_INIT;

    if (template_disk_open(f->store, &req, &d, &err) < 0)
        fail_msg("%s", err.msg);
    return d;
}

static void expect(struct template_disk *d, const unsigned char *image, uint64_t size)
{
    unsigned char *got = malloc(size);
    struct error err = ERROR_INIT;

    for (int turn = 0; turn < 2; turn++) { /* from the store, and from what was kept */
        assert_int_equal(template_disk_read(d, 0, got, size, &err), 0);
        assert_memory_equal(got, image, size);
    }
    free(got);
}

static void reads_are_the_image_and_zeros_after_it(void **state)
{
    struct fixture *f = *state;
    struct template_disk *d = open_disk(f, false, f->size + 5 * BLOCK + 1);
    unsigned char tail[6 * BLOCK];
    struct error err = ERROR_INIT;

    assert_int_equal(template_disk_info(d)->size, f->size + 6 * BLOCK);
    assert_false(template_disk_info(d)->writable);
    expect(d, f->image, f->size);
    assert_int_equal(template_disk_read(d, f->size, tail, sizeof(tail), &err), 0);
    for (size_t i = 0; i < sizeof(tail); i++)
        assert_int_equal(tail[i], 0);
    assert_int_equal(template_disk_read(d, f->size + 6 * BLOCK, tail, 1, &err), -1);
    assert_int_equal(template_disk_read(d, UINT64_MAX, tail, 2, &err), -1);
    assert_int_equal(template_disk_write(d, 0, tail, 1, &err), -1);
    template_disk_free(d);
}

/* Every extent of zeros is zeros, and together they are the volume. */
static void check_extents(struct template_disk *d, const unsigned char *image, uint64_t size)
{
    uint64_t zeros = 0;

    for (uint64_t at = 0, len = 0; at < size; at += len) {
        struct error err = ERROR_INIT;
        bool zero = false;

        assert_int_equal(template_disk_extent(d, at, size - at, &len, &zero, &err), 0);
        assert_in_range(len, 1, size - at);
        for (uint64_t i = 0; zero && i < len; i++)
            assert_int_equal(image[at + i], 0);
        zeros += zero ? len : 0;
    }
    assert_true(zeros > size / 4);
}

static void writes_win_and_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    unsigned char data[3 * BLOCK];
    struct error err = ERROR_INIT;
    static const struct {
        uint64_t at;
        size_t len;
    } writes[] = {{0, 1},          {BLOCK - 1, 2},   {5 * BLOCK, BLOCK}, {9 * BLOCK + 7, 2 * BLOCK},
                  {5 * BLOCK, 10}, {40 * BLOCK, 100}};

    for (size_t turn = 0; turn < 3; turn++) {
        struct template_disk *d = open_disk(f, true, 0);

        assert_int_equal(template_disk_info(d)->fresh, turn == 0);
        expect(d, f->image, f->size);
        for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
            memset(data, (int)(turn * 16 + i + 1), sizeof(data));
            memcpy(f->image + writes[i].at, data, writes[i].len);
            assert_int_equal(template_disk_write(d, writes[i].at, data, writes[i].len, &err), 0);
        }
        memset(f->image + 20 * BLOCK + turn, 0, 10 * BLOCK);
        assert_int_equal(template_disk_zero(d, 20 * BLOCK + turn, 10 * BLOCK, &err), 0);
        expect(d, f->image, f->size);
        check_extents(d, f->image, f->size);
        template_disk_free(d);
    }
}

static void it_grows_and_does_not_shrink(void **state)
{
    struct fixture *f = *state;
    const uint64_t larger = f->size + (300 << 20);
    struct template_disk *d = open_disk(f, true, 0);
    struct template_disk_request req = {.overlay = f->overlay, .size = f->size};
    struct error err = ERROR_INIT;
    unsigned char byte = 9;

    f->image[BLOCK] = byte;
    assert_int_equal(template_disk_write(d, BLOCK, &byte, 1, &err), 0);
    template_disk_free(d);
    d = open_disk(f, true, larger);
    expect(d, f->image, f->size);
    assert_int_equal(template_disk_write(d, larger - 1, &byte, 1, &err), 0);
    template_disk_free(d);
    assert_int_equal(template_disk_open(f->store, &req, &d, &err), -1);
    assert_non_null(strstr(err.msg, "do not shrink"));
    d = open_disk(f, true, 0);
    expect(d, f->image, f->size);
    assert_int_equal(template_disk_read(d, larger - 2, f->image, 2, &err), 0);
    assert_int_equal(f->image[0], 0);
    assert_int_equal(f->image[1], 9);
    template_disk_free(d);
}

static void a_second_open_and_a_changed_header_are_refused(void **state)
{
    struct fixture *f = *state;
    struct template_disk *d = open_disk(f, true, 0), *other = NULL;
    struct template_disk_request req = {.overlay = f->overlay};
    struct error err = ERROR_INIT;
    FILE *file;

    assert_int_equal(template_disk_open(f->store, &req, &other, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_non_null(strstr(err.msg, "in use"));
    template_disk_free(d);
    for (long at = 0; at < 544; at += 17) {
        int byte;

        file = fopen(f->overlay, "r+");
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        byte = fgetc(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fputc(byte ^ 0x40, file), byte ^ 0x40);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(template_disk_open(f->store, &req, &other, &err), -1);
        assert_non_null(strstr(err.msg, "is not the overlay"));
        file = fopen(f->overlay, "r+");
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        (void)fputc(byte, file);
        assert_int_equal(fclose(file), 0);
    }
    template_disk_free(open_disk(f, true, 0));
    assert_int_equal(template_disk_remove(f->store, f->overlay, &err), 0);
    assert_int_equal(access(f->overlay, F_OK), -1);
}

struct job {
    struct template_disk *disk;
    unsigned char k;
};

static void *write_eighths(void *self)
{
    struct job *j = self;
    unsigned char data[512], got[512];
    struct error err = ERROR_INIT;

    memset(data, j->k + 1, sizeof(data));
    for (uint64_t block = 0; block < 60; block++) {
        uint64_t at = block * BLOCK + j->k * sizeof(data);

        if (template_disk_write(j->disk, at, data, sizeof(data), &err) < 0 ||
            (block % 16 == j->k && template_disk_flush(j->disk, &err) < 0) ||
            template_disk_read(j->disk, at, got, sizeof(got), &err) < 0 ||
            memcmp(got, data, sizeof(got)) != 0)
            return self;
    }
    return NULL;
}

static void threads_at_once_do_not_undo_each_other(void **state)
{
    struct fixture *f = *state;
    struct template_disk *d = open_disk(f, true, 0);
    pthread_t threads[8];
    struct job jobs[8];

    for (unsigned char k = 0; k < 8; k++) {
        jobs[k] = (struct job){d, k};
        assert_int_equal(pthread_create(&threads[k], NULL, write_eighths, &jobs[k]), 0);
    }
    for (size_t k = 0; k < 8; k++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[k], &failed), 0);
        assert_null(failed);
    }
    for (size_t i = 0; i < 60 * BLOCK; i++)
        f->image[i] = (unsigned char)(i % BLOCK / 512 + 1);
    expect(d, f->image, f->size);
    template_disk_free(d);
    d = open_disk(f, true, 0);
    expect(d, f->image, f->size);
    template_disk_free(d);
}

struct guest {
    struct template_disk *disk;
    const unsigned char *image; /* what nobody writes */
    uint64_t size;              /* the end of it is the guests' own */
    unsigned k;
    bool failed;
};

#define GUESTS 6
#define ROUNDS 60
#define OWN    (16 * BLOCK) /* bytes after the image, for each two guests */

/* Whether what is asked of is as it should be: bytes of the image, and the guest's own. */
static bool look(struct guest *g, uint64_t own, unsigned char value)
{
    unsigned char got[3 * BLOCK];
    uint64_t at = (own * 7919 + g->k * 104729) % (g->size - sizeof(got)), len = 0;
    struct error err = ERROR_INIT;
    bool zero = false;

    if (template_disk_read(g->disk, at, got, sizeof(got), &err) < 0 ||
        memcmp(got, g->image + at, sizeof(got)) != 0 ||
        template_disk_extent(g->disk, at, sizeof(got), &len, &zero, &err) < 0 || len == 0 ||
        template_disk_read(g->disk, own, got, BLOCK / 2, &err) < 0)
        return false;
    for (size_t i = 0; i < BLOCK / 2; i++)
        if (got[i] != value)
            return false;
    return true;
}

/* All that nbdkit asks of the plugin, on many threads, as the guest pleases. */
static void *be_a_guest(void *self)
{
    struct guest *g = self;
    unsigned char data[BLOCK / 2];
    struct error err = ERROR_INIT;

    for (unsigned round = 0; round < ROUNDS && !g->failed; round++) {
        /* Two guests share each block: a half is one's, a half the other's. */
        uint64_t own = g->size + (g->k / 2) * OWN + (round % 16) * BLOCK + (g->k % 2) * (BLOCK / 2);
        unsigned char value = (unsigned char)(round * GUESTS + g->k + 1);

        memset(data, value, sizeof(data));
        g->failed = template_disk_write(g->disk, own, data, sizeof(data), &err) < 0 ||
                    !look(g, own, value) || template_disk_zero(g->disk, own, BLOCK / 2, &err) < 0 ||
                    !look(g, own, 0) ||
                    (round % 8 == g->k && template_disk_flush(g->disk, &err) < 0);
    }
    return NULL;
}

/* A cache of two windows is emptied again and again meanwhile. */
static void guests_at_once_see_the_image_and_their_own(void **state)
{
    struct fixture *f = *state;
    struct template_disk_request req = {.ref = {"t", 0},
                                        .overlay = f->overlay,
                                        .size = f->size + GUESTS * OWN,
                                        .cache_max = 2 * 131072,
                                        .cache_dir = f->dir};
    struct template_disk *d = NULL;
    struct guest guests[GUESTS];
    pthread_t threads[GUESTS];
    struct error err = ERROR_INIT;

    if (template_disk_open(f->store, &req, &d, &err) < 0)
        fail_msg("%s", err.msg);
    for (unsigned k = 0; k < GUESTS; k++) {
        guests[k] = (struct guest){.disk = d, .image = f->image, .size = f->size, .k = k};
        assert_int_equal(pthread_create(&threads[k], NULL, be_a_guest, &guests[k]), 0);
    }
    for (unsigned k = 0; k < GUESTS; k++) {
        assert_int_equal(pthread_join(threads[k], NULL), 0);
        assert_false(guests[k].failed);
    }
    template_disk_free(d);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(reads_are_the_image_and_zeros_after_it),
        TEST(writes_win_and_survive_a_restart),
        TEST(it_grows_and_does_not_shrink),
        TEST(a_second_open_and_a_changed_header_are_refused),
        TEST(threads_at_once_do_not_undo_each_other),
        TEST(guests_at_once_see_the_image_and_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
