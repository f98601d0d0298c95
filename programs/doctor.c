/* programs/doctor — `kiln doctor`: is this machine fit to build, and what is missing? */
#include <string.h>
#include <sys/stat.h>

#include "api/api.h"
#include "programs/beside.h"
#include "programs/commands.h"
#include "programs/installation.h"

struct diagnosis {
    int missing;
    bool colour;
};

static void print_finding(void *self, const struct builder_finding *f)
{
    static const struct {
        const char *word, *colour;
    } health[] = {
        [BUILDER_OK] = {"ok", "\033[32m"},
        [BUILDER_DEGRADED] = {"weaker", "\033[33m"},
        [BUILDER_MISSING] = {"MISSING", "\033[31m"},
    };
    struct diagnosis *d = self;

    d->missing += f->health == BUILDER_MISSING;
    printf("%s%-8s%s %-18s %s\n", d->colour ? health[f->health].colour : "", health[f->health].word,
           d->colour ? "\033[0m" : "", f->subject, f->detail);
}

/* ---- TLS ---- */

#define RENEWAL_DAYS 14

/* The name that clients use: that of public_url, or else the address that is listened on, unless it
 * stands for all.  "": not known. */
static void find_host(const struct config *c, char host[256])
{
    const char *from = c->public_url[0] ? strstr(c->public_url, "://") + 3 : c->listen;
    const size_t bracket = from[0] == '[' ? strcspn(from, "]") : 0;

    if (bracket)
        (void)snprintf(host, 256, "%.*s", (int)bracket - 1, from + 1);
    else
        (void)snprintf(host, 256, "%.*s", (int)strcspn(from, ":/"), from);
    if (!c->public_url[0] && (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0))
        host[0] = '\0';
}

/* What is wrong with the certificate, as a format with one %s; NULL: nothing. */
static const char *complaint(const struct config *c, const struct api_tls_facts *facts,
                             const char *host, char detail[192])
{
    const int64_t now = clock_now(&clock_system);
    struct stat st;

    clock_format(facts->begins > now ? facts->begins : facts->ends, detail);
    if (facts->begins > now)
        return "the certificate is not good before %s; see the key tls_certificate";
    if (facts->ends <= now)
        return "the certificate expired at %s; see the key tls_certificate";
    if (facts->ends <= now + RENEWAL_DAYS * 86400 * NS_PER_SEC)
        return "the certificate expires at %s: renew it";
    (void)snprintf(detail, 192, "%.100s", host);
    if (!facts->names_host)
        return "the certificate does not name %s, which clients use; see public_url";
    (void)snprintf(detail, 192, "%.190s", c->tls_key);
    if (stat(c->tls_key, &st) == 0 && st.st_mode & S_IROTH)
        return "everybody may read %s, the private key: chmod 0600";
    return NULL;
}

static void look_at_tls(const struct config *c, struct diagnosis *d)
{
    struct builder_finding f = {.subject = "TLS", .health = BUILDER_DEGRADED};
    struct error err = ERROR_INIT;
    struct api_tls_facts facts;
    char detail[192];
    const char *what;
    char host[256];

    if (!c->tls_key[0])
        return;
    find_host(c, host);
    if (api_tls_examine(c->tls_certificate, c->tls_key, host[0] ? host : NULL, &facts, &err) < 0) {
        f.health = BUILDER_MISSING;
        (void)snprintf(f.detail, sizeof(f.detail), "%.250s", err.msg);
    } else if ((what = complaint(c, &facts, host, detail)) != NULL) {
        size_t before = strcspn(what, "%");

        (void)snprintf(f.detail, sizeof(f.detail), "%.*s%.150s%.60s", (int)before, what, detail,
                       what + before + 2);
    } else {
        f.health = BUILDER_OK;
        clock_format(facts.ends, detail);
        (void)snprintf(f.detail, sizeof(f.detail), "%.150s is good until %.10s", c->tls_certificate,
                       detail);
    }
    print_finding(d, &f);
}

/* ---- the rest ---- */

static void look_at_registry(const struct config *c, const struct registry *registry,
                             struct diagnosis *d)
{
    struct builder_finding f = {.subject = "registry"};
    struct error err = ERROR_INIT;

