/* registry — what Kiln itself says to an OCI registry (distribution specification 1.1), and the
 * docker-registry that `kiln serve` keeps running on loopback when no other is configured. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/es256.h"
#include "base/http.h"
#include "base/process.h"
#include "registry/keys.h"

/* ---- tokens (distribution specification, "Token Authentication") ---- */

/* A registry that is configured with the signer's certificate, issuer and service takes its tokens
 * for what they say. */
struct registry_signer { /* borrowed */
    const struct es256_key *key;
    struct registry_keys *keys; /* instead of one key; NULL: there is but that one */
    const char *issuer, *service;
};
/* The key that signs now. */
const struct es256_key *registry_signer_key(const struct registry_signer *s);

enum registry_action { REGISTRY_PULL = 1, REGISTRY_PUSH = 2, REGISTRY_DELETE = 4 };

struct registry_access { /* borrowed */
    const char *repository;
    unsigned actions; /* of registry_action; 0 is left out */
};

struct registry_claims { /* borrowed */
    const char *subject;
    const struct registry_access *access;
    size_t n_access;
    int64_t now; /* ns since 1970 */
    int seconds; /* how long it is good for */
};

/* Adds the token. */
MUST_CHECK int registry_token(const struct registry_signer *s, const struct registry_claims *claims,
                              struct buf *out, struct error *err);

/* The password of a build, by which the API knows whose it is and what it is to pull, good until
 * then (ns since 1970). */
#define REGISTRY_TICKET     432
#define REGISTRY_WORKSPACE  64
#define REGISTRY_REPOSITORY 256
void registry_ticket(const struct es256_key *k, const char *workspace, const char *repository,
                     int64_t until, char ret[REGISTRY_TICKET]);
/* False: it is none, or its time is over, or that of the key which sealed it. */
bool registry_ticket_check(const struct registry_signer *s, const char *text, int64_t now,
                           char ret_workspace[REGISTRY_WORKSPACE],
                           char ret_repository[REGISTRY_REPOSITORY]);

/* What a client asks for: the scopes of "repository:ws/app:pull,push repository:ws/base:pull" that
 * name a repository within the grammar and an action of the above; the others are passed over.
 * Returns how many, at most max. */
struct registry_scope {
    char repository[REGISTRY_REPOSITORY];
    unsigned actions;
};
size_t registry_parse_scope(const char *text, struct registry_scope *ret, size_t max);

/* ---- client ---- */

/* How to ask a registry that is not Kiln's: as it says itself, with credentials where it wants some
 * (base64 of "user:password"; NULL: none).  Thread-safe. */
struct registry_login;
MUST_CHECK int registry_login_new(const char *credentials, struct registry_login **ret,
                                  struct error *err);
void registry_login_free(struct registry_login *l);

/* Adds to ret the credentials that a Docker config.json ("auths" with "auth") has for a repository
 * with its registry ("ghcr.io/team/app"); none: nothing is added. */
void registry_login_find(const char *docker_config, size_t len, const char *repository,
                         struct buf *ret);

struct registry {    /* borrowed by every call */
    const char *url; /* "http://127.0.0.1:5000", no slash at the end */
    const struct http *http;
    const struct registry_signer *signer; /* each request gets a token of its own; NULL: none */
    struct registry_login *login;         /* for pulling, redirects are followed too; NULL: none */
    const char *ca_file;         /* certificates to trust beside the system's, PEM; NULL: none */
    const struct cancel *cancel; /* ends any call with ERR_SYSTEM; NULL: none */
    /* Asked right before each try to put a manifest by a tag, which others see at once: -1 with err
     * ends the call.  NULL: nobody is asked. */
    int (*may_tag)(void *self, struct error *err);
    void *may_tag_self;

    /* For the calls that try again: all but those that say otherwise.  A lost connection, HTTP 408,
     * 425, 429 and 5xx are worth another try. */
    int tries;       /* in all, without a byte of progress between them; 0: 6 */
    uint64_t chunk;  /* bytes of a blob in one request, at most; 0: all of it */
    int64_t wait_ms; /* before the second, then doubled up to 30 s; 0: 500.  A Retry-After that asks
                        for longer is heeded, up to 60 s */
};

#define REGISTRY_DIGEST 80 /* "sha256:" and 64 hex digits fit */

