/* programs/installation — from keys of the configuration to open parts. */
#include "programs/installation.h"

#include <string.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "programs/authorities.h"
#include "programs/restoring.h"

/* "prefix=location" or "prefix=location,insecure"; cuts the word in place. */
static int parse_mirror(char *word, struct builder_mirror *ret, struct error *err)
{
    char *equals = strchr(word, '=');
    char *comma = strchr(word, ',');

    if (!equals || equals == word || !equals[1] || (comma && strcmp(comma, ",insecure") != 0))
        return error_set(err, ERR_INPUT,
                         "mirrors: \"%s\" is not PREFIX=LOCATION or PREFIX=LOCATION,insecure",
                         word);
    *equals = '\0';
    if (comma)
        *comma = '\0';
    *ret = (struct builder_mirror){word, equals + 1, comma != NULL};
    return 0;
}

static int set_mirrors(struct installation *i, struct error *err)
{
    for (size_t n = 0; n < i->config->mirrors.n; n++)
        argv_push1(&i->mirror_words, i->config->mirrors.v[n]);
    i->mirrors = calloc(i->mirror_words.n + 1, sizeof(*i->mirrors));
    if (!i->mirrors || i->mirror_words.failed)
        return error_set(err, ERR_SYSTEM, "read mirrors: out of memory");
    for (size_t n = 0; n < i->mirror_words.n; n++)
        if (parse_mirror(i->mirror_words.v[n], &i->mirrors[n], err) < 0)
            return -1;
    return 0;
}

static void set_registry(struct installation *i)
{
    const char *url = i->config->registry_url;
    const char *host;

    if (url[0])
        (void)snprintf(i->registry_url, sizeof(i->registry_url), "%s", url);
    else
        (void)snprintf(i->registry_url, sizeof(i->registry_url), "http://%s",
                       i->config->registry_listen);
    while (text_ends(i->registry_url, "/"))
        i->registry_url[strlen(i->registry_url) - 1] = '\0';
    host = strstr(i->registry_url, "://");
    (void)snprintf(i->registry_name, sizeof(i->registry_name), "%s",
                   host ? host + 3 : i->registry_url);
    i->registry = (struct registry){
        .url = i->registry_url, .http = &http_curl, .chunk = (uint64_t)i->config->push_chunk};
}

/* Tokens are good for 5 minutes, builds' passwords for as long as a pull may take. */
int64_t installation_token_overlap(const struct config *c)
{
    return (c->build_timeout > 300 ? c->build_timeout : 300) * NS_PER_SEC;
}

/* The key lies in the data directory of the service, whatever directory the parts live in. */
static int open_signer(struct installation *i, struct error *err)
{
    const struct config *c = i->config;
    char dir[4000];
    char path[4096];

    if (strcmp(c->registry_auth, "none") == 0)
        return 0;
    (void)snprintf(dir, sizeof(dir), "%s/registry", c->data_dir);
    (void)snprintf(path, sizeof(path), "%s/token-key.pem", dir);
    if (c->registry_key[0])
        (void)snprintf(path, sizeof(path), "%s", c->registry_key);
    else if (fs_mkdirs(dir, 0755, err) < 0)
        return -1;
    if (registry_keys_open(path, installation_token_overlap(c), &i->registry_keys, err) < 0)
        return error_wrap(err, "registry_key");
    i->signer = (struct registry_signer){
        .keys = i->registry_keys, .issuer = REGISTRY_ISSUER, .service = i->registry_name};
    i->registry.signer = &i->signer;
    return 0;
}

int installation_open_registry(struct installation *i, struct error *err)
{
    set_registry(i);
    return open_signer(i, err);
}

/* One file of our own, so that what builds see does not change under them. */
static int set_authorities(struct installation *i, const char *dir, struct error *err)
{
    const char *from = i->config->ca_certificates;

    if (!from[0])
        return 0;
    (void)snprintf(i->ca_file, sizeof(i->ca_file), "%s/ca-certificates.pem", dir);
    i->registry.ca_file = i->ca_file;
    return authorities_collect(from, i->ca_file, err);
}

/* ---- the object store ---- */

/* A PUT that began before its URL expired may take as long again. */
#define ARRIVAL_SECONDS 900

