/* builder/buildah — see the header.  Written against buildah 1.28.2 (containers/image 5.23).
 *
 * The environment is built from nothing, every configuration file that containers-common reads is
 * ours, and the signature policy rejects every transport but registries and our own storage, so
 * that FROM oci-archive:… cannot read a file even if the front end let it through. */
#include "builder/buildah.h"

#include <string.h>

#include "base/text.h"
#include "builder/egress.h"

#define REGISTRIES "/etc/containers/registries.conf"
#define POLICY     "/etc/containers/policy.json"

static const char policy[] =
    "{\"default\":[{\"type\":\"reject\"}],\"transports\":{"
    "\"docker\":{\"\":[{\"type\":\"insecureAcceptAnything\"}]},"
    "\"containers-storage\":{\"\":[{\"type\":\"insecureAcceptAnything\"}]}}}\n";

/* ---- configuration files ---- */

/* A basic string of TOML 1.0. */
static void add_toml_string(struct buf *out, const char *s)
{
    buf_addc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *s);
    }
    buf_addc(out, '"');
}

static void add_registry(struct buf *out, const char *prefix, const char *location, bool insecure)
{
    buf_adds(out, "[[registry]]\nprefix = ");
    add_toml_string(out, prefix);
    buf_adds(out, "\nlocation = ");
    add_toml_string(out, location);
    buf_addf(out, "\ninsecure = %s\n", insecure ? "true" : "false");
}

static void add_registries(const struct builder_config *config, struct jail_spec *s)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    buf_adds(&text, "unqualified-search-registries = [\"docker.io\"]\n"
                    "short-name-mode = \"disabled\"\n");
    for (size_t i = 0; i < config->n_mirrors; i++)
        add_registry(&text, config->mirrors[i].prefix, config->mirrors[i].location,
                     config->mirrors[i].insecure);
    if (config->push_registry)
        add_registry(&text, config->push_registry, config->push_registry, config->push_insecure);
    s->failed |= text.full;
    jail_spec_add(s, JAIL_FILE, "etc/containers/registries.conf", buf_str(&text));
}

static void add_configuration(const struct builder *b, struct jail_spec *s)
{
    add_registries(b->config, s);
    jail_spec_add(s, JAIL_FILE, "etc/containers/storage.conf",
                  "[storage]\ndriver = \"overlay\"\nrunroot = \"/run/kiln\"\n"
                  "graphroot = \"/kiln/bases\"\n");
    jail_spec_add(s, JAIL_FILE, "etc/containers/containers.conf", "");
    jail_spec_add(s, JAIL_FILE, "etc/containers/policy.json", policy);
}

static void add_environment(struct jail_spec *s)
{
    argv_push(&s->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/run/root",
              "TMPDIR=/kiln/tmp", "BUILDAH_ISOLATION=chroot",
              /* buildah is root here already; it must not look for a namespace of its own */
              "_CONTAINERS_USERNS_CONFIGURED=done", "REGISTRIES_CONFIG_PATH=" REGISTRIES,
              "CONTAINERS_CONF=/etc/containers/containers.conf",
              "CONTAINERS_STORAGE_CONF=/etc/containers/storage.conf", NULL);
}

/* ---- what every command shares ---- */

static void add_bind(struct jail_spec *s, const char *path, const char *dir, const char *name)
{
    char from[PATH_MAX];

    if (snprintf(from, sizeof(from), "%s/%s", dir, name) >= (int)sizeof(from))
        s->failed = true;
    jail_spec_add(s, JAIL_BIND, path, from);
}

/* The program's path in the jail: as on the host below /usr, bound elsewhere. */
static const char *add_program(const struct builder *b, struct jail_spec *s)
{
    if (text_starts(b->buildah, "/usr/"))
        return b->buildah;
    jail_spec_add(s, JAIL_BIND_RO, "kiln/buildah", b->buildah);
    return "/kiln/buildah";
}

static void describe(const struct builder_job *job, enum jail_rights rights, struct jail_spec *s)
{
    s->ids = job->b->ids;
    s->rights = rights;
    jail_spec_add_base(s);
    add_configuration(job->b, s);
    add_environment(s);
    jail_spec_add_authorities(s, job->b->config->ca_file);
    add_bind(s, "kiln/tmp", job->dir, "tmp");
    add_bind(s, "var/tmp", job->dir, "tmp");
}

