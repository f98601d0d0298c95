/* Names, workspaces, API keys and secrets. */
#include "tests/worker/state_fixture.h"

#include <fcntl.h>

#include "base/fs.h"

static void test_a_name_is_letters_digits_and_single_inner_hyphens(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {
        {"a", true},
        {"7", true},
        {"my-sandbox-1", true},
        {"1-2-3", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true}, /* 49 */
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"", false},
        {"-", false},
        {"-a", false},
        {"a-", false},
        {"a--b", false},
        {"A", false},
        {"a_b", false},
        {"a.b", false},
        {"a/b", false},
        {"..", false},
        {"a b", false},
        {"a\n", false},
        {"\xc3\xa4", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (name_is_valid(cases[i].name) != cases[i].valid)
            fail_msg("\"%s\" is %svalid", cases[i].name, cases[i].valid ? "" : "not ");
}

static void test_a_workspace_may_be_asked_for_twice(void **state)
{
    struct fixture *f = *state;

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
}

static void test_a_workspace_with_a_bad_name_is_the_users_fault(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(state_workspace_ensure(f->s, "No Good", &f->err), -1);
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_non_null(strstr(f->err.msg, "No Good"));
}

static struct api_key create_key(struct fixture *f, const char *workspace, const char *label,
                                 char text[API_KEY_TEXT])
{
    struct api_key key = {.created = 0};

    MUST(f,
         state_key_create(
             f->s, &(struct key_draft){.workspace = workspace, .label = label, .role = ROLE_ADMIN},
             text, &key, &f->err));
    return key;
}

static enum key_verdict check_key(struct fixture *f, const char *text, struct api_key *ret)
{
    enum key_verdict verdict = KEY_UNKNOWN;

    MUST(f, state_key_check(f->s, text, &verdict, ret, &f->err));
    return verdict;
}

static void test_a_key_opens_its_workspace(void **state)
{
    struct fixture *f = *state;
    char text[API_KEY_TEXT];
    struct api_key made = create_key(f, "beta", "ci", text);
    struct api_key found = {.created = 0};

    assert_int_equal(check_key(f, text, &found), KEY_VALID);
    assert_string_equal(found.workspace, "beta");
    assert_string_equal(found.label, "ci");
    assert_string_equal(found.id, made.id);
    assert_int_equal(found.created, START);
    assert_int_equal(found.revoked, 0);
}

static void test_a_key_looks_like_one(void **state)
{
    struct fixture *f = *state;
    char text[API_KEY_TEXT];
    char other[API_KEY_TEXT];

    create_key(f, WORKSPACE, "", text);
    create_key(f, WORKSPACE, "", other);
    assert_int_equal(strncmp(text, "bl_", 3), 0);
    assert_int_equal(strlen(text), 43);
    assert_int_equal(strspn(text + 3, "abcdefghijklmnopqrstuvwxyz0123456789"), 40);
    assert_string_not_equal(text, other);
}

static void test_a_wrong_key_opens_nothing(void **state)
{
    static const char *const wrong[] = {"", "bl_", "bl_0000000000000000000000000000000000000000",
                                        "' or 1=1 --"};
    struct fixture *f = *state;
    struct api_key found;
    char text[API_KEY_TEXT];

    create_key(f, WORKSPACE, "", text);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(check_key(f, wrong[i], &found), KEY_UNKNOWN);
    text[42] = text[42] == 'a' ? 'b' : 'a';
    assert_int_equal(check_key(f, text, &found), KEY_UNKNOWN);
}

static void test_a_revoked_key_opens_nothing_and_its_neighbour_still_does(void **state)
{
    struct fixture *f = *state;
    char text[API_KEY_TEXT];
    char neighbour[API_KEY_TEXT];
    struct api_key key = create_key(f, WORKSPACE, "", text);
    enum presence presence;

    create_key(f, WORKSPACE, "", neighbour);
    MUST(f, state_key_revoke(f->s, NULL, NULL, key.id, &presence, &f->err));
    assert_int_equal(presence, PRESENT);
    assert_int_equal(check_key(f, text, &key), KEY_UNKNOWN);
    assert_int_equal(check_key(f, neighbour, &key), KEY_VALID);
}

static void test_a_key_is_revoked_once(void **state)
{
    struct fixture *f = *state;
    char text[API_KEY_TEXT];
    struct api_key key = create_key(f, WORKSPACE, "", text);
    enum presence presence;

    MUST(f, state_key_revoke(f->s, NULL, NULL, key.id, &presence, &f->err));
    MUST(f, state_key_revoke(f->s, NULL, NULL, key.id, &presence, &f->err));
    assert_int_equal(presence, ABSENT);
    MUST(f, state_key_revoke(f->s, NULL, NULL, "nosuchkey", &presence, &f->err));
    assert_int_equal(presence, ABSENT);
}

struct key_list {
    int n;
    int revoked;
    char workspaces[200];
};

static void note_key(void *self, const struct api_key *k)
{
    struct key_list *list = self;
    size_t len = strlen(list->workspaces);

    list->n++;
    list->revoked += k->revoked != 0;
    (void)snprintf(list->workspaces + len, sizeof(list->workspaces) - len, "%s ", k->workspace);
}

static void test_keys_are_listed_by_workspace(void **state)
{
    struct fixture *f = *state;
    char text[API_KEY_TEXT];
    struct api_key key;
    struct key_list all = {0};
    struct key_list one = {0};
    enum presence presence;

    create_key(f, "gamma", "", text);
    create_key(f, WORKSPACE, "", text);
    key = create_key(f, "gamma", "", text);
    MUST(f, state_key_revoke(f->s, NULL, NULL, key.id, &presence, &f->err));
    MUST(f, state_key_list(f->s, NULL, NULL, note_key, &all, &f->err));
    assert_string_equal(all.workspaces, "acme gamma gamma ");
    assert_int_equal(all.revoked, 1);
    MUST(f, state_key_list(f->s, NULL, "gamma", note_key, &one, &f->err));
    assert_int_equal(one.n, 2);
}

/* In the database's file or in its log. */
static bool is_in_the_files(struct fixture *f, const char *text)
{
    static const char *const suffixes[] = {"", "-wal"};
    bool found = false;

    for (size_t i = 0; i < 2; i++) {
        struct buf content = BUF_INIT(16 << 20);
        char path[DATABASE_URL + 8];

        (void)snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
        MUST(f, fs_read_file(AT_FDCWD, path, &content, &f->err));
        found = found || memmem(buf_str(&content), content.len, text, strlen(text));
        buf_release(&content);
    }
    return found;
}

static void test_a_key_text_is_not_in_the_database(void **state)
{
    struct fixture *f = *state;
    char text[API_KEY_TEXT];
    struct api_key key = create_key(f, WORKSPACE, "", text);

    only_on_a_file(f);
    assert_false(is_in_the_files(f, text + 3));
    assert_true(is_in_the_files(f, key.id));
}

static void test_a_secret_stays_the_same(void **state)
{
    static const unsigned char zero[32];
    struct fixture *f = *state;
    unsigned char first[32];
    unsigned char again[32];
    unsigned char other[32];

    MUST(f, state_secret(f->s, "urls", first, sizeof(first), &f->err));
    MUST(f, state_secret(f->s, "tokens", other, sizeof(other), &f->err));
    if (f->dir[0]) {
        fixture_close(f);
        fixture_reopen(f);
    }
    MUST(f, state_secret(f->s, "urls", again, sizeof(again), &f->err));
    assert_memory_equal(first, again, sizeof(first));
    assert_memory_not_equal(first, other, sizeof(first));
    assert_memory_not_equal(first, zero, sizeof(first));
}

static void test_a_secret_of_another_length_is_refused(void **state)
{
    struct fixture *f = *state;
    unsigned char bytes[100];

    MUST(f, state_secret(f->s, "urls", bytes, 32, &f->err));
    assert_int_equal(state_secret(f->s, "urls", bytes, 16, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_int_equal(state_secret(f->s, "long", bytes, 65, &f->err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_letters_digits_and_single_inner_hyphens),
        STATE_TEST(test_a_workspace_may_be_asked_for_twice),
        STATE_TEST(test_a_workspace_with_a_bad_name_is_the_users_fault),
        STATE_TEST(test_a_key_opens_its_workspace),
        STATE_TEST(test_a_key_looks_like_one),
        STATE_TEST(test_a_wrong_key_opens_nothing),
        STATE_TEST(test_a_revoked_key_opens_nothing_and_its_neighbour_still_does),
        STATE_TEST(test_a_key_is_revoked_once),
        STATE_TEST(test_keys_are_listed_by_workspace),
        FILE_TEST(test_a_key_text_is_not_in_the_database),
        STATE_TEST(test_a_secret_stays_the_same),
        STATE_TEST(test_a_secret_of_another_length_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
