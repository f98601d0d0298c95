/* programs/volume — `kiln volume create`: a plain file with a template's revision in it. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "programs/commands.h"
#include "programs/templates_cli.h"

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
    progress_line_init(&line, "writing", w->quiet);
    req.progress = progress_line_of(&line);
    result = template_volume_create(s, &req, &report, err);
    progress_line_end(&line);
    if (result < 0)
        return -1;
    text_size(report.size, size);
    printf("%s  %s from %s:%llu, %s in %.2f s\n", req.path, size, report.ref.name,
           (unsigned long long)report.ref.revision, report.reflinked ? "cloned" : "written",
           (double)(clock_monotonic() - began) / (double)NS_PER_SEC);
    printf("\nMount it: mount -o loop %s /mnt\n", req.path);
    return 0;
}

int command_volume(const struct config *config, int argc, char **argv)
{
    struct template_store *store = NULL;
    struct template_words words;
    struct error err = ERROR_INIT;
    int result;

    if (argc < 2 || strcmp(argv[1], "create") != 0) {
        fprintf(stderr, "kiln volume: say create; see kiln volume --help\n");
        return 2;
    }
    if (!template_read_words(argc, argv, "volume create", 1, 1, &words))
        return 2;
    result = template_open_workspace(config, words.workspace, &store, &err);
    if (result == 0)
        result = create_volume(store, &words, &err);
    template_store_free(store);
    if (result < 0)
        fprintf(stderr, "kiln volume create: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
