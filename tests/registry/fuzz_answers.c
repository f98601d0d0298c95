/* The client against a registry that answers anything.
 *
 * The first line says what is asked for; then come the answers.  Whatever they are, the client
 * ends, asks no other host unless it may (with a login it follows redirects), and says whose fault
 * it was: the registry's, or, of one that a user named (with a login), also that user's. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "registry/registry.h"
#include "tests/fuzz/answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define URL  "http://registry.test"
#define REPO "acme/agent/demo"
#define DIGEST                                                                                     \
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" /* of {}             \
                                                                               */
#define ASKS_MAX 2000

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- what is asked for ---- */

static int get_manifest(const struct registry *r, struct error *err)
{
    enum registry_presence there;
    struct registry_manifest m;
    int result = registry_get_manifest(r, REPO, "latest", &there, &m, err);

    if (result == 0 && there == REGISTRY_PRESENT)
        registry_manifest_release(&m);
    return result;
}

static int head(const struct registry *r, struct error *err)
{
    enum registry_presence there;
    char digest[REGISTRY_DIGEST];

    return registry_head_manifest(r, REPO, "latest", &there, digest, err);
}

static int put_blob(const struct registry *r, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("blob", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, "{}", 2) == 2);
    return registry_put_blob(r, REPO, DIGEST, fd, 2, err);
}

static int get_blob(const struct registry *r, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("blob", MFD_CLOEXEC);
    enum registry_presence there;

    return registry_get_blob(r, REPO, DIGEST, 2, fd, &there, err);
}

static void see_tag(void *self, const char *tag)
{
    must(self == NULL && tag[0]);
}

static int tags(const struct registry *r, struct error *err)
{
    enum registry_presence there;

    return registry_list_tags(r, REPO, &there, see_tag, NULL, err);
}

static void see_referrer(void *self, const struct registry_referrer *ref)
{
    must(self == NULL && ref->digest[0]);
}

static int referrers(const struct registry *r, struct error *err)
{
    return registry_list_referrers(r, REPO, DIGEST, NULL, see_referrer, NULL, err);
}

static int mount(const struct registry *r, struct error *err)
{
    bool mounted;

    return registry_mount_blob(r, REPO, DIGEST, "acme/agent/other", &mounted, err);
}

static int read_back(const struct registry *r, struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    CLEANUP(buf_release) struct buf missing = BUF_INIT(4096);

    return registry_read_back(r, REPO, DIGEST, &m, &missing, err);
}

static int bundle(const struct registry *r, struct error *err)
{
    enum registry_presence there;
    struct registry_bundle b;
    int result = registry_get_bundle(r, REPO, "cache", "application/x", 4096, &there, &b, err);

    if (result == 0 && there == REGISTRY_PRESENT)
        registry_bundle_release(&b);
    return result;
}

static int delete_image(const struct registry *r, struct error *err)
{
    return registry_delete_image(r, REPO, DIGEST, err);
}

static const struct {
    const char *name;
    int (*ask)(const struct registry *r, struct error *err);
} asks[] = {
    {"manifest\n", get_manifest}, {"head\n", head},      {"put\n", put_blob},
    {"blob\n", get_blob},         {"tags\n", tags},      {"referrers\n", referrers},
    {"mount\n", mount},           {"back\n", read_back}, {"bundle\n", bundle},
    {"delete\n", delete_image},
};

/* ---- */

static const struct registry_signer *signer(void)
{
    static struct registry_signer s = {.issuer = "kiln", .service = "registry.test"};
    char dir[] = "/tmp/kiln-fuzz-XXXXXX";
    char path[64];
    struct es256_key *key;
    struct error err = ERROR_INIT;

    if (s.key)
        return &s;
    must(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/key", dir);
    must(es256_open(path, &key, &err) == 0 && fs_remove_tree(AT_FDCWD, dir, &err) == 0);
    s.key = key;
    return &s;
}

static void ask(size_t i, const char *answers, bool login)
{
    struct answers from = {.next = answers, .url = login ? NULL : URL "/", .asks_max = ASKS_MAX};
    const struct http http = {answers_give, &from};
    struct registry r = {.url = URL, .http = &http, .tries = 2, .wait_ms = 1, .chunk = 1};
    struct error err = ERROR_INIT;

    if (login)
        must(registry_login_new("dTpw", &r.login, &err) == 0);
    else
        r.signer = signer();
    if (asks[i].ask(&r, &err) < 0)
        must(err.msg[0] && (err.kind == ERR_REMOTE || (login && err.kind != ERR_SYSTEM)));
    registry_login_free(r.login);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);

    must(text != NULL);
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        if (!text_starts(text, asks[i].name) || strstr(text, "etry-after"))
            continue; /* which would be waited for */
        ask(i, text + strlen(asks[i].name), false);
        ask(i, text + strlen(asks[i].name), true);
    }
    return 0;
}
