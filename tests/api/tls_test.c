/* TLS on the server's side: what is wrong with files, certificates that change under connections,
 * and clients that do not get on with their handshake. */
#include "wire.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/socket.h>

#include "base/es256.h"
#include "base/fs.h"

struct pair {
    char certificate[128], key[128]; /* paths */
};

static struct pair pair_at(struct fixture *f, const char *name)
{
    struct pair p;

    (void)snprintf(p.certificate, sizeof(p.certificate), "%s/%s.crt", f->dir, name);
    (void)snprintf(p.key, sizeof(p.key), "%s/%s.key", f->dir, name);
    return p;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A new key, and a certificate for that name signed with it. */
static void issue(const struct pair *p, const char *name)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(65536);
    struct es256_key *key;
    struct error err;

    (void)unlink(p->key);
    assert_int_equal(es256_open(p->key, &key, &err), 0);
    assert_int_equal(es256_certificate(key, name, &pem, &err), 0);
    write_file(p->certificate, buf_str(&pem));
    es256_free(key);
}

static struct wire *serve(void **state, const struct pair *p, int64_t headers_ns)
{
    struct api_server_limits limits = api_server_limits_default;
    struct wire *w = calloc(1, sizeof(*w));
    struct error err;

    assert_non_null(w);
    w->f = *state;
    w->f->config.tls_certificate = p->certificate;
    w->f->config.tls_key = p->key;
    limits.idle_seconds = 60;
    limits.headers_ns = headers_ns;
    limits.watch_ns = 50 * NS_PER_MS;
    assert_int_equal(api_server_start_with(&w->f->config, &limits, "127.0.0.1:0", &w->server, &err),
                     0);
    return w;
}

static void end(struct wire *w)
{
    api_server_stop(w->server);
    w->f->config.tls_certificate = w->f->config.tls_key = NULL;
    free(w);
}

/* ---- a client ---- */

struct client {
    gnutls_certificate_credentials_t trust;
    gnutls_session_t session;
    int fd;
};

/* False: the server did not want to. */
static bool client_open(struct wire *w, const char *priorities, struct client *ret)
{
    struct client c = {.fd = wire_connect(w)};
    int rc;

    assert_int_equal(gnutls_certificate_allocate_credentials(&c.trust), 0);
    assert_int_equal(gnutls_init(&c.session, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_priority_set_direct(c.session, priorities, NULL), 0);
    assert_int_equal(gnutls_credentials_set(c.session, GNUTLS_CRD_CERTIFICATE, c.trust), 0);
    gnutls_transport_set_int(c.session, c.fd);
    do
        rc = gnutls_handshake(c.session);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    *ret = c;
    return rc == 0;
}

static void client_close(struct client *c)
{
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->trust);
    close(c->fd);
}

/* The subject of the certificate that it was shown. */
static void client_sees(struct client *c, char name[64])
{
    const gnutls_datum_t *chain;
    gnutls_x509_crt_t certificate;
    size_t size = 64;
    unsigned n;

    chain = gnutls_certificate_get_peers(c->session, &n);
    assert_non_null(chain);
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    assert_int_equal(gnutls_x509_crt_import(certificate, chain, GNUTLS_X509_FMT_DER), 0);
    assert_int_equal(gnutls_x509_crt_get_dn(certificate, name, &size), 0);
    gnutls_x509_crt_deinit(certificate);
}

static bool client_asks(struct client *c)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    char answer[4096] = "";
    size_t len = 0;

    if (gnutls_record_send(c->session, request, strlen(request)) < 0)
        return false;
    while (!strstr(answer, "}\n") && len + 1 < sizeof(answer)) {
        ssize_t n = gnutls_record_recv(c->session, answer + len, sizeof(answer) - 1 - len);

        if (n <= 0)
            return false;
        len += (size_t)n;
        answer[len] = '\0';
    }
    return wire_status(answer) == 200;
}

static void assert_shown(struct wire *w, const char *name)
{
    struct client c;
    char seen[64];

    assert_true(client_open(w, "NORMAL", &c));
    client_sees(&c, seen);
    assert_string_equal(seen, name);
    assert_true(client_asks(&c));
    client_close(&c);
}

/* ---- tests ---- */

static void test_files_that_are_wrong_are_named(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct pair a = pair_at(f, "a"), b = pair_at(f, "b"), none = pair_at(f, "none");
    struct api_tls_facts facts;
    const struct {
        const char *certificate, *key, *says;
    } cases[] = {
        {none.certificate, a.key, "tls_certificate: open "},
        {a.certificate, none.key, "tls_key: open "},
        {a.key, a.key, "tls_certificate: "},
        {a.certificate, a.certificate, "tls_key: "},
        {a.certificate, b.key, "tls_key: "},
    };

    issue(&a, "a");
    issue(&b, "b");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(api_tls_examine(cases[i].certificate, cases[i].key, NULL, &facts, &err),
                         -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_memory_equal(err.msg, cases[i].says, strlen(cases[i].says));
        if (!strstr(err.msg, strstr(cases[i].says, "key") ? cases[i].key : cases[i].certificate))
            fail_msg("the file is not named: %s", err.msg);
    }
}

