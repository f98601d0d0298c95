/* dockerfile/practices/copies — ADD and COPY: from where, what, and to where. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/practices/practice.h"
#include "dockerfile/quote.h"
#include "dockerfile/reference.h"
#include "dockerfile/suggest.h"

#define SUGGESTED_MAX 64 /* stages whose names are compared */

static const char *destination(const struct dockerfile_instruction *i)
{
    return i->words.n ? i->words.v[i->words.n - 1] : "";
}

/* ---- ADD ---- */

static bool is_remote(const char *source)
{
    static const char *const prefixes[] = {"http://", "https://", "git://", "ssh://", "git@", NULL};

    for (const char *const *prefix = prefixes; *prefix; prefix++)
        if (text_starts(source, *prefix))
            return true;
    return text_ends(source, ".git");
}

static bool is_archive(const char *source)
{
    static const char *const suffixes[] = {".tar",     ".tar.gz",   ".tgz", ".taz",    ".tar.bz2",
                                           ".tbz",     ".tbz2",     ".tb2", ".tar.xz", ".txz",
                                           ".tar.zst", ".tar.lzma", ".tlz", ".tzst",   ".tar.Z",
                                           ".gz",      ".bz2",      ".xz",  ".zst",    NULL};

    for (const char *const *suffix = suffixes; *suffix; suffix++)
        if (text_ends(source, *suffix))
            return true;
    return false;
}

static void look_add(struct practice *p, const struct dockerfile_instruction *i)
{
    char quoted[QUOTE_SIZE];

    if (i->n_heredocs > 0)
        return;
    for (size_t k = 0; k + 1 < i->words.n; k++)
        if (strchr(i->words.v[k], '$') || is_remote(i->words.v[k]) || is_archive(i->words.v[k]))
            return;
    if (i->words.n > 1)
        practice_found(p, "ADD of %s, which is neither remote nor an archive",
                       quote_short(i->words.v[0], quoted));
}

/* ---- COPY ---- */

static void look_destination(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *to = destination(i);
    char quoted[QUOTE_SIZE];

    if (i->words.n < 3 || text_ends(to, "/") || text_ends(to, "\\") || strcmp(to, ".") == 0 ||
        strcmp(to, "..") == 0 || text_ends(to, "/.") || strchr(to, '$'))
        return;
    practice_found(p, "several sources are copied to %s, which does not end with /",
                   quote_short(to, quoted));
}

static bool is_itself(const struct practice *p, const char *from)
{
    const char *name = p->stages[p->index].name;
    uint64_t index;

    return (name && strcasecmp(from, name) == 0) ||
           (text_to_u64(from, p->n_stages, &index) && index == p->index);
}

static bool is_number(const char *s)
{
    return s[strspn(s, "0123456789")] == '\0';
}

/* "alpine" names nothing that a build can be sure of; "alpine:3.22" and "host/x" are images. */
static void look_from_unknown(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *from = practice_flag(i, "from"), *names[SUGGESTED_MAX + 1];
    char hint[SUGGEST_SIZE], quoted[QUOTE_SIZE];
    size_t n = 0;

    if (!from || strpbrk(from, "$:@/") || is_number(from) || is_itself(p, from) ||
        practice_stage_named(p, from) < p->n_stages)
        return;
    for (size_t k = 0; k < p->index && n < SUGGESTED_MAX; k++)
        if (p->stages[k].name)
            names[n++] = p->stages[k].name;
    names[n] = NULL;
    practice_found(p, "--from=%s is no stage above this one%s", quote_short(from, quoted),
                   suggest(from, names, true, hint));
}

static void look_from_itself(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *from = practice_flag(i, "from");
    char quoted[QUOTE_SIZE];

    if (from && is_itself(p, from))
        practice_found(p, "--from=%s is the stage that it stands in", quote_short(from, quoted));
}

/* Onto an empty image the whole of another one is a way to make it one layer. */
static void look_whole(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *from = practice_flag(i, "from");
    char quoted[QUOTE_SIZE];

    if (!from || reference_is_scratch(p->stages[p->index].base))
        return;
    for (size_t k = 0; k + 1 < i->words.n; k++) {
        const char *source = i->words.v[k];

        if (strcmp(source, "/") == 0 || strcmp(source, "/.") == 0 || strcmp(source, "/*") == 0) {
            practice_found(p, "all files of %s are copied", quote_short(from, quoted));
            return;
        }
    }
}

const struct practice_rule practice_copies[] = {
    {{.name = "DL3020",
      .description = "ADD unpacks and downloads, by the look of its source.",
      .advice = "write COPY for files and directories",
      .url = HADOLINT("DL3020")},
     "ADD",
     look_add},
    {{.name = "DL3021",
      .description = "With several sources the destination is a directory, and ends with /.",
      .advice = "write / at the end of the destination",
      .url = HADOLINT("DL3021")},
     "COPY",
     look_destination},
    {{.name = "DL3022",
      .description = "What is no stage is taken for an image, and pulled.",
      .advice = "name a stage above, or an image with its tag",
      .url = HADOLINT("DL3022")},
     "COPY",
     look_from_unknown},
    {{.name = "DL3023",
      .description = "A stage is not there to be copied from while it is built.",
      .advice = "leave --from out of it, and copy with RUN cp",
      .url = HADOLINT("DL3023")},
     "COPY",
     look_from_itself},
    {{.name = "DL3067",
      .description = "All files of an image bury those of the base, and double its size.",
      .advice = "copy the directories that are needed, or build FROM that stage",
      .url = HADOLINT("DL3067")},
     "COPY",
     look_whole},
    {.keyword = NULL},
};
