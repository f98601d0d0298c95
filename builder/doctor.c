/* builder/doctor — what builds can do on this machine, tried and not guessed. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "builder/egress.h"
#include "builder/run.h"
#include "builder/state.h"

#define TRY_MS 60000

struct report {
    void (*say)(void *self, const struct builder_finding *f);
    void *self;
};

static void report(const struct report *r, enum builder_health health, const char *subject,
                   const char *fmt, ...) PRINTF(4, 5);
static void report(const struct report *r, enum builder_health health, const char *subject,
                   const char *fmt, ...)
{
    struct builder_finding f = {.health = health, .subject = subject};
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(f.detail, sizeof(f.detail), fmt, ap);
    va_end(ap);
    r->say(r->self, &f);
}

static void diagnose_users(const struct builder *b, const struct report *r)
{
    const char *subject = "user namespace";

    if (b->no_jail.kind != ERR_NONE) {
        report(r, BUILDER_MISSING, subject, "no jail can be made: %s", b->no_jail.msg);
        return;
    }
    switch (b->ids.users) {
    case JAIL_USERS_DIRECT:
        report(r, BUILDER_OK, subject, "root in a build is uid %u here (ids %u to %u are builds')",
               b->ids.root_uid, b->ids.root_uid, b->ids.first_uid + JAIL_IDS - 2);
        break;
    case JAIL_USERS_HELPERS:
        report(r, BUILDER_OK, subject,
               "as an ordinary user by newuidmap: root in a build is uid %u, others %u to %u",
               b->ids.root_uid, b->ids.first_uid, b->ids.first_uid + JAIL_IDS - 2);
        break;
    case JAIL_USERS_NONE:
        report(r, BUILDER_DEGRADED, subject,
               "none, root in a build is root in its jail (%s); allow user namespaces, or give "
               "every build a machine of its own",
               b->no_users.kind != ERR_NONE ? b->no_users.msg : "as asked for");
        break;
    }
}

static void diagnose_storage(const struct builder *b, const struct report *r)
{
    if (b->no_jail.kind != ERR_NONE)
        return;
    if (b->no_overlay.kind == ERR_NONE)
        report(r, BUILDER_OK, "storage", "overlay, mounted by the kernel");
    else
        report(r, BUILDER_MISSING, "storage",
               "no step can be executed: %.100s; have Linux 5.11 or later, and the data directory "
               "on ext4, xfs or btrfs, not on NFS or an overlay",
               b->no_overlay.msg);
}

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    buf_clear(self);
    buf_add(self, text, len);
}

/* Runs one command in a jail; its last line goes to said. */
static bool try_jail(const struct builder *b, struct jail_spec *spec, struct buf *said,
                     struct error *err)
{
    const struct process_sink sink = {keep_line, said};
    const struct jail_run run = {
        .spec = spec, .stdin_fd = -1, .out_fd = -1, .timeout_ms = TRY_MS, .sink = &sink};
    struct jail_end end;

    spec->ids = b->ids;
    if (jail_run(&run, &end, err) < 0)
        return false;
    if (end.how == JAIL_EXITED && end.code == 0)
        return true;
    error_set(err, ERR_SYSTEM, "%s", said->len ? buf_str(said) : "it ended early");
    return false;
}

static void diagnose_buildah(const struct builder *b, const struct report *r)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {.net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_MOUNT};
    CLEANUP(buf_release) struct buf said = BUF_INIT(1024);
    struct error err = ERROR_INIT;

    if (!b->buildah[0]) {
        report(r, BUILDER_MISSING, "buildah", "not found; apt-get install buildah, 1.28 or later");
        return;
    }
    if (b->no_jail.kind != ERR_NONE)
        return;
    jail_spec_add_base(&spec);
    if (strncmp(b->buildah, "/usr/", 5) != 0)
        jail_spec_add(&spec, JAIL_BIND_RO, "kiln/buildah", b->buildah);
    argv_push(&spec.argv, strncmp(b->buildah, "/usr/", 5) == 0 ? b->buildah : "/kiln/buildah",
              "--version", NULL);
    if (try_jail(b, &spec, &said, &err))
        report(r, BUILDER_OK, "buildah", "%s: %s", b->buildah, buf_str(&said));
    else
        report(r, BUILDER_MISSING, "buildah", "%s does not run in a jail: %s", b->buildah, err.msg);
}

static void diagnose_runc(const struct builder *b, const struct report *r)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {.net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_BUILD, .inner = true};
    CLEANUP(buf_release) struct buf said = BUF_INIT(1024);
    struct error err = ERROR_INIT;
    char found[PATH_MAX];

    if (!run_find_runc(found)) {
        report(r, BUILDER_MISSING, "runc", "not found below /usr; apt-get install runc");
        return;
    }
    if (b->no_jail.kind != ERR_NONE)
        return;
    jail_spec_add_base(&spec);
    run_add_to_jail(&spec);
    argv_push(&spec.argv, "builder-run", NULL);
    if (try_jail(b, &spec, &said, &err))
        report(r, BUILDER_OK, "runc", "%s has run a command in a jail", found);
    else
        report(r, BUILDER_MISSING, "runc", "%s cannot run a command in a jail: %s", found, err.msg);
}

