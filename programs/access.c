/* programs/access — `kiln key`, `kiln workspace` and `kiln account`: who may use this Kiln. */
#include <string.h>

#include "base/text.h"
#include "programs/audit.h"
#include "programs/commands.h"
#include "programs/config_keys.h"
#include "programs/installation.h"

/* The words after `kiln key`, `kiln workspace` or `kiln account`. */
struct access_order {
    const char *verb;
    const char *name; /* of a workspace or account, or a key's id */
    const char *workspace, *account, *label, *role, *expires;
    const char *builds, *images, *templates; /* limits of a workspace */
    bool client;
    const struct config *config;
    /* Of what was changed, for the audit log. */
    char object[NAME_SIZE], of_account[NAME_SIZE], of_workspace[NAME_SIZE];
};

static void close_state(struct state **s)
{
    state_close(*s);
}

static int read_words(int argc, char **argv, struct access_order *o)
{
    struct {
        const char *option;
        const char **value;
    } options[] = {{"--workspace", &o->workspace},
                   {"--account", &o->account},
                   {"--label", &o->label},
                   {"--role", &o->role},
                   {"--expires", &o->expires},
                   {"--max-builds", &o->builds},
                   {"--max-images", &o->images},
                   {"--max-templates", &o->templates},
                   {NULL, NULL}};

    for (int i = 1; i < argc; i++) {
        size_t n = 0;

        while (options[n].option && strcmp(argv[i], options[n].option) != 0)
            n++;
        if (options[n].option && i + 1 < argc)
            *options[n].value = argv[++i];
        else if (strcmp(argv[i], "--client") == 0)
            o->client = true;
        else if (argv[i][0] != '-' && !o->verb)
            o->verb = argv[i];
        else if (argv[i][0] != '-' && !o->name)
            o->name = argv[i];
        else {
            fprintf(stderr, "kiln %s: unexpected word \"%s\"; see kiln %s --help\n", argv[0],
                    argv[i], argv[0]);
            return -1;
        }
    }
    return 0;
}

/* ---- keys ---- */

/* "90d", "12h", "30m" or seconds. */
static int read_expiry(const char *text, int64_t *ret, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } units[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {"", 1}};
    char number[24];
    uint64_t value;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!text_ends(text, units[i].unit))
            continue;
        (void)snprintf(number, sizeof(number), "%.*s", (int)(strlen(text) - strlen(units[i].unit)),
                       text);
        if (!text_to_u64(number, 315360000, &value))
            break;
        *ret = (int64_t)value * units[i].seconds;
        if (*ret > 0 && *ret <= 3650 * 86400LL)
            return 0;
        break;
    }
    return error_set(err, ERR_INPUT,
                     "--expires: \"%s\" is no time such as 90d, 12h or 30m, of ten "
                     "years at most",
                     text);
}

static int create_key(struct state *s, struct access_order *o, struct error *err)
{
    struct key_draft draft = {.account = o->account,
                              .workspace = o->workspace,
                              .label = o->label,
                              .kind = o->client ? KEY_CLIENT : KEY_API,
                              .role = ROLE_ADMIN};
    char text[API_KEY_TEXT];
    struct api_key key;

    if (!o->workspace && !o->account)
        return error_set(err, ERR_INPUT,
                         "say whose key it is: --workspace NAME, or --account NAME for one that "
                         "opens all its workspaces");
    if (o->role && strcmp(o->role, "admin") != 0 && strcmp(o->role, "member") != 0)
        return error_set(err, ERR_INPUT, "--role is admin or member, not \"%s\"", o->role);
    if (o->role && strcmp(o->role, "member") == 0)
        draft.role = ROLE_MEMBER;
    if (o->expires && read_expiry(o->expires, &draft.seconds, err) < 0)
        return -1;
    if (state_key_create(s, &draft, text, &key, err) < 0)
        return -1;
    fprintf(stderr, "%s %s of %s %s; %s is shown only now:\n",
            o->client ? "service account" : "key", key.id, *key.workspace ? "workspace" : "account",
            *key.workspace ? key.workspace : key.account, o->client ? "its secret" : "it");
    printf("%s\n", text);
    (void)snprintf(o->object, sizeof(o->object), "%s", key.id);
    (void)snprintf(o->of_account, sizeof(o->of_account), "%s", key.account);
    (void)snprintf(o->of_workspace, sizeof(o->of_workspace), "%s", key.workspace);
    return 0;
}

static const char *key_state(const struct api_key *key, int64_t now)
{
    if (key->revoked)
        return "revoked";
    return key->expires && key->expires <= now ? "expired" : "valid";
}

static void print_key(void *self, const struct api_key *key)
{
    char created[CLOCK_TEXT];

    (void)self;
    clock_format(key->created, created);
    printf("%-17s %-16s %-24s %-7s %-7s %.10s %-8s %s\n", key->id, key->account,
           *key->workspace ? key->workspace : "(all)", key->kind == KEY_CLIENT ? "client" : "key",
           key->role == ROLE_ADMIN ? "admin" : "member", created,
           key_state(key, clock_now(&clock_system)), key->label);
}

