/* dockerfile/sandbox_judge — will anything start sandbox-api?
 *
 * "Yes" and "no" are said on evidence alone.  Yes: a word of the command, or the script that it
 * runs, names it.  No: the script has been read and neither names it nor calls another script; or
 * the program is one of those that start a server of their own, and nothing near it is a script.
 * A wrong "no" would teach people to overlook the warning, so all else is not known. */
#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/image_path.h"
#include "dockerfile/sandbox_script.h"
#include "dockerfile/sandbox_start.h"

#define WORDS_MAX 16 /* that are looked up; what is started stands in front */

struct judge {
    struct sandbox_scripts scripts;
    const struct sandbox_place *place;
    struct argv words;   /* in the arena; a line for a shell is cut into its words */
    const char *program; /* of the words, the one that decides */
    bool unclear;        /* a line does more than run one command */
    bool doubt;          /* something has been seen that could start it after all */
    bool searched;       /* the program's own text, in vain */
    enum sandbox_verdict verdict;
    const char *script;
};

static bool names_it(const struct judge *j, const char *text, size_t len)
{
    return memmem(text, len, SANDBOX_WORD, strlen(SANDBOX_WORD)) ||
           (j->place->path && memmem(text, len, j->place->path, strlen(j->place->path)));
}

/* ---- words ---- */

static void add_line(struct judge *j, const char *line)
{
    struct arena *a = &j->scripts.g->arena;

    j->unclear |= strpbrk(line, ";&|$`()<>\n") != NULL;
    while (*(line += strspn(line, " \t\"'"))) {
        size_t n = strcspn(line, " \t\"'");

        arena_push(a, &j->words, arena_string(a, line, n));
        line += n;
    }
}

static void add_command(struct judge *j, const struct sandbox_command *c)
{
    for (size_t i = 0; i < c->words.n; i++)
        if (c->shell)
            add_line(j, c->words.v[i]);
        else
            arena_push(&j->scripts.g->arena, &j->words, c->words.v[i]);
}

/* ---- scripts ---- */

static bool calls_a_script(const char *text, size_t len)
{
    const char *end = text + len;
    const char *at = text;

    while ((at = memmem(at, (size_t)(end - at), ".sh", 3))) {
        at += 3;
        if (at == end || !isalnum((unsigned char)*at))
            return true;
    }
    return memmem(text, len, "source ", 7) || memmem(text, len, "exec \"$@\"", 9);
}

static int look_into(struct judge *j, const char *word, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    const char *name;

    if (sandbox_script_read(&j->scripts, word, &text, &name, err) < 0)
        return -1;
    if (!name) {
        j->doubt |= text_ends(word, ".sh");
    } else if (names_it(j, buf_str(&text), text.len)) {
        j->verdict = SANDBOX_STARTED;
        j->script = name;
    } else if (calls_a_script(buf_str(&text), text.len)) {
        j->doubt = true;
    } else if (word == j->program) {
        j->searched = true;
        j->script = name;
    }
    return 0;
}

/* A RUN may have written the script. */
static bool is_named_by_a_run(const struct judge *j)
{
    const struct graph *g = j->scripts.g;

    for (size_t at = g->n - 1; at != NO_STAGE; at = g->nodes[at].base_stage) {
        const struct dockerfile_stage *s = &j->scripts.d->stages[at];

        for (size_t k = 1; k < s->n_instructions; k++) {
            const struct dockerfile_instruction *i = &s->instructions[k];

            if (!instruction_is(i, "RUN"))
                continue;
            if (strstr(i->text, SANDBOX_WORD))
                return true;
            for (size_t h = 0; h < i->n_heredocs; h++)
                if (strstr(i->heredocs[h].content, SANDBOX_WORD))
                    return true;
        }
    }
    return false;
}

/* ---- programs ---- */

/* A shell, or what starts the rest of its words as a command. */
static bool is_wrapper(const char *word)
{
    static const char *const names[] = {"tini",    "dumb-init", "env",  "exec", "nice", "gosu",
                                        "su-exec", "sh",        "bash", "ash",  "dash", NULL};

    return text_is_among(image_path_name(word), names);
}

/* The first word that is no wrapper, and no option or variable of one; NULL when only wrappers
 * are there. */
