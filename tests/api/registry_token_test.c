/* What a token for the registry says, for whom; the signature is checked by OpenSSL itself. */
#include "fixture.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"

static struct es256_key *key;
static struct registry_signer signer;
static char header[1200];

static int setup(void **state)
{
    struct fixture *f;
    char path[120];
    struct error err;

    if (fixture_setup(state) != 0)
        return -1;
    f = *state;
    (void)snprintf(path, sizeof(path), "%s/key.pem", f->dir);
    if (es256_open(path, &key, &err) < 0)
        return -1;
    signer = (struct registry_signer){.key = key, .issuer = "kiln", .service = "registry.test"};
    f->registry.signer = &signer;
    return 0;
}

static int teardown(void **state)
{
    es256_free(key);
    return fixture_teardown(state);
}

static struct reply *token(struct fixture *f, const char *password, const char *query)
{
    struct buf plain = BUF_INIT(500);
    struct buf coded = BUF_INIT(1000);
    char target[1000];

    buf_addf(&plain, "whoever:%s", password);
    digest_base64(buf_str(&plain), plain.len, &coded);
    (void)snprintf(header, sizeof(header), "Basic %s", buf_str(&coded));
    buf_release(&plain);
    buf_release(&coded);
    f->headers[API_HEADER_AUTHORIZATION] = header;
    (void)snprintf(target, sizeof(target), "/v0/registry/token?service=registry.test&%s", query);
    return ask(f, "GET", target, NULL);
}

/* base64url without padding, as the tokens have it. */
static void decode(const char *text, size_t len, struct buf *out)
{
    struct buf padded = BUF_INIT(20000);

    for (size_t i = 0; i < len; i++)
        buf_addc(&padded, text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    while (padded.len % 4)
        buf_addc(&padded, '=');
    assert_true(digest_unbase64(buf_str(&padded), out));
    buf_release(&padded);
}

/* What docker-registry does: the certificate's key, over everything before the last dot. */
static void verify(const char *text, size_t signed_len, const struct buf *signature)
{
    struct buf pem = BUF_INIT(8192);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *der = NULL;
    struct error err;
    X509 *x;
    BIO *bio;
    int len;

    assert_int_equal(signature->len, 64);
    assert_int_equal(es256_certificate(key, "kiln", &pem, &err), 0);
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x);
    ECDSA_SIG_set0(sig, BN_bin2bn((unsigned char *)signature->data, 32, NULL),
                   BN_bin2bn((unsigned char *)signature->data + 32, 32, NULL));
    len = i2d_ECDSA_SIG(sig, &der);
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(x)), 1);
    assert_int_equal(
        EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)text, signed_len), 1);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    X509_free(x);
    BIO_free(bio);
    buf_release(&pem);
}

/* The claims of a token, checked. */
static json_t *claims_of(const struct reply *r)
{
    const char *text = text_at(r, "token");
    const char *dot = strchr(text, '.');
    const char *last = strrchr(text, '.');
    struct buf head = BUF_INIT(4096);
    struct buf body = BUF_INIT(16384);
    struct buf signature = BUF_INIT(100);
    json_t *claims, *h;

    assert_int_equal(r->status, 200);
    assert_string_equal(text, text_at(r, "access_token"));
    decode(text, (size_t)(dot - text), &head);
    decode(dot + 1, (size_t)(last - dot - 1), &body);
    decode(last + 1, strlen(last + 1), &signature);
    verify(text, (size_t)(last - text), &signature);
    h = json_loads(buf_str(&head), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(h, "alg")), "ES256");
    assert_string_equal(json_string_value(json_object_get(h, "kid")), es256_id(key));
    json_decref(h);
    claims = json_loads(buf_str(&body), 0, NULL);
    assert_non_null(claims);
    buf_release(&head);
    buf_release(&body);
    buf_release(&signature);
    return claims;
}

/* "acme/sandbox/app:pull other:pull,push" for the claims' access. */
static void assert_access(const struct reply *r, const char *wanted)
{
    struct buf text = BUF_INIT(4096);
    json_t *claims = claims_of(r);
    json_t *entry, *action;
    size_t i, j;

    json_array_foreach (json_object_get(claims, "access"), i, entry) {
        assert_string_equal(json_string_value(json_object_get(entry, "type")), "repository");
        buf_addf(&text, "%s%s:", i ? " " : "", json_string_value(json_object_get(entry, "name")));
        json_array_foreach (json_object_get(entry, "actions"), j, action)
            buf_addf(&text, "%s%s", j ? "," : "", json_string_value(action));
    }
    assert_string_equal(buf_str(&text), wanted);
    buf_release(&text);
    json_decref(claims);
}