struct registry_manifest {
    char digest[REGISTRY_DIGEST]; /* computed from the bytes, and equal to what the registry says */
    char media_type[128];
    uint64_t size; /* bytes of config and layers as stored (compressed); 0 for an index */
    struct buf body;
};
void registry_manifest_release(struct registry_manifest *m);

enum registry_presence { REGISTRY_PRESENT, REGISTRY_ABSENT };

/* reference: a tag or a digest.  Image or index, OCI or Docker.  ERR_REMOTE: unreachable, any
 * status but 200 and 404, an answer that is not a manifest or whose digest does not match its
 * bytes. ERR_INPUT, without a word on the network: a repository or reference outside the grammar.
 */
MUST_CHECK int registry_get_manifest(const struct registry *r, const char *repository,
                                     const char *reference, enum registry_presence *ret_presence,
                                     struct registry_manifest *ret, struct error *err);

/* The digest of what a reference names, as the registry says it, without fetching it: a HEAD, tried
 * once, of 5 s at most.  ERR_REMOTE also when the registry does not say it. */
MUST_CHECK int registry_head_manifest(const struct registry *r, const char *repository,
                                      const char *reference, enum registry_presence *ret_presence,
                                      char ret_digest[REGISTRY_DIGEST], struct error *err);

/* Gives the manifest (which must be in that repository) one more tag, and reads it back. */
MUST_CHECK int registry_tag(const struct registry *r, const char *repository,
                            const struct registry_manifest *m, const char *tag, struct error *err);

/* Removes a manifest and with it all its tags.  Absent is fine. */
MUST_CHECK int registry_delete_manifest(const struct registry *r, const char *repository,
                                        const char *digest, struct error *err);

/* Removes a tag and leaves what it names.  Absent is fine; *ret_can false: this registry does not
 * do that (docker-registry is one). */
MUST_CHECK int registry_delete_tag(const struct registry *r, const char *repository,
                                   const char *tag, bool *ret_can, struct error *err);

/* Removes the manifest of an image, and what is attached to it.  Absent is fine.  On -1 the
 * manifest may be gone all the same; nothing is tried twice. */
MUST_CHECK int registry_delete_image(const struct registry *r, const char *repository,
                                     const char *digest, struct error *err);

/* Calls each for all tags of a repository, in the registry's order, page after page. */
MUST_CHECK int registry_list_tags(const struct registry *r, const char *repository,
                                  enum registry_presence *ret,
                                  void (*each)(void *self, const char *tag), void *self,
                                  struct error *err);

/* GET /v2/, once: -1 with the reason when it does not answer as a registry (that takes the signer's
 * tokens, or wants none). */
MUST_CHECK int registry_ping(const struct registry *r, struct error *err);

/* ---- blobs and images ----
 *
 * Errors as above: ERR_REMOTE where the registry or the way to it is at fault, ERR_INPUT for names
 * outside the grammar; ERR_SYSTEM for a file that cannot be read or written, and when cancelled. */

MUST_CHECK int registry_has_blob(const struct registry *r, const char *repository,
                                 const char *digest, enum registry_presence *ret,
                                 struct error *err);

/* Asks for the blob of another repository of this registry.  *ret_mounted false: the registry would
 * not, and it has to be sent. */
MUST_CHECK int registry_mount_blob(const struct registry *r, const char *repository,
                                   const char *digest, const char *from_repository,
                                   bool *ret_mounted, struct error *err);

/* Sends size bytes of fd, from its beginning.  After a lost connection it goes on where the
 * registry says it is, or anew.  The registry checks the digest. */
MUST_CHECK int registry_put_blob(const struct registry *r, const char *repository,
                                 const char *digest, int fd, uint64_t size, struct error *err);

/* Takes a blob, in order. */
struct registry_blob_sink {
    int (*take)(void *self, uint64_t offset, const void *data, size_t len, struct error *err);
    /* After a lost connection it goes on at that byte.  NULL: nobody wants to know. */
    void (*resume)(void *self, uint64_t offset);
    void *self;
};

/* Hands the blob over; size is what the manifest says.  After a lost connection it goes on where it
 * was.  ERR_REMOTE also when it turns out not to be size bytes of that digest. */
MUST_CHECK int registry_stream_blob(const struct registry *r, const char *repository,
                                    const char *digest, uint64_t size,
                                    const struct registry_blob_sink *sink,
                                    enum registry_presence *ret, struct error *err);

