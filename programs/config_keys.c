/* programs/config_keys — see the header. */
#include "programs/config_keys.h"

#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "builder/builder.h"
#include "objects/objects.h"
#include "worker/worker.h"

#define KIB  INT64_C(1024)
#define HOUR INT64_C(3600)

#define MEMORY_MIN (64 * KIB * KIB) /* buildah needs most of that */

/* ---- the table ---- */

static bool is_address(const char *value);
static bool is_address_or_empty(const char *value);
static bool is_url(const char *value);
static bool is_database(const char *value);
static bool is_word(const char *value);
static bool is_mirror(const char *value);
static bool is_absolute(const char *value);
static bool is_egress(const char *value);
static bool is_registry_auth(const char *value);
static bool is_git_host(const char *value);
static bool is_switch(const char *value);
static bool is_cache_export(const char *value);
static bool is_webhook(const char *value);
static bool is_s3(const char *value);
static bool is_s3_style(const char *value);
static bool is_log_format(const char *value);

#define ADDRESS   "an address and port such as 127.0.0.1:8080 or [::1]:8080"
#define URL       "empty or a URL with http:// or https://, without user, password or a slash at the end"
#define WORD      "a word without blanks"
#define FILE_PATH "empty or an absolute path"

#define AT(member) offsetof(struct config, member)

