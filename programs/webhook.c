/* programs/webhook — `kiln webhook`: what waits to be told, and the secrets. */
#include <jansson.h>
#include <string.h>

#include "programs/commands.h"
#include "programs/installation.h"

static void print_row(void *self, const struct webhook_message *m)
{
    char created[CLOCK_TEXT], next[CLOCK_TEXT];

    (void)self;
    printf("%-36s %-22s %-20s %8d %-20s %s  %s\n", m->id, m->type,
           clock_format_seconds(m->created, created), m->attempts,
           m->delivered  ? "delivered"
           : m->next_try ? clock_format_seconds(m->next_try, next)
                         : "-",
           m->url, m->answer[0] ? m->answer : "-");
}

static json_t *json_time(int64_t ns)
{
    char text[CLOCK_TEXT];

    if (!ns)
        return json_null();
    clock_format(ns, text);
    return json_string(text);
}

static void print_json(void *self, const struct webhook_message *m)
{
    json_auto_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:i, s:o, s:o, s:o, s:s}", "id", m->id, "url", m->url,
                  "type", m->type, "build", m->build, "created", json_time(m->created), "attempts",
                  m->attempts, "tried", json_time(m->tried), "next", json_time(m->next_try),
                  "delivered", json_time(m->delivered), "answer", m->answer);
    CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    (void)self;
    printf("%s\n", text ? text : "");
}

static int list(const struct config *c, bool all, bool json, struct error *err)
{
    struct state *s = NULL;
    int result;

    if (installation_open_state(c, NULL, &s, err) < 0)
        return -1;
    if (!json)
        printf("%-36s %-22s %-20s %8s %-20s %s  %s\n", "ID", "TYPE", "SINCE", "ATTEMPTS", "NEXT",
               "URL", "LAST ANSWER");
    result = state_webhook_list(s, all, json ? print_json : print_row, NULL, err);
    state_close(s);
    return result;
}

static int print_secrets(const struct config *c, struct error *err)
{
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    char path[4096];

    installation_webhook_secrets(c, path);
    if (webhook_secrets_make(path, err) < 0 || webhook_secrets_read(path, &secrets, err) < 0)
        return -1;
    fprintf(stderr, "the secrets in %s:\n", path);
    for (size_t i = 0; i < secrets.n; i++)
        printf("%s\n", secrets.v[i]);
    return 0;
}

static int refuse(const char *word)
{
    fprintf(stderr, "kiln webhook: unexpected word \"%s\"; see kiln webhook --help\n", word);
    return 2;
}

int command_webhook(const struct config *c, int argc, char **argv)
{
    struct error err = ERROR_INIT;
    bool all = false, json = false;
    const bool lists = argc > 1 && strcmp(argv[1], "ls") == 0;
    int result;

    if (argc < 2 || (!lists && strcmp(argv[1], "secret") != 0))
        return refuse(argc < 2 ? "" : argv[1]);
    for (int i = 2; i < argc; i++) {
        const bool is_all = strcmp(argv[i], "--all") == 0;

        if (!lists || (!is_all && strcmp(argv[i], "--json") != 0))
            return refuse(argv[i]);
        all |= is_all;
        json |= !is_all;
    }
    result = lists ? list(c, all, json, &err) : print_secrets(c, &err);
    if (result < 0)
        fprintf(stderr, "kiln webhook: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
