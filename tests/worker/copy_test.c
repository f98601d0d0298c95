/* A state is copied to a file at one moment and from there to another database, row for row; and
 * it goes on there. */
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "tests/worker/state_fixture.h"
#include "worker/state_copy.h"

struct copying {
    struct fixture *f;
    char dir[32], path[64];
    struct argv archives, before;
    struct build waiting, running;
};

/* ---- a state with some of everything ---- */

static void append(struct fixture *f, const struct build *b, int n)
{
    for (int i = 0; i < n; i++) {
        const struct log_line line = {.severity = LOG_INFO, .text = i % 7 ? "a line" : "\xff\x01"};

        MUST(f, state_log_append(f->s, b->id, &line, 1, &f->err));
    }
}

static void fill(struct copying *c)
{
    struct fixture *f = c->f;
    const struct key_draft draft = {.workspace = WORKSPACE, .label = "it's \"one\"\n"};
    unsigned char secret[32];
    char text[API_KEY_TEXT];
    struct api_key key;

    for (int i = 0; i < 30; i++) {
        char name[16];
        struct build b;

        (void)snprintf(name, sizeof(name), "b-%d", i);
        b = queue_build(f, name);
        (void)must_claim(f, "w");
        append(f, &b, i * 3);
        (void)finish_build(f, &b, "w", i % 3 ? ERR_NONE : ERR_INPUT);
    }
    c->running = queue_build(f, "running");
    (void)must_claim(f, "w");
    c->waiting = queue_build(f, "waiting");
    MUST(f, state_secret(f->s, "upload key", secret, sizeof(secret), &f->err));
    MUST(f, state_key_create(f->s, &draft, text, &key, &f->err));
}

/* It is of the moment before: what is written from now on is not in it. */
static int begun(void *self, const struct argv *archives, struct error *err)
{
    const struct target t = sandbox("late");
    struct copying *c = self;
    struct state *other = fixture_open(c->f);
    struct build b;

    if (state_build_begin(other, &t, BUILD_FOR_IMAGE, &b, err) < 0)
        fail_msg("%s", err->msg);
    state_close(other);
    for (size_t i = 0; i < archives->n; i++)
        argv_push1(&c->archives, archives->v[i]);
    return 0;
}

static void copy_out(struct copying *c)
{
    const struct state_copying with = {.begun = begun, .self = c};

    MUST(c->f, state_copy_out(c->f->s, c->path, &with, &c->f->err));
}

static struct argv describe(struct fixture *f, struct state *s);

static struct state *open_copy(struct copying *c)
{
    const struct state_config config = {
        .path = c->path, .clock = &c->f->clock, .attempts_max = ATTEMPTS_MAX};
    struct state *s;

    MUST(c->f, state_open(&config, &s, &c->f->err));
    return s;
}

static struct copying begin(struct fixture *f)
{
    struct copying c = {.f = f, .dir = "/tmp/kiln-copy-XXXXXX"};

    assert_non_null(mkdtemp(c.dir));
    (void)snprintf(c.path, sizeof(c.path), "%s/copy.db", c.dir);
    fill(&c);
    c.before = describe(f, f->s);
    copy_out(&c);
    return c;
}

static void end(struct copying *c)
{
    argv_release(&c->archives);
    argv_release(&c->before);
    MUST(c->f, fs_remove_tree(AT_FDCWD, c->dir, &c->f->err));
}

/* ---- what both have ---- */

struct list {
    struct argv words;
    struct state *s;
};

static void note_line(void *self, const struct log_line *l)
{
    argv_pushf(self, "%lld %lld %d %s", (long long)l->seq, (long long)l->time, l->severity,
               l->text);
}

static void note_build(void *self, const struct build *b)
{
    struct list *list = self;
    struct error err = ERROR_INIT;
    int64_t total;

    argv_pushf(&list->words, "%s %s %d %s %s %s %lld", b->id, b->name, b->phase, b->archive,
               b->fault, b->message, (long long)b->finished);
    if (state_log_read(list->s, b->id, 0, false, INT64_MAX, note_line, &list->words, &total, &err) <
        0)
        fail_msg("%s", err.msg);
}