static void diagnose_egress(const struct builder *b, const struct report *r)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {.rights = JAIL_RIGHTS_FILES, .inner = true};
    CLEANUP(buf_release) struct buf said = BUF_INIT(1024);
    CLEANUP(buf_release) struct buf unknown = BUF_INIT(1024);
    const struct process_sink sink = {keep_line, &unknown};
    struct progress p;
    struct error err = ERROR_INIT;
    const bool none = b->config->egress == BUILDER_EGRESS_NONE;
    char found[PATH_MAX];

    if (!builder_find_program("/bin:/usr/bin", "slirp4netns", found)) {
        report(r, none ? BUILDER_DEGRADED : BUILDER_MISSING, "egress",
               "slirp4netns not found, so %s; apt-get install slirp4netns",
               none ? "images can be pulled from mirrors only" : "every build fails");
        return;
    }
    if (none) {
        report(r, BUILDER_OK, "egress", "none: a RUN has no network, as configured");
        return;
    }
    if (b->no_jail.kind != ERR_NONE)
        return;
    progress_init(&p, &sink);
    egress_describe(b->config, &p, &spec);
    jail_spec_add_base(&spec);
    argv_push(&spec.argv, "builder-nothing", NULL);
    if (!try_jail(b, &spec, &said, &err))
        report(r, BUILDER_MISSING, "egress", "%s%s", err.msg,
               access("/dev/net/tun", R_OK | W_OK) < 0 ? " (/dev/net/tun is not open to this user)"
                                                       : "");
    else if (unknown.len > 0)
        report(r, BUILDER_DEGRADED, "egress", "egress_allow: %s", buf_str(&unknown));
    else if (b->config->egress == BUILDER_EGRESS_LIST)
        report(r, BUILDER_OK, "egress", "by slirp4netns, only to the %zu networks of egress_allow",
               spec.routes.n);
    else
        report(r, BUILDER_OK, "egress",
               "by slirp4netns, not to this machine's own addresses nor to private networks%s",
               spec.routes.n ? ", but for egress_allow" : "");
}

/* ---- limits ---- */

/* A jail is started in a group with the limits. */
static bool try_group(const struct builder *b, struct error *err)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {.net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_FILES, .inner = true};
    CLEANUP(buf_release) struct buf said = BUF_INIT(1024);
    const struct builder_limits *l = &b->config->limits;
    const struct cgroup_limits limits = {.memory = l->memory, .pids = l->pids, .cpus = l->cpus};
    struct error ignored = ERROR_INIT;
    char name[CGROUP_NAME];
    bool works;

    cgroup_draw_name(name);
    cgroup_dirs(&b->site, name, &spec.limits.groups);
    jail_spec_add_base(&spec);
    argv_push(&spec.argv, "builder-nothing", NULL);
    works = cgroup_make(&b->site, name, &limits, err) == 0 && try_jail(b, &spec, &said, err);
    (void)!cgroup_remove(&spec.limits.groups, &ignored);
    return works;
}

static void report_limit(const struct builder *b, const struct report *r, const char *subject,
                         enum cgroup_controller c, const char *limit, const char *instead)
{
    if (b->site.parents[c])
        report(r, BUILDER_OK, subject, "%s, by control groups (version %d)", limit,
               b->site.unified ? 2 : 1);
    else
        report(r, BUILDER_DEGRADED, subject,
               "%s: %.120s; run kiln as root, or with systemd's Delegate=yes", instead,
               b->site.why[c].msg);
}

/* "4096 for each build", "none" */
static void describe_limit(uint64_t value, char text[64])
{
    if (value)
        (void)snprintf(text, 64, "%llu for each build", (unsigned long long)value);
    else
        (void)snprintf(text, 64, "as much as there is");
}

static void diagnose_disk(const struct builder *b, const struct report *r)
{
    const uint64_t disk = b->config->limits.disk;
    char size[TEXT_SIZE];

    text_exact_size(disk, size);
    if (!disk)
        report(r, BUILDER_DEGRADED, "disk limit", "none is configured");
    else if (b->site.parents[CGROUP_MEMORY] || b->site.parents[CGROUP_PIDS])
        report(r, BUILDER_OK, "disk limit", "%s for each build, measured while it runs", size);
    else
        report(r, BUILDER_DEGRADED, "disk limit",
               "%s for each build, but without control groups files that were removed while open "
               "are not counted",
               size);
}

static void diagnose_limits(const struct builder *b, const struct report *r)
{
    const struct builder_limits *l = &b->config->limits;
    struct error err = ERROR_INIT;
    char memory[64] = "as much as there is";
    char pids[64];
    char cpus[64];
    char size[TEXT_SIZE];

    if (b->no_jail.kind != ERR_NONE)
        return;
    if (!try_group(b, &err)) {
        report(r, BUILDER_MISSING, "limits", "no jail starts in a control group: %s", err.msg);
        return;
    }
    text_exact_size(l->memory, size);
    if (l->memory)
        (void)snprintf(memory, sizeof(memory), "%s for each build", size);
    describe_limit(l->pids, pids);
    describe_limit(l->cpus, cpus);
    report_limit(b, r, "memory limit", CGROUP_MEMORY, memory, "none");
    report_limit(b, r, "process limit", CGROUP_PIDS, pids,
                 b->ids.users == JAIL_USERS_NONE ? "none" : "only for each user id in a build");
    report_limit(b, r, "CPU limit", CGROUP_CPU, cpus, "none");
    diagnose_disk(b, r);
}

int builder_diagnose(struct builder *b, void (*say)(void *self, const struct builder_finding *f),
                     void *self, struct error *err)
{
    const struct report r = {say, self};

    (void)err; /* every trouble is a finding */
    diagnose_users(b, &r);
    diagnose_storage(b, &r);
    diagnose_buildah(b, &r);
    diagnose_runc(b, &r);
    diagnose_egress(b, &r);
    diagnose_limits(b, &r);
    return 0;
}