int installation_prepare_objects(struct installation *i, const char *dir, struct error *err)
{
    const struct config *c = i->config;

    if (set_authorities(i, dir, err) < 0)
        return -1;
    (void)snprintf(i->objects_dir, sizeof(i->objects_dir), "%s/objects", dir);
    i->s3 = (struct objects_config){
        .endpoint = c->s3_endpoint,
        .region = c->s3_region,
        .host_style = strcmp(c->s3_style, "host") == 0,
        .credentials = &i->s3_credentials,
        .ca_file = i->ca_file[0] ? i->ca_file : NULL,
        .http = &http_curl,
        .clock = &clock_system,
    };
    if (!c->uploads[0] && !c->templates[0])
        return 0;
    return objects_credentials_read(c->s3_credentials, &i->s3_credentials, err);
}

int installation_open_objects(const struct installation *i, const char *url, struct objects **ret,
                              struct error *err)
{
    struct objects_config config = i->s3;

    config.url = url;
    return objects_open(&config, ret, err);
}

/* In the data directory for what has a state of its own (`kiln build`): nobody else uploads there.
 */
static int open_uploads(struct installation *i, const char *dir, bool shared, struct error *err)
{
    const struct config *c = i->config;
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/uploads", dir);
    if (!c->uploads[0] || !shared)
        return upload_store_open(path, (uint64_t)c->upload_max, &i->uploads, err);
    if (installation_open_objects(i, c->uploads, &i->upload_objects, err) < 0 ||
        object_cache_open(i->objects_dir, (uint64_t)c->s3_cache_max, &i->object_cache, err) < 0)
        return error_wrap(err, "uploads");
    return upload_store_open_remote(path, (uint64_t)c->upload_max, i->upload_objects,
                                    i->object_cache, &i->uploads, err);
}

static enum builder_egress egress_of(const char *word)
{
    if (strcmp(word, "none") == 0)
        return BUILDER_EGRESS_NONE;
    return strcmp(word, "list") == 0 ? BUILDER_EGRESS_LIST : BUILDER_EGRESS_NAT;
}

static int open_builder(struct installation *i, const char *dir, struct error *err)
{
    const struct config *c = i->config;

    (void)snprintf(i->builder_dir, sizeof(i->builder_dir), "%s/builder", dir);
    i->builder_config = (struct builder_config){
        .dir = i->builder_dir,
        .buildah = c->buildah_program,
        .uid_base = (uint32_t)c->uid_base,
        .egress = egress_of(c->egress),
        .egress_allow = &c->egress_allow,
        .limits = {.memory = (uint64_t)c->build_memory,
                   .pids = (uint64_t)c->build_pids,
                   .cpus = (uint64_t)c->build_cpus,
                   .disk = (uint64_t)c->build_disk},
        .mirrors = i->mirrors,
        .n_mirrors = i->mirror_words.n,
        .push_registry = i->registry_name,
        .push_insecure = text_starts(i->registry_url, "http://"),
        .timeout_ms = c->build_timeout * 1000,
        .fetch_hosts = &c->git_hosts,
        .cache_max = (uint64_t)c->cache_max,
        .bases_max = (uint64_t)c->bases_max,
        .caches_max = (uint64_t)c->caches_max,
        .git_max = (uint64_t)c->git_max,
        .ca_file = i->ca_file[0] ? i->ca_file : NULL,
    };
    return builder_open(&i->builder_config, &i->builder, err);
}

/* How long a build waits for its upload. */
static int64_t upload_seconds(const struct config *c)
{
    return c->upload_expiry + (c->uploads[0] ? ARRIVAL_SECONDS : 0);
}

int installation_open_state(const struct config *config, const char *path, struct state **ret,
                            struct error *err)
{
    char file[4096];
    const bool remote = config->database[0] != '\0';
    const struct state_config state = {.path = path     ? path
                                               : remote ? config->database
                                                        : file,
                                       .attempts_max = (int)config->attempts,
                                       .upload_ns = upload_seconds(config) * NS_PER_SEC,
                                       .uploads_elsewhere = config->uploads[0] != '\0',
                                       .limits = {.builds = config->builds_max,
                                                  .images = config->images_max,
                                                  .templates = config->templates_max}};

    (void)snprintf(file, sizeof(file), "%s/kiln.db", config->data_dir);
    if (!path && restoring_check(config->data_dir, err) < 0)
        return -1;
    if (!path && !remote && fs_mkdirs(config->data_dir, 0755, err) < 0)
        return -1;
    return state_open(&state, ret, err);
}

