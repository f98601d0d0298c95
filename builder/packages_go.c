/* builder/packages_go — the modules that a Go binary was linked from: the section .go.buildinfo of
 * ELF (System V ABI, chapter 4; Go's debug/buildinfo, the form of Go 1.18 and later). */
#include <elf.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/packages.h"

#define SECTIONS_MAX 4096
#define NAMES_MAX    (64U << 10)
#define INFO_MAX     (4U << 20)
#define SECTION      ".go.buildinfo"
#define MAGIC        "\xff Go buildinf:"
#define MAGIC_LEN    14
#define FLAGS_AT     15 /* bit 1: the strings follow, each after its length */
#define STRINGS_AT   32
#define MARK         16 /* bytes around the list of modules, by which other programs find it */

struct bytes {
    const char *at;
    size_t len;
};

/* ---- the section ---- */

static bool read_exactly(int fd, void *data, size_t len, uint64_t offset)
{
    return fs_pread(fd, data, len, offset) == (ssize_t)len;
}

static bool read_header(int fd, Elf64_Ehdr *ret)
{
    return read_exactly(fd, ret, sizeof(*ret), 0) && memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0 &&
           ret->e_ident[EI_CLASS] == ELFCLASS64 && ret->e_ident[EI_DATA] == ELFDATA2LSB &&
           ret->e_shentsize == sizeof(Elf64_Shdr) && ret->e_shnum <= SECTIONS_MAX &&
           ret->e_shstrndx < ret->e_shnum;
}

static bool is_it(const Elf64_Shdr *s, const char *names, size_t len)
{
    return s->sh_name < len && len - s->sh_name >= sizeof(SECTION) &&
           memcmp(names + s->sh_name, SECTION, sizeof(SECTION)) == 0;
}

/* *ret, its caller's to free; NULL when there is no such section. */
static size_t read_section(int fd, char **ret)
{
    CLEANUP_FREE Elf64_Shdr *sections = NULL;
    CLEANUP_FREE char *names = NULL;
    const Elf64_Shdr *found = NULL;
    Elf64_Ehdr header;
    size_t len;

    *ret = NULL;
    if (!read_header(fd, &header))
        return 0;
    sections = calloc(header.e_shnum, sizeof(*sections));
    names = malloc(NAMES_MAX);
    if (!sections || !names ||
        !read_exactly(fd, sections, header.e_shnum * sizeof(*sections), header.e_shoff))
        return 0;
    len = sections[header.e_shstrndx].sh_size;
    if (len > NAMES_MAX || !read_exactly(fd, names, len, sections[header.e_shstrndx].sh_offset))
        return 0;
    for (size_t i = 0; i < header.e_shnum && !found; i++)
        if (is_it(&sections[i], names, len))
            found = &sections[i];
    if (!found || found->sh_size > INFO_MAX || found->sh_size < STRINGS_AT)
        return 0;
    *ret = malloc(found->sh_size);
    if (*ret && read_exactly(fd, *ret, found->sh_size, found->sh_offset))
        return found->sh_size;
    free(TAKE(*ret));
    return 0;
}

/* ---- its strings ---- */

/* A length as encoding/binary's Uvarint has it, and as many bytes. */
static bool take_string(struct bytes *rest, struct bytes *ret)
{
    uint64_t len = 0;
    unsigned char byte = 0x80;

    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        if (rest->len == 0 || shift > 28)
            return false;
        byte = (unsigned char)*rest->at++;
        rest->len--;
        len |= (uint64_t)(byte & 0x7f) << shift;
    }
    if (len > rest->len)
        return false;
    *ret = (struct bytes){rest->at, (size_t)len};
    rest->at += len;
    rest->len -= (size_t)len;
    return true;
}

/* The next word of a line, up to a tab. */
static void take_word(struct bytes *line, char ret[PACKAGES_WORD_MAX + 2])
{
    const char *tab = memchr(line->at, '\t', line->len);
    size_t len = tab ? (size_t)(tab - line->at) : line->len;
    size_t kept = len < PACKAGES_WORD_MAX + 1 ? len : PACKAGES_WORD_MAX + 1;

    memcpy(ret, line->at, kept);
    ret[kept] = '\0';
    line->at += len + (tab != NULL);
    line->len -= len + (tab != NULL);
}

static bool starts(const struct bytes *line, const char *word)
{
    return line->len >= strlen(word) && memcmp(line->at, word, strlen(word)) == 0;
}

/* "dep\tPATH\tVERSION\tSUM"; a line "=>\t…" after it says what stands for it. */
static void add_module(struct bytes line, const struct bytes *next, struct packages *out)
{
    char word[PACKAGES_WORD_MAX + 2], name[PACKAGES_WORD_MAX + 2], version[PACKAGES_WORD_MAX + 2];

    if (starts(next, "=>\t"))
        line = *next;
    take_word(&line, word);
    take_word(&line, name);
    take_word(&line, version);
    packages_add(out, &(struct package){.type = "golang", .name = name, .version = version});
}

static struct bytes take_line(struct bytes *rest)
{
    const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    const struct bytes line = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
    size_t used = line.len + (end != NULL);

    rest->at += used;
    rest->len -= used;
    return line;
}

static void add_modules(struct bytes list, struct packages *out)
{
    struct bytes next;

    if (list.len < 2 * MARK)
        return;
    list = (struct bytes){list.at + MARK, list.len - 2 * MARK};
    next = take_line(&list);
    while (next.len > 0) {
        const struct bytes line = next;

        next = take_line(&list);
        if (starts(&line, "mod\t") || starts(&line, "dep\t"))
            add_module(line, &next, out);
    }
}

/* "go1.22.3" is the standard library's version. */
static void add_library(const struct bytes *version, struct packages *out)
{
    char text[PACKAGES_WORD_MAX + 2];
    struct bytes line = *version;

    take_word(&line, text);
    text[strcspn(text, " ")] = '\0'; /* "go1.22 X:boringcrypto" */
    if (text_starts(text, "go"))
        packages_add(out,
                     &(struct package){.type = "golang", .name = "stdlib", .version = text + 2});
}

void packages_read_go(int fd, struct packages *out)
{
    CLEANUP_FREE char *section = NULL;
    size_t len = read_section(fd, &section);
    struct bytes rest, version, modules;

    if (!section || memcmp(section, MAGIC, MAGIC_LEN) != 0 || !(section[FLAGS_AT] & 2))
        return;
    rest = (struct bytes){section + STRINGS_AT, len - STRINGS_AT};
    if (!take_string(&rest, &version))
        return;
    add_library(&version, out);
    if (take_string(&rest, &modules))
        add_modules(modules, out);
}