static int list_key(struct state *s, struct access_order *o, struct error *err)
{
    printf("%-17s %-16s %-24s %-7s %-7s %-10s %-8s %s\n", "ID", "ACCOUNT", "WORKSPACE", "KIND",
           "ROLE", "CREATED", "STATE", "LABEL");
    return state_key_list(s, o->account, o->workspace, print_key, NULL, err);
}

/* Whose the key is that is named. */
static void note_owner(void *self, const struct api_key *key)
{
    struct access_order *o = self;

    if (strcmp(key->id, o->name) != 0)
        return;
    (void)snprintf(o->of_account, sizeof(o->of_account), "%s", key->account);
    (void)snprintf(o->of_workspace, sizeof(o->of_workspace), "%s", key->workspace);
}

static int revoke_key(struct state *s, struct access_order *o, struct error *err)
{
    enum presence presence;

    if (!o->name)
        return error_set(err, ERR_INPUT, "say which: kiln key revoke ID (see kiln key list)");
    if (state_key_list(s, NULL, NULL, note_owner, o, err) < 0 ||
        state_key_revoke(s, NULL, NULL, o->name, &presence, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_INPUT, "no valid key has the id \"%s\": see kiln key list",
                         o->name);
    fprintf(stderr, "key %s is revoked\n", o->name);
    return 0;
}

/* ---- workspaces ---- */

static int create_workspace(struct state *s, struct access_order *o, struct error *err)
{
    const char *account = o->account ? o->account : "default";
    bool made;

    if (!o->name)
        return error_set(err, ERR_INPUT, "say its name: kiln workspace create NAME");
    if ((!o->account && state_account_ensure(s, account, err) < 0) ||
        state_workspace_create(s, account, o->name, &made, err) < 0)
        return -1;
    if (!made)
        return error_set(err, ERR_INPUT, "the name \"%s\" is taken: see kiln workspace list",
                         o->name);
    fprintf(stderr, "workspace %s of account %s is made\n", o->name, account);
    (void)snprintf(o->of_workspace, sizeof(o->of_workspace), "%s", o->name);
    return 0;
}

/* What a workspace takes, and may take, as text. */
struct taken {
    char builds[64], images[64], templates[64];
};

/* "1.2 GB of 50GiB"; used alone where nothing limits it. */
static void describe(const char *key, const char *used, int64_t max, char text[64])
{
    CLEANUP(buf_release) struct buf limit = BUF_INIT(64);

    key_add_number(key_find(key), max, &limit);
    (void)snprintf(text, 64, "%s%s%s", used, max ? " of " : "", max ? buf_str(&limit) : "");
}

static int load_taken(struct state *s, const struct config *c, const char *workspace,
                      struct taken *ret, struct error *err)
{
    char templates[4096], used[TEXT_SIZE];
    const struct places places = {.templates = templates};
    struct workspace_limits may;
    struct workspace_use has;

    (void)snprintf(templates, sizeof(templates), "%s/templates", c->data_dir);
    if (state_limits_get(s, workspace, &may, err) < 0 ||
        places_use(&places, s, workspace, &has, err) < 0)
        return -1;
    (void)snprintf(used, sizeof(used), "%llu", (unsigned long long)has.builds);
    describe("builds_max", used, may.builds, ret->builds);
    text_size(has.images, used);
    describe("images_max", used, may.images, ret->images);
    text_size(has.templates, used);
    describe("templates_max", used, may.templates, ret->templates);
    return 0;
}

struct workspace_table {
    struct state *state;
    const struct config *config;
    struct error err; /* the first; ERR_NONE: none */
};

static void print_workspace(void *self, const struct workspace *w)
{
    struct workspace_table *table = self;
    char created[CLOCK_TEXT];
    struct taken taken;

    if (table->err.kind != ERR_NONE ||
        load_taken(table->state, table->config, w->name, &taken, &table->err) < 0)
        return;
    clock_format(w->created, created);
    printf("%-24s %-16s %.10s  %-8s %-20s %s\n", w->name, w->account, created, taken.builds,
           taken.images, taken.templates);
}

static int list_workspace(struct state *s, struct access_order *o, struct error *err)
{
    struct workspace_table table = {.state = s, .config = o->config};

    printf("%-24s %-16s %-10s  %-8s %-20s %s\n", "WORKSPACE", "ACCOUNT", "CREATED", "BUILDS",
           "IMAGES", "TEMPLATES");
    if (state_workspace_list(s, o->account, print_workspace, &table, err) < 0)
        return -1;
    if (table.err.kind == ERR_NONE)
        return 0;
    *err = table.err;
    return -1;
}

static int delete_workspace(struct state *s, struct access_order *o, struct error *err)
{
    enum workspace_deletion outcome;

    if (!o->name)
        return error_set(err, ERR_INPUT, "say which: kiln workspace delete NAME");
    if (state_workspace_delete(s, o->name, &outcome, err) < 0)
        return -1;
    if (outcome == WORKSPACE_ABSENT)
        return error_set(err, ERR_INPUT, "there is no workspace \"%s\": see kiln workspace list",
                         o->name);
    if (outcome == WORKSPACE_IN_USE)
        return error_set(err, ERR_INPUT,
                         "the workspace \"%s\" still has resources or images: delete them first",
                         o->name);
    fprintf(stderr, "workspace %s is deleted, and its keys are revoked\n", o->name);
    (void)snprintf(o->of_workspace, sizeof(o->of_workspace), "%s", o->name);
    return 0;
}

/* What the key of the configuration takes, or "default". */
static int read_limit(const char *option, const char *key, const char *text, int64_t *ret,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf allowed = BUF_INIT(256);

    *ret = LIMIT_KEPT;
    if (!text)
        return 0;
    if (strcmp(text, "default") == 0) {
        *ret = LIMIT_OF_SERVER;
        return 0;
    }
    if (key_parse_number(key_find(key), text, ret))
        return 0;
    key_add_allowed(key_find(key), &allowed);
    return error_set(err, ERR_INPUT, "%s: \"%.64s\" is not \"default\" or %s", option, text,
                     buf_str(&allowed));
}

static int set_workspace(struct state *s, struct access_order *o, struct error *err)
{
    struct workspace_limits limits;
    enum presence presence;
    struct taken taken;

    if (!o->name)
        return error_set(err, ERR_INPUT, "say which: kiln workspace set NAME --max-builds N");
    if (read_limit("--max-builds", "builds_max", o->builds, &limits.builds, err) < 0 ||
        read_limit("--max-images", "images_max", o->images, &limits.images, err) < 0 ||
        read_limit("--max-templates", "templates_max", o->templates, &limits.templates, err) < 0 ||
        state_limits_set(s, o->name, &limits, &presence, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_INPUT, "there is no workspace \"%s\": see kiln workspace list",
                         o->name);
    if (load_taken(s, o->config, o->name, &taken, err) < 0)
        return -1;
    printf("builds     %s\nimages     %s\ntemplates  %s\n", taken.builds, taken.images,
           taken.templates);
    (void)snprintf(o->of_workspace, sizeof(o->of_workspace), "%s", o->name);
    return 0;
}

/* ---- accounts ---- */

static int create_account(struct state *s, struct access_order *o, struct error *err)
{
    if (!o->name)
        return error_set(err, ERR_INPUT, "say its name: kiln account create NAME");
    if (state_account_ensure(s, o->name, err) < 0)
        return -1;
    fprintf(stderr, "account %s is there\n", o->name);
    return 0;
}

static void print_account(void *self, const char *account, int64_t made)
{
    char created[CLOCK_TEXT];

    (void)self;
    clock_format(made, created);
    printf("%-49s %.10s\n", account, created);
}

static int list_account(struct state *s, struct access_order *o, struct error *err)
{
    (void)o;
    printf("%-49s %s\n", "ACCOUNT", "CREATED");
    return state_account_list(s, print_account, NULL, err);
}

/* ---- the commands ---- */

static const struct act {
    const char *command, *verb;
    bool changes;
    int (*run)(struct state *s, struct access_order *o, struct error *err);
} acts[] = {
    {"key", "create", true, create_key},          {"key", "list", false, list_key},
    {"key", "revoke", true, revoke_key},          {"workspace", "create", true, create_workspace},
    {"workspace", "list", false, list_workspace}, {"workspace", "delete", true, delete_workspace},
    {"workspace", "set", true, set_workspace},    {"account", "create", true, create_account},
    {"account", "list", false, list_account},
};

/* Does it, and notes that. */
static int act(struct state *s, const struct act *a, struct access_order *o, struct error *err)
{
    char action[NAME_SIZE];

    if (a->run(s, o, err) < 0)
        return -1;
    (void)snprintf(action, sizeof(action), "%s.%s", o->client ? "service_account" : a->command,
                   a->verb);
    return a->changes ? audit_note(s, action, o->of_account, o->of_workspace,
                                   o->object[0] ? o->object : o->name, err)
                      : 0;
}

int command_access(const struct config *c, int argc, char **argv)
{
    CLEANUP(close_state) struct state *s = NULL;
    struct access_order order = {.config = c};
    struct error err = ERROR_INIT;

    if (read_words(argc, argv, &order) < 0)
        return 2;
    for (size_t i = 0; order.verb && i < sizeof(acts) / sizeof(acts[0]); i++) {
        if (strcmp(acts[i].command, argv[0]) != 0 || strcmp(acts[i].verb, order.verb) != 0)
            continue;
        if (installation_open_state(c, NULL, &s, &err) == 0 && act(s, &acts[i], &order, &err) == 0)
            return 0;
        fprintf(stderr, "kiln %s: %s\n", argv[0], err.msg);
        return 1;
    }
    fprintf(stderr, "kiln %s: see kiln %s --help for what it does\n", argv[0], argv[0]);
    return 2;
}