/* Writes the blob to fd, from its beginning; size is what the manifest says.  After a lost
 * connection it goes on where it was.  ERR_REMOTE also when it is not size bytes of that digest;
 * the file is then empty, as after every failure and when the blob is absent. */
MUST_CHECK int registry_get_blob(const struct registry *r, const char *repository,
                                 const char *digest, uint64_t size, int fd,
                                 enum registry_presence *ret, struct error *err);

/* reference: a tag, or the manifest's digest.  All blobs must be in the repository. */
MUST_CHECK int registry_put_manifest(const struct registry *r, const char *repository,
                                     const char *reference, const char *media_type,
                                     const void *bytes, size_t len,
                                     char ret_digest[REGISTRY_DIGEST], struct error *err);

struct registry_layer { /* borrowed */
    const char *digest;
    uint64_t size;
    /* Opens the blob for reading; registry_push closes it.  Called on any thread, and only when it
     * has to be sent. */
    int (*open)(void *self, int *ret_fd, struct error *err);
    void *self;
    const char *mount_from; /* a repository that may have it; NULL: none is known */
};

struct registry_image { /* borrowed */
    const char *repository;
    const char *tag;
    const char *config; /* its bytes */
    size_t config_len;
    const struct registry_layer *layers;
    size_t n_layers;
    const char *media_type; /* of the manifest */
    const char *manifest;   /* its bytes */
    size_t manifest_len;
    int at_once; /* blobs; 0: 4 */
};

struct registry_pushed {
    char digest[REGISTRY_DIGEST]; /* of the manifest */
    uint64_t sent;                /* bytes of blobs that were sent once in full, */
    uint64_t skipped;             /* and of those that were there already or mounted */
};

/* Layers and config, those that are not there yet, several at once; then the manifest by its tag,
 * which so never names an image that is not whole. */
MUST_CHECK int registry_push(const struct registry *r, const struct registry_image *image,
                             struct registry_pushed *ret, struct error *err);

/* Reads an image back by its manifest's digest: the manifest and the configuration with all their
 * bytes, of layers the last one, as registries remember the sizes of what they have lost.  Errors
 * are those of registry_get_manifest and registry_get_blob.  ret_missing, empty before: stays so
 * when all is there, else it is what is not, or not as it should be.  ret is to be released, and
 * says nothing (digest "") if the manifest is not there. */
MUST_CHECK int registry_read_back(const struct registry *r, const char *repository,
                                  const char *digest, struct registry_manifest *ret,
                                  struct buf *ret_missing, struct error *err);

/* ---- what is attached to an image ---- */

struct registry_subject { /* borrowed: a manifest, which need not be there yet */
    const char *media_type, *digest;
    uint64_t size; /* bytes */
};

struct registry_artifact { /* borrowed */
    const char *type;      /* a media type: the artifact's, and of its one blob */
    const void *bytes;
    size_t len;
};

/* Puts each as a manifest whose subject that is, and sees to it that they are found from there:
 * where the registry does not list referrers, an index does, whose tag is made of the subject's
 * digest.  Of the clients of one repository only one may do that for a subject at a time. */
MUST_CHECK int registry_attach(const struct registry *r, const char *repository,
                               const struct registry_subject *subject,
                               const struct registry_artifact *artifacts, size_t n,
                               struct error *err);

struct registry_referrer {
    char digest[REGISTRY_DIGEST]; /* of its manifest */
    char type[128];               /* artifactType; "" */
    uint64_t size;                /* of its manifest */
};

/* Calls each for what is attached to a manifest; type: only that artifactType, NULL: all. */
MUST_CHECK int registry_list_referrers(const struct registry *r, const char *repository,
                                       const char *digest, const char *type,
                                       void (*each)(void *self, const struct registry_referrer *r),
                                       void *self, struct error *err);

/* ---- bundles ----
 *
 * What is no image, but lies in a repository as one does, with a tag: a config of a media type of
 * its own, and layers. */

struct registry_bundle {
    char digest[REGISTRY_DIGEST]; /* of the manifest */
    struct buf config;
};
void registry_bundle_release(struct registry_bundle *a);

/* ERR_REMOTE also when what has that tag is of another type, or its config has more than max
 * bytes. */
