/* dockerfile/generate/version_file — .nvmrc, .python-version, runtime.txt and .tool-versions: a
 * version on a line of its own, or behind a tool's name. */
#include <string.h>

#include "dockerfile/generate/generator.h"

#define FILE_MAX 4096

/* What stands behind the first of the names that the line begins with; NULL: behind none. */
static const char *behind_name(const char *line, const char *const *tools)
{
    for (; *tools; tools++) {
        size_t n = strlen(*tools);

        if (strncmp(line, *tools, n) == 0 && (line[n] == ' ' || line[n] == '\t'))
            return line + n + strspn(line + n, " \t");
    }
    return NULL;
}

/* Copies what the line says, if it says something: all of it but blanks around it and a comment,
 * or of a tool's versions the first. */
static void take_line(const char *line, const char *const *tools, char ret[VERSION_TEXT_MAX])
{
    size_t n;

    line += strspn(line, " \t\r");
    if (tools && !(line = behind_name(line, tools)))
        return;
    n = strcspn(line, tools ? " \t\r\n#" : "\n#");
    while (n > 0 && strchr(" \t\r", line[n - 1]))
        n--;
    (void)snprintf(ret, VERSION_TEXT_MAX, "%.*s", (int)n, line);
}

int generator_read_version(struct generator *g, const char *path, const char *const *tools,
                           char ret[VERSION_TEXT_MAX], struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);
    const char *line;
    bool found;

    *ret = '\0';
    if (generator_read(g, path, &text, &found, err) < 0)
        return -1;
    for (line = buf_str(&text); *line && !*ret; line += *line == '\n') {
        take_line(line, tools, ret);
        line += strcspn(line, "\n");
    }
    return 0;
}