static void push_program(const struct builder_job *job, const char *root, struct jail_spec *s)
{
    argv_push(&s->argv, add_program(job->b, s), "--root", root, "--runroot", "/run/kiln",
              "--storage-driver", "overlay", "--registries-conf", REGISTRIES,
              "--short-name-alias-conf", "/dev/null", NULL);
}

/* ---- the commands ---- */

void buildah_describe_pull(const struct builder_job *job, const struct reference *image,
                           enum reference_place place, const char *docker_config,
                           const struct progress *p, struct jail_spec *s)
{
    s->net = JAIL_NET_HOST;
    if (place == REFERENCE_OUTSIDE)
        egress_describe_pull(job->b->config, p, s);
    describe(job, JAIL_RIGHTS_MOUNT, s);
    jail_spec_add(s, JAIL_BIND, "kiln/bases", job->bases);
    if (place == REFERENCE_OUTSIDE) {
        s->inner = true;
        argv_push(&s->argv, "builder-fetch", image->host, NULL);
    }
    push_program(job, "/kiln/bases", s);
    argv_push(&s->argv, "pull", "--policy", strchr(image->full, '@') ? "missing" : "always",
              "--signature-policy", POLICY,
              /* a hidden option: the layers are kept as they came, to be pushed as they came */
              "--blob-cache", "/kiln/bases/blobs", NULL);
    if (docker_config) {
        jail_spec_add(s, JAIL_SECRET, "run/auth.json", docker_config);
        argv_push(&s->argv, "--authfile", "/run/auth.json", NULL);
    }
    argv_pushf(&s->argv, "docker://%s", image->full);
}

/* ---- what it says ---- */

enum buildah_fault buildah_read_fault(const struct progress *p)
{
    /* In this order: an answer of the registry's is quoted after the words for the act. */
    static const struct {
        const char *phrase;
        enum buildah_fault fault;
    } phrases[] = {
        {"not allowed:", BUILDAH_FAULT_REFUSED},
        {"rejected by policy", BUILDAH_FAULT_REFUSED},
        {"no image found in manifest list", BUILDAH_FAULT_REFUSED},
        {"no image found in image index", BUILDAH_FAULT_REFUSED},
        {"no space left on device", BUILDAH_FAULT_OURS},
        {"manifest unknown", BUILDAH_FAULT_ABSENT},
        {"name unknown", BUILDAH_FAULT_ABSENT},
        {"repository name not known", BUILDAH_FAULT_ABSENT},
        {"StatusCode: 404", BUILDAH_FAULT_ABSENT},
        {"toomanyrequests", BUILDAH_FAULT_CUT},
        {"status code 5", BUILDAH_FAULT_CUT},
        {"HTTP status: 5", BUILDAH_FAULT_CUT},
        {"dial tcp", BUILDAH_FAULT_REMOTE},
        {"i/o timeout", BUILDAH_FAULT_REMOTE},
        {"connection refused", BUILDAH_FAULT_REMOTE},
        {"connection reset", BUILDAH_FAULT_CUT},
        {"tls:", BUILDAH_FAULT_REMOTE},
        {"x509:", BUILDAH_FAULT_REMOTE},
        {"pinging container registry", BUILDAH_FAULT_REMOTE},
        {"unauthorized", BUILDAH_FAULT_DENIED},
        {"authentication required", BUILDAH_FAULT_DENIED},
        {"invalid username/password", BUILDAH_FAULT_DENIED},
        {"requested access to the resource is denied", BUILDAH_FAULT_DENIED},
        {"denied:", BUILDAH_FAULT_DENIED},
        {"403 (Forbidden)", BUILDAH_FAULT_DENIED},
        {"unexpected EOF", BUILDAH_FAULT_CUT},
        {"reading manifest", BUILDAH_FAULT_REMOTE},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (strstr(p->fault, phrases[i].phrase))
            return phrases[i].fault;
    return BUILDAH_FAULT_OURS;
}
