/* programs/key — `kiln key create|list|revoke`. */
#include <string.h>

#include "programs/commands.h"
#include "programs/installation.h"

static void close_state(struct state **s)
{
    state_close(*s);
}

static int create_key(struct state *s, const char *workspace, const char *label, struct error *err)
{
    char text[API_KEY_TEXT];
    struct api_key key;

    if (!workspace)
        return error_set(err, ERR_INPUT, "say whose key it is: --workspace NAME");
    if (state_key_create(s, workspace, label ? label : "", text, &key, err) < 0)
        return -1;
    fprintf(stderr, "key %s of workspace %s; it is shown only now:\n", key.id, key.workspace);
    printf("%s\n", text);
    return 0;
}

static void print_key(void *self, const struct api_key *key)
{
    char created[CLOCK_TEXT];

    (void)self;
    clock_format(key->created, created);
    printf("%-17s %-24s %.10s %-8s %s\n", key->id, key->workspace, created,
           key->revoked ? "revoked" : "valid", key->label);
}

static int list_key(struct state *s, const char *workspace, struct error *err)
{
    printf("%-17s %-24s %-10s %-8s %s\n", "ID", "WORKSPACE", "CREATED", "STATE", "LABEL");
    return state_key_list(s, workspace, print_key, NULL, err);
}

static int revoke_key(struct state *s, const char *id, struct error *err)
{
    enum presence presence;

    if (!id)
        return error_set(err, ERR_INPUT, "say which: kiln key revoke ID (see kiln key list)");
    if (state_key_revoke(s, id, &presence, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_INPUT, "no valid key has the id \"%s\": see kiln key list", id);
    fprintf(stderr, "key %s is revoked\n", id);
    return 0;
}

int command_key(const struct config *c, int argc, char **argv)
{
    CLEANUP(close_state) struct state *s = NULL;
    const char *workspace = NULL;
    const char *label = NULL;
    const char *id = NULL;
    struct error err = ERROR_INIT;
    int result = -1;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--workspace") == 0 && i + 1 < argc)
            workspace = argv[++i];
        else if (strcmp(argv[i], "--label") == 0 && i + 1 < argc)
            label = argv[++i];
        else if (argv[i][0] != '-' && !id)
            id = argv[i];
        else {
            fprintf(stderr, "kiln key: unexpected word \"%s\"; see kiln key --help\n", argv[i]);
            return 2;
        }
    }
    if (argc < 2 || !(strcmp(argv[1], "create") == 0 || strcmp(argv[1], "list") == 0 ||
                      strcmp(argv[1], "revoke") == 0)) {
        fprintf(stderr, "kiln key: say create, list or revoke; see kiln key --help\n");
        return 2;
    }
    if (installation_open_state(c, NULL, &s, &err) == 0)
        result = argv[1][0] == 'c'   ? create_key(s, workspace, label, &err)
                 : argv[1][0] == 'l' ? list_key(s, workspace, &err)
                                     : revoke_key(s, id, &err);
    if (result < 0)
        fprintf(stderr, "kiln key: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
