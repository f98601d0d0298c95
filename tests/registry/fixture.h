/* A directory, a free port, a docker-registry on it, and images to push there by plain HTTP.
 *
 * Where KILN_OTHER_REGISTRY names the program, it is an olareg instead (github.com/olareg/olareg),
 * which has what docker-registry 2.8 lacks: the API for referrers, pages of tags, the deletion of a
 * tag, and a limit of requests. */
#ifndef TESTS_REGISTRY_FIXTURE_H
#define TESTS_REGISTRY_FIXTURE_H

#include "registry/registry.h"

struct fixture {
    char dir[64];
    char listen[32];
    char url[64];
    struct registry_server_config config;
    struct registry_server *server;
    struct process other;
    const char *rate; /* requests that the other one answers in a second; NULL: all */
    struct registry registry;
};

/* Whether fixture_start starts the other one. */
bool fixture_is_other(void);

/* A directory and a free port, nothing started. */
struct fixture *fixture_new(void);
void fixture_start(struct fixture *f);
void fixture_free(struct fixture *f);
/* For cmocka: *state is a fixture that was started. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

int fixture_free_port(void);

/* The bytes under dir/name; release them. */
struct buf fixture_read(const struct fixture *f, const char *name);

/* Uploads a blob by POST and PUT; digest has REGISTRY_DIGEST bytes. */
void fixture_push_blob(const struct fixture *f, const char *repository, const char *data,
                       char *digest);

/* PUTs a manifest and gives its digest; returns the HTTP status. */
int fixture_push_manifest(const struct fixture *f, const char *repository, const char *reference,
                          const char *media_type, const char *json, char *digest);

/* A config of 2 bytes and a layer holding text; digest is the manifest's. */
void fixture_push_image(const struct fixture *f, const char *repository, const char *tag,
                        const char *text, char *digest);

#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"

#endif