static void note_key(void *self, const struct api_key *k)
{
    argv_pushf(&((struct list *)self)->words, "%s %s %s %lld", k->id, k->workspace, k->label,
               (long long)k->created);
}

static struct argv describe(struct fixture *f, struct state *s)
{
    struct list list = {.words = ARGV_INIT, .s = s};
    unsigned char secret[32];
    char hex[2 * sizeof(secret) + 1] = "";
    int64_t total;

    MUST(f, state_build_list(s, WORKSPACE, "", 1000, note_build, &list, &total, &f->err));
    MUST(f, state_key_list(s, NULL, NULL, note_key, &list, &f->err));
    MUST(f, state_secret(s, "upload key", secret, sizeof(secret), &f->err));
    for (size_t i = 0; i < sizeof(secret); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", secret[i]);
    argv_push1(&list.words, hex);
    return list.words;
}

static void assert_same(const struct argv *a, const struct argv *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        assert_string_equal(a->v[i], b->v[i]);
}

/* ---- the tests ---- */

static void test_the_copy_is_the_same(void **state)
{
    struct copying c = begin(*state);
    struct state *copy = open_copy(&c);
    CLEANUP(argv_release) struct argv there = describe(c.f, copy);

    assert_true(there.n > 30 * 3 * 29 / 2);
    assert_same(&c.before, &there);
    assert_int_equal(c.archives.n, 2);
    state_close(copy);
    end(&c);
}

static bool has_archive(void *self, const char *key)
{
    return strcmp(key, self) != 0;
}

static void test_what_ran_is_queued_and_what_has_no_archive_fails(void **state)
{
    struct copying c = begin(*state);
    struct state *copy = open_copy(&c);
    struct state_resumed resumed;
    enum presence presence;
    struct build waiting, running;

    c.waiting = load_build(c.f, c.waiting.id);
    MUST(c.f, state_resume(copy, has_archive, c.waiting.archive, &resumed, &c.f->err));
    assert_int_equal(resumed.requeued, 1);
    assert_int_equal(resumed.failed, 1);
    MUST(c.f, state_build_get(copy, c.waiting.id, &presence, &waiting, &c.f->err));
    MUST(c.f, state_build_get(copy, c.running.id, &presence, &running, &c.f->err));
    assert_int_equal(waiting.phase, BUILD_FAILED);
    assert_non_null(strstr(waiting.message, "deploy again"));
    assert_int_equal(running.phase, BUILD_QUEUED);
    assert_int_equal(running.attempts, 0); /* it is no fault of its own */
    state_close(copy);
    end(&c);
}

static void test_it_comes_into_an_empty_state_once(void **state)
{
    struct copying c = begin(*state);
    struct fixture *f = c.f;
    CLEANUP(argv_release) struct argv there = ARGV_INIT;
    struct build b;

    assert_int_equal(state_copy_in(f->s, c.path, "mark", NULL, NULL, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_non_null(strstr(f->err.msg, "it is in use"));
    fixture_renew(f);
    fixture_reopen(f);
    MUST(f, state_copy_allowed(f->s, "mark", &f->err));
    MUST(f, state_copy_in(f->s, c.path, "mark", NULL, NULL, &f->err));
    there = describe(f, f->s);
    /* A server has no text that is not UTF-8. */
    for (size_t i = 0; f->remote && i < c.before.n; i++)
        for (char *at = c.before.v[i]; *at; at++)
            *at = (unsigned char)*at == 0xff ? '?' : *at;
    assert_same(&c.before, &there);

    /* Again by the same: it is done.  By another: it is in use. */
    MUST(f, state_copy_in(f->s, c.path, "mark", NULL, NULL, &f->err));
    assert_int_equal(state_copy_in(f->s, c.path, "other", NULL, NULL, &f->err), -1);
    assert_int_equal(state_copy_allowed(f->s, "other", &f->err), -1);

    /* What the database counts goes on. */
    b = queue_build(f, "next");
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_the_copy_is_the_same),
        FILE_TEST(test_what_ran_is_queued_and_what_has_no_archive_fails),
        FILE_TEST(test_it_comes_into_an_empty_state_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
