/* What webhooks are told, by whom, and how often: the outbox, signatures and pauses. */
#include "tests/worker/state_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "worker/webhooks.h"

#define URL      "http://127.0.0.1:1/hook"
#define OTHER    "http://127.0.0.1:2/hook"
#define REGISTRY "127.0.0.1:5000"

/* ---- ends of builds ---- */

static void announce(struct fixture *f, struct argv *urls, const char *first, const char *second)
{
    argv_push(urls, first, second, NULL);
    state_announce(f->s, urls, REGISTRY);
}

static struct build end_deployment(struct fixture *f, const char *name,
                                   const struct build_result *result)
{
    struct build b = begin_build(f, name, BUILD_FOR_RESOURCE);
    enum lease_verdict verdict;
    enum build_phase phase;

    assert_int_equal(accept_upload(f, &b), UPLOAD_ACCEPTED);
    (void)must_claim(f, "w");
    MUST(f, state_finish(f->s, b.id, "w", result, &verdict, &phase, &f->err));
    assert_int_equal(verdict, LEASE_KEPT);
    return load_build(f, b.id);
}

static struct build deploy(struct fixture *f, const char *name)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = DIGEST, .image_size = 5};

    return end_deployment(f, name, &result);
}

/* False: there is none to send. */
static bool claim(struct fixture *f, const char *url, const char *worker,
                  struct webhook_message *ret)
{
    enum presence presence;

    MUST(f, state_webhook_claim(f->s, url, worker, LEASE, &presence, ret, &f->err));
    return presence == PRESENT;
}

static void must_take(struct fixture *f, const char *url, const char *worker,
                      struct webhook_message *ret)
{
    assert_true(claim(f, url, worker, ret));
}

static void settle(struct fixture *f, const struct webhook_message *m, const char *worker, bool ok,
                   int64_t pause)
{
    MUST(f,
         state_webhook_settle(f->s, m, worker, ok, ok ? "HTTP 200" : "HTTP 500", pause, &f->err));
}

static void count(void *self, const struct webhook_message *m)
{
    (void)m;
    ++*(int *)self;
}

static int count_messages(struct fixture *f, bool all)
{
    int n = 0;

    MUST(f, state_webhook_list(f->s, all, count, &n, &f->err));
    return n;
}

static void assert_text(const json_t *o, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(o, key));

    if (!text || strcmp(text, value) != 0)
        fail_msg("%s is \"%s\" and not \"%s\"", key, text ? text : "(none)", value);
}

static void test_a_deployment_is_told_to_every_url(void **state)
{
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message m, n;
    struct build b;
    json_t *o, *data;

    announce(f, &urls, URL, OTHER);
    b = deploy(f, "one");
    must_take(f, URL, "w", &m);
    must_take(f, OTHER, "w", &n);
    assert_string_equal(m.id, n.id);
    assert_string_equal(buf_str(&m.body), buf_str(&n.body));
    o = json_loads(buf_str(&m.body), 0, NULL);
    data = json_object_get(o, "data");
    assert_text(o, "type", "deployment.succeeded");
    assert_non_null(json_string_value(json_object_get(o, "timestamp")));
    assert_text(data, "workspace", WORKSPACE);
    assert_text(data, "type", "sandbox");
    assert_text(data, "name", "one");
    assert_text(data, "build", b.id);
    assert_text(data, "revision", b.tag);
    assert_text(data, "status", "DEPLOYED");
    assert_text(data, "digest", DIGEST);
    assert_text(data, "image", REGISTRY "/" WORKSPACE "/sandbox/one@" DIGEST);
    json_decref(o);
    webhook_message_release(&m);
    webhook_message_release(&n);
}

static void test_a_failed_deployment_is_told_with_its_reason(void **state)
{
    const struct build_result failed = {.kind = ERR_INPUT, .message = "it does not come up"};
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message m;
    json_t *o, *data;

    announce(f, &urls, URL, NULL);
    (void)end_deployment(f, "one", &failed);
    must_take(f, URL, "w", &m);
    o = json_loads(buf_str(&m.body), 0, NULL);
    data = json_object_get(o, "data");
    assert_text(o, "type", "deployment.failed");
    assert_text(data, "status", "FAILED");
    assert_text(data, "message", "it does not come up");
    assert_null(json_object_get(data, "image"));
    json_decref(o);
    webhook_message_release(&m);
}

