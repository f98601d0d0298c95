/* programs/templates_cli — see the header. */
#include "programs/templates_cli.h"

#include <limits.h>
#include <string.h>

#include "base/text.h"

#define MB_MAX (UINT64_C(16) << 20)

/* ---- words ---- */

static bool take_flag(const char *word, struct template_words *w)
{
    if (strcmp(word, "--json") == 0)
        w->json = true;
    else if (strcmp(word, "--images") == 0)
        w->images = true;
    else if (strcmp(word, "--quiet") == 0)
        w->quiet = true;
    else
        return false;
    return true;
}

/* *ret_bad: the option is known, its value is none. */
static bool take_value(const char *word, const char *value, struct template_words *w, bool *ret_bad)
{
    *ret_bad = false;
    if (strcmp(word, "--workspace") == 0)
        w->workspace = value;
    else if (strcmp(word, "--directory") == 0)
        w->directory = value;
    else if (strcmp(word, "--template") == 0)
        w->template = value;
    else if (strcmp(word, "--out") == 0)
        w->out = value;
    else if (strcmp(word, "--overlay") == 0)
        w->overlay = value;
    else if (strcmp(word, "--socket") == 0)
        w->socket = value;
    else if (strcmp(word, "--format") == 0)
        w->format = value;
    else if (strcmp(word, "--default-size") == 0)
        *ret_bad = !text_to_u64(value, MB_MAX, &w->default_size) || w->default_size == 0;
    else if (strcmp(word, "--size") == 0)
        *ret_bad = !text_to_u64(value, MB_MAX, &w->size) || w->size == 0;
    else
        return false;
    return true;
}

static bool is_workspace(const char *s)
{
    return *s && strlen(s) < 64 && s[0] != '.' && !strchr(s, '/') &&
           !text_has_control(s, strlen(s));
}

bool template_read_words(int argc, char **argv, const char *command, const char *names,
                         int plain_min, int plain_max, struct template_words *ret)
{
    *ret = (struct template_words){.command = command, .workspace = "local"};
    for (int i = 2; i < argc; i++) {
        bool bad = false;

        if (take_flag(argv[i], ret))
            continue;
        if (i + 1 < argc && take_value(argv[i], argv[i + 1], ret, &bad)) {
            if (bad) {
                fprintf(stderr, "kiln %s: %s is a number of MB, not \"%s\"\n", command, argv[i],
                        argv[i + 1]);
                return false;
            }
            i++;
        } else if (argv[i][0] != '-' && ret->n_plain < plain_max) {
            ret->plain[ret->n_plain++] = argv[i];
        } else {
            fprintf(stderr, "kiln %s: unexpected word \"%s\"; see kiln %s --help\n", command,
                    argv[i], argv[0]);
            return false;
        }
    }
    if (ret->n_plain < plain_min)
        fprintf(stderr, "kiln %s: say kiln %s %s; see kiln %s --help\n", command, command, names,
                argv[0]);
    else if (!is_workspace(ret->workspace))
        fprintf(stderr, "kiln %s: \"%s\" is no name of a workspace\n", command, ret->workspace);
    else
        return true;
    return false;
}

bool template_can_open(const struct config *config)
{
    return !config->templates[0] || template_open_in_bucket;
}

int template_open_workspace(const struct config *config, const char *workspace,
                            struct template_store **ret, struct error *err)
{
    struct template_options options = {.revisions_max = (unsigned)config->template_revisions};
    char dir[PATH_MAX];

    if (config->templates[0])
        return template_open_in_bucket(config, workspace, &options, ret, err);
    if (snprintf(dir, sizeof(dir), "%s/templates/%s", config->data_dir, workspace) >=
        (int)sizeof(dir))
        return error_set(err, ERR_INPUT, "data_dir: the path is too long");
    return template_store_open(dir, &options, ret, err);
}

void template_print_json(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(object);
}
