/* tests/dockerfile/worst_cases — see the header.
 *
 * Not here is what BuildKit's own rules multiply, and limits bound: a relative WORKDIR is put
 * behind the one before it, a stage has all the variables of its base once more, $a$a may double a
 * value, and a pattern may be tried at each place of a value. */
#include "tests/dockerfile/worst_cases.h"

#include <string.h>

static void repeat(struct buf *text, const char *what, size_t n)
{
    while (n-- > 0)
        buf_adds(text, what);
}

/* before, n times what, after */
static void surround(struct buf *text, const char *before, const char *what, size_t n,
                     const char *after)
{
    buf_adds(text, before);
    repeat(text, what, n);
    buf_adds(text, after);
}

#define SURROUND(name, before, what, after)                                                        \
    static void name(size_t n, struct buf *text, struct buf *path)                                 \
    {                                                                                              \
        (void)path;                                                                                \
        surround(text, before, what, n, after);                                                    \
    }

SURROUND(continuations, "FROM a\nRUN a", " \\\nb", "\n")
SURROUND(comments_inside, "FROM a\nRUN a \\\n", "# c\n", "b\n")
SURROUND(blank_lines_inside, "FROM a\nRUN a \\\n", "\n", "b\n")
SURROUND(open_continuation, "FROM a\nRUN a \\\n", "# c\n\\\n", "")
SURROUND(escape_tokens, "FROM a\nRUN a", " \\", "\n b\n")
SURROUND(comments, "FROM a\n", "# comment\n", "")
SURROUND(directives, "# syntax=a\n", "# check=skip\n", "FROM a\n")
SURROUND(carriage_returns, "FROM a\nRUN a", "\r", "\n")
SURROUND(blanks, "FROM a\nRUN", " ", "a\n")
SURROUND(instructions, "FROM a\n", "run a\nRUN b\n", "")
SURROUND(unknown_instruction, "FROM a\nRUN", "n", " a\n")
SURROUND(unknown_flag, "FROM a\nRUN --moun", "t", "=a b\n")
SURROUND(bad_utf8_at_the_end, "FROM a\n", "# comment\n", "\xff\n")

SURROUND(json_array, "FROM a\nRUN [\"a\"", ",\"\\u00e9\"", "]\n")
SURROUND(json_over_lines, "FROM a\nRUN [\"a\"", ", \\\n\"a\"", "]\n")
SURROUND(json_that_is_none, "FROM a\nRUN [\"a\"", ",\"a\"", "] && b\n")
SURROUND(json_nested, "FROM a\nRUN ", "[", "\n")

SURROUND(words, "FROM a\nCOPY", " a", " b\n")
SURROUND(exposed, "FROM a\nEXPOSE", " 80", "\n")
SURROUND(labels, "FROM a\nLABEL", " a=b", "\n")
SURROUND(labels_over_lines, "FROM a\nLABEL", " \\\n a=\"b\"", "\n")
SURROUND(quotes_in_a_label, "FROM a\nLABEL a=", "\"b\"'c'", "\n")
SURROUND(env_in_the_old_form, "FROM a\nENV a", " b", "\n")
SURROUND(flags, "FROM a\nRUN", " --mount=from=b,target=/a", " c\n")
SURROUND(flags_that_repeat, "FROM a\nCOPY", " --exclude=a", " b c\n")
SURROUND(mount_fields, "FROM a\nRUN --mount=from=b", ",\"target=/a\"", " c\n")

SURROUND(dollars, "ARG a=", "$", "\nFROM a\n")
SURROUND(dollars_in_a_base, "FROM a", "$$", "\n")
SURROUND(quotes_in_an_arg, "ARG a=", "\"b\"'c'", "\nFROM a\n")
SURROUND(variables, "ARG a=b\nARG c=", "$a${a}", "\nFROM a\n")
SURROUND(long_name, "ARG a=$", "b", "\nFROM a\n")
SURROUND(braces_that_do_not_end, "ARG a=", "${b:-", "\nFROM a\n")

SURROUND(shifts, "FROM a\nRUN a", " <<b<", "\n")
SURROUND(shifts_without_blanks, "FROM a\nRUN a", "<<b", "\n")
SURROUND(angles, "FROM a\nRUN a ", "<", "\n")
SURROUND(quotes_beside_a_heredoc, "FROM a\nRUN <<a ", "\"b\"'c' ", "\na\n")
SURROUND(heredoc_lines, "FROM a\nRUN <<a\n", "a b\n", "a\n")
SURROUND(heredoc_with_tabs, "FROM a\nRUN <<-a\n", "\t\ta b\n", "\ta\n")
SURROUND(heredoc_instructions, "FROM a\n", "RUN <<a\nb\na\n", "")
SURROUND(heredoc_without_end, "FROM a\nRUN <<a\n", "b\n", "")
SURROUND(triggers, "FROM a\n", "ONBUILD RUN a\n", "")