int installation_start_registry(const struct installation *i, const char *api_url,
                                struct registry_server **ret, struct error *err)
{
    const struct config *config = i->config;
    char dir[4096];
    char realm[512];
    const struct registry_server_config server = {.program = config->registry_program,
                                                  .dir = dir,
                                                  .listen = config->registry_listen,
                                                  .signer = i->registry.signer,
                                                  .realm = realm};

    *ret = NULL;
    if (config->registry_url[0])
        return 0;
    (void)snprintf(dir, sizeof(dir), "%s/registry", config->data_dir);
    (void)snprintf(realm, sizeof(realm), "%s" REGISTRY_REALM, api_url);
    if (i->registry_keys && registry_keys_tend(i->registry_keys, err) < 0)
        return -1;
    return registry_server_start(&server, ret, err);
}

int installation_collect_registry(const struct config *config, bool *ret_busy, size_t *ret_removed,
                                  struct error *err)
{
    char dir[4096];
    const struct registry_server_config server = {.program = config->registry_program, .dir = dir};

    (void)snprintf(dir, sizeof(dir), "%s/registry", config->data_dir);
    return registry_server_collect(&server, ret_busy, ret_removed, err);
}

/* What stops need not wait for a store that does not answer. */
static int set_transfers(struct installation *i, struct error *err)
{
    i->transfers = malloc(sizeof(*i->transfers));
    if (!i->transfers)
        return error_set(err, ERR_SYSTEM, "open the object store: out of memory");
    i->transfers->fd = -1;
    i->s3.cancel = i->transfers;
    return cancel_init(i->transfers, err);
}

static void set_places(struct installation *i, const char *dir, bool shared)
{
    const struct config *c = i->config;

    (void)snprintf(i->templates_dir, sizeof(i->templates_dir), "%s/templates", dir);
    (void)snprintf(i->volumes_dir, sizeof(i->volumes_dir), "%s/volumes", dir);
    i->places = (struct places){.templates = i->templates_dir,
                                .volumes = i->volumes_dir,
                                .revisions_max = (unsigned)c->template_revisions,
                                .bytes_max = (uint64_t)c->unpack_max,
                                .entries_max = (uint64_t)c->unpack_entries,
                                .volume_max = (uint64_t)c->volume_max >> 20,
                                .objects_cache = i->objects_dir,
                                .objects_cache_max = (uint64_t)c->s3_cache_max};
    i->templates_s3 = i->s3;
    i->templates_s3.url = c->templates;
    if (shared && c->templates[0])
        i->places.objects = &i->templates_s3;
}

/* In memory, one for each data directory and user. */
static void set_credentials(struct installation *i)
{
    char hex[SHA256_HEX];

    digest_sha256_hex(i->config->data_dir, strlen(i->config->data_dir), hex);
    (void)snprintf(i->credentials_dir, sizeof(i->credentials_dir), "/dev/shm/kiln-%u-%.16s",
                   (unsigned)geteuid(), hex);
}

int installation_open(const struct config *config, const char *dir, const char *state_path,
                      struct installation *ret, struct error *err)
{
    *ret = (struct installation){.config = config};
    set_credentials(ret);
    argv_pushf(&ret->extract_words, "%llu", (unsigned long long)config->unpack_max);
    argv_pushf(&ret->extract_words, "%llu", (unsigned long long)config->unpack_entries);
    ret->log.worker = ret->worker_name;
    if (restoring_check(config->data_dir, err) < 0)
        return -1;
    if (!worker_name_of(getpid(), ret->worker_name))
        return error_set(err, ERR_SYSTEM, "read /proc: is it mounted?");
    if (fs_mkdirs(dir, 0755, err) < 0 || set_mirrors(ret, err) < 0 ||
        installation_open_registry(ret, err) < 0 ||
        (state_path ? set_authorities(ret, dir, err)
                    : installation_prepare_objects(ret, dir, err)) < 0)
        return -1;
    if (set_transfers(ret, err) < 0)
        return -1;
    set_places(ret, dir, !state_path);
    if (installation_open_state(config, state_path, &ret->state, err) < 0)
        return -1;
    if (open_uploads(ret, dir, !state_path, err) < 0)
        return -1;
    return open_builder(ret, dir, err);
}

