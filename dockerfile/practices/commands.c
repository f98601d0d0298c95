/* dockerfile/practices/commands — what single commands of a RUN do. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/practices/practice.h"
#include "dockerfile/quote.h"

static const char *program(const struct shell_command *c)
{
    return c->program < c->words.n ? shell_name(c->words.v[c->program]) : "";
}

/* ---- sudo ---- */

static void look_sudo(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for (size_t k = 0; k < p->script.n; k++)
        if (strcmp(program(&p->script.v[k]), "sudo") == 0) {
            practice_found(p, "sudo in a RUN");
            return;
        }
}

/* ---- useradd ---- */

#define HIGH_UID 100000 /* /var/log/lastlog has an entry of 292 bytes for each lower one */

/* The number behind "-u 7", "-u7", "--uid 7" or "--uid=7"; 0 when there is none. */
static uint64_t uid_of(const struct shell_command *c)
{
    uint64_t uid = 0;

    for (size_t k = c->worker; k < c->words.n; k++) {
        const char *w = c->words.v[k], *next = k + 1 < c->words.n ? c->words.v[k + 1] : "";
        const char *value = text_starts(w, "--uid=")                          ? w + strlen("--uid=")
                            : strcmp(w, "--uid") == 0 || strcmp(w, "-u") == 0 ? next
                            : text_starts(w, "-u")                            ? w + strlen("-u")
                                                                              : "";

        if (text_to_u64(value, UINT32_MAX, &uid))
            break;
    }
    return uid;
}

static bool keeps_no_log(const struct shell_command *c)
{
    for (size_t k = c->worker; k < c->words.n; k++) {
        const char *w = c->words.v[k];

        if (strcmp(w, "--no-log-init") == 0 || (w[0] == '-' && w[1] != '-' && strchr(w, 'l')))
            return true;
    }
    return false;
}

static void look_useradd(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for (size_t k = 0; k < p->script.n; k++) {
        const struct shell_command *c = &p->script.v[k];

        if (strcmp(c->tool, "useradd") == 0 && uid_of(c) >= HIGH_UID && !keeps_no_log(c))
            practice_found(p, "useradd with a uid of %llu makes a log file of gigabytes",
                           (unsigned long long)uid_of(c));
    }
}

/* ---- pipes ---- */

/* What can hardly fail, so that its status is not missed. */
static bool cannot_fail(const struct shell_command *c)
{
    static const char *const names[] = {"echo", "printf", "yes", "true", ":", NULL};
    const char *const *name = names;

    while (*name && strcmp(program(c), *name) != 0)
        name++;
    return *name != NULL;
}

static bool sets_pipefail(const struct shell_command *c)
{
    return strcmp(program(c), "set") == 0 && argv_contains(&c->words, "pipefail");
}

static void look_pipe(struct practice *p, const struct dockerfile_instruction *i)
{
    char quoted[QUOTE_SIZE];

    (void)i;
    if (p->stage.pipefail)
        return;
    for (size_t k = 0; k < p->script.n; k++) {
        if (sets_pipefail(&p->script.v[k]))
            return;
        if (p->script.v[k].piped && k > 0 && !cannot_fail(&p->script.v[k - 1])) {
            practice_found(p, "when %s fails, the RUN goes on with what it wrote",
                           quote_short(program(&p->script.v[k - 1]), quoted));
            return;
        }
    }
}

const struct practice_rule practice_commands[] = {
    {{.name = "DL3004",
      .description = "A RUN is root already, or sudo asks for a password that nobody types.",
      .advice = "leave sudo out, or change the USER",
      .url = HADOLINT("DL3004")},
     "RUN",
     look_sudo},
    {{.name = "DL3046",
      .description = "useradd makes room in a log for each lower uid, and the layer has it all.",
      .advice = "write useradd --no-log-init",
      .url = HADOLINT("DL3046")},
     "RUN",
     look_useradd},
    {{.name = "DL4006",
      .description = "A pipe's status is that of its last command, whatever failed before it.",
      .advice = "write SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"] before it",
      .url = HADOLINT("DL4006")},
     "RUN",
     look_pipe},
    {.keyword = NULL},
};
