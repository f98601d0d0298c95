/* builder/packages_control — texts of lines "Key: value", in paragraphs: dpkg's status (deb822(5)),
 * apk's database (whose keys are letters, and without a blank), Python's core metadata (PEP 566),
 * of which only the first paragraph counts; and os-release(5). */
#include <string.h>

#include "base/text.h"
#include "builder/packages.h"

enum { NAME, VERSION, ARCHITECTURE, LICENSE, STATUS, N_KEYS };

struct form {
    const char *type;
    const char *keys[N_KEYS];
    const char *other_license; /* a key that says it, too */
    bool one;                  /* the first paragraph is all */
};

static const struct form forms[] = {
    [PACKAGES_FILE_DPKG] = {"deb",
                            {"Package", "Version", "Architecture", NULL, "Status"},
                            NULL,
                            false},
    [PACKAGES_FILE_APK] = {"apk", {"P", "V", "A", "L", NULL}, NULL, false},
    [PACKAGES_FILE_PYTHON] = {"pypi",
                              {"Name", "Version", NULL, "License", NULL},
                              "License-Expression",
                              true},
};

struct paragraph {
    char values[N_KEYS][PACKAGES_WORD_MAX + 2]; /* one more than is taken: longer ones are none */
};

static int key_of(const struct form *f, const char *key, size_t len)
{
    if (f->other_license && strlen(f->other_license) == len &&
        memcmp(f->other_license, key, len) == 0)
        return LICENSE;
    for (int i = 0; i < N_KEYS; i++)
        if (f->keys[i] && strlen(f->keys[i]) == len && memcmp(f->keys[i], key, len) == 0)
            return i;
    return -1;
}

static void copy_value(const char *from, size_t len, char *to, size_t room)
{
    while (len > 0 && (*from == ' ' || *from == '\t')) {
        from++;
        len--;
    }
    while (len > 0 && strchr(" \t\r", from[len - 1]))
        len--;
    len = len < room ? len : room - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

static void take_line(const struct form *f, const char *line, size_t len, struct paragraph *p)
{
    const char *colon = memchr(line, ':', len);
    size_t used = colon ? (size_t)(colon - line) : 0;
    int key = colon ? key_of(f, line, used) : -1;

    if (key >= 0)
        copy_value(colon + 1, len - used - 1, p->values[key], sizeof(p->values[key]));
}

/* dpkg keeps those that are removed, too, for the sake of their configuration files. */
static bool is_installed(const struct paragraph *p)
{
    return !p->values[STATUS][0] || text_ends(p->values[STATUS], " installed");
}

static void end_paragraph(const struct form *f, struct paragraph *p, struct packages *out)
{
    const struct package package = {.type = f->type,
                                    .name = p->values[NAME],
                                    .version = p->values[VERSION],
                                    .architecture = p->values[ARCHITECTURE],
                                    .license = p->values[LICENSE]};

    if (is_installed(p))
        packages_add(out, &package);
    memset(p, 0, sizeof(*p));
}

/* *len: of the line at text, without its end.  Returns what follows it. */
static const char *cut_line(const char *text, const char *end, size_t *len)
{
    const char *stop = memchr(text, '\n', (size_t)(end - text));

    *len = (size_t)((stop ? stop : end) - text);
    return stop ? stop + 1 : end;
}

void packages_read_control(enum packages_file kind, const char *text, size_t len,
                           struct packages *out)
{
    const struct form *f = &forms[kind];
    const char *end = text + len;
    struct paragraph p = {.values = {""}};

    while (text < end) {
        const char *line = text;
        size_t n;

        text = cut_line(line, end, &n);
        if (n > 0 && !(n == 1 && *line == '\r')) {
            take_line(f, line, n, &p);
            continue;
        }
        if (f->one)
            break;
        end_paragraph(f, &p, out);
    }
    end_paragraph(f, &p, out);
}

/* ---- os-release ---- */

static void copy_quoted(const char *from, size_t len, char *to, size_t room)
{
    if (len >= 2 && (*from == '"' || *from == '\'') && from[len - 1] == *from) {
        from++;
        len -= 2;
    }
    copy_value(from, len, to, room);
    if (!text_is_utf8(to, strlen(to)) || text_has_control(to, strlen(to)))
        *to = '\0';
}

void packages_read_os(const char *text, size_t len, struct packages_os *ret)
{
    const char *end = text + len;

    *ret = (struct packages_os){.id = ""};
    while (text < end) {
        const char *line = text;
        size_t n;

        text = cut_line(line, end, &n);
        if (n > 3 && memcmp(line, "ID=", 3) == 0)
            copy_quoted(line + 3, n - 3, ret->id, sizeof(ret->id));
        else if (n > 11 && memcmp(line, "VERSION_ID=", 11) == 0)
            copy_quoted(line + 11, n - 11, ret->version, sizeof(ret->version));
    }
}