static void test_tries_that_are_repeated_and_mere_images_are_not_told(void **state)
{
    const struct build_result again = {.kind = ERR_REMOTE, .message = "no registry"};
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct build b;

    announce(f, &urls, URL, NULL);
    (void)end_deployment(f, "one", &again);
    assert_int_equal(count_messages(f, true), 0);
    b = queue_build(f, "image");
    (void)must_claim(f, "w");
    finish_build(f, &b, "w", ERR_NONE);
    assert_int_equal(count_messages(f, true), 0);
}

/* The next message, whose data it returns; the caller releases both. */
static json_t *take_news(struct fixture *f, const char *type, const json_t **ret_data)
{
    struct webhook_message m;
    json_t *o;

    must_take(f, URL, "w", &m);
    settle(f, &m, "w", true, 0);
    o = json_loads(buf_str(&m.body), 0, NULL);
    assert_text(o, "type", type);
    assert_string_equal(m.type, type);
    *ret_data = json_object_get(o, "data");
    webhook_message_release(&m);
    return o;
}

static void write_function(struct fixture *f, bool create)
{
    const struct target t = {WORKSPACE, "function", "fn"};
    enum resource_outcome outcome;
    struct resource r;

    MUST(f, state_resource_write(f->s, &t,
                                 &(const struct resource_body){
                                     "{}", "{\"runtime\":{\"image\":\"ghcr.io/me/fn:v2\"}}", NULL},
                                 create, false, &outcome, &r, NULL, &f->err));
    assert_int_equal(outcome, RESOURCE_WRITTEN);
    resource_release(&r);
}

static void test_what_has_no_build_is_told_too(void **state)
{
    const struct target t = {WORKSPACE, "function", "fn"};
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    enum presence presence;
    const json_t *data;
    json_t *o;

    announce(f, &urls, URL, NULL);
    for (int i = 0; i < 2; i++) {
        write_function(f, i == 0);
        o = take_news(f, "deployment.succeeded", &data);
        assert_text(data, "type", "function");
        assert_text(data, "name", "fn");
        assert_text(data, "status", "DEPLOYED");
        assert_text(data, "image", "ghcr.io/me/fn:v2");
        assert_non_null(json_object_get(data, "revision"));
        assert_null(json_object_get(data, "build"));
        json_decref(o);
    }
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    o = take_news(f, "deployment.deleted", &data);
    assert_text(data, "name", "fn");
    assert_text(data, "status", "DELETED");
    json_decref(o);
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    assert_int_equal(presence, ABSENT);
    assert_int_equal(count_messages(f, false), 0);
}

static void order_volume(struct fixture *f, const char *name, const struct build_result *result)
{
    const struct target t = {WORKSPACE, TYPE_VOLUME, name};
    enum resource_outcome outcome;
    enum lease_verdict verdict;
    enum build_phase phase;
    struct resource r;
    struct build b;

    MUST(f, state_resource_order(f->s, &t, &(const struct resource_body){"{}", "{}", NULL}, true,
                                 "order", &outcome, &r, &b, &f->err));
    resource_release(&r);
    (void)must_claim(f, "w");
    MUST(f, state_finish(f->s, b.id, "w", result, &verdict, &phase, &f->err));
}

static void test_volumes_are_told(void **state)
{
    const struct build_result made = {.kind = ERR_NONE, .digest = "", .image = "mytemplate:3 4096"};
    const struct build_result failed = {.kind = ERR_INPUT, .message = "too small"};
    const struct target t = {WORKSPACE, TYPE_VOLUME, "vol"};
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    enum presence presence;
    const json_t *data;
    json_t *o;

    announce(f, &urls, URL, NULL);
    order_volume(f, "vol", &made);
    o = take_news(f, "volume.ready", &data);
    assert_text(data, "type", "volume");
    assert_text(data, "name", "vol");
    assert_text(data, "status", "DEPLOYED");
    assert_text(data, "template", "mytemplate:3");
    assert_null(json_object_get(data, "image"));
    json_decref(o);
    order_volume(f, "small", &failed);
    o = take_news(f, "volume.failed", &data);
    assert_text(data, "name", "small");
    assert_text(data, "message", "too small");
    json_decref(o);
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    o = take_news(f, "volume.deleted", &data);
    assert_text(data, "name", "vol");
    json_decref(o);
}

static void test_nothing_is_kept_without_a_url(void **state)
{
    struct fixture *f = *state;

    (void)deploy(f, "one");
    assert_int_equal(count_messages(f, true), 0);
}

/* ---- the outbox ---- */

