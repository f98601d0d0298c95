/* programs/template — `kiln template pack|ls|show|tree|diff|rm|gc|verify`. */
#include <string.h>

#include "base/text.h"
#include "programs/commands.h"
#include "programs/templates_cli.h"

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- rm, gc, verify ---- */

static int remove_command(struct template_store *s, const struct template_words *w,
                          struct error *err)
{
    struct template_ref ref;

    if (template_ref_parse(w->plain[0], &ref, err) < 0)
        return -1;
    if (strchr(w->plain[0], ':') && ref.revision == 0)
        return error_set(err, ERR_INPUT, "say which revision by its number: %s:NUMBER", ref.name);
    if (template_remove(s, &ref, err) < 0)
        return -1;
    if (w->json)
        template_print_json(json_pack("{s:s}", "removed", w->plain[0]));
    else
        fprintf(stderr, "%s is removed; kiln template gc frees its bytes\n", w->plain[0]);
    return 0;
}

static int gc_command(struct template_store *s, const struct template_words *w, struct error *err)
{
    struct template_gc_report r;
    char freed[TEXT_SIZE], live[TEXT_SIZE], waiting[TEXT_SIZE];
    struct progress_line line;
    int result;

    progress_line_init(&line, "collecting", w->quiet || w->json);
    result = template_gc(s, progress_line_of(&line), &r, err);
    progress_line_end(&line);
    if (result < 0)
        return -1;
    if (w->json) {
        template_print_json(json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I}", "packsRemoved", (json_int_t)r.packs_removed,
            "packsRewritten", (json_int_t)r.packs_rewritten, "packsWaiting",
            (json_int_t)r.packs_waiting, "bytesFreed", (json_int_t)r.bytes_freed, "bytesLive",
            (json_int_t)r.bytes_live, "bytesWaiting", (json_int_t)r.bytes_waiting));
        return 0;
    }
    text_size(r.bytes_freed, freed);
    text_size(r.bytes_live, live);
    text_size(r.bytes_waiting, waiting);
    printf("freed %s, kept %s", freed, live);
    if (r.packs_waiting)
        printf(", %s wait for a running pack to end: run it again then", waiting);
    printf("\n");
    return 0;
}

static void print_verification(const struct template_words *w,
                               const struct template_verify_report *r)
{
    char bytes[TEXT_SIZE];

    if (w->json) {
        json_t *damage = json_array();

        for (size_t i = 0; i < r->damage.n; i++)
            (void)json_array_append_new(damage, json_string(r->damage.v[i]));
        template_print_json(json_pack("{s:b, s:I, s:I, s:I, s:I, s:o}", "whole", r->damage.n == 0,
                                      "packs", (json_int_t)r->packs, "chunks",
                                      (json_int_t)r->chunks, "revisions", (json_int_t)r->revisions,
                                      "bytes", (json_int_t)r->bytes, "damage", damage));
        return;
    }
    text_size(r->bytes, bytes);
    for (size_t i = 0; i < r->damage.n; i++)
        printf("%s\n", r->damage.v[i]);
    printf("%s: %llu revision%s, %llu pack%s, %llu chunk%s of %s\n",
           r->damage.n ? "DAMAGED" : "all is whole", (unsigned long long)r->revisions,
           plural(r->revisions), (unsigned long long)r->packs, plural(r->packs),
           (unsigned long long)r->chunks, plural(r->chunks), bytes);
}

static int verify_command(struct template_store *s, const struct template_words *w,
                          struct error *err)
{
    struct template_verify_report r;
    struct progress_line line;
    bool whole;
    int result;

    progress_line_init(&line, "reading", w->quiet || w->json);
    result = template_verify(s, w->images, progress_line_of(&line), &r, err);
    progress_line_end(&line);
    if (result < 0)
        return -1;
    print_verification(w, &r);
    whole = r.damage.n == 0;
    template_verify_report_release(&r);
    return whole ? 0 : error_set(err, ERR_SYSTEM, "the store is damaged, see above");
}

/* ---- the verbs ---- */

static const struct verb {
    const char *name, *full;
    const char *names; /* what comes after it */
    int plain_min, plain_max;
    int (*run)(struct template_store *s, const struct template_words *w, struct error *err);
} verbs[] = {
    {"pack", "template pack", "NAME ARCHIVE|DIR", 2, 2, template_pack_command},
    {"ls", "template ls", "[NAME]", 0, 1, template_ls_command},
    {"show", "template show", "NAME[:NUMBER]", 1, 1, template_show_command},
    {"tree", "template tree", "", 0, 0, template_tree_command},
    {"diff", "template diff", "NAME[:NUMBER] NAME[:NUMBER]", 2, 2, template_diff_command},
    {"rm", "template rm", "NAME[:NUMBER]", 1, 1, remove_command},
    {"gc", "template gc", "", 0, 0, gc_command},
    {"verify", "template verify", "", 0, 0, verify_command},
};

static int run_verb(const struct config *config, const struct verb *verb, int argc, char **argv)
{
    CLEANUP(template_store_freep) struct template_store *store = NULL;
    struct template_words words;
    struct error err = ERROR_INIT;

    if (!verb->run || !template_can_open(config))
        return COMMAND_OF_WHOLE;
    if (!template_read_words(argc, argv, verb->full, verb->names, verb->plain_min, verb->plain_max,
                             &words))
        return 2;
    if (template_open_workspace(config, words.workspace, &store, &err) == 0 &&
        verb->run(store, &words, &err) == 0)
        return 0;
    fprintf(stderr, "kiln %s: %s\n", verb->full, err.msg);
    return 1;
}

int command_template(const struct config *config, int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return run_verb(config, &verbs[i], argc, argv);
    fprintf(stderr, "kiln template: say pack, ls, show, tree, diff, rm, gc or verify; see kiln "
                    "template --help\n");
    return 2;
}