static const char *find_program(const struct judge *j)
{
    size_t i = 0;

    while (i < j->words.n && is_wrapper(j->words.v[i])) {
        const char *name = image_path_name(j->words.v[i]);

        i += strcmp(name, "gosu") == 0 || strcmp(name, "su-exec") == 0 ? 2 : 1;
        for (; i < j->words.n; i++)
            if (*j->words.v[i] != '-' && !strchr(j->words.v[i], '='))
                break;
    }
    return i < j->words.n ? j->words.v[i] : NULL;
}

/* Programs that serve, or run what is written in their own language: python3.12 is python. */
static bool is_known_program(const char *path)
{
    static const char *const names[] = {
        "node",  "bun",     "deno",  "python",       "uvicorn", "gunicorn", "hypercorn",
        "flask", "jupyter", "java",  "dotnet",       "php",     "php-fpm",  "ruby",
        "puma",  "nginx",   "httpd", "redis-server", "mysqld",  "postgres", "caddy",
        "sleep", "tail",    "cat",   "streamlit",    NULL};
    char name[32];
    size_t n;

    path = image_path_name(path);
    n = strlen(path);
    while (n > 0 && (isdigit((unsigned char)path[n - 1]) || path[n - 1] == '.'))
        n--;
    if (n == 0 || n >= sizeof(name))
        return false;
    memcpy(name, path, n);
    name[n] = '\0';
    return text_is_among(name, names);
}

static int judge_words(struct judge *j, struct error *err)
{
    j->program = find_program(j);
    for (size_t i = 0; i < j->words.n; i++)
        if (names_it(j, j->words.v[i], strlen(j->words.v[i]))) {
            j->verdict = SANDBOX_STARTED;
            return 0;
        }
    for (size_t i = 0; i < j->words.n && i < WORDS_MAX; i++)
        if (j->verdict == SANDBOX_UNKNOWN && look_into(j, j->words.v[i], err) < 0)
            return -1;
    if (j->verdict == SANDBOX_STARTED || j->unclear || j->doubt || is_named_by_a_run(j))
        return 0;
    /* Wrappers alone are a shell without anything to run. */
    if (j->words.n > 0 && (!j->program || j->searched || is_known_program(j->program)))
        j->verdict = SANDBOX_NEVER_STARTED;
    return 0;
}

/* ---- paths ---- */

/* /bin is /usr/bin where it is a link, which it is nearly everywhere. */
static const char *without_usr(const char *path)
{
    return text_starts(path, "/usr/bin/") || text_starts(path, "/usr/sbin/") ? path + 4 : path;
}

/* Paths in which COPY would see a variable or a quote are left alone. */
static int find_missing(struct judge *j, const char **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf ignored = BUF_INIT(SOURCE_FILE_MAX);
    const char *word = j->program;
    const char *from;

    *ret = NULL;
    if (!word || *word != '/' || strcmp(image_path_name(word), SANDBOX_WORD) != 0 ||
        strpbrk(word, "$\\\"'") || is_named_by_a_run(j))
        return 0;
    for (size_t i = 0; i < j->place->n_paths; i++)
        if (strcmp(without_usr(word), without_usr(j->place->paths[i])) == 0)
            return 0;
    if (sandbox_script_read(&j->scripts, word, &ignored, &from, err) < 0)
        return -1;
    if (!from)
        *ret = word;
    return 0;
}

/* ---- all of it ---- */

int sandbox_start_judge(const struct dockerfile *d, struct graph *g,
                        const struct sandbox_start *start, const struct sandbox_place *place,
                        const struct dockerfile_source *context, struct sandbox_judgement *ret,
                        struct error *err)
{
    struct judge j = {.scripts = {.d = d, .g = g, .context = context}, .place = place};
    const char *missing;

    add_command(&j, &start->entrypoint);
    if (!start->entrypoint.shell)
        add_command(&j, &start->cmd);
    /* What the base image's own script does cannot be seen. */
    j.doubt = start->entrypoint.words.n > 0 && !start->entrypoint.instruction;
    if (arena_check(&g->arena, err) < 0 || judge_words(&j, err) < 0 ||
        find_missing(&j, &missing, err) < 0)
        return -1;
    *ret = (struct sandbox_judgement){.verdict = j.verdict, .missing = missing};
    if (j.verdict != SANDBOX_UNKNOWN)
        ret->script = j.script;
    return 0;
}