static void test_one_courier_at_a_time_has_a_message(void **state)
{
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message m, none;

    announce(f, &urls, URL, NULL);
    (void)deploy(f, "one");
    must_take(f, URL, "first", &m);
    assert_int_equal(m.attempts, 1);
    assert_false(claim(f, URL, "second", &none));
    settle(f, &m, "first", true, 0);
    assert_false(claim(f, URL, "second", &none));
    assert_int_equal(count_messages(f, false), 0);
    assert_int_equal(count_messages(f, true), 1);
    webhook_message_release(&m);
}

static void test_the_message_of_a_courier_that_died_is_sent_by_another_with_the_same_id(
    void **state)
{
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message m, again, none;

    announce(f, &urls, URL, NULL);
    (void)deploy(f, "one");
    must_take(f, URL, "dead", &m);
    pass_time(f, LEASE - 1);
    assert_false(claim(f, URL, "second", &none));
    pass_time(f, 1);
    must_take(f, URL, "second", &again);
    assert_int_equal(again.attempts, 2);
    assert_string_equal(again.id, m.id);
    assert_string_equal(buf_str(&again.body), buf_str(&m.body));
    settle(f, &m, "dead", false, 0); /* it was not dead, but late */
    assert_false(claim(f, URL, "third", &none));
    settle(f, &again, "second", true, 0);
    assert_int_equal(count_messages(f, false), 0);
    webhook_message_release(&m);
    webhook_message_release(&again);
}

static void test_a_refused_message_waits_and_others_pass_it_by(void **state)
{
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message first, second, none;

    announce(f, &urls, URL, NULL);
    (void)deploy(f, "one");
    pass_time(f, 1);
    (void)deploy(f, "two");
    must_take(f, URL, "w", &first);
    settle(f, &first, "w", false, 7 * NS_PER_SEC);
    must_take(f, URL, "w", &second);
    assert_string_not_equal(second.id, first.id);
    settle(f, &second, "w", true, 0);
    assert_false(claim(f, URL, "w", &none));
    pass_time(f, 7 * NS_PER_SEC);
    webhook_message_release(&second);
    must_take(f, URL, "w", &second);
    assert_string_equal(second.id, first.id);
    assert_string_equal(second.answer, "HTTP 500");
    webhook_message_release(&first);
    webhook_message_release(&second);
}

static void test_what_was_delivered_and_what_nobody_asks_for_is_forgotten(void **state)
{
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    CLEANUP(argv_release) struct argv kept = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message m;

    announce(f, &urls, URL, OTHER);
    argv_push1(&kept, URL);
    (void)deploy(f, "one");
    (void)deploy(f, "two");
    must_take(f, URL, "w", &m);
    settle(f, &m, "w", true, 0);
    webhook_message_release(&m);
    MUST(f, state_webhook_forget(f->s, &kept, f->now, &f->err));
    assert_int_equal(count_messages(f, true), 4); /* none is older */
    MUST(f, state_webhook_forget(f->s, &kept, f->now + 1, &f->err));
    assert_int_equal(count_messages(f, true), 1); /* it waits for its URL */
    assert_int_equal(count_messages(f, false), 1);
}

static void kill_during_claim(struct fixture *f)
{
    struct webhook_message m;
    pid_t pid;

    fixture_close(f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fixture_reopen(f);
        _exit(claim(f, URL, "killed", &m) ? 0 : 1); /* nothing is closed, as with kill -9 */
    }
    assert_child_succeeds(pid);
    fixture_reopen(f);
}

static void test_a_kill_between_claim_and_answer_loses_nothing(void **state)
{
    CLEANUP(argv_release) struct argv urls = ARGV_INIT;
    struct fixture *f = *state;
    struct webhook_message m;

    announce(f, &urls, URL, NULL);
    (void)deploy(f, "one");
    for (int i = 1; i <= 3; i++) {
        kill_during_claim(f);
        pass_time(f, LEASE);
    }
    must_take(f, URL, "w", &m);
    assert_int_equal(m.attempts, 4);
    webhook_message_release(&m);
}

/* ---- pauses ---- */

