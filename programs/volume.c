/* programs/volume — `kiln volume create|serve|export|rm`: here, a plain file with a template's
 * revision in it. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "programs/commands.h"
#include "programs/volume_words.h"

static int create_volume(struct template_store *s, const struct template_words *w,
                         struct error *err)
{
    struct template_volume_request req = {.size_mb = w->size};
    struct template_volume_report report;
    struct progress_line line;
    char path[4096], size[TEXT_SIZE];
    int64_t began = clock_monotonic();
    int result;

    if (!w->template)
        return error_set(err, ERR_INPUT, "say of which template: --template NAME:REVISION");
    if (template_ref_parse(w->template, &req.ref, err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s.img", w->plain[0]);
    req.path = w->out ? w->out : path;
    progress_line_init(&line, "writing", w->quiet || w->json);
    req.progress = progress_line_of(&line);
    result = template_volume_create(s, &req, &report, err);
    progress_line_end(&line);
    if (result < 0)
        return -1;
    if (w->json) {
        template_print_json(json_pack("{s:s, s:s, s:I, s:I, s:b}", "path", req.path, "template",
                                      report.ref.name, "revision", (json_int_t)report.ref.revision,
                                      "size", (json_int_t)report.size, "cloned", report.reflinked));
        return 0;
    }
    text_size(report.size, size);
    printf("%s  %s from %s:%llu, %s in %.2f s\n", req.path, size, report.ref.name,
           (unsigned long long)report.ref.revision, report.reflinked ? "cloned" : "written",
           (double)(clock_monotonic() - began) / (double)NS_PER_SEC);
    printf("\nMount it: mount -o loop %s /mnt\n", req.path);
    return 0;
}

static int create_command(const struct config *config, struct template_store *s,
                          const struct template_words *w, struct error *err)
{
    (void)config;
    return create_volume(s, w, err);
}

static int remove_command(const struct config *config, struct template_store *s,
                          const struct template_words *w, struct error *err)
{
    struct volume_choice choice;

    if (volume_choose(config, w, &choice, err) < 0)
        return -1;
    if (!choice.req.overlay)
        return error_set(err, ERR_INPUT, "say which volume: its name, or --overlay FILE");
    if (volume_check_there(&choice, err) < 0 ||
        template_disk_remove(s, choice.req.overlay, err) < 0)
        return -1;
    if (w->json)
        template_print_json(json_pack("{s:s}", "removed", choice.req.overlay));
    else if (!w->quiet)
        fprintf(stderr, "%s is removed, with what was written to it\n", choice.name);
    return 0;
}

static const struct verb {
    const char *name, *full;
    const char *names; /* what comes after it */
    int plain_min;
    int (*run)(const struct config *config, struct template_store *s,
               const struct template_words *w, struct error *err);
} verbs[] = {
    {"create", "volume create", "NAME --template NAME[:NUMBER]", 1, create_command},
    {"serve", "volume serve", "NAME", 0, volume_serve_command},
    {"export", "volume export", "NAME", 0, volume_export_command},
    {"rm", "volume rm", "NAME", 0, remove_command},
};

static int run_verb(const struct config *config, const struct verb *verb, int argc, char **argv)
{
    struct template_store *store = NULL;
    struct template_words words;
    struct error err = ERROR_INIT;
    int result;

    if (!verb->run || !template_can_open(config))
        return COMMAND_OF_WHOLE;
    if (!template_read_words(argc, argv, verb->full, verb->names, verb->plain_min, 1, &words))
        return 2;
    result = template_open_workspace(config, words.workspace, &store, &err);
    if (result == 0)
        result = verb->run(config, store, &words, &err);
    template_store_free(store);
    if (result < 0)
        fprintf(stderr, "kiln %s: %s\n", verb->full, err.msg);
    return result < 0 ? 1 : 0;
}

int command_volume(const struct config *config, int argc, char **argv)
{
    for (size_t i = 0; argc >= 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return run_verb(config, &verbs[i], argc, argv);
    fprintf(stderr, "kiln volume: say create, serve, export or rm; see kiln volume --help\n");
    return 2;
}
