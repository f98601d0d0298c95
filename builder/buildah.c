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
#define IMAGE      "localhost/kiln/build:latest" /* what build calls it and push looks for */

/* What Docker grants a RUN by default, less what needs a device, a raw socket or the audit log;
 * SYS_CHROOT stays for package managers. */
#define CAPABILITIES                                                                               \
    "CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_FSETID,CAP_KILL,CAP_NET_BIND_SERVICE,CAP_SETFCAP,"  \
    "CAP_SETGID,CAP_SETPCAP,CAP_SETUID,CAP_SYS_CHROOT"

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
    CLEANUP(buf_release) struct buf storage = BUF_INIT(4096);

    add_registries(b->config, s);
    buf_addf(&storage,
             "[storage]\ndriver = \"%s\"\nrunroot = \"/run/kiln\"\n"
             "graphroot = \"/kiln/storage\"\n",
             b->driver);
    jail_spec_add(s, JAIL_FILE, "etc/containers/storage.conf", buf_str(&storage));
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

static void describe(const struct builder_job *job, enum jail_net net, enum jail_rights rights,
                     struct jail_spec *s)
{
    s->ids = job->b->ids;
    s->net = net;
    s->rights = rights;
    jail_spec_add_base(s);
    add_configuration(job->b, s);
    add_environment(s);
    add_bind(s, "kiln/tmp", job->dir, "tmp");
    add_bind(s, "var/tmp", job->dir, "tmp");
}

static void push_program(const struct builder_job *job, const char *root, struct jail_spec *s)
{
    argv_push(&s->argv, add_program(job->b, s), "--root", root, "--runroot", "/run/kiln",
              "--storage-driver", job->b->driver, "--registries-conf", REGISTRIES,
              "--short-name-alias-conf", "/dev/null", NULL);
}

/* The job's own store over the workspace's bases, which nothing here may change. */
static void push_program_on_bases(const struct builder_job *job, bool with_bases,
                                  struct jail_spec *s)
{
    push_program(job, "/kiln/storage", s);
    if (!with_bases)
        return;
    jail_spec_add(s, JAIL_BIND_RO, "kiln/bases", job->bases);
    argv_push(&s->argv, "--storage-opt", NULL);
    argv_pushf(&s->argv, "%s.imagestore=/kiln/bases", job->b->driver);
}

/* ---- the commands ---- */

void buildah_describe_pull(const struct builder_job *job, const struct reference *image,
                           const char *vet_host, const char *docker_config, struct jail_spec *s)
{
    describe(job, JAIL_NET_HOST, JAIL_RIGHTS_MOUNT, s);
    jail_spec_add(s, JAIL_BIND, "kiln/bases", job->bases);
    if (vet_host) {
        s->inner = true;
        argv_push(&s->argv, "builder-fetch", vet_host, NULL);
    }
    push_program(job, "/kiln/bases", s);
    argv_push(&s->argv, "pull", "--policy", strchr(image->full, '@') ? "missing" : "always",
              "--signature-policy", POLICY, NULL);
    if (docker_config) {
        jail_spec_add(s, JAIL_SECRET, "run/auth.json", docker_config);
        argv_push(&s->argv, "--authfile", "/run/auth.json", NULL);
    }
    argv_pushf(&s->argv, "docker://%s", image->full);
}

static void push_build_args(const struct argv *build_args, struct jail_spec *s)
{
    /* The history's entries would hold their values: "|1 TOKEN=… /bin/sh -c". */
    if (build_args && build_args->n > 0)
        argv_push(&s->argv, "--omit-history", NULL);
    for (size_t i = 0; build_args && i < build_args->n; i++) {
        const char *arg = build_args->v[i];

        argv_push(&s->argv, "--build-arg", NULL);
        argv_pushf(&s->argv, "%.*s", (int)strcspn(arg, "="), arg);
        argv_push1(&s->env, arg);
    }
}

