/* programs/template_look — `kiln template ls|show|tree|diff`: what is there, and what is shared. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "programs/templates_cli.h"

#define BAR_WIDTH 40

/* ---- ls and show ---- */

static json_t *revision_json(const struct template_revision_info *i)
{
    char created[CLOCK_TEXT];

    clock_format(i->created, created);
    return json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
                     i->ref.name, "revision", (json_int_t)i->ref.revision, "createdAt", created,
                     "digest", i->digest, "contentSize", (json_int_t)i->content_size, "imageSize",
                     (json_int_t)i->image_size, "files", (json_int_t)i->files, "directories",
                     (json_int_t)i->directories, "symlinks", (json_int_t)i->symlinks, "defaultSize",
                     (json_int_t)i->default_size_mb, "bytesAdded", (json_int_t)i->bytes_added,
                     "bytesShared", (json_int_t)i->bytes_shared, "chunks", (json_int_t)i->chunks);
}

struct listing {
    json_t *json; /* NULL: for people */
    size_t n;
};

static void print_revision(const struct template_revision_info *i)
{
    char created[CLOCK_TEXT], content[TEXT_SIZE], added[TEXT_SIZE], shared[TEXT_SIZE], name[80];

    clock_format(i->created, created);
    text_size(i->content_size, content);
    text_size(i->bytes_added, added);
    text_size(i->bytes_shared, shared);
    (void)snprintf(name, sizeof(name), "%s:%llu", i->ref.name, (unsigned long long)i->ref.revision);
    printf("%-32s %.10s %10llu %10s %10s %10s\n", name, created, (unsigned long long)i->files,
           content, added, shared);
}

static void see_revision(void *self, const struct template_revision_info *i)
{
    struct listing *l = self;

    if (l->json) {
        (void)json_array_append_new(l->json, revision_json(i));
        return;
    }
    if (l->n++ == 0)
        printf("%-32s %-10s %10s %10s %10s %10s\n", "REVISION", "CREATED", "FILES", "CONTENT",
               "ADDED", "SHARED");
    print_revision(i);
}

static void say_none(void)
{
    fprintf(stderr, "there is no template yet: kiln template pack NAME ARCHIVE|DIR makes one\n");
}

/* A name must be that of a template, with revisions or without. */
static int check_template(struct template_store *s, const char *name, struct error *err)
{
    struct template_info info;
    bool there = true;

    if (name && template_get(s, name, &info, &there, err) < 0)
        return -1;
    return there ? 0
                 : error_set(err, ERR_INPUT, "there is no template %s; kiln template ls shows all",
                             name);
}

int template_ls_command(struct template_store *s, const struct template_words *w, struct error *err)
{
    const char *name = w->n_plain ? w->plain[0] : NULL;
    struct listing listing = {.json = w->json ? json_array() : NULL};
    int result = check_template(s, name, err);

    if (result == 0)
        result = template_revisions(s, name, see_revision, &listing, err);
    if (result == 0 && listing.n == 0 && !w->json)
        say_none();
    if (result == 0 && w->json)
        template_print_json(json_incref(listing.json));
    json_decref(listing.json);
    return result;
}

int template_show_command(struct template_store *s, const struct template_words *w,
                          struct error *err)
{
    struct template_revision *r = NULL;
    const struct template_revision_info *i;
    struct template_ref ref;
    char created[CLOCK_TEXT], content[TEXT_SIZE], image[TEXT_SIZE], added[TEXT_SIZE];

    if (template_ref_parse(w->plain[0], &ref, err) < 0 ||
        template_revision_open(s, &ref, &r, err) < 0)
        return -1;
    i = template_revision_info(r);
    if (w->json) {
        template_print_json(revision_json(i));
        template_revision_free(r);
        return 0;
    }
    clock_format(i->created, created);
    text_size(i->content_size, content);
    text_size(i->image_size, image);
    text_size(i->bytes_added, added);
    printf("%s:%llu\n  created       %s\n  content       %s in %llu files, %llu directories, %llu "
           "symbolic links\n",
           i->ref.name, (unsigned long long)i->ref.revision, created, content,
           (unsigned long long)i->files, (unsigned long long)i->directories,
           (unsigned long long)i->symlinks);
    printf("  image         %s, sha256 %s\n", image, i->digest);
    printf("  store         %s added when it was packed, %llu chunks\n", added,
           (unsigned long long)i->chunks);
    if (i->default_size_mb)
        printf("  default size  %llu MB\n", (unsigned long long)i->default_size_mb);
    template_revision_free(r);
    return 0;
}