/* clang-format off */
const struct key config_keys[CONFIG_KEYS] = {
    {"data_dir", PATH, AT(data_dir), NULL,
     "/var/lib/kiln as root, else $XDG_DATA_HOME/kiln or ~/.local/share/kiln", 0, 0, NULL, NULL,
     "where everything is kept: state, uploads, images, jobs"},
    {"database", STRING, AT(database), "", "a file in the data directory", 0, 0, is_database,
     "empty or a URL with postgres:// or postgresql://, without a password",
     "the PostgreSQL database of the state and the queue, for several machines"},
    {"listen", STRING, AT(listen), "127.0.0.1:8080", NULL, 0, 0, is_address, ADDRESS,
     "where the API listens"},
    {"operator_listen", STRING, AT(operator_listen), "", NULL, 0, 0, is_address_or_empty,
     "empty or " ADDRESS,
     "where /metrics, /healthz and /readyz are answered without a key, for the operator's own "
     "tools; empty: nowhere"},
    {"public_url", STRING, AT(public_url), "", NULL, 0, 0, is_url, URL,
     "how clients reach the API, for upload URLs; empty: as the request's Host says"},
    {"tls_certificate", STRING, AT(tls_certificate), "", NULL, 0, 0, is_absolute, FILE_PATH,
     "the API's certificate and those between it and its authority (PEM), for HTTPS; empty: HTTP"},
    {"tls_key", STRING, AT(tls_key), "", NULL, 0, 0, is_absolute, FILE_PATH,
     "its private key (PEM); both are read again when they change, and on SIGHUP"},
    {"proxies", LIST, AT(proxies), "", NULL, 0, 0, address_is_network,
     "a list of IP addresses and networks such as 10.0.0.0/8 or fd00::/8",
     "reverse proxies in front of the API, whose X-Forwarded-For is believed"},
    {"connections_max", INTEGER, AT(connections_max), "512", NULL, 16, 100000, NULL, NULL,
     "the most connections to the API at once, a thread each"},
    {"address_connections_max", INTEGER, AT(address_connections_max), "400", NULL, 0, 100000, NULL,
     NULL, "the most of them from one address that is no proxy's; 0: any number"},
    {"key_rate", INTEGER, AT(key_rate), "2000", NULL, 0, 1000000, NULL, NULL,
     "requests a second that are answered with one API key, ten times as many at once; 0: any"},
    {"workspace_rate", INTEGER, AT(workspace_rate), "5000", NULL, 0, 1000000, NULL, NULL,
     "the same for all keys of a workspace together"},
    {"address_rate", INTEGER, AT(address_rate), "1000", NULL, 0, 1000000, NULL, NULL,
     "the same for requests without a key, from one address"},
    {"failed_logins_max", INTEGER, AT(failed_logins_max), "60", NULL, 0, 1000000, NULL, NULL,
     "wrong keys a minute from one address, before new ones are not tried for a while; 0: any"},
    {"log_format", STRING, AT(log_format), "text", NULL, 0, 0, is_log_format, "text or json",
     "how kiln serve and kiln worker write their log to standard error: a line or an object each"},
    {"audit_retention", DURATION, AT(audit_retention), "8760h", NULL, 0, 87600 * HOUR, NULL, NULL,
     "how long it is kept who did what (kiln audit); 0s: for ever"},
    {"workers", INTEGER, AT(workers), NULL, "the number of cores", 0, 256, NULL, NULL,
     "builds at once; 0: kiln serve builds nothing itself"},
    {"registry_listen", STRING, AT(registry_listen), "127.0.0.1:5000", NULL, 0, 0, is_address,
     ADDRESS, "where the supervised registry listens; its password is an API key"},
    {"registry_url", STRING, AT(registry_url), "", NULL, 0, 0, is_url, URL,
     "a registry of your own, instead of the supervised one"},
    {"registry_program", STRING, AT(registry_program), "docker-registry", NULL, 0, 0, is_word, WORD,
     "the program that serves as supervised registry"},
    {"registry_auth", STRING, AT(registry_auth), "token", NULL, 0, 0, is_registry_auth,
     "token or none",
     "token: the registry asks for tokens that Kiln signs (one of your own: see kiln registry); "
     "none: it asks nobody"},
    {"registry_key", STRING, AT(registry_key), "", "registry/token-key.pem in the data directory",
     0, 0, is_absolute, FILE_PATH, "the P-256 private key (PEM) that signs them, made if it is not there"},
    {"buildah_program", STRING, AT(buildah_program), "buildah", NULL, 0, 0, is_word, WORD,
     "buildah, which fetches base images"},
    {"sandbox_image", STRING, AT(sandbox_image), "ghcr.io/blaxel-ai/sandbox:latest", NULL, 0, 0,
     is_word, WORD, "the image that sandbox-api is copied from"},
    {"mirrors", LIST, AT(mirrors), "", NULL, 0, 0, is_mirror,
     "a list of prefix=location or prefix=location,insecure",
     "where images are pulled from instead, by prefix of their name"},
    {"ca_certificates", STRING, AT(ca_certificates), "", NULL, 0, 0, is_absolute,
     "empty, or the absolute path of a PEM file or of a directory with *.pem and *.crt files",
     "certificate authorities that are trusted beside the system's"},
    {"egress", STRING, AT(egress), "nat", NULL, 0, 0, is_egress, "nat, list or none",
     "the network of RUN steps: the internet but not this host, only egress_allow, or nothing"},
    {"egress_allow", LIST, AT(egress_allow), "", NULL, 0, 0, builder_egress_word_is_valid,
     "a list of IPv4 addresses, networks such as 10.1.0.0/16, and host names, each with :port or "
     ":from-to where only these are meant",
     "what RUN steps reach with list; with nat, what they and pulls reach of private networks"},
    {"uid_base", INTEGER, AT(uid_base), "1000000000", NULL, 65536, INT64_C(4294901759), NULL, NULL,
     "the first of 65536 user and group ids that builds run as, when root starts them"},
    {"build_timeout", DURATION, AT(build_timeout), "30m", NULL, 1, 24 * HOUR, NULL, NULL,
     "how long each of fetch, pull and build may take"},
    {"build_memory", SIZE, AT(build_memory), NULL, "half of the machine's, in whole GiB", MEMORY_MIN,
     16 * KIB * KIB * KIB * KIB, NULL, NULL, "the most memory a build may use, with swap"},
    {"build_pids", INTEGER, AT(build_pids), "4096", NULL, 64, 4194304, NULL, NULL,
     "the most processes and threads a build may have at once"},
    {"build_cpus", INTEGER, AT(build_cpus), "0", NULL, 0, 1024, NULL, NULL,
     "how many CPUs a build may keep busy; 0: all"},
    {"build_disk", SIZE, AT(build_disk), "40GiB", NULL, KIB * KIB, 16 * KIB * KIB * KIB * KIB, NULL,
     NULL, "the most disk a build may take, with its unpacked archive"},
    {"upload_max", SIZE, AT(upload_max), "5GiB", NULL, 1, KIB * KIB * KIB * KIB, NULL, NULL,
     "the largest archive accepted"},
    {"upload_expiry", DURATION, AT(upload_expiry), "1h", NULL, 1, 168 * HOUR, NULL, NULL,
     "how long an upload URL is good for"},
    {"uploads", STRING, AT(uploads), "", NULL, 0, 0, is_s3,
     "empty or s3://BUCKET/PREFIX", "an object store that clients upload to; empty: the data directory"},
    {"templates", STRING, AT(templates), "", NULL, 0, 0, is_s3, "empty or s3://BUCKET/PREFIX",
     "an object store for volume templates, shared by machines; empty: the data directory"},
    {"s3_endpoint", STRING, AT(s3_endpoint), "", NULL, 0, 0, is_url, URL,
     "where that object store is, for clients too; empty: AWS, in the region"},
    {"s3_region", STRING, AT(s3_region), "us-east-1", NULL, 0, 0, is_word, WORD,
     "its region, which signatures name"},
    {"s3_credentials", STRING, AT(s3_credentials), "", NULL, 0, 0, is_absolute, FILE_PATH,
     "a file like ~/.aws/credentials; empty: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
    {"s3_style", STRING, AT(s3_style), "path", NULL, 0, 0, is_s3_style, "path or host",
     "whether the bucket is in the path of URLs or in their host's name"},
    {"s3_cache_max", SIZE, AT(s3_cache_max), "20GiB", NULL, 1, 16 * KIB * KIB * KIB * KIB, NULL,
     NULL, "the most bytes of the store's objects that are kept here beside those in use"},
    {"unpack_max", SIZE, AT(unpack_max), "20GiB", NULL, 1, 16 * KIB * KIB * KIB * KIB, NULL, NULL,
     "the most bytes an archive may unpack to"},
    {"unpack_entries", INTEGER, AT(unpack_entries), "1000000", NULL, 1, 100000000, NULL, NULL,
     "the most entries an archive may have"},
    {"git_max", SIZE, AT(git_max), "2GiB", NULL, 1, KIB * KIB * KIB * KIB, NULL, NULL,
     "the most bytes a git repository may send, its history included"},
    {"git_hosts", LIST, AT(git_hosts), "", NULL, 0, 0, is_git_host,
     "a list of host or host:port",
     "git servers on this machine or in private networks that builds may name"},
    {"attest", STRING, AT(attest), "on", NULL, 0, 0, is_switch, "on or off",
     "whether images get an SBOM (SPDX) and provenance (SLSA)"},
    {"push_chunk", SIZE, AT(push_chunk), "0B", NULL, 0, KIB * KIB * KIB * KIB, NULL, NULL,
     "the most bytes of a layer in one request to the registry; 0B: all of it"},
    {"lease", DURATION, AT(lease), "30s", NULL, 1, HOUR, NULL, NULL,
     "how long the build of a worker that fell silent stays its own"},
    {"attempts", INTEGER, AT(attempts), "3", NULL, 1, 100, NULL, NULL,
     "how often a build is tried when the fault is not the user's"},
    {"cache_max", SIZE, AT(cache_max), "10GiB", NULL, 1, KIB * KIB * KIB * KIB, NULL, NULL,
     "the most bytes a workspace's cached steps and cache mounts take between builds"},
    {"cache_export", STRING, AT(cache_export), "auto", NULL, 0, 0, is_cache_export,
     "auto, off, min or max",
     "what workers leave each other in the registry: nothing, the layers of images, or of all "
     "steps; auto: max with registry_url, else off"},
    {"cache_export_max", SIZE, AT(cache_export_max), "10GiB", NULL, 1, KIB * KIB * KIB * KIB, NULL,
     NULL, "the most bytes of layers that are left there for one image"},
    {"cache_mounts_max", SIZE, AT(cache_mounts_max), "1GiB", NULL, 0, KIB * KIB * KIB * KIB, NULL,
     NULL, "the most bytes of one cache mount that are left there; 0: no mount is"},
    {"bases_max", SIZE, AT(bases_max), "10GiB", NULL, 1, KIB * KIB * KIB * KIB, NULL, NULL,
     "the most bytes a workspace's base images take, beyond which they are fetched anew; an image "
     "whose layers are larger is refused"},
    {"caches_max", SIZE, AT(caches_max), "100GiB", NULL, 1, 16 * KIB * KIB * KIB * KIB, NULL, NULL,
     "the most bytes that both take of all workspaces together; what was not used for longest goes"},
    {"log_max", SIZE, AT(log_max), "64MiB", NULL, 1, KIB * KIB * KIB * KIB, NULL, NULL,
     "the most text the log of one build may hold"},
    {"log_retention", DURATION, AT(log_retention), "720h", NULL, 0, 87600 * HOUR, NULL, NULL,
     "how long the log of a build that is over is kept; 0s: for ever"},
    {"event_retention", DURATION, AT(event_retention), "2160h", NULL, 0, 87600 * HOUR, NULL, NULL,
     "how long events of images and resources are kept; 0s: for ever"},
    {"gc_interval", DURATION, AT(gc_interval), "24h", NULL, 0, 8760 * HOUR, NULL, NULL,
     "how often kiln serve collects garbage, as kiln gc does; 0s: never"},
    {"template_revisions", INTEGER, AT(template_revisions), "10", NULL, 1, 100000, NULL, NULL,
     "how many revisions of a volume template are kept; older ones are dropped"},
    {"volume_max", SIZE, AT(volume_max), "1TiB", NULL, KIB * KIB, 16 * KIB * KIB * KIB * KIB, NULL,
     NULL, "the largest volume that the API makes or grows; its empty blocks take no room"},
    {"builds_max", INTEGER, AT(builds_max), "0", NULL, 0, 256, NULL, NULL,
     "how many builds of images and templates a workspace may have running; 0: any"},
    {"images_max", SIZE, AT(images_max), "0B", NULL, 0,
     1024 * KIB * KIB * KIB * KIB, NULL, NULL,
     "no image is built while those of the workspace have that many bytes; 0B: any"},
    {"templates_max", SIZE, AT(templates_max), "0B", NULL, 0,
     1024 * KIB * KIB * KIB * KIB, NULL, NULL,
     "no version is made while the workspace's volume templates take that many bytes; 0B: any"},
    {"probe", STRING, AT(probe), "off", NULL, 0, 0, is_switch, "on or off",
     "whether what is deployed is started once, to see that it listens on its port"},
    {"probe_timeout", DURATION, AT(probe_timeout), "60s", NULL, 1, HOUR, NULL, NULL,
     "how long it may take until it does"},
    {"webhooks", LIST, AT(webhooks), "", NULL, 0, 0, is_webhook,
     "a list of URLs with http:// or https://, without user, password or query",
     "where it is told what became of deployments"},
    {"webhook_secrets", STRING, AT(webhook_secrets), "", "webhook-secrets in the data directory", 0, 0,
     is_absolute, FILE_PATH,
     "the file of secrets that this is signed with, one a line, made if it is not there"},
    {"webhook_timeout", DURATION, AT(webhook_timeout), "10s", NULL, 1, 300, NULL, NULL,
     "how long a webhook's request may take"},
};
/* clang-format on */

char **key_string(const struct config *c, const struct key *k)
{
    return (char **)((char *)c + k->offset);
}

int64_t *key_number(const struct config *c, const struct key *k)
{
    return (int64_t *)((char *)c + k->offset);
}

struct argv *key_list(const struct config *c, const struct key *k)
{
    return (struct argv *)((char *)c + k->offset);
}

bool key_is_string(const struct key *k)
{
    return k->kind == STRING || k->kind == PATH;
}

bool key_is_hidden(const struct key *k)
{
    return k->valid == is_database;
}

bool key_is_number(const struct key *k)
{
    return k->kind == INTEGER || k->kind == SIZE || k->kind == DURATION;
}

/* ---- what values may be ---- */

static bool is_word(const char *value)
{
    return *value && !strpbrk(value, " \t");
}

static bool is_address(const char *value)
{
    const char *colon = strrchr(value, ':');
    uint64_t port;

    if (!colon || colon == value || strpbrk(value, " /@") || !text_to_u64(colon + 1, 65535, &port))
        return false;
    /* More colons are an IPv6 address, which stands in brackets. */
    return memchr(value, ':', (size_t)(colon - value)) == NULL ||
           (value[0] == '[' && colon[-1] == ']');
}

static bool is_address_or_empty(const char *value)
{
    return !*value || is_address(value);
}

static bool is_url(const char *value)
{
    const char *host = strstr(value, "://");

    if (!*value)
        return true;
    return (text_starts(value, "http://") || text_starts(value, "https://")) && host[3] &&
           !strpbrk(value, " @?#") && !text_ends(value, "/");
}

/* libpq's URL; the password belongs where `kiln config` and the list of processes do not show it.
 */
static bool is_database(const char *value)
{
    const char *user = strstr(value, "://");
    size_t end;

    if (!*value)
        return true;
    if ((!text_starts(value, "postgres://") && !text_starts(value, "postgresql://")) ||
        strpbrk(value, " \t") || strstr(value, "password="))
        return false;
    user += strlen("://");
    end = strcspn(user, "/?@");
    return user[end] != '@' || !memchr(user, ':', end);
}

static bool is_webhook(const char *value)
{
    const char *host = strstr(value, "://");

    return (text_starts(value, "http://") || text_starts(value, "https://")) && host[3] &&
           !strpbrk(value, " @?#") && !text_has_control(value, strlen(value)) &&
           strlen(value) < WEBHOOK_URL;
}

static bool is_mirror(const char *value)
{
    const char *equals = strchr(value, '=');
    const char *comma = equals ? strchr(equals, ',') : NULL;

    return equals && equals != value && equals[1] && equals[1] != ',' &&
           (!comma || strcmp(comma, ",insecure") == 0);
}

static bool is_absolute(const char *value)
{
    return !*value || *value == '/';
}

static bool is_registry_auth(const char *value)
{
    return strcmp(value, "token") == 0 || strcmp(value, "none") == 0;
}

static bool is_egress(const char *value)
{
    return text_is_among(value, (const char *const[]){"nat", "list", "none", NULL});
}

static bool is_switch(const char *value)
{
    return text_is_among(value, (const char *const[]){"on", "off", NULL});
}

static bool is_cache_export(const char *value)
{
    return text_is_among(value, (const char *const[]){"auto", "off", "min", "max", NULL});
}

static bool is_s3(const char *value)
{
    return !*value || objects_url_is_valid(value);
}

static bool is_s3_style(const char *value)
{
    return text_is_among(value, (const char *const[]){"path", "host", NULL});
}

static bool is_log_format(const char *value)
{
    return text_is_among(value, (const char *const[]){"text", "json", NULL});
}

/* "[…]" around IPv6, as in the URLs that name it. */
static bool is_git_host(const char *value)
{
    size_t name = value[0] == '[' ? strcspn(value, "]") + 1 : strcspn(value, ":");
    uint64_t port;

    if (!*value || strpbrk(value, " /@?#,\\") || name > strlen(value) || name == 0)
        return false;
    return !value[name] || (value[name] == ':' && text_to_u64(value + name + 1, 65535, &port));
}

/* ---- numbers and their units ---- */

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: a number is printed in the first that divides it. */
static const struct unit size_units[] = {{"TiB", KIB *KIB *KIB *KIB},
                                         {"TB", INT64_C(1000000000000)},
                                         {"GiB", KIB *KIB *KIB},
                                         {"GB", 1000000000},
                                         {"MiB", KIB *KIB},
                                         {"MB", 1000000},
                                         {"KiB", KIB},
                                         {"kB", 1000},
                                         {"B", 1},
                                         {NULL, 0}};
static const struct unit duration_units[] = {{"h", HOUR}, {"m", 60}, {"s", 1}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(const struct key *k)
{
    return k->kind == SIZE ? size_units : k->kind == DURATION ? duration_units : no_units;
}

bool key_parse_number(const struct key *k, const char *text, int64_t *ret)
{
    const size_t digits = strspn(text, "0123456789");
    const struct unit *unit = units_of(k);
    char number[24];
    uint64_t value;
    int64_t product;

    if (digits == 0 || digits >= sizeof(number))
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    while (unit->name && text[digits] && strcasecmp(unit->name, text + digits) != 0)
        unit++;
    if (!unit->name || !text_to_u64(number, INT64_MAX, &value) ||
        __builtin_mul_overflow((int64_t)value, text[digits] ? unit->factor : 1, &product) ||
        product < k->min || product > k->max)
        return false;
    *ret = product;
    return true;
}

void key_add_number(const struct key *k, int64_t value, struct buf *out)
{
    const struct unit *unit = units_of(k);

    while (unit[1].name && (value < unit->factor || value % unit->factor != 0))
        unit++;
    buf_addf(out, "%lld%s", (long long)(value / unit->factor), unit->name);
}

void key_add_allowed(const struct key *k, struct buf *out)
{
    static const char *const names[] = {
        [INTEGER] = "an integer", [SIZE] = "a size", [DURATION] = "a duration"};

    if (k->kind == PATH)
        buf_adds(out, "the path of a directory");
    if (k->allowed)
        buf_adds(out, k->allowed);
    if (!key_is_number(k))
        return;
    buf_addf(out, "%s from ", names[k->kind]);
    key_add_number(k, k->min, out);
    buf_adds(out, " to ");
    key_add_number(k, k->max, out);
    if (k->kind == SIZE)
        buf_adds(out, " such as 500MB or 5GiB");
    if (k->kind == DURATION)
        buf_adds(out, " such as 30s, 15m or 1h");
}

/* ---- names ---- */

void key_variable(const struct key *k, char out[KEY_NAME])
{
    size_t n = 0;

    (void)snprintf(out, KEY_NAME, "KILN_%s", k->name);
    for (n = 5; out[n]; n++)
        if (out[n] >= 'a' && out[n] <= 'z')
            out[n] = (char)(out[n] - 'a' + 'A');
}

void key_option(const struct key *k, char out[KEY_NAME])
{
    (void)snprintf(out, KEY_NAME, "--%s", k->name);
    for (char *p = out; *p; p++)
        if (*p == '_')
            *p = '-';
}

/* Edits that make a of b (Levenshtein); names longer than a key's are unlike everything. */
static size_t distance(const char *a, const char *b)
{
    size_t row[KEY_NAME + 1];
    const size_t n = strlen(b);

    if (strlen(a) > KEY_NAME || n > KEY_NAME)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            const size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            const size_t edit = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);

            diagonal = row[j];
            row[j] = swap < edit ? swap : edit;
        }
    }
    return row[n];
}

const struct key *key_nearest(const char *name)
{
    const struct key *best = &config_keys[0];

    for (size_t i = 1; i < CONFIG_KEYS; i++)
        if (distance(name, config_keys[i].name) < distance(name, best->name))
            best = &config_keys[i];
    return distance(name, best->name) <= 2 + strlen(best->name) / 4 ? best : NULL;
}

const struct key *key_find(const char *path)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const size_t n = strlen(config_keys[i].name);

        if (strcmp(path, config_keys[i].name) == 0 ||
            (config_keys[i].kind == LIST && strncmp(path, config_keys[i].name, n) == 0 &&
             path[n] == '[' && path[n + strcspn(path + n, "]")] &&
             !path[n + strcspn(path + n, "]") + 1]))
            return &config_keys[i];
    }
    return NULL;
}

/* ---- rows for the documentation ---- */

struct config_row config_row(size_t i)
{
    return (struct config_row){.name = config_keys[i].name,
                               .default_value = config_keys[i].shown ? config_keys[i].shown
                                                                     : config_keys[i].fallback,
                               .help = config_keys[i].help};
}

void config_row_allowed(size_t i, struct buf *out)
{
    key_add_allowed(&config_keys[i], out);
}
