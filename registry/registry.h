/* registry — what Kiln itself says to an OCI registry (distribution specification 1.1), and the
 * docker-registry that `kiln serve` keeps running on loopback when no other is configured. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/http.h"
#include "base/process.h"

/* ---- client ---- */

struct registry {    /* borrowed by every call */
    const char *url; /* "http://127.0.0.1:5000", no slash at the end */
    const struct http *http;
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

/* Gives the manifest (which must be in that repository) one more tag, and reads it back. */
MUST_CHECK int registry_tag(const struct registry *r, const char *repository,
                            const struct registry_manifest *m, const char *tag, struct error *err);

/* Removes a manifest and with it all its tags.  Absent is fine. */
MUST_CHECK int registry_delete_manifest(const struct registry *r, const char *repository,
                                        const char *digest, struct error *err);

/* GET /v2/: -1 with the reason when it does not answer as a registry (that wants no password). */
MUST_CHECK int registry_ping(const struct registry *r, struct error *err);

/* ---- server ---- */

struct registry_server_config { /* borrowed */
    const char *program;        /* NULL: "docker-registry" from PATH */
    const char *dir;    /* absolute: images in dir/data, its configuration and log beside it */
    const char *listen; /* "127.0.0.1:5000" */
};

struct registry_server;

/* Starts it and waits until it answers (10 s).  If something listens there already, ERR_SYSTEM
 * names the address and says whether that is a registry.  http_setup must have been called.  The
 * server dies with the calling thread, and by SIGKILL. */
MUST_CHECK int registry_server_start(const struct registry_server_config *config,
                                     struct registry_server **ret, struct error *err);

/* Starts it again if it has died; to be called every second or so by the thread that started it.
 * *ret_restarted tells the caller what to log. */
MUST_CHECK int registry_server_check(struct registry_server *s, bool *ret_restarted,
                                     struct error *err);

/* Stops and reaps it.  NULL is fine. */
void registry_server_free(struct registry_server *s);

#endif