    if (c->registry_url[0] && registry_ping(registry, &err) < 0) {
        f.health = BUILDER_MISSING;
        (void)snprintf(f.detail, sizeof(f.detail), "%.120s; see the key registry_url", err.msg);
    } else if (c->registry_url[0]) {
        (void)snprintf(f.detail, sizeof(f.detail), "%.200s answers", c->registry_url);
    } else if (!program_is_there(c->registry_program)) {
        f.health = BUILDER_MISSING;
        (void)snprintf(f.detail, sizeof(f.detail),
                       "%.100s is not installed: apt-get install docker-registry, or set "
                       "registry_url",
                       c->registry_program);
    } else {
        (void)snprintf(f.detail, sizeof(f.detail), "%.100s, kept running by kiln serve on %.60s",
                       c->registry_program, c->registry_listen);
    }
    print_finding(d, &f);
}

static void look_at_bucket(const struct installation *i, const char *url, bool conditions_matter,
                           struct diagnosis *d)
{
    struct builder_finding f = {.subject = "object store", .health = BUILDER_MISSING};
    struct error err = ERROR_INIT;
    struct objects *o = NULL;
    bool conditions = false;

    if (installation_open_objects(i, url, &o, &err) < 0 ||
        objects_probe(o, &conditions, &err) < 0) {
        (void)snprintf(f.detail, sizeof(f.detail), "%.250s", err.msg);
    } else if (conditions_matter && !conditions) {
        (void)snprintf(f.detail, sizeof(f.detail),
                       "%.100s: templates: it knows no conditional puts (If-None-Match, If-Match); "
                       "keep templates in the data directory",
                       objects_where(o));
    } else {
        f.health = BUILDER_OK;
        (void)snprintf(f.detail, sizeof(f.detail), "%.200s can be written and read",
                       objects_where(o));
    }
    objects_free(o);
    print_finding(d, &f);
}

static void look_at_objects(struct installation *i, struct diagnosis *d)
{
    const struct config *c = i->config;
    struct builder_finding f = {.subject = "object store", .health = BUILDER_MISSING};
    struct error err = ERROR_INIT;

    if (!c->uploads[0] && !c->templates[0])
        return;
    if (installation_prepare_objects(i, c->data_dir, &err) < 0) {
        (void)snprintf(f.detail, sizeof(f.detail), "%.250s", err.msg);
        print_finding(d, &f);
        return;
    }
    if (c->uploads[0])
        look_at_bucket(i, c->uploads, false, d);
    if (c->templates[0])
        look_at_bucket(i, c->templates, true, d);
}

/* Builds do without. */
static void look_at_volumes(struct diagnosis *d)
{
    struct builder_finding f = {.subject = "served volumes", .health = BUILDER_DEGRADED};
    char plugin[PATH_MAX];

    if (!program_is_there("nbdkit")) {
        (void)snprintf(
            f.detail, sizeof(f.detail),
            "nbdkit is not installed, kiln volume serve needs it: apt-get install nbdkit");
    } else if (!program_find_plugin(plugin)) {
        (void)snprintf(f.detail, sizeof(f.detail),
                       "kiln was built without its nbdkit plugin: apt-get install "
                       "nbdkit-plugin-dev, and build it again");
    } else {
        f.health = BUILDER_OK;
        (void)snprintf(f.detail, sizeof(f.detail), "nbdkit, and kiln's plugin for it");
    }
    print_finding(d, &f);
}

int command_doctor(const struct config *c, int argc, char **argv)
{
    CLEANUP(installation_release) struct installation i = {.config = c};
    struct diagnosis d = {.colour = isatty(STDOUT_FILENO) == 1};
    struct error err = ERROR_INIT;

    if (argc > 1) {
        fprintf(stderr, "kiln doctor: unexpected word \"%s\"\n", argv[1]);
        return 2;
    }
    if (installation_open(c, c->data_dir, ":memory:", &i, &err) < 0 ||
        builder_diagnose(i.builder, print_finding, &d, &err) < 0) {
        fprintf(stderr, "kiln doctor: %s\n", err.msg);
        return 1;
    }
    look_at_tls(c, &d);
    look_at_registry(c, &i.registry, &d);
    look_at_objects(&i, &d);
    look_at_volumes(&d);
    printf("\n%s\n", d.missing ? "This machine cannot build yet: see what is MISSING."
                               : "This machine can build.");
    return d.missing ? 1 : 0;
}