void buildah_describe_build(const struct builder_job *job, const struct builder_request *req,
                            bool with_bases, struct jail_spec *s)
{
    describe(job, egress_net(job->b->config), JAIL_RIGHTS_BUILD, s);
    add_bind(s, "context", job->dir, "context");
    add_bind(s, "kiln/storage", job->dir, "storage");
    jail_spec_add(s, JAIL_FILE, "kiln/Dockerfile", req->dockerfile);
    jail_spec_add(s, JAIL_FILE, "kiln/ignore", req->ignore ? req->ignore : "");
    push_program_on_bases(job, with_bases, s);
    argv_push(&s->argv, "build", "--isolation", "chroot", "--format", "docker", "--layers=false",
              "--pull=never", "--signature-policy", POLICY, "--cap-drop", "all", "--cap-add",
              CAPABILITIES, "--http-proxy=false", "--identity-label=false", "--ignorefile",
              "/kiln/ignore", "--file", "/kiln/Dockerfile", "--tag", IMAGE, NULL);
    push_build_args(req->build_args, s);
    for (size_t i = 0; req->labels && i < req->labels->n; i++)
        argv_push(&s->argv, "--label", req->labels->v[i], NULL);
    argv_push(&s->argv, "/context", NULL);
}

void buildah_describe_push(const struct builder_job *job, const char *destination, bool with_bases,
                           struct jail_spec *s)
{
    describe(job, JAIL_NET_HOST, JAIL_RIGHTS_MOUNT, s);
    add_bind(s, "kiln/storage", job->dir, "storage");
    add_bind(s, "kiln/out", job->dir, "out");
    push_program_on_bases(job, with_bases, s);
    argv_push(&s->argv, "push", "--signature-policy", POLICY, "--digestfile", "/kiln/out/digest",
              IMAGE, NULL);
    argv_pushf(&s->argv, "docker://%s", destination);
}

/* ---- what it obeys and what it says ---- */

bool buildah_obeys(const char *name)
{
    static const char *const names[] = {
        "PATH",          "HOME",           "TMPDIR",        "GODEBUG",
        "GOGC",          "GOMAXPROCS",     "GOMEMLIMIT",    "GOTRACEBACK",
        "LOCPATH",       "GCONV_PATH",     "SSL_CERT_FILE", "SSL_CERT_DIR",
        "DOCKER_CONFIG", "GLIBC_TUNABLES", "GNUPGHOME",     "REGISTRY_AUTH_FILE",
    };
    static const char *const prefixes[] = {"LD_",      "MALLOC_",      "RES_",        "CONTAINERS_",
                                           "BUILDAH_", "_CONTAINERS_", "REGISTRIES_", "STORAGE_",
                                           "XDG_",     "_BUILDAH_"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (text_starts(name, prefixes[i]))
            return true;
    return false;
}

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
        {"toomanyrequests", BUILDAH_FAULT_REMOTE},
        {"status code 5", BUILDAH_FAULT_REMOTE},
        {"HTTP status: 5", BUILDAH_FAULT_REMOTE},
        {"dial tcp", BUILDAH_FAULT_REMOTE},
        {"i/o timeout", BUILDAH_FAULT_REMOTE},
        {"connection refused", BUILDAH_FAULT_REMOTE},
        {"connection reset", BUILDAH_FAULT_REMOTE},
        {"tls:", BUILDAH_FAULT_REMOTE},
        {"x509:", BUILDAH_FAULT_REMOTE},
        {"pinging container registry", BUILDAH_FAULT_REMOTE},
        {"unauthorized", BUILDAH_FAULT_DENIED},
        {"authentication required", BUILDAH_FAULT_DENIED},
        {"invalid username/password", BUILDAH_FAULT_DENIED},
        {"requested access to the resource is denied", BUILDAH_FAULT_DENIED},
        {"denied:", BUILDAH_FAULT_DENIED},
        {"403 (Forbidden)", BUILDAH_FAULT_DENIED},
        {"unexpected EOF", BUILDAH_FAULT_REMOTE},
        {"reading manifest", BUILDAH_FAULT_REMOTE},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (strstr(p->fault, phrases[i].phrase))
            return phrases[i].fault;
    return BUILDAH_FAULT_OURS;
}