void installation_release(struct installation *i)
{
    builder_free(i->builder);
    upload_store_free(i->uploads);
    object_cache_free(i->object_cache);
    objects_free(i->upload_objects);
    explicit_bzero(&i->s3_credentials, sizeof(i->s3_credentials));
    state_close(i->state);
    if (i->transfers)
        cancel_release(i->transfers);
    free(i->transfers);
    registry_keys_free(i->registry_keys);
    free(i->mirrors);
    argv_release(&i->mirror_words);
    argv_release(&i->extract_words);
}

static struct worker_cache cache_of(const struct config *c)
{
    const char *word = c->cache_export;
    struct worker_cache ret = {.mode = WORKER_CACHE_OFF,
                               .size_max = (uint64_t)c->cache_export_max,
                               .mounts_max = (uint64_t)c->cache_mounts_max};

    if (strcmp(word, "max") == 0 || (strcmp(word, "auto") == 0 && c->registry_url[0]))
        ret.mode = WORKER_CACHE_MAX;
    else if (strcmp(word, "min") == 0)
        ret.mode = WORKER_CACHE_MIN;
    return ret;
}

struct worker_config installation_worker(const struct installation *i, int threads,
                                         void (*log)(void *self, const struct note *note))
{
    return (struct worker_config){
        .state = i->state,
        .uploads = i->uploads,
        .builder = i->builder,
        .registry = &i->registry,
        .registry_name = i->registry_name,
        .sandbox_image = i->config->sandbox_image,
        .extract_words = &i->extract_words,
        .places = &i->places,
        .cache = cache_of(i->config),
        .credentials_dir = i->credentials_dir,
        .git_max = (uint64_t)i->config->git_max,
        .program = "kiln " KILN_VERSION,
        .attest = strcmp(i->config->attest, "on") == 0,
        .probe_ms = strcmp(i->config->probe, "on") == 0 ? i->config->probe_timeout * 1000 : 0,
        .builder_id = i->config->public_url,
        .name = i->worker_name,
        .threads = threads,
        .attempts = (int)i->config->attempts,
        .pull_ns = i->config->build_timeout * NS_PER_SEC,
        .lease_ns = i->config->lease * NS_PER_SEC,
        .log_max = (uint64_t)i->config->log_max,
        .log_ns = i->config->log_retention * NS_PER_SEC,
        .sweep = true,
        .transfers = i->transfers,
        .log = log,
        .log_self = (void *)(uintptr_t)&i->log,
    };
}

struct gc_config installation_gc(const struct installation *i,
                                 void (*log)(void *self, const struct note *note))
{
    return (struct gc_config){.state = i->state,
                              .places = &i->places,
                              .interval = i->config->gc_interval * NS_PER_SEC,
                              .log_ns = i->config->log_retention * NS_PER_SEC,
                              .event_ns = i->config->event_retention * NS_PER_SEC,
                              .audit_ns = i->config->audit_retention * NS_PER_SEC,
                              .name = i->worker_name,
                              .log = log,
                              .log_self = (void *)(uintptr_t)&i->log};
}

void installation_webhook_secrets(const struct config *config, char path[4096])
{
    if (config->webhook_secrets[0])
        (void)snprintf(path, 4096, "%s", config->webhook_secrets);
    else
        (void)snprintf(path, 4096, "%s/webhook-secrets", config->data_dir);
}

int installation_courier(struct installation *i, void (*log)(void *self, const struct note *note),
                         struct courier_config *ret, struct error *err)
{
    installation_webhook_secrets(i->config, i->webhook_secrets);
    if (i->config->webhooks.n > 0 && webhook_secrets_make(i->webhook_secrets, err) < 0)
        return error_wrap(err, "webhook_secrets");
    state_announce(i->state, &i->config->webhooks, i->registry_name);
    *ret = (struct courier_config){.state = i->state,
                                   .http = &http_curl,
                                   .urls = &i->config->webhooks,
                                   .secrets = i->webhook_secrets,
                                   .ca_file = i->ca_file[0] ? i->ca_file : NULL,
                                   .program = "kiln/" KILN_VERSION,
                                   .name = i->worker_name,
                                   .timeout_ms = i->config->webhook_timeout * 1000,
                                   .log = log,
                                   .log_self = &i->log};
    return 0;
}