static void test_a_key_pulls_what_its_workspace_owns(void **state)
{
    static const struct {
        const char *query, *access;
    } cases[] = {
        {"scope=repository:acme/sandbox/app:pull", "acme/sandbox/app:pull"},
        {"scope=repository:acme/sandbox/app:pull,push", "acme/sandbox/app:pull"},
        {"scope=repository:acme/sandbox/app:push", ""},
        {"scope=repository:acme/sandbox/app:*", ""},
        {"scope=repository:globex/sandbox/app:pull", ""},
        {"scope=repository:acme:pull", ""},
        {"scope=repository:acmes/app:pull", ""},
        {"scope=repository:acme/../globex/app:pull", ""},
        {"scope=repository:acme//app:pull", ""},
        {"scope=registry:catalog:*", ""},
        {"scope=repository:acme/a:pull&scope=repository:acme/b:pull", "acme/a:pull acme/b:pull"},
        {"scope=repository:acme/a:pull%20repository:globex/b:pull%20repository:acme/c:pull",
         "acme/a:pull acme/c:pull"},
        {"scope=", ""},
        {"scope=:::%20repository::%20repository:%20:pull", ""},
        {"account=acme", ""},
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_access(token(f, f->key, cases[i].query), cases[i].access);
    assert_access(token(f, f->other_key, cases[0].query), "");
}

static void test_an_accounts_key_pulls_from_all_its_workspaces(void **state)
{
    const struct key_draft draft = {.account = "default"};
    struct fixture *f = fixture_of(state);
    char text[API_KEY_TEXT];
    struct api_key made;
    struct error err;
    bool new;

    assert_int_equal(state_account_ensure(f->config.state, "foreign", &err), 0);
    assert_int_equal(state_workspace_create(f->config.state, "foreign", "initech", &new, &err), 0);
    assert_int_equal(state_key_create(f->config.state, &draft, text, &made, &err), 0);
    assert_access(token(f, text,
                        "scope=repository:acme/a:pull%20repository:globex/b:pull"
                        "%20repository:initech/c:pull%20repository:nosuch/d:pull"),
                  "acme/a:pull globex/b:pull");
}

/* Also for a build of the other workspace; and no longer than the share lasts. */
static void test_what_is_shared_is_pulled_by_who_sees_it(void **state)
{
    const struct target t = {"acme", "sandbox", "app"};
    const char *scope = "scope=repository:acme/sandbox/app:pull,push"
                        "%20repository:acme/sandbox/apps:pull%20repository:acme/agent/app:pull";
    struct fixture *f = fixture_of(state);
    char ticket[REGISTRY_TICKET];
    enum share_outcome outcome;
    enum presence presence;
    struct error err;

    (void)ask(f, "POST", "/v0/sandboxes?upload=true", "{\"metadata\":{\"name\":\"app\"}}");
    registry_ticket(key, "globex", "acme/sandbox/app", f->now + 60 * NS_PER_SEC, ticket);
    assert_access(token(f, f->other_key, scope), "");
    assert_int_equal(state_share_create(f->config.state, &t, "globex", &outcome, &err), 0);
    assert_int_equal(outcome, SHARE_MADE);
    assert_access(token(f, f->other_key, scope), "acme/sandbox/app:pull");
    assert_access(token(f, ticket, scope), "acme/sandbox/app:pull");
    assert_int_equal(state_share_delete(f->config.state, &t, "globex", false, &presence, &err), 0);
    assert_access(token(f, f->other_key, scope), "");
    assert_access(token(f, ticket, scope), "");
}

static void test_a_token_says_whom_for_how_long_and_where(void **state)
{
    struct fixture *f = fixture_of(state);
    json_t *claims = claims_of(token(f, f->key, "scope=repository:acme/a:pull"));
    json_int_t now = f->now / NS_PER_SEC;

    assert_string_equal(json_string_value(json_object_get(claims, "iss")), "kiln");
    assert_string_equal(json_string_value(json_object_get(claims, "aud")), "registry.test");
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), now);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), now + 300);
    assert_true(json_integer_value(json_object_get(claims, "nbf")) < now);
    json_decref(claims);
}

static void test_the_password_of_a_build_opens_its_one_repository_for_its_time(void **state)
{
    struct fixture *f = fixture_of(state);
    char ticket[REGISTRY_TICKET];
    const char *scope = "scope=repository:acme/a/v1.2:pull,push%20repository:acme/a:pull"
                        "%20repository:acme/b:pull%20repository:globex/b:pull";

    registry_ticket(key, "acme", "globex/b", f->now + 60 * NS_PER_SEC, ticket);
    assert_access(token(f, ticket, scope), ""); /* which is not the workspace's */
    registry_ticket(key, "acme", "acme/a/v1.2", f->now + 60 * NS_PER_SEC, ticket);
    assert_access(token(f, ticket, scope), "acme/a/v1.2:pull");
    f->now += 61 * NS_PER_SEC;
    assert_error(token(f, ticket, scope), 401, "unauthorized");
    f->now -= 61 * NS_PER_SEC;
    for (size_t i = 0; ticket[i]; i++) {
        char was = ticket[i];

        ticket[i] = was == 'a' ? 'b' : 'a';
        assert_error(token(f, ticket, scope), 401, "unauthorized");
        ticket[i] = '\0';
        assert_error(token(f, ticket, scope), 401, "unauthorized");
        ticket[i] = was;
    }
}

static void test_whoever_is_unknown_is_asked_for_a_password(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = token(f, "wrong", "scope=repository:acme/a:pull");

    assert_error(r, 401, "unauthorized");
    assert_true(text_starts(api_response_find(&r->resp, "WWW-Authenticate"), "Basic "));
    f->headers[API_HEADER_AUTHORIZATION] = NULL;
    assert_error(ask(f, "GET", "/v0/registry/token", NULL), 401, "unauthorized");
    assert_error(ask(f, "GET", "/v0/registry/token?service=other", NULL), 400, "unknown_service");
    f->registry.signer = NULL;
    assert_error(ask(f, "GET", "/v0/registry/token", NULL), 404, "not_found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TOKEN(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TOKEN(test_a_key_pulls_what_its_workspace_owns),
        TOKEN(test_an_accounts_key_pulls_from_all_its_workspaces),
        TOKEN(test_what_is_shared_is_pulled_by_who_sees_it),
        TOKEN(test_a_token_says_whom_for_how_long_and_where),
        TOKEN(test_the_password_of_a_build_opens_its_one_repository_for_its_time),
        TOKEN(test_whoever_is_unknown_is_asked_for_a_password),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
