/* builder/buildah — see the header.  Written against buildah 1.28.2 (containers/image 5.23).
 *
 * The environment is built from nothing, every configuration file that containers-common reads is
 * ours, and the signature policy rejects every transport but registries and our own storage, so
 * that FROM oci-archive:… cannot read a file even if the front end let it through. */
#include "builder/buildah.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/egress.h"

#define REGISTRIES BUILDAH_REGISTRIES
#define POLICY     "/etc/containers/policy.json"

static const char policy[] =
    "{\"default\":[{\"type\":\"reject\"}],\"transports\":{"
    "\"docker\":{\"\":[{\"type\":\"insecureAcceptAnything\"}]},"
    "\"containers-storage\":{\"\":[{\"type\":\"insecureAcceptAnything\"}]}}}\n";

/* ---- configuration files ---- */

static void add_configuration(struct jail_spec *s)
{
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
    add_configuration(s);
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

static void push_relay(const struct builder_config *config, const struct reference *image,
                       const char *vetted, const struct builder_base_place *from,
                       struct jail_spec *s)
{
    const uint64_t max = config->bases_max;

    s->inner = true;
    argv_push(&s->argv, BUILDER_FETCH, vetted, from->url, from->repository, NULL);
    argv_pushf(&s->argv, "%.*s", (int)reference_name_length(image->full), image->full);
    argv_pushf(&s->argv, "%" PRIu64, max);
}

void buildah_describe_pull(const struct builder_job *job, const struct reference *image,
                           enum reference_place place, const struct builder_base_place *from,
                           const char *docker_config, const struct progress *p, struct jail_spec *s)
{
    const char *authority = strstr(from->url, "://") + 3;

    s->net = JAIL_NET_HOST;
    if (place == REFERENCE_OUTSIDE)
        egress_describe_pull(job->b->config, p, s);
    describe(job, JAIL_RIGHTS_MOUNT, s);
    jail_spec_add(s, JAIL_BIND, "kiln/bases", job->bases);
    if (docker_config)
        jail_spec_add(s, JAIL_SECRET, &BUILDAH_CREDENTIALS[1], docker_config);
    push_relay(job->b->config, image, place == REFERENCE_OUTSIDE ? authority : "", from, s);
    push_program(job, "/kiln/bases", s);
    argv_push(&s->argv, "pull", "--policy", strchr(image->full, '@') ? "missing" : "always",
              "--signature-policy", POLICY,
              /* a hidden option: the layers are kept as they came, to be pushed as they came */
              "--blob-cache", "/kiln/bases/blobs", NULL);
    argv_pushf(&s->argv, "docker://%s", image->full);
}

int buildah_write_registries(const char *name, const char *location, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(8192);

    /* Neither has a character that means something in a string of TOML. */
    buf_addf(&text,
             "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n"
             "[[registry]]\nprefix = \"%s\"\nlocation = \"%s\"\ninsecure = true\n",
             name, location);
    if (buf_check(&text, REGISTRIES, err) < 0)
        return -1;
    return fs_write_file(AT_FDCWD, REGISTRIES, buf_str(&text), text.len, 0600, err);
}

/* ---- what it says ---- */

bool buildah_refuses(const char *fault)
{
    static const char *const phrases[] = {"rejected by policy", "no image found in manifest list",
                                          "no image found in image index"};

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (strstr(fault, phrases[i]))
            return true;
    return false;
}
