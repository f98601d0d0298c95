/* dockerfile/generate/go_command — see the header. */
#include "dockerfile/generate/go_command.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/go_run.h"
#include "dockerfile/quote.h"

#define COMMAND_MAX 16384

/* The line of g->start, without the "exec " and "exec env " that generator_start_line adds. */
static const char *line_of(const struct generator *g, struct buf *out)
{
    const char *line;

    for (size_t i = 0; i < g->start.words.n; i++)
        buf_addf(out, "%s%s", i ? " " : "", g->start.words.v[i]);
    line = buf_str(out);
    if (text_starts(line, "exec "))
        line += strlen("exec ");
    if (text_starts(line, "env "))
        line += strlen("env ");
    return line;
}

/* Behind the assignments that stand before a command: `A=1 B=2 app`. */
static const char *skip_assignments(const char *line)
{
    for (;;) {
        size_t len = strcspn(line, " \t");

        if (!memchr(line, '=', len))
            return line;
        line += len + strspn(line + len, " \t");
    }
}

/* Several commands in one line: which of them is the program cannot be told. */
static bool is_list(const char *line)
{
    return strpbrk(line, ";|&\n()") != NULL;
}

static bool calls_go(const char *line)
{
    while (*line) {
        size_t len = strcspn(line, " \t;|&\n()");

        if (len == 2 && memcmp(line, "go", 2) == 0)
            return true;
        line += len + (line[len] != '\0');
    }
    return false;
}

static int refuse_go(const struct generator *g, struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "%s: the image of a Go program holds the program and no Go; write what is to "
                     "be built and started as \"go run ./DIRECTORY\", or the path of the program",
                     g->start.why);
}

/* What is no program of a project, but may be the first word of its command. */
static const char *const shells[] = {"sh", "bash", "dash", "env", NULL};
static const char *const tools[] = {"make",    "task",   "just", "air",  "reflex", "npm",
                                    "npx",     "pnpm",   "yarn", "node", "bun",    "python",
                                    "python3", "docker", "sudo", "dlv",  NULL};

static int use_project(struct generator *g, struct go_command *ret)
{
    ret->needs_project = true;
    (void)snprintf(ret->path, sizeof(ret->path), "%s", GO_PROGRAM);
    generator_warn(g,
                   "%s: it is run as it is, among the project's files in %s; the Go program is "
                   "%s",
                   g->start.why, GO_APP, GO_PROGRAM);
    return 0;
}

/* The word as a path in the image: from / or, below it, from the WORKDIR. */
static bool image_path(const char *word, char ret[GO_PATH_MAX])
{
    char path[GO_PATH_MAX];

    if (!go_path_join(word[0] == '/' ? "" : &GO_APP[1], word + (word[0] == '/'), path) || !*path ||
        strlen(path) + 2 > GO_PATH_MAX)
        return false;
    ret[0] = '/';
    (void)snprintf(ret + 1, GO_PATH_MAX - 1, "%.510s", path);
    return true;
}

static int refuse_path(const struct generator *g, const char *word, struct error *err)
{
    char quoted[QUOTE_SIZE];

    return error_set(err, ERR_INPUT, "%s: %s is no path of a program", g->start.why,
                     quote_short(word, quoted));
}

static int refuse_tool(const struct generator *g, const char *word, struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "%s: there is no %.60s in the image of a Go program, which holds that "
                     "program; write \"go run ./DIRECTORY\", or the path of the program",
                     g->start.why, word);
}

/* Whether path, below the WORKDIR, is where a file of the project would be. */
static int is_project_file(struct generator *g, const char *path, bool *ret, struct error *err)
{
    *ret = false;
    return text_starts(path, GO_APP "/") ? generator_has(g, path + strlen(GO_APP "/"), ret, err)
                                         : 0;
}

static int read_path(struct generator *g, const char *word, struct go_command *ret,
                     struct error *err)
{
    const char *name = strrchr(word, '/') ? strrchr(word, '/') + 1 : word;
    bool is_file = false;

    if (text_is_among(name, shells))
        return use_project(g, ret);
    if (text_is_among(name, tools))
        return refuse_tool(g, name, err);
    if (!go_path_is_plain(word) || !*name || !image_path(word, ret->path))
        return refuse_path(g, word, err);
    if (is_project_file(g, ret->path, &is_file, err) < 0)
        return -1;
    if (is_file)
        return use_project(g, ret);
    if (text_ends(word, ".sh"))
        return error_set(err, ERR_INPUT, "%s: there is no %.100s in the project", g->start.why,
                         word);
    if (name == word) /* found in PATH */
        (void)snprintf(ret->path, sizeof(ret->path), "/usr/local/bin/%.100s", word);
    (void)snprintf(ret->program, sizeof(ret->program), "%.100s", name);
    return 0;
}

/* The command that starts the built program with what followed the package. */
static int replace_run(struct generator *g, const char *assignments, const char *command,
                       const char *arguments, struct error *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(COMMAND_MAX);
    char why[sizeof(g->start.why)];

    (void)snprintf(why, sizeof(why), "%s", g->start.why);
    buf_add(&line, assignments, (size_t)(command - assignments));
    buf_addf(&line, "%s%s%s", GO_PROGRAM, *arguments ? " " : "", arguments);
    if (buf_check(&line, "the start command", err) < 0)
        return -1;
    return generator_start_line(g, buf_str(&line), why, err);
}

static int read_command(struct generator *g, const struct go_module *module, const char *line,
                        struct go_command *ret, struct error *err)
{
    const char *command = skip_assignments(line), *arguments = NULL;
    CLEANUP_FREE char *word = strndup(command, strcspn(command, " \t"));

    if (!word)
        return error_set(err, ERR_SYSTEM, "read the start command: out of memory");
    if (strcmp(word, "go") != 0)
        return read_path(g, word, ret, err);
    (void)snprintf(ret->path, sizeof(ret->path), "%s", GO_PROGRAM);
    ret->names_target = true;
    if (go_run_read(g, module, command, ret, &arguments, err) < 0)
        return -1;
    return replace_run(g, line, command, arguments, err);
}

int go_command_read(struct generator *g, const struct go_module *module, struct go_command *ret,
                    struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(COMMAND_MAX);
    const char *line = line_of(g, &text);

    *ret = (struct go_command){.names_target = false};
    if (buf_check(&text, "the start command", err) < 0)
        return -1;
    if (!is_list(line))
        return read_command(g, module, line, ret, err);
    return calls_go(line) ? refuse_go(g, err) : use_project(g, ret);
}
