/* The socket by which a jail asks for results of other workers, with a jail that says what it
 * likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/cache_link.h"

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Written by the link's thread. */
struct asked {
    pthread_mutex_t lock;
    char digest[80];
    uint64_t size;
    int calls;
};

static void note(struct asked *a, const char *digest, uint64_t size)
{
    pthread_mutex_lock(&a->lock);
    a->calls++;
    (void)snprintf(a->digest, sizeof(a->digest), "%s", digest);
    a->size = size;
    pthread_mutex_unlock(&a->lock);
}

static int look_up(void *self, const char *name, struct buf *ret, bool *ret_found,
                   struct error *err)
{
    note(self, "", 0);
    *ret_found = strcmp(name, BUILDER_REMOTE_STEPS) == 0;
    buf_adds(ret, "text");
    return buf_check(ret, "it", err);
}

static int fetch(void *self, const char *digest, uint64_t size, int fd, bool *ret_found,
                 struct error *err)
{
    note(self, digest, size);
    *ret_found = true;
    if (size == 13)
        return error_set(err, ERR_REMOTE, "it is unlucky");
    return fs_write_all(fd, "blob", 4, err);
}

/* The inside of a link is this process itself, with the socket for its standard input. */
struct scene {
    struct asked asked;
    struct builder_remote remote;
    struct cache_link_server server;
    struct cache_link link;
    int kept; /* the standard input of before */
};

static int begin(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    int document = memfd_create("document", MFD_CLOEXEC), input = -1, got = -1;
    CLEANUP(buf_release) struct buf text = BUF_INIT(100);
    struct error err = ERROR_INIT;

    assert_non_null(s);
    *state = s;
    pthread_mutex_init(&s->asked.lock, NULL);
    s->remote = (struct builder_remote){look_up, fetch, &s->asked};
    assert_int_equal(write(document, "program", 7), 7);
    assert_int_equal(lseek(document, 0, SEEK_SET), 0);
    s->kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (cache_link_serve(&s->remote, document, &s->server, &input, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
    if (cache_link_open(&s->link, &got, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(fs_read_fd(got, &text, &err), 0);
    assert_string_equal(buf_str(&text), "program");
    close(got);
    close(document);
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;

    assert_int_equal(dup2(s->kept, STDIN_FILENO), STDIN_FILENO);
    close(s->kept);
    cache_link_close(&s->link);
    cache_link_end(&s->server);
    free(s);
    return 0;
}

static void assert_asked(struct scene *s, const char *digest, uint64_t size, int calls)
{
    pthread_mutex_lock(&s->asked.lock);
    assert_string_equal(s->asked.digest, digest);
    assert_int_equal(s->asked.size, size);
    assert_int_equal(s->asked.calls, calls);
    pthread_mutex_unlock(&s->asked.lock);
}

static int ask(struct scene *s, const char *what, bool *ret_found, struct buf *ret,
               struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("answer", MFD_CLOEXEC);

    *err = (struct error)ERROR_INIT;
    if (cache_link_ask(&s->link, what, fd, ret_found, err) < 0)
        return -1;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    buf_clear(ret);
    return fs_read_fd(fd, ret, err);
}

static void test_what_is_there_comes_what_is_not_is_said_so(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(100);
    struct scene *s = *state;
    struct error err;
    bool found = false;

    assert_int_equal(ask(s, "get steps", &found, &text, &err), 0);
    assert_true(found);
    assert_string_equal(buf_str(&text), "text");
    assert_int_equal(ask(s, "get mount-" HEX, &found, &text, &err), 0);
    assert_false(found);
    assert_int_equal(text.len, 0);
    assert_int_equal(ask(s, "blob sha256:" HEX " 4", &found, &text, &err), 0);
    assert_string_equal(buf_str(&text), "blob");
    assert_asked(s, "sha256:" HEX, 4, 3);
    assert_int_equal(ask(s, "blob sha256:" HEX " 13", &found, &text, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_string_equal(err.msg, "it is unlucky");
}

static void test_nothing_else_is_passed_on(void **state)
{
    static const char *const words[] = {
        "get ",
        "get latest",
        "get steps-sandbox-other",
        "get mount-x",
        "get ../steps",
        "blob sha256:x 4",
        "blob sha256:" HEX,
        "blob sha256:" HEX " -4",
        "blob " HEX " 4",
        "put steps",
        "get mount-" HEX "/../x",
        "\n",
        "blob sha256:" HEX " 99999999999999999999",
    };
    CLEANUP(buf_release) struct buf text = BUF_INIT(100);
    struct scene *s = *state;
    struct error err;
    bool found;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (ask(s, words[i], &found, &text, &err) == 0)
            fail_msg("taken: %s", words[i]);
    assert_asked(s, "", 0, 0);
    assert_int_equal(ask(s, "get steps", &found, &text, &err), 0);
}

static void test_only_a_plain_file_is_written_to(void **state)
{
    struct scene *s = *state;
    struct error err = ERROR_INIT;
    int ends[2];
    bool found;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(cache_link_ask(&s->link, "get steps", ends[1], &found, &err), -1);
    assert_int_equal(cache_link_ask(&s->link, "get steps", -1, &found, &err), -1);
    close(ends[0]);
    close(ends[1]);
    assert_asked(s, "", 0, 0);
}

static void test_a_long_message_harms_nobody(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(100), words = BUF_INIT(200000);
    struct scene *s = *state;
    struct error err;
    bool found;

    while (words.len < 100000)
        buf_adds(&words, "get steps ");
    assert_int_equal(ask(s, buf_str(&words), &found, &text, &err), -1);
    assert_int_equal(ask(s, "get steps", &found, &text, &err), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_there_comes_what_is_not_is_said_so),
        TEST(test_nothing_else_is_passed_on),
        TEST(test_only_a_plain_file_is_written_to),
        TEST(test_a_long_message_harms_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