static void test_pauses_double_up_to_ten_minutes_and_heed_retry_after(void **state)
{
    static const struct {
        int attempts;
        int64_t asked, pause; /* ms, s */
    } cases[] = {
        {1, 0, 1},      {2, 0, 2},      {3, 0, 4},       {10, 0, 512},         {11, 0, 600},
        {1000, 0, 600}, {1, 30000, 30}, {8, 30000, 128}, {1, 999999999, 3600}, {1, INT64_MAX, 3600},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(courier_pause(cases[i].attempts, cases[i].asked),
                         cases[i].pause * NS_PER_SEC);
}

/* ---- secrets ---- */

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" /* the specification's example */

static void write_secrets(const struct fixture *f, const char *text, char path[64])
{
    struct error err = ERROR_INIT;

    (void)snprintf(path, 64, "%s/secrets", f->dir);
    assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0600, &err), 0);
}

/* The example of the Standard Webhooks specification's libraries. */
static void test_signatures_are_those_of_the_specification(void **state)
{
    static const char body[] = "{\"test\": 2432232314}";
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    CLEANUP(buf_release) struct buf out = BUF_INIT(4096);
    struct error err = ERROR_INIT;

    (void)state;
    argv_push(&secrets, SECRET, NULL);
    assert_int_equal(webhook_sign(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body,
                                  strlen(body), &out, &err),
                     0);
    assert_string_equal(buf_str(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    argv_push(&secrets, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL);
    buf_clear(&out);
    assert_int_equal(webhook_sign(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body,
                                  strlen(body), &out, &err),
                     0);
    assert_non_null(strstr(buf_str(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,"));
}

static void test_a_file_of_secrets_is_made_once_and_for_its_owner_alone(void **state)
{
    CLEANUP(argv_release) struct argv first = ARGV_INIT;
    CLEANUP(argv_release) struct argv second = ARGV_INIT;
    struct fixture *f = *state;
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/made", f->dir);
    MUST(f, webhook_secrets_make(path, &f->err));
    MUST(f, webhook_secrets_read(path, &first, &f->err));
    MUST(f, webhook_secrets_make(path, &f->err));
    MUST(f, webhook_secrets_read(path, &second, &f->err));
    assert_int_equal(first.n, 1);
    assert_int_equal(second.n, 1);
    assert_string_equal(first.v[0], second.v[0]);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_a_file_of_secrets_may_have_remarks_and_several_lines(void **state)
{
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    struct fixture *f = *state;
    char path[64];

    write_secrets(f, "# new\n  " SECRET " \r\n\n# old\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                  path);
    MUST(f, webhook_secrets_read(path, &secrets, &f->err));
    assert_int_equal(secrets.n, 2);
    assert_string_equal(secrets.v[0], SECRET);
}

static void test_what_is_no_secret_is_refused_and_not_shown(void **state)
{
    static const char *const texts[] = {"",
                                        "# none\n",
                                        "hunter2-hunter2-hunter2-hunter2\n",
                                        "whsec_c2hvcnQ=\n",
                                        "whsec_!!!\n",
                                        SECRET "\nwhsec_MfKQ9r8GKYqrTwjUPD8I%LPZIo2LaLaSw\n"};
    struct fixture *f = *state;
    char path[64];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
        struct error err = ERROR_INIT;

        write_secrets(f, texts[i], path);
        assert_int_equal(webhook_secrets_read(path, &secrets, &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_null(strstr(err.msg, "hunter2"));
        assert_null(strstr(err.msg, "LPZIo2LaLaSw"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_deployment_is_told_to_every_url),
        STATE_TEST(test_a_failed_deployment_is_told_with_its_reason),
        STATE_TEST(test_tries_that_are_repeated_and_mere_images_are_not_told),
        STATE_TEST(test_what_has_no_build_is_told_too),
        STATE_TEST(test_volumes_are_told),
        STATE_TEST(test_nothing_is_kept_without_a_url),
        STATE_TEST(test_one_courier_at_a_time_has_a_message),
        STATE_TEST(test_the_message_of_a_courier_that_died_is_sent_by_another_with_the_same_id),
        STATE_TEST(test_a_refused_message_waits_and_others_pass_it_by),
        STATE_TEST(test_what_was_delivered_and_what_nobody_asks_for_is_forgotten),
        FILE_TEST(test_a_kill_between_claim_and_answer_loses_nothing),
        cmocka_unit_test(test_pauses_double_up_to_ten_minutes_and_heed_retry_after),
        cmocka_unit_test(test_signatures_are_those_of_the_specification),
        FILE_TEST(test_a_file_of_secrets_is_made_once_and_for_its_owner_alone),
        FILE_TEST(test_a_file_of_secrets_may_have_remarks_and_several_lines),
        FILE_TEST(test_what_is_no_secret_is_refused_and_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
