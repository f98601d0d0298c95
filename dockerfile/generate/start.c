/* dockerfile/generate/start — the command that starts the program: from the project's own
 * configuration first, [entrypoint] prod of blaxel.toml, then a Procfile. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/generator.h"

#define PROCFILE_MAX (64 << 10)
#define COMMAND_MAX  8192 /* bytes of a command line */

static void clear(struct start *s)
{
    argv_release(&s->words);
    s->words = (struct argv)ARGV_INIT;
    s->shell = false;
    s->found = true;
}

static void set_why(struct start *s, const char *why)
{
    (void)snprintf(s->why, sizeof(s->why), "%s", why);
}

/* POSIX 2.2 and 2.6: what a shell would take for more than a word. */
static bool needs_shell(const char *line)
{
    return strpbrk(line, "|&;<>()$`\\\"'*?[#~=%\n") != NULL;
}

/* exec keeps the program as process 1, which gets the signals; a list of commands cannot have it.
 */
static bool is_list(const char *line)
{
    return strpbrk(line, ";|\n") || strstr(line, "&&") || text_starts(line, "exec ") ||
           strchr(line, '&');
}

/* An assignment before the command: `A=1 app`, which exec does not take. */
static bool begins_with_assignment(const char *line)
{
    size_t n = strcspn(line, "= \t");

    return line[n] == '=';
}

static void split(struct start *s, const char *line)
{
    while (*line) {
        size_t n = strcspn(line, " \t");

        if (n > 0)
            argv_pushf(&s->words, "%.*s", (int)n, line);
        line += n + strspn(line + n, " \t");
    }
}

int generator_start_line(struct generator *g, const char *line, const char *why, struct error *err)
{
    size_t len;

    line += strspn(line, " \t\r\n");
    len = strlen(line);
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        len--;
    if (len == 0)
        return error_set(err, ERR_INPUT, "%.200s: the command is empty", why);
    if (!text_is_utf8(line, len))
        return error_set(err, ERR_INPUT, "%.200s: the command is not UTF-8", why);
    if (len > COMMAND_MAX)
        return error_set(err, ERR_LIMIT, "%.200s: the command is longer than %d bytes", why,
                         COMMAND_MAX);
    {
        CLEANUP_FREE char *command = strndup(line, len);

        if (!command)
            return error_set(err, ERR_SYSTEM, "read the start command: out of memory");
        clear(&g->start);
        set_why(&g->start, why);
        g->start.shell = needs_shell(command);
        if (!g->start.shell)
            split(&g->start, command);
        else
            argv_pushf(&g->start.words, "%s%s",
                       is_list(command)                  ? ""
                       : begins_with_assignment(command) ? "exec env "
                                                         : "exec ",
                       command);
    }
    return g->start.words.failed ? error_set(err, ERR_SYSTEM, "read a command: out of memory") : 0;
}

void generator_start_words(struct generator *g, const char *why, ...)
{
    va_list ap;
    const char *word;

    clear(&g->start);
    set_why(&g->start, why);
    va_start(ap, why);
    while ((word = va_arg(ap, const char *)))
        argv_push1(&g->start.words, word);
    va_end(ap);
}

/* ---- Procfile ---- */

struct process {
    const char *name, *command;
};

/* "name: command" in place; false for a blank line, a comment, or what is neither. */
static bool read_process(char *line, struct process *ret)
{
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    if (n == 0 || line[n] != ':')
        return false;
    line[n] = '\0';
    ret->name = line;
    ret->command = line + n + 1 + strspn(line + n + 1, " \t");
    return *ret->command != '\0';
}

/* The process "web", else the only one there is. */
static int from_procfile(struct generator *g, char *text, struct error *err)
{
    struct process chosen = {NULL, NULL}, p;
    size_t count = 0;
    char *line, why[64];

    while ((line = strsep(&text, "\n"))) {
        line[strcspn(line, "\r")] = '\0';
        if (!read_process(line, &p))
            continue;
        count++;
        if (!chosen.name || (strcmp(p.name, "web") == 0 && strcmp(chosen.name, "web") != 0))
            chosen = p;
    }
    if (count == 0 || (count > 1 && strcmp(chosen.name, "web") != 0)) {
        generator_warn(g, "Procfile: %s, so it does not say what starts the program",
                       count ? "several processes and none of them \"web\"" : "no process in it");
        return 0;
    }
    (void)snprintf(why, sizeof(why), "process \"%.40s\" in Procfile", chosen.name);
    return generator_start_line(g, chosen.command, why, err);
}

int generator_start_from_project(struct generator *g, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(PROCFILE_MAX);
    char why[64] = "[entrypoint] prod in blaxel.toml";
    bool found;

    if (g->settings->entrypoint_prod && *g->settings->entrypoint_prod) {
        if (g->settings->entrypoint_line > 0)
            (void)snprintf(why, sizeof(why), "[entrypoint] prod in blaxel.toml, line %d",
                           g->settings->entrypoint_line);
        return generator_start_line(g, g->settings->entrypoint_prod, why, err);
    }
    if (generator_read(g, "Procfile", &text, &found, err) < 0)
        return -1;
    return found && text.len ? from_procfile(g, text.data, err) : 0;
}