SURROUND(commands, "FROM a\nRUN a", " && b", "\n")
SURROUND(commands_in_commands, "FROM a\nRUN a", " $(b", "\n")
SURROUND(parentheses, "FROM a\nRUN ", "(", "\n")
SURROUND(pipes, "FROM a\nRUN a", "|b", "\n")
SURROUND(packages, "FROM a\nRUN apt-get install", " b", "\n")
SURROUND(package_managers, "FROM a\nRUN a", "; apt-get update; pip install b", "\n")
SURROUND(quotes_in_a_command, "FROM a\nRUN a ", "\"b\"'c'", "\n")
SURROUND(open_quotes, "FROM a\nRUN a", " \"b", "\n")
SURROUND(comments_above, "FROM a\n", "# check=skip=A\n", "RUN a\n")
SURROUND(skipped, "FROM a\n", "# check=skip=A,B,ConsistentInstructionCasing\nrun a\nRUN a\n", "")
SURROUND(skip_list, "# check=skip=a", ",b", "\nFROM a\nrun a\n")
SURROUND(workdirs, "FROM a\n", "WORKDIR /a\n", "")
SURROUND(deep_workdir, "FROM a\nWORKDIR ", "a/../b/", "\nWORKDIR c\n")
SURROUND(port_ranges, "FROM a\nEXPOSE", " 1-9", "\n")
SURROUND(entrypoints, "FROM a\n", "CMD a\nENTRYPOINT b\n", "")
SURROUND(undefined_variable, "FROM a\nENV a=", "$b", "\n")

/* n times "<before>00017<after>" */
static void number(struct buf *text, const char *before, size_t n, const char *after)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(text, "%s%05zu%s", before, i, after);
}

#define NUMBERED(name, start, before, after, end)                                                  \
    static void name(size_t n, struct buf *text, struct buf *path)                                 \
    {                                                                                              \
        (void)path;                                                                                \
        buf_adds(text, start);                                                                     \
        number(text, before, n, after);                                                            \
        buf_adds(text, end);                                                                       \
    }

NUMBERED(many_variables, "FROM a\nENV", " a", "=b", "\n")
NUMBERED(many_stage_args, "FROM a\n", "ARG a", "\n", "")
NUMBERED(many_labels, "FROM a\nLABEL", " a", "=b", "\n")
NUMBERED(many_volumes, "FROM a\nVOLUME", " /a", "", "\n")
NUMBERED(undefined_variables, "FROM a\nENV a=", "$b", "", "\n")
NUMBERED(undefined_variables_in_instructions, "FROM a\n", "WORKDIR /$b", "\n", "")
NUMBERED(copies, "FROM a\nCOPY", " a/b", "x", " c/\n")

/* n names that are all near to n others */
static void variables_one_could_mean(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    buf_adds(text, "FROM a\nENV");
    number(text, " variable_", n, "=b");
    buf_addc(text, '\n');
    number(text, "ENV a=$variables_", n / 8, "\n");
}

/* Every ${…} in the next one, with some text. */
static void nested_defaults(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    buf_adds(text, "ARG a=");
    repeat(text, "bbbbbbbb${c:-", n);
    repeat(text, "}", n);
    buf_adds(text, "\nFROM a\n");
}

static void long_text_nested_deep(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    buf_adds(text, "ARG a=");
    repeat(text, "${c:-", 60);
    repeat(text, "b", n);
    repeat(text, "}", 60);
    buf_adds(text, "\nFROM a\n");
}

static void replace(const char *what, size_t n, struct buf *text)
{
    surround(text, "ARG a=", "b", n, "\nARG c=");
    surround(text, what, "", 0, "\nFROM a\n");
}

static void replace_all(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    replace("${a//b/cc}", n, text);
}

static void replace_what_is_not_there(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    replace("${a//b*c/d}${a/b*c/d}${a//*c/d}${a//?*b*?c/d}", n, text);
}

static void replace_stars(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    replace("${a//b*b*b*b*b/d}", n, text);
}

static void trim(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    replace("${a##*b*c}${a%%c*b*}${a%b*b}", n, text);
}

static void heredocs_in_one_line(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    surround(text, "FROM a\nRUN", " <<a", n, "\n");
    repeat(text, "b\na\n", n);
}

static void many_args(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    /* Downwards: each comes before all that are there. */
    while (n-- > 0)
        buf_addf(text, "%s a%05zu=$a%05zu", text->len ? "" : "ARG", n, n + 1);
    buf_adds(text, "\nFROM a\n");
}

static void stages(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    for (size_t i = 0; i < n; i++)
        buf_addf(text, "FROM a AS s%zu\nCOPY%s a b\nRUN --mount=from=%s,target=/a b\n", i,
                 i ? " --from=s0" : "", i ? "s0" : "b");
}

static void stages_on_each_other(size_t n, struct buf *text, struct buf *path)
{
    (void)path;
    buf_adds(text, "FROM a AS s0\n");
    for (size_t i = 1; i < n; i++)
        buf_addf(text, "FROM s%zu AS s%zu\nCOPY --from=s0 a b\n", i - 1, i);
}

