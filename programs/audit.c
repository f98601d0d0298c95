/* programs/audit — `kiln audit`: who did what; and how the commands that change who may do what are
 * noted. */
#include <jansson.h>
#include <pwd.h>
#include <string.h>

#include "base/text.h"
#include "programs/audit.h"
#include "programs/commands.h"
#include "programs/installation.h"

#define PAGE 500 /* entries that are read at once */

/* ---- noting ---- */

/* Who sits at the machine: behind sudo the one who called it. */
static void find_user(char name[NAME_SIZE])
{
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *pw = sudo && geteuid() == 0 ? NULL : getpwuid(getuid());

    if (pw || (sudo && geteuid() == 0))
        (void)snprintf(name, NAME_SIZE, "%s", pw ? pw->pw_name : sudo);
    else
        (void)snprintf(name, NAME_SIZE, "%u", (unsigned)getuid());
}

int audit_note(struct state *s, const char *action, const char *account, const char *workspace,
               const char *object, struct error *err)
{
    struct audit_entry e = {.by = AUDIT_BY_COMMAND, .outcome = AUDIT_DONE};

    find_user(e.actor);
    (void)snprintf(e.action, sizeof(e.action), "%s", action);
    (void)snprintf(e.account, sizeof(e.account), "%s", account ? account : "");
    (void)snprintf(e.workspace, sizeof(e.workspace), "%s", workspace ? workspace : "");
    (void)snprintf(e.object, sizeof(e.object), "%s", object ? object : "");
    return state_audit_add(s, &e, err) < 0 ? error_wrap(err, "note it in the audit log") : 0;
}

/* ---- showing ---- */

struct audit_order {
    const char *workspace, *since;
    bool json;
};

static int read_words(int argc, char **argv, struct audit_order *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--workspace") == 0 && i + 1 < argc)
            o->workspace = argv[++i];
        else if (strcmp(argv[i], "--since") == 0 && i + 1 < argc)
            o->since = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else {
            fprintf(stderr, "kiln audit: unexpected word \"%s\"; see kiln audit --help\n", argv[i]);
            return -1;
        }
    }
    return 0;
}

/* "7d", "12h", "30m" ago; or a moment. */
static int read_since(const char *text, int64_t *ret, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } units[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
    char number[24], day[48];
    uint64_t value;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!text_ends(text, units[i].unit))
            continue;
        (void)snprintf(number, sizeof(number), "%.*s", (int)strlen(text) - 1, text);
        if (!text_to_u64(number, 315360000, &value))
            break;
        *ret = clock_now(&clock_system) - (int64_t)value * units[i].seconds * NS_PER_SEC;
        return 0;
    }
    (void)snprintf(day, sizeof(day), "%.30sT00:00:00Z", text);
    if (clock_parse(text, ret) || clock_parse(day, ret))
        return 0;
    return error_set(err, ERR_INPUT,
                     "--since: \"%.64s\" is no time ago such as 7d, 12h or 30m, and no moment such "
                     "as 2026-01-31 or 2026-01-31T08:09:10Z",
                     text);
}

struct printer {
    bool json;
    size_t n;
    char last[AUDIT_ID];
};

static void print_json(const struct audit_entry *e, const char *time)
{
    json_auto_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "id", e->id, "time", time,
        "account", e->account, "workspace", e->workspace, "actorType", audit_actor_names[e->by],
        "actor", e->actor, "address", e->address, "action", e->action, "object", e->object,
        "outcome", audit_outcome_names[e->outcome], "status", e->status);
    CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    printf("%s\n", text ? text : "");
}

static const char *dash(const char *text)
{
    return *text ? text : "-";
}

static void print_entry(void *self, const struct audit_entry *e)
{
    struct printer *p = self;
    char time[CLOCK_TEXT];

    p->n++;
    memcpy(p->last, e->id, sizeof(p->last));
    if (p->json) {
        clock_format(e->time, time);
        print_json(e, time);
        return;
    }
    printf("%s %-15s %-17s %-16s %-15s %-26s %-6s %s\n", clock_format_seconds(e->time, time),
           audit_actor_names[e->by], dash(e->actor), dash(e->workspace), dash(e->address),
           e->action, audit_outcome_names[e->outcome], e->object);
}

static int show(struct state *s, const struct audit_order *o, struct error *err)
{
    struct printer p = {.json = o->json, .n = PAGE};
    struct audit_query query = {
        .workspace = o->workspace, .cursor = p.last, .oldest_first = true, .limit = PAGE};

    if (o->since && read_since(o->since, &query.since, err) < 0)
        return -1;
    if (!o->json)
        printf("%-20s %-15s %-17s %-16s %-15s %-26s %-6s %s\n", "TIME", "BY", "ACTOR", "WORKSPACE",
               "ADDRESS", "ACTION", "", "OBJECT");
    while (p.n == PAGE) {
        p.n = 0;
        if (state_audit_list(s, &query, print_entry, &p, NULL, err) < 0)
            return -1;
    }
    return 0;
}

int command_audit(const struct config *c, int argc, char **argv)
{
    struct audit_order order = {.json = false};
    struct error err = ERROR_INIT;
    struct state *s = NULL;
    int result;

    if (read_words(argc, argv, &order) < 0)
        return 2;
    result = installation_open_state(c, NULL, &s, &err) < 0 ? -1 : show(s, &order, &err);
    state_close(s);
    if (result < 0)
        fprintf(stderr, "kiln audit: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