/* ---- tree ---- */

static void add_sharing(void *self, const struct template_sharing *s)
{
    (void)json_array_append_new(
        self, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", s->ref.name, "revision",
                        (json_int_t)s->ref.revision, "bytes", (json_int_t)s->bytes, "onlyHere",
                        (json_int_t)s->only_here, "sameTemplate", (json_int_t)s->same_template,
                        "otherTemplates", (json_int_t)s->others, "storedOnlyHere",
                        (json_int_t)s->stored_only_here));
}

/* Cells of the bar that a part takes: one at least, if there is any of it. */
static int cells(uint64_t part, uint64_t all)
{
    int n = all ? (int)((double)part / (double)all * BAR_WIDTH + 0.5) : 0;

    return part > 0 && n == 0 ? 1 : n;
}

static void print_cells(const char *cell, int n, int *left)
{
    for (; n > 0 && *left > 0; n--, --*left)
        fputs(cell, stdout);
}

static void print_sharing(void *self, const struct template_sharing *s)
{
    char *last = self;
    char bytes[TEXT_SIZE], only[TEXT_SIZE];
    int left = BAR_WIDTH;

    if (strcmp(last, s->ref.name) != 0)
        printf("%s\n", s->ref.name);
    (void)snprintf(last, TEMPLATE_NAME, "%s", s->ref.name);
    text_size(s->bytes, bytes);
    text_size(s->stored_only_here, only);
    printf("  %5llu  ", (unsigned long long)s->ref.revision);
    print_cells("#", cells(s->only_here, s->bytes), &left);
    print_cells("=", cells(s->same_template, s->bytes), &left);
    print_cells("-", cells(s->others, s->bytes), &left);
    print_cells(" ", left, &left);
    printf("  %9s, %s of the store is its own\n", bytes, only);
}

int template_tree_command(struct template_store *s, const struct template_words *w,
                          struct error *err)
{
    char last[TEMPLATE_NAME] = "";
    json_t *all = w->json ? json_array() : NULL;
    int result = template_sharing(s, w->json ? add_sharing : print_sharing,
                                  w->json ? (void *)all : (void *)last, err);

    if (w->json)
        template_print_json(all);
    else if (result == 0 && !*last)
        say_none();
    else if (result == 0)
        printf("\n# only in this revision  = also in another of the template  - in other "
               "templates\n");
    return result;
}

/* ---- diff ---- */

int template_diff_command(struct template_store *s, const struct template_words *w,
                          struct error *err)
{
    struct template_ref a, b;
    struct template_difference d;
    char both[TEXT_SIZE], only_a[TEXT_SIZE], only_b[TEXT_SIZE];

    if (template_ref_parse(w->plain[0], &a, err) < 0 ||
        template_ref_parse(w->plain[1], &b, err) < 0 || template_compare(s, &a, &b, &d, err) < 0)
        return -1;
    if (w->json) {
        template_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "both", (json_int_t)d.both,
                                      "onlyA", (json_int_t)d.only_a, "onlyB", (json_int_t)d.only_b,
                                      "chunksBoth", (json_int_t)d.chunks_both, "chunksOnlyA",
                                      (json_int_t)d.chunks_only_a, "chunksOnlyB",
                                      (json_int_t)d.chunks_only_b));
        return 0;
    }
    text_size(d.both, both);
    text_size(d.only_a, only_a);
    text_size(d.only_b, only_b);
    printf("in both           %10s in %llu chunks\n", both, (unsigned long long)d.chunks_both);
    printf("only in %-9.60s %10s in %llu chunks\n", w->plain[0], only_a,
           (unsigned long long)d.chunks_only_a);
    printf("only in %-9.60s %10s in %llu chunks\n", w->plain[1], only_b,
           (unsigned long long)d.chunks_only_b);
    return 0;
}
