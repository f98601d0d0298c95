/* dockerfile/platform — names are matched first, then brought into their usual form. */
#include "dockerfile/platform.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/quote.h"

#define COMPONENT "^[A-Za-z0-9_.-]+$"

static bool is_known_os(const char *os)
{
    static const char *const names[] = {
        "aix",   "android", "darwin", "dragonfly", "freebsd", "hurd",    "illumos", "ios", "js",
        "linux", "nacl",    "netbsd", "openbsd",   "plan9",   "solaris", "windows", "zos", NULL};

    return text_is_among(os, names);
}

static bool is_known_architecture(const char *name)
{
    static const char *const names[] = {"386",    "amd64",   "amd64p32", "arm",       "armbe",
                                        "arm64",  "arm64be", "ppc64",    "ppc64le",   "mips",
                                        "mipsle", "mips64",  "mips64le", "mips64p32", "mips64p32le",
                                        "ppc",    "riscv",   "riscv64",  "s390",      "s390x",
                                        "sparc",  "sparc64", "wasm",     "loong64",   NULL};

    return text_is_among(name, names);
}

static void set(char field[64], const char *s, size_t len)
{
    (void)snprintf(field, 64, "%.*s", (int)(len > 63 ? 63 : len), s);
    for (; *field; field++)
        *field = (char)tolower((unsigned char)*field);
}

static void normalize(struct platform *p)
{
    static const struct {
        const char *written, *architecture, *variant; /* variant NULL: as written */
    } names[] = {
        {"i386", "386", NULL},      {"x86_64", "amd64", NULL}, {"x86-64", "amd64", NULL},
        {"aarch64", "arm64", NULL}, {"armhf", "arm", "v7"},    {"armel", "arm", "v6"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(p->architecture, names[i].written) != 0)
            continue;
        set(p->architecture, names[i].architecture, strlen(names[i].architecture));
        if (names[i].variant)
            set(p->variant, names[i].variant, strlen(names[i].variant));
        break;
    }
    if ((strcmp(p->architecture, "arm64") == 0 &&
         (strcmp(p->variant, "8") == 0 || strcmp(p->variant, "v8") == 0)) ||
        (strcmp(p->architecture, "amd64") == 0 && strcmp(p->variant, "v1") == 0))
        p->variant[0] = '\0';
    if (strcmp(p->os, "macos") == 0)
        set(p->os, "darwin", 6);
}

static bool is_component(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("_.-", s[i]))
            return false;
    return len > 0;
}

/* Bytes of the system's name in "windows(10.0.17763)"; 0: it is none. */
static size_t system_length(const char *s, size_t len)
{
    const char *open = memchr(s, '(', len);
    size_t n = open ? (size_t)(open - s) : len;

    if (open && s[len - 1] != ')')
        return 0;
    for (size_t i = n + 1; open && i + 1 < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("_.+-%", s[i]))
            return 0;
    return is_component(s, n) && !memchr(s, '.', n) ? n : 0;
}

static int refuse(const char *part, size_t len, const char *text, bool first, struct error *err)
{
    char copy[128], quoted[QUOTE_SIZE], whole[QUOTE_SIZE];

    (void)snprintf(copy, sizeof(copy), "%.*s", (int)(len > 100 ? 100 : len), part);
    return error_set(err, ERR_INPUT,
                     "%s is an invalid %s of %s: %s must match \"" COMPONENT "\": invalid argument",
                     quote_short(copy, quoted), first ? "OS component" : "component",
                     quote_short(text, whole),
                     first ? "OSAndVersion specifier component" : "platform specifier component");
}

/* One word: a system, else an architecture. */
static int complete(struct platform *p, const char *text, struct error *err)
{
    char quoted[QUOTE_SIZE];

    if (is_known_os(p->os)) {
        set(p->architecture, ARCHITECTURE, strlen(ARCHITECTURE));
        return 0;
    }
    set(p->architecture, text, strlen(text));
    normalize(p);
    if (!is_known_architecture(p->architecture))
        return error_set(err, ERR_INPUT,
                         "%s: unknown operating system or architecture: invalid argument",
                         quote_short(text, quoted));
    set(p->os, "linux", 5);
    return 0;
}

int platform_parse(const char *text, struct platform *ret, struct error *err)
{
    struct platform p = {.os = ""};
    char *fields[] = {p.os, p.architecture, p.variant};
    const char *part = text;
    char quoted[QUOTE_SIZE];
    size_t n = 0;

    if (strchr(text, '*'))
        return error_set(err, ERR_INPUT, "%s: wildcards not yet supported: invalid argument",
                         quote_short(text, quoted));
    for (;; n++) {
        size_t len = n < 3 ? strcspn(part, "/") : strlen(part);
        size_t keep = n ? len : system_length(part, len);

        if (n ? !is_component(part, len) : keep == 0)
            return refuse(part, len, text, n == 0, err);
        if (n < 3)
            set(fields[n], part, keep);
        part += len;
        if (!*part++)
            break;
    }
    if (n > 2)
        return error_set(err, ERR_INPUT, "%s: cannot parse platform specifier: invalid argument",
                         quote_short(text, quoted));
    normalize(&p);
    if (n == 0 && complete(&p, text, err) < 0)
        return -1;
    *ret = p;
    return 0;
}
