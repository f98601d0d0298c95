/* dockerfile/practices/packages — package managers that ask a question, or forget the answer. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/practices/practice.h"

struct call {
    const struct shell_command *command;
    size_t name; /* index of the manager's */
};

static const char *word(const struct call *c, size_t k)
{
    return c->command->words.v[k];
}

/* Calls f for each command of the RUN that one of the managers does. */
static void for_each_call(struct practice *p, const char *const *managers,
                          void (*f)(struct practice *p, const struct call *c))
{
    for (size_t k = 0; k < p->script.n; k++) {
        struct call c = {&p->script.v[k], p->script.v[k].worker};

        if (text_is_among(c.command->tool, managers))
            f(p, &c);
    }
}

/* Flags whose value is a word of its own: without them "-o x install" has no subcommand. */
static bool takes_value(const char *flag)
{
    static const char *const flags[] = {"-o",
                                        "-t",
                                        "-c",
                                        "--option",
                                        "--target-release",
                                        "--config-file",
                                        "--root",
                                        "--installroot",
                                        "--enablerepo",
                                        "--disablerepo",
                                        "-R",
                                        "--gpg-auto-import-keys-from",
                                        NULL};

    return text_is_among(flag, flags);
}

/* The first word that is no flag; "" without one. */
static const char *subcommand(const struct call *c)
{
    for (size_t k = c->name + 1; k < c->command->words.n; k++)
        if (word(c, k)[0] != '-')
            return word(c, k);
        else if (takes_value(word(c, k)))
            k++;
    return "";
}

/* "-y" in a cluster as "-qy", or one of the long forms; q of them: two are as good as a y. */
static bool has_answer(const struct call *c, const char *letters, const char *const *longs,
                       bool quiet)
{
    size_t q = 0;

    for (size_t k = c->name + 1; k < c->command->words.n; k++) {
        const char *w = word(c, k);

        if (w[0] != '-')
            continue;
        if (w[1] == '-') {
            if (text_is_among(w, longs))
                return true;
            continue;
        }
        if (strpbrk(w + 1, letters))
            return true;
        for (const char *letter = w + 1; *letter; letter++)
            q += *letter == 'q';
        if (quiet && (q > 1 || text_starts(w, "-q=2")))
            return true;
    }
    return false;
}

/* ---- questions ---- */

struct asking {
    const char *const *managers;
    const char *const *subcommands; /* that ask */
    const char *letters;            /* short flags that answer */
    const char *const *longs;
    bool quiet; /* -qq answers too */
};

static void report_question(struct practice *p, const struct asking *a, const struct call *c)
{
    /* `yes | apt-get install`: the answer comes from the pipe. */
    if (c->command->piped || !text_is_among(subcommand(c), a->subcommands) ||
        has_answer(c, a->letters, a->longs, a->quiet))
        return;
    practice_found(p, "%.40s %.40s waits for an answer that nobody gives", c->command->tool,
                   subcommand(c));
}

static const char *const apt_get[] = {"apt-get", NULL};
static const char *const yum[] = {"yum", NULL};
static const char *const zypper[] = {"zypper", NULL};
static const char *const dnf[] = {"dnf", "dnf5", "microdnf", NULL};
static const char *const apt_asks[] = {"install",      "upgrade",    "dist-upgrade",
                                       "full-upgrade", "build-dep",  "remove",
                                       "purge",        "autoremove", NULL};
static const char *const rpm_asks[] = {"install", "localinstall", "groupinstall", "reinstall",
                                       "update",  "upgrade",      "remove",       NULL};
static const char *const zypper_asks[] = {"install", "in",    "remove",       "rm",  "update",
                                          "up",      "patch", "dist-upgrade", "dup", NULL};

static void look_at_apt_get(struct practice *p, const struct call *c)
{
    static const char *const longs[] = {"--yes",        "--assume-yes",    "--force-yes",
                                        "--simulate",   "--dry-run",       "--just-print",
                                        "--print-uris", "--download-only", NULL};
    static const struct asking asking = {apt_get, apt_asks, "ys", longs, true};

    report_question(p, &asking, c);
}

static void look_at_rpm(struct practice *p, const struct call *c)
{
    static const char *const longs[] = {"--assumeyes", "--downloadonly", NULL};
    static const struct asking asking = {yum, rpm_asks, "y", longs, false};

    report_question(p, &asking, c);
}

static void look_at_zypper(struct practice *p, const struct call *c)
{
    static const char *const longs[] = {"--non-interactive", "--no-confirm", "--dry-run", NULL};
    static const struct asking asking = {zypper, zypper_asks, "yn", longs, false};

    report_question(p, &asking, c);
}

static void look_apt_get(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for_each_call(p, apt_get, look_at_apt_get);
}

static void look_yum(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for_each_call(p, yum, look_at_rpm);
}

static void look_dnf(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for_each_call(p, dnf, look_at_rpm);
}

static void look_zypper(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for_each_call(p, zypper, look_at_zypper);
}

/* ---- apt ---- */

static void look_at_apt(struct practice *p, const struct call *c)
{
    (void)c;
    practice_found(p, "apt: it is for a person at a terminal");
}

static void look_apt(struct practice *p, const struct dockerfile_instruction *i)
{
    static const char *const apt[] = {"apt", NULL};

    (void)i;
    for_each_call(p, apt, look_at_apt);
}

/* Nothing but the update and what installs nothing: the layer is kept, and next month the list of
 * packages in it is a month old. */
static void look_update(struct practice *p, const struct dockerfile_instruction *i)
{
    static const char *const apts[] = {"apt-get", "apt", NULL};
    static const char *const idle[] = {"set", "echo", "true", ":", "rm", "sleep", "export", NULL};
    bool updates = false;

    (void)i;
    for (size_t k = 0; k < p->script.n; k++) {
        struct call c = {&p->script.v[k], p->script.v[k].worker};
        const char *name;

        if (c.name >= c.command->words.n)
            continue;
        name = c.command->tool;
        if (text_is_among(name, apts) && strcmp(subcommand(&c), "update") == 0)
            updates = true;
        else if (!text_is_among(name, idle))
            return;
    }
    if (updates)
        practice_found(p, "the package lists are kept with this layer and grow old in the cache");
}

const struct practice_rule practice_packages[] = {
    {{.name = "DL3014",
      .description = "apt-get asks before it installs, and a build has nobody to answer.",
      .advice = "write apt-get install -y",
      .url = HADOLINT("DL3014")},
     "RUN",
     look_apt_get},
    {{.name = "DL3027",
      .description = "apt's command line is not stable between releases, and it says so.",
      .advice = "write apt-get or apt-cache",
      .url = HADOLINT("DL3027")},
     "RUN",
     look_apt},
    {{.name = "DL3030",
      .description = "yum asks before it installs, and a build has nobody to answer.",
      .advice = "write yum install -y",
      .url = HADOLINT("DL3030")},
     "RUN",
     look_yum},
    {{.name = "DL3034",
      .description = "zypper asks before it installs, and a build has nobody to answer.",
      .advice = "write zypper --non-interactive, or -y",
      .url = HADOLINT("DL3034")},
     "RUN",
     look_zypper},
    {{.name = "DL3038",
      .description = "dnf asks before it installs, and a build has nobody to answer.",
      .advice = "write dnf install -y",
      .url = HADOLINT("DL3038")},
     "RUN",
     look_dnf},
    {{.name = "AptUpdateAlone",
      .description = "An update in a layer of its own is cached, and later installs fail.",
      .advice = "write apt-get update && apt-get install -y … in one RUN"},
     "RUN",
     look_update},
    {.keyword = NULL},
};