MUST_CHECK int registry_get_bundle(const struct registry *r, const char *repository,
                                   const char *tag, const char *type, size_t max,
                                   enum registry_presence *ret_presence,
                                   struct registry_bundle *ret, struct error *err);

/* As registry_push, which see; the manifest is written here, and names the tag, so that no two tags
 * have the same.  The manifest that the tag named before is removed.  created: seconds since 1970.
 */
MUST_CHECK int registry_put_bundle(const struct registry *r, const struct registry_image *image,
                                   const char *type, const char *layer_type, int64_t created,
                                   struct registry_pushed *ret, struct error *err);

/* Removes the bundles that were made first, until at most `keep` are left of more than max; of
 * more than 1000 the others are looked at another time. */
MUST_CHECK int registry_trim_bundles(const struct registry *r, const char *repository, size_t max,
                                     size_t keep, size_t *ret_removed, struct error *err);

/* ---- relay ----
 *
 * For a program that pulls and gives up when a connection breaks: it asks the relay, on loopback,
 * without credentials, and the relay asks the registry, for as long as it takes. */

struct registry_relay_config { /* borrowed for as long as the program runs */
    const struct registry *registry;
    const char *repository;
    uint64_t size_max; /* of all layers together, as stored (compressed); 0: any */
    /* Where connections break, and go on; called on any thread.  NULL: nobody wants to know. */
    void (*note)(const char *text);
};

struct registry_relay;

/* Serves the manifests of one repository, and the blobs that those name, until this process ends.
 * location: what stands for the repository ("127.0.0.1:40001/<secret>"), by plain HTTP: whoever on
 * this machine does not know the secret gets nothing. */
#define REGISTRY_RELAY_LOCATION 64
MUST_CHECK int registry_relay_start(const struct registry_relay_config *config,
                                    struct registry_relay **ret,
                                    char ret_location[REGISTRY_RELAY_LOCATION], struct error *err);

/* Why something could not be had, for the first that could not; ERR_NONE: all could.  ERR_INPUT:
 * there is no such image, or not for these credentials, or it is of a kind that is refused;
 * ERR_LIMIT: it is too large; ERR_REMOTE: the registry, or the way to it. */
void registry_relay_fault(struct registry_relay *relay, struct error *ret);

/* ---- server ---- */

struct registry_server_config { /* borrowed */
    const char *program;        /* NULL: "docker-registry" from PATH */
    const char *dir;    /* absolute: images in dir/data, its configuration and log beside it */
    const char *listen; /* "127.0.0.1:5000" */
    /* Whose tokens it asks for, got at the URL realm; NULL: it asks for none.  Borrowed until
     * registry_server_free. */
    const struct registry_signer *signer;
    const char *realm;
    int64_t ready_ms; /* how long it may take until it answers; 0: half a minute */
};

struct registry_server;

/* Starts it and waits until it answers.  If something listens there already, ERR_SYSTEM
 * names the address and says whether that is a registry.  http_setup must have been called.  The
 * server dies with the calling thread, and by SIGKILL. */
MUST_CHECK int registry_server_start(const struct registry_server_config *config,
                                     struct registry_server **ret, struct error *err);

/* Starts it again if it has died; to be called every second or so by the thread that started it.
 * *ret_restarted tells the caller what to log. */
MUST_CHECK int registry_server_check(struct registry_server *s, bool *ret_restarted,
                                     struct error *err);

/* Frees the room of what was deleted, in the directory of a server that was started there once.
 * *ret_busy: one runs there now, and nothing was done.  *ret_removed counts blobs. */
MUST_CHECK int registry_server_collect(const struct registry_server_config *config, bool *ret_busy,
                                       size_t *ret_removed, struct error *err);

/* Stops and reaps it.  NULL is fine. */
/* Restarts it when the keys that it trusts are not those of its signer any more: what is being
 * answered gets 3 s to end, and new requests have to be made again. */
MUST_CHECK int registry_server_renew(struct registry_server *s, bool *ret_restarted,
                                     struct error *err);
/* Keeps garbage from being collected there until the descriptor is closed.  *ret_busy: it is being
 * collected now, and there is none. */
MUST_CHECK int registry_server_hold(const char *dir, bool *ret_busy, int *ret_fd,
                                    struct error *err);

void registry_server_free(struct registry_server *s);

#endif