static void test_a_pair_is_known_by_its_dates(void **state)
{
    const int64_t now = clock_now(&clock_system), day = 86400 * NS_PER_SEC;
    const struct pair p = pair_at(*state, "a");
    struct api_tls_facts facts;
    struct error err;

    issue(&p, "kiln.test");
    assert_int_equal(api_tls_examine(p.certificate, p.key, "other.test", &facts, &err), 0);
    assert_true(facts.begins < now && facts.begins > now - 2 * day);
    assert_true(facts.ends > now + 3000 * day && facts.ends < now + 4000 * day);
    assert_false(facts.names_host);
}

static void test_only_new_connections_have_the_new_certificate(void **state)
{
    const struct pair p = pair_at(*state, "a"), other = pair_at(*state, "b");
    CLEANUP(buf_release) struct buf pem = BUF_INIT(65536);
    struct error err = ERROR_INIT;
    struct client old;
    struct wire *w;
    char seen[64];
    bool renewed;

    issue(&p, "old");
    w = serve(state, &p, 60 * NS_PER_SEC);
    assert_true(client_open(w, "NORMAL", &old));
    assert_true(client_asks(&old));
    assert_int_equal(api_server_reload(w->server, false, &renewed, &err), 0);
    assert_false(renewed);

    issue(&other, "new");
    assert_int_equal(fs_read_file(AT_FDCWD, other.certificate, &pem, &err), 0);
    write_file(p.certificate, buf_str(&pem)); /* its key comes later */
    assert_int_equal(api_server_reload(w->server, false, &renewed, &err), -1);
    assert_int_equal(api_server_reload(w->server, false, &renewed, &err), 0); /* told once */
    assert_false(renewed);
    assert_shown(w, "CN=old");

    assert_int_equal(rename(other.key, p.key), 0);
    assert_int_equal(api_server_reload(w->server, false, &renewed, &err), 0);
    assert_true(renewed);
    assert_shown(w, "CN=new");
    client_sees(&old, seen);
    assert_string_equal(seen, "CN=old");
    assert_true(client_asks(&old));
    client_close(&old);
    assert_int_equal(api_server_reload(w->server, true, &renewed, &err), 0);
    assert_true(renewed);
    end(w);
}

static void test_old_versions_and_weak_ciphers_are_refused(void **state)
{
    static const struct {
        const char *priorities;
        bool spoken;
    } cases[] = {
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3", true},        {"NORMAL:-VERS-ALL:+VERS-TLS1.2", true},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.1", false},       {"NORMAL:-VERS-ALL:+VERS-TLS1.0", false},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-AEAD", false},
    };
    const struct pair p = pair_at(*state, "a");
    struct wire *w;

    issue(&p, "a");
    w = serve(state, &p, 60 * NS_PER_SEC);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client c;

        if (client_open(w, cases[i].priorities, &c) != cases[i].spoken)
            fail_msg("%s", cases[i].priorities);
        client_close(&c);
    }
    end(w);
}

/* Nothing, half of a hello, and what is no TLS at all. */
static void test_a_handshake_that_gets_nowhere_is_cut(void **state)
{
    static const char *const starts[] = {"", "\x16\x03\x01", "GET /healthz HTTP/1.1\r\n\r\n"};
    const struct pair p = pair_at(*state, "a");
    char answer[ANSWER_MAX];
    struct wire *w;

    issue(&p, "a");
    w = serve(state, &p, NS_PER_SEC);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int64_t before = clock_monotonic();
        int fd = wire_connect(w);

        assert_true(wire_sends(fd, starts[i]));
        wire_read_all(fd, 60, answer);
        assert_int_equal(wire_status(answer), 0);
        assert_true(clock_monotonic() - before < 50 * NS_PER_SEC);
    }
    assert_shown(w, "CN=a");
    end(w);
}

static void *connect_again_and_again(void *self)
{
    for (int i = 0; i < 10; i++) {
        struct client c;

        assert_true(client_open(self, "NORMAL", &c));
        assert_true(client_asks(&c));
        client_close(&c);
    }
    return NULL;
}

static void test_certificates_change_while_clients_come_and_go(void **state)
{
    const struct pair p = pair_at(*state, "a");
    pthread_t threads[4];
    struct error err;
    struct wire *w;
    bool renewed;

    issue(&p, "a");
    w = serve(state, &p, 60 * NS_PER_SEC);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, connect_again_and_again, w), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(api_server_reload(w->server, true, &renewed, &err), 0);
        usleep(2000);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files_that_are_wrong_are_named),
        TEST(test_a_pair_is_known_by_its_dates),
        TEST(test_only_new_connections_have_the_new_certificate),
        TEST(test_old_versions_and_weak_ciphers_are_refused),
        TEST(test_a_handshake_that_gets_nowhere_is_cut),
        TEST(test_certificates_change_while_clients_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
