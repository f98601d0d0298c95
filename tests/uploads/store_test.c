/* Nothing is in the store before it is whole, and nothing stays that nobody wants. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/uploads.h"

#define MAX_BYTES 1000

struct fixture {
    char path[64];
    struct upload_store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char dir[96];
    struct error err;

    (void)snprintf(f->path, sizeof(f->path), "/tmp/kiln-store-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    (void)snprintf(dir, sizeof(dir), "%s/a/store", f->path);
    *state = f;
    return upload_store_open(dir, MAX_BYTES, &f->store, &err);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err;
    int result;

    upload_store_free(f->store);
    result = fs_remove_tree(AT_FDCWD, f->path, &err);
    free(f);
    return result;
}

/* Entries of the store's directory, or of .incoming. */
static int count(const struct fixture *f, const char *sub)
{
    char path[128];
    struct dirent *e;
    int n = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/a/store/%s", f->path, sub);
    dir = opendir(path);
    assert_non_null(dir);
    while ((e = readdir(dir)))
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void put(struct fixture *f, const char *object, const char *text, char *key)
{
    struct upload_sink *k;
    struct error err;
    uint64_t size;

    assert_int_equal(upload_store_begin(f->store, object, &k, &err), 0);
    assert_int_equal(upload_sink_write(k, text, strlen(text), &err), 0);
    assert_int_equal(upload_sink_commit(k, key, &size, &err), 0);
    assert_int_equal(size, strlen(text));
    upload_sink_free(k);
}

static bool keep_all(void *self, const char *key)
{
    (void)self;
    (void)key;
    return true;
}

static bool keep_one(void *self, const char *key)
{
    return strcmp(self, key) == 0;
}

static void test_what_was_committed_can_be_read_back(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buf_release) struct buf content = BUF_INIT(MAX_BYTES);
    CLEANUP_CLOSE int fd = -1;
    char key[UPLOAD_KEY_TEXT];
    struct error err;

    put(f, "build-1", "archive", key);
    assert_true(text_starts(key, "build-1-"));
    assert_int_equal(strlen(key), strlen("build-1-") + 8);
    assert_int_equal(upload_store_get(f->store, key, &fd, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fs_read_fd(fd, &content, &err), 0);
    assert_string_equal(buf_str(&content), "archive");
    assert_int_equal(count(f, ".incoming"), 0);
}

static void test_two_uploads_of_one_object_do_not_touch_each_other(void **state)
{
    struct fixture *f = *state;
    char first[UPLOAD_KEY_TEXT], second[UPLOAD_KEY_TEXT];

    put(f, "build-1", "first", first);
    put(f, "build-1", "second", second);
    assert_string_not_equal(first, second);
    assert_int_equal(count(f, ""), 2);
}

static void test_an_upload_that_was_given_up_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct upload_sink *k;
    struct error err;

    assert_int_equal(upload_store_begin(f->store, "b", &k, &err), 0);
    assert_int_equal(upload_sink_write(k, "half", 4, &err), 0);
    assert_int_equal(count(f, ""), 0);
    assert_int_equal(count(f, ".incoming"), 1);
    upload_sink_free(k);
    assert_int_equal(count(f, ".incoming"), 0);
    upload_sink_free(NULL);
}

static void test_an_archive_past_the_limit_is_refused_and_never_kept(void **state)
{
    struct fixture *f = *state;
    char block[MAX_BYTES] = "", key[UPLOAD_KEY_TEXT];
    struct upload_sink *k;
    struct error err;
    uint64_t size;

    assert_int_equal(upload_store_begin(f->store, "b", &k, &err), 0);
    assert_int_equal(upload_sink_write(k, block, sizeof(block), &err), 0);
    assert_int_equal(upload_sink_write(k, block, 1, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.msg, "1001 bytes"));
    assert_non_null(strstr(err.msg, "1000 bytes"));
    assert_int_equal(upload_sink_commit(k, key, &size, &err), -1);
    upload_sink_free(k);
    assert_int_equal(count(f, ""), 0);
}

static void test_a_process_killed_while_receiving_leaves_what_the_sweep_removes(void **state)
{
    struct fixture *f = *state;
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 3700}, {.tv_sec = time(NULL) - 3700}};
    char path[512] = "";
    struct error err;
    struct dirent *e;
    int status;
    DIR *dir;
    pid_t pid = fork();

    if (pid == 0) {
        struct upload_sink *k;

        if (upload_store_begin(f->store, "b", &k, &err) == 0 &&
            upload_sink_write(k, "half", 4, &err) == 0)
            (void)raise(SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count(f, ""), 0);
    assert_int_equal(count(f, ".incoming"), 1);

    /* As young as it is, it might still be fed. */
    assert_int_equal(upload_store_sweep(f->store, keep_all, NULL, &err), 0);
    assert_int_equal(count(f, ".incoming"), 1);

    (void)snprintf(path, sizeof(path), "%s/a/store/.incoming", f->path);
    dir = opendir(path);
    assert_non_null(dir);
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.')
            assert_int_equal(utimensat(dirfd(dir), e->d_name, old, 0), 0);
    closedir(dir);
    assert_int_equal(upload_store_sweep(f->store, keep_all, NULL, &err), 0);
    assert_int_equal(count(f, ".incoming"), 0);
}

static void test_a_sweep_removes_what_is_not_kept(void **state)
{
    struct fixture *f = *state;
    char first[UPLOAD_KEY_TEXT], second[UPLOAD_KEY_TEXT];
    struct error err;
    int fd = -1;

    put(f, "b", "1", first);
    put(f, "b", "2", second);
    assert_int_equal(upload_store_sweep(f->store, keep_one, second, &err), 0);
    assert_int_equal(upload_store_get(f->store, first, &fd, &err), -1);
    assert_int_equal(upload_store_get(f->store, second, &fd, &err), 0);
    close(fd);
}

static void test_removing_twice_is_fine(void **state)
{
    struct fixture *f = *state;
    char key[UPLOAD_KEY_TEXT];
    struct error err;

    put(f, "b", "1", key);
    assert_int_equal(upload_store_remove(f->store, key, &err), 0);
    assert_int_equal(upload_store_remove(f->store, key, &err), 0);
    assert_int_equal(count(f, ""), 0);
}

static void test_no_name_reaches_another_directory(void **state)
{
    static const char *const names[] = {"", "..", "../x", "a/b", ".incoming", "a b", "a.b", "a\n"};
    struct fixture *f = *state;
    struct upload_sink *k;
    struct error err;
    char longest[100];
    int fd;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(upload_store_begin(f->store, names[i], &k, &err), -1);
        assert_int_equal(upload_store_get(f->store, names[i], &fd, &err), -1);
        assert_int_equal(upload_store_remove(f->store, names[i], &err), -1);
    }
    memset(longest, 'x', sizeof(longest));
    longest[UPLOAD_KEY_TEXT - 9] = '\0';
    assert_int_equal(upload_store_begin(f->store, longest, &k, &err), -1);
    longest[UPLOAD_KEY_TEXT - 10] = '\0';
    assert_int_equal(upload_store_begin(f->store, longest, &k, &err), 0);
    upload_sink_free(k);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_what_was_committed_can_be_read_back),
        T(test_two_uploads_of_one_object_do_not_touch_each_other),
        T(test_an_upload_that_was_given_up_leaves_nothing),
        T(test_an_archive_past_the_limit_is_refused_and_never_kept),
        T(test_a_process_killed_while_receiving_leaves_what_the_sweep_removes),
        T(test_a_sweep_removes_what_is_not_kept),
        T(test_removing_twice_is_fine),
        T(test_no_name_reaches_another_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
