/* What an older Kiln wrote, each schema version back to the first, is there after an upgrade. */
#include "tests/worker/state_fixture.h"

#include "base/digest.h"
#include "worker/db.h"
#include "worker/schema.h"

#define BUILD_OF_OLD     "0123456789abcdef0123456789abcdef"
#define KEY_OF_OLD       "bl_anoldkey"
#define VERSION_OF_TURNS 16

static void run(struct fixture *f, struct db *db, const char *sql, const char *text)
{
    QUERY(q, db, sql);
    if (text)
        query_text(&q, text);
    MUST(f, query_run(&q, NULL, &f->err));
}

/* A database of that version with a queued build, a key and a resource, in columns that every
 * version has. */
static void make_older(struct fixture *f, int version)
{
    struct db *db = NULL;
    char hash[SHA256_HEX];

    digest_sha256_hex(KEY_OF_OLD, strlen(KEY_OF_OLD), hash);
    fixture_renew(f);
    MUST(f, db_open_version(f->path, version, &db, &f->err));
    run(f, db, "insert into workspaces (name, created) values ('acme', 5)", NULL);
    run(f, db,
        version < 4 ? "insert into keys (id, workspace, label, hash, created)"
                      " values ('k', 'acme', 'old', ?, 7)"
                    : "insert into keys (id, account, workspace, kind, role, label, hash, created)"
                      " values ('k', 'default', 'acme', 0, 1, 'old', ?, 7)",
        hash);
    run(f, db,
        "insert into builds (id, workspace, type, name, purpose, phase, tag, archive, created,"
        " upload_expires, uploaded) values ('" BUILD_OF_OLD
        "', 'acme', 'sandbox', 'one', 0, 1, 'aaaaaaaaaaaa', 'x', 9, 9, 10)",
        NULL);
    if (version >= VERSION_OF_TURNS) /* nothing comes to do it later */
        run(f, db, "insert into turns (workspace, lane, served) values ('acme', 0, 0)", NULL);
    db_close(db);
}

static void check_upgraded(struct fixture *f)
{
    enum key_verdict verdict;
    enum presence presence;
    struct api_key key;
    struct build b;

    MUST(f, state_key_check(f->s, KEY_OF_OLD, &verdict, &key, &f->err));
    assert_int_equal(verdict, KEY_VALID);
    assert_string_equal(key.workspace, "acme");
    assert_string_equal(key.account, "default");
    assert_int_equal(key.role, ROLE_ADMIN);
    assert_int_equal(key.created, 7);
    MUST(f, state_claim(f->s, "w", LEASE, &presence, &b, &f->err));
    assert_int_equal(presence, PRESENT);
    assert_string_equal(b.id, BUILD_OF_OLD);
    assert_string_equal(b.source, "");
    MUST(f, state_key_revoke(f->s, NULL, NULL, "k", &presence, &f->err));
    assert_int_equal(presence, PRESENT);
}

static void test_what_an_older_kiln_wrote_is_kept(void **state)
{
    struct fixture *f = *state;

    assert_true(schema_version > 3);
    for (int version = 1; version <= schema_version; version++) {
        fixture_close(f);
        make_older(f, version);
        fixture_reopen(f);
        check_upgraded(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_what_an_older_kiln_wrote_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
