/* dockerfile/sandbox_run — `cp A B` among the commands of a RUN. */
#include "dockerfile/sandbox_run.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/image_path.h"
#include "dockerfile/shell.h"

#define OPERANDS_MAX 64 /* of one command; a longer one is not looked at */

struct search {
    struct arena *arena;
    const char *workdir, *file;
    const char *found;
};

/* The words that are no options, the command itself left out; an option of install may take one
 * word more.  0: there are too many, or one depends on a variable or another command. */
static size_t operands(const struct shell_command *c, bool install, const char *out[OPERANDS_MAX])
{
    size_t n = 0;

    for (size_t i = c->program + 1; i < c->words.n; i++) {
        const char *word = c->words.v[i];

        if (n == OPERANDS_MAX || strpbrk(word, "$`"))
            return 0;
        if (*word != '-')
            out[n++] = word;
        else if (install && strlen(word) == 2 && strchr("mog", word[1]))
            i++;
    }
    return n;
}

static void judge_command(struct search *s, const struct shell_command *c)
{
    const char *words[OPERANDS_MAX];
    const char *name = c->program < c->words.n ? shell_name(c->words.v[c->program]) : "";
    bool install = strcmp(name, "install") == 0;
    struct image_path_copy copy;
    size_t n;

    if (!install && strcmp(name, "cp") != 0)
        return;
    n = operands(c, install, words);
    if (n < 2)
        return;
    copy = (struct image_path_copy){.to = image_path_clean(s->arena, s->workdir, words[n - 1]),
                                    .into = n > 2 || text_ends(words[n - 1], "/") ||
                                            strcmp(words[n - 1], ".") == 0};
    if (!copy.to)
        return;
    copy.into |= image_path_is_directory(copy.to);
    for (size_t i = 0; i + 1 < n; i++) {
        const char *source = image_path_clean(s->arena, s->workdir, words[i]);
        const char *to = source ? image_path_landing(s->arena, &copy, source, s->file) : NULL;
        bool whole_name = source && (strcmp(source, s->file) == 0 || strpbrk(source, "*?["));

        /* A directory lands in or beside the destination, which is not known; its content, by
         * "dir/.", lands in it. */
        if (to && (whole_name || text_ends(words[i], "/.")))
            s->found = to;
    }
}

const char *sandbox_run_copy(struct arena *a, const struct dockerfile_instruction *run,
                             const char *workdir, const char *file)
{
    struct search s = {.arena = a, .workdir = workdir, .file = file};
    struct shell_script script = {.n = 0};

    if (run->json)
        shell_add(a, &run->words, &script);
    else
        shell_split(a, run->text, &script);
    for (size_t i = 0; i < run->n_heredocs; i++)
        shell_split(a, run->heredocs[i].content, &script);
    for (size_t i = 0; i < script.n; i++)
        judge_command(&s, &script.v[i]);
    return s.found;
}
