/* programs/installation — one data directory with all that lives in it, opened for a program:
 *
 *   DATA/kiln.db      state            DATA/builder/   job directories and base images
 *   DATA/uploads/     archives         DATA/registry/  the supervised docker-registry's
 *   DATA/templates/   template stores  DATA/volumes/   volumes, both by workspace
 *   DATA/objects/     what was read of an object store
 *
 * The state is on a PostgreSQL server instead where `database` names one. */
#ifndef PROGRAMS_INSTALLATION_H
#define PROGRAMS_INSTALLATION_H

#include "builder/builder.h"
#include "programs/config.h"
#include "programs/operator_log.h"
#include "registry/registry.h"
#include "uploads/uploads.h"
#include "worker/worker.h"

struct installation {
    const struct config *config; /* borrowed */
    struct state *state;
    struct objects_credentials s3_credentials;
    struct objects_config s3; /* its url is set where it is used */
    struct objects_config templates_s3;
    struct cancel *transfers; /* ends requests to it; NULL: not opened */
    char objects_dir[4096];
    struct objects *upload_objects; /* NULL: uploads are in the data directory */
    struct object_cache *object_cache;
    struct upload_store *uploads;
    struct builder *builder;
    struct builder_config builder_config;
    struct builder_mirror *mirrors;
    struct argv mirror_words; /* what mirrors points into */
    struct registry registry;
    struct registry_signer signer;
    struct registry_keys *registry_keys; /* NULL: the registry asks for no tokens */
    char registry_url[256];
    char registry_name[256]; /* the host of references */
    struct argv extract_words;
    struct places places;
    char templates_dir[4096], volumes_dir[4096]; /* what places points to */
    char builder_dir[4096];
    char ca_file[4096]; /* "": no certificates but the system's */
    char webhook_secrets[4096];
    char credentials_dir[64];
    char worker_name[WORKER_NAME];
    struct operator_log log; /* what log_self of the parts points to */
};

/* dir: where the parts live.  state_path: NULL for the configured database, else DATA/kiln.db; or
 * ":memory:".  Release also after -1. */
MUST_CHECK int installation_open(const struct config *config, const char *dir,
                                 const char *state_path, struct installation *ret,
                                 struct error *err);
void installation_release(struct installation *i);

/* The state alone: path as above; the directory of DATA/kiln.db is made. */
MUST_CHECK int installation_open_state(const struct config *config, const char *path,
                                       struct state **ret, struct error *err);

/* What the object store asks for, where the configuration names one: credentials and certificates.
 * Of i, config is set; dir is as above. */
MUST_CHECK int installation_prepare_objects(struct installation *i, const char *dir,
                                            struct error *err);
/* Then "s3://bucket/prefix" can be opened. */
MUST_CHECK int installation_open_objects(const struct installation *i, const char *url,
                                         struct objects **ret, struct error *err);

/* How long a key of the registry's tokens is accepted after its rotation, ns. */
int64_t installation_token_overlap(const struct config *c);

/* The registry alone, and who signs its tokens: of i, config is set and all else empty. */
MUST_CHECK int installation_open_registry(struct installation *i, struct error *err);

/* Starts the docker-registry of DATA/registry; NULL in *ret when the configuration names another
 * registry.  api_url: where its clients get tokens, "http://127.0.0.1:8080".  It dies with the
 * calling thread, and has to be freed before i. */
MUST_CHECK int installation_start_registry(const struct installation *i, const char *api_url,
                                           struct registry_server **ret, struct error *err);

/* Frees the room of what was deleted from it (registry_server_collect). */
MUST_CHECK int installation_collect_registry(const struct config *config, bool *ret_busy,
                                             size_t *ret_removed, struct error *err);

/* The issuer of the registry's tokens; and the service they are for, its host. */
#define REGISTRY_ISSUER "kiln"
/* Where DATA's API gives them: "http://127.0.0.1:8080/v0/registry/token". */
#define REGISTRY_REALM "/v0/registry/token"

/* The worker's part; threads builds at once, log as in worker_config. */
struct worker_config installation_worker(const struct installation *i, int threads,
                                         void (*log)(void *self, const struct note *note));

/* The part that collects garbage. */
struct gc_config installation_gc(const struct installation *i,
                                 void (*log)(void *self, const struct note *note));

/* Makes the file of secrets where webhooks are configured, and lets deployments that end from now
 * on be told to these.  *ret: for courier_start. */
MUST_CHECK int installation_courier(struct installation *i,
                                    void (*log)(void *self, const struct note *note),
                                    struct courier_config *ret, struct error *err);

/* Where the configuration has the secrets of webhooks. */
void installation_webhook_secrets(const struct config *config, char path[4096]);

#endif
