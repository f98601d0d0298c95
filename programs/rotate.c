/* programs/rotate — `kiln rotate`: other keys and secrets for the same services, while they run. */
#include <string.h>

#include "base/text.h"
#include "programs/commands.h"
#include "programs/installation.h"

struct rotate_words {
    const char *what; /* NULL: only shows */
    bool at_once, purge;
};

static void close_state(struct state **s)
{
    state_close(*s);
}

/* ": the one before it is accepted until 2026-01-31T08:09:10Z" */
static void print_old(int64_t until, int64_t now)
{
    char text[CLOCK_TEXT];

    if (until > now)
        printf("; the one before it is accepted until %s\n", clock_format_seconds(until, text));
    else
        printf("; none before it is accepted\n");
}

/* ---- upload URLs ---- */

static int print_upload(const struct config *c, struct state *s, struct error *err)
{
    struct state_upload_keys keys;

    if (state_upload_keys(s, &keys, err) < 0)
        return -1;
    if (c->uploads[0]) {
        printf("upload    the object store's credentials sign the URLs, no key of Kiln's\n");
        return 0;
    }
    printf("upload    one key signs the URLs");
    print_old(keys.old_until, clock_now(state_clock(s)));
    return 0;
}

/* No URL of the old key is good for longer than that. */
static int rotate_upload(const struct config *c, bool at_once, struct error *err)
{
    CLEANUP(close_state) struct state *s = NULL;

    if (installation_open_state(c, NULL, &s, err) < 0 ||
        state_upload_rotate(s, at_once ? 0 : c->upload_expiry * NS_PER_SEC, err) < 0)
        return -1;
    return print_upload(c, s, err);
}

/* ---- the registry's tokens ---- */

static void print_registry(const struct installation *i)
{
    if (!i->registry_keys) {
        printf("registry  registry_auth is none: there is no key\n");
        return;
    }
    printf("registry  key %.14s… signs the tokens",
           es256_id(registry_keys_current(i->registry_keys)));
    print_old(registry_keys_old_until(i->registry_keys), clock_now(&clock_system));
}

static int rotate_registry(const struct config *c, bool at_once, struct error *err)
{
    CLEANUP(installation_release) struct installation i = {.config = c};

    if (installation_open_registry(&i, err) < 0)
        return -1;
    if (!i.registry_keys)
        return error_set(err, ERR_INPUT, "registry_auth is none: there is no key");
    if (registry_keys_rotate(i.registry_keys, at_once, err) < 0)
        return -1;
    print_registry(&i);
    if (c->registry_url[0])
        printf("          your registry has to trust it: give it `kiln registry certificate`, and\n"
               "          the other machines the key's files\n");
    return 0;
}

/* ---- webhooks ---- */

static int print_webhook(const struct config *c, struct error *err)
{
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    char path[4096];

    installation_webhook_secrets(c, path);
    if (access(path, F_OK) < 0) {
        printf("webhook   there is no secret yet\n");
        return 0;
    }
    if (webhook_secrets_read(path, &secrets, err) < 0)
        return -1;
    printf("webhook   each message has a signature by each of %zu secret%s in %s\n", secrets.n,
           secrets.n == 1 ? "" : "s", path);
    return 0;
}

static int rotate_webhook(const struct config *c, const struct rotate_words *w, struct error *err)
{
    char secret[WEBHOOK_SECRET];
    char path[4096];

    installation_webhook_secrets(c, path);
    if (!w->purge && webhook_secrets_add(path, secret, err) < 0)
        return -1;
    if ((w->purge || w->at_once) && webhook_secrets_purge(path, err) < 0)
        return -1;
    if (w->purge)
        return print_webhook(c, err);
    printf("%s\n", secret);
    fprintf(stderr, w->at_once ? "this alone signs from now on\n"
                               : "it signs beside those that were there; once the receiver has it: "
                                 "kiln rotate webhook --purge\n");
    return 0;
}

/* ---- words ---- */

static int show(const struct config *c, struct error *err)
{
    CLEANUP(installation_release) struct installation i = {.config = c};
    CLEANUP(close_state) struct state *s = NULL;

    if (installation_open_state(c, NULL, &s, err) < 0 || print_upload(c, s, err) < 0 ||
        installation_open_registry(&i, err) < 0)
        return -1;
    print_registry(&i);
    return print_webhook(c, err);
}

static int rotate(const struct config *c, const struct rotate_words *w, struct error *err)
{
    if (!w->what)
        return show(c, err);
    if (strcmp(w->what, "upload") == 0)
        return rotate_upload(c, w->at_once, err);
    if (strcmp(w->what, "registry") == 0)
        return rotate_registry(c, w->at_once, err);
    return rotate_webhook(c, w, err);
}

static int read_words(int argc, char **argv, struct rotate_words *ret)
{
    static const char *const kinds[] = {"upload", "registry", "webhook", NULL};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--now") == 0 && ret->what)
            ret->at_once = true;
        else if (strcmp(argv[i], "--purge") == 0 && ret->what && strcmp(ret->what, "webhook") == 0)
            ret->purge = true;
        else if (!ret->what && text_is_among(argv[i], kinds))
            ret->what = argv[i];
        else {
            fprintf(stderr, "kiln rotate: unexpected word \"%s\"; see kiln rotate --help\n",
                    argv[i]);
            return -1;
        }
    }
    return 0;
}

int command_rotate(const struct config *c, int argc, char **argv)
{
    struct rotate_words words = {.what = NULL};
    struct error err = ERROR_INIT;

    if (read_words(argc, argv, &words) < 0)
        return 2;
    if (rotate(c, &words, &err) == 0)
        return 0;
    fprintf(stderr, "kiln rotate: %s\n", err.msg);
    return 1;
}