/* ---- ignore files ---- */

static void ignore_many(size_t n, struct buf *text, struct buf *path)
{
    repeat(text, "**/a*b/**/[a-z]*c\n!d/*\n", n);
    repeat(path, "aaaaaaab/", 16);
}

static void ignore_exact(size_t n, struct buf *text, struct buf *path)
{
    repeat(text, "a/a/a/b\n", n);
    repeat(path, "a/", 64);
}

static void ignore_stars(size_t n, struct buf *text, struct buf *path)
{
    surround(text, "", "*a", n, "*b");
    repeat(path, "a", 256);
}

static void ignore_directories(size_t n, struct buf *text, struct buf *path)
{
    surround(text, "a/", "**/a/", n, "b");
    repeat(path, "a/", 256);
}

static void ignore_long_path(size_t n, struct buf *text, struct buf *path)
{
    buf_adds(text, "**/a*a*a*b\n**b/**/c\n*/?/[a-c]/d\n");
    repeat(path, "aaa/", n);
}

static void ignore_classes(size_t n, struct buf *text, struct buf *path)
{
    surround(text, "*[", "b-c", n, "]x");
    repeat(path, "a", 64);
}

/* ---- all ---- */

#define CASE(name, n)                                                                              \
    {                                                                                              \
#name, name, n, false                                                                      \
    }
#define REFUSED(name, n)                                                                           \
    {                                                                                              \
#name, name, n, true                                                                       \
    }

/* clang-format off */
const struct worst_case worst_cases[] = {
    CASE(continuations, 10000),
    CASE(comments_inside, 10000),
    CASE(blank_lines_inside, 10000),
    CASE(open_continuation, 10000),
    CASE(escape_tokens, 4000),
    CASE(comments, 10000),
    REFUSED(directives, 5000),
    CASE(carriage_returns, 8000),
    CASE(blanks, 8000),
    CASE(instructions, 60),
    REFUSED(unknown_instruction, 8000),
    REFUSED(unknown_flag, 8000),
    REFUSED(bad_utf8_at_the_end, 10000),
    CASE(json_array, 800),
    CASE(json_over_lines, 10000),
    CASE(json_that_is_none, 1500),
    CASE(json_nested, 120),
    CASE(words, 4000),
    CASE(exposed, 2500),
    CASE(labels, 2000),
    CASE(labels_over_lines, 5000),
    CASE(quotes_in_a_label, 1000),
    CASE(env_in_the_old_form, 4000),
    CASE(flags, 300),
    CASE(flags_that_repeat, 600),
    CASE(mount_fields, 550),
    CASE(dollars, 8000),
    CASE(dollars_in_a_base, 4000),
    CASE(quotes_in_an_arg, 1000),
    CASE(variables, 1200),
    CASE(long_name, 8000),
    CASE(nested_defaults, 8),
    CASE(long_text_nested_deep, 4000),
    REFUSED(braces_that_do_not_end, 8),
    CASE(replace_all, 4000),
    CASE(replace_what_is_not_there, 1500),
    CASE(replace_stars, 4000),
    CASE(trim, 2000),
    CASE(many_args, 250),
    CASE(stages, 8),
    CASE(stages_on_each_other, 8),
    CASE(shifts, 1000),
    CASE(shifts_without_blanks, 2500),
    CASE(angles, 8000),
    CASE(quotes_beside_a_heredoc, 1000),
    CASE(heredocs_in_one_line, 1000),
    CASE(heredoc_lines, 10000),
    CASE(heredoc_with_tabs, 10000),
    CASE(heredoc_instructions, 100),
    REFUSED(heredoc_without_end, 10000),
    CASE(triggers, 100),
    CASE(commands, 1600),
    CASE(commands_in_commands, 1600),
    CASE(parentheses, 8000),
    CASE(pipes, 4000),
    CASE(packages, 4000),
    CASE(package_managers, 250),
    CASE(quotes_in_a_command, 1300),
    CASE(open_quotes, 2000),
    CASE(comments_above, 5000),
    CASE(skipped, 60),
    CASE(skip_list, 2000),
    CASE(workdirs, 100),
    CASE(deep_workdir, 1000),
    CASE(port_ranges, 1500),
    CASE(entrypoints, 60),
    CASE(undefined_variable, 3000),
    CASE(many_variables, 250),
    CASE(many_stage_args, 120),
    CASE(many_labels, 250),
    CASE(many_volumes, 250),
    CASE(undefined_variables, 1000),
    CASE(undefined_variables_in_instructions, 120),
    CASE(copies, 700),
    CASE(variables_one_could_mean, 240),
    CASE(ignore_many, 100),
    CASE(ignore_exact, 1000),
    CASE(ignore_stars, 20),
    CASE(ignore_directories, 20),
    CASE(ignore_long_path, 100),
    CASE(ignore_classes, 150),
    {NULL, NULL, 0, false},
};
/* clang-format on */
