/* backup/manifest — see the header.  A vault may come from anywhere: every number has a bound, and
 * a path leads nowhere but below the root. */
#include "backup/manifest.h"

#include <string.h>

#include "base/text.h"

struct parser {
    const struct manifest_sink *sink;
    struct backup_facts facts;
    int line; /* of the text, from 1 */
    uint64_t offset;
    bool in_file, ended;
    uint64_t missing; /* bytes of the file that are still to come */
};

static int refuse(const struct parser *p, const char *what, struct error *err)
{
    return error_set(err, ERR_INPUT, "line %d of the manifest: %s", p->line, what);
}

bool manifest_path_is_valid(const char *path)
{
    const size_t len = strlen(path);

    if (len == 0 || len >= BACKUP_PATH || text_has_control(path, len) || !text_is_utf8(path, len))
        return false;
    for (const char *at = path;; at++) {
        const size_t n = strcspn(at, "/");

        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += n;
        if (!*at)
            return true;
    }
}

/* ---- words ---- */

/* Cuts the word off; NULL: there is no blank behind it. */
static char *cut(char *text)
{
    char *blank = strchr(text, ' ');

    if (blank)
        *blank++ = '\0';
    return blank;
}

static bool read_mode(const char *text, mode_t *ret)
{
    size_t n = strspn(text, "01234567");

    if (n == 0 || n > 4 || text[n])
        return false;
    *ret = (mode_t)strtoul(text, NULL, 8);
    return true;
}

static int read_directory(struct parser *p, char *text, struct manifest_entry *e, struct error *err)
{
    char *path = cut(text);

    if (!path || !read_mode(text, &e->mode) || !manifest_path_is_valid(path))
        return refuse(p, "no directory", err);
    e->path = path;
    return 0;
}

static int read_file(struct parser *p, char *text, struct manifest_entry *e, struct error *err)
{
    char *size = cut(text);
    char *path = size ? cut(size) : NULL;

    if (!path || !read_mode(text, &e->mode) || !text_to_u64(size, MANIFEST_SIZE, &e->size) ||
        !manifest_path_is_valid(path))
        return refuse(p, "no file", err);
    e->path = path;
    p->in_file = true;
    p->missing = e->size;
    return 0;
}

/* ---- pieces of a file ---- */

static int take_piece(struct parser *p, struct manifest_entry *e, struct error *err)
{
    if (!p->in_file || e->size == 0 || e->size > p->missing)
        return refuse(p, "a piece of no file", err);
    p->missing -= e->size;
    return 0;
}

static int read_chunk(struct parser *p, char *text, struct manifest_entry *e, struct error *err)
{
    char *size = cut(text);

    if (!size || !digest_is_hex(text) || !text_to_u64(size, BACKUP_CHUNK, &e->size))
        return refuse(p, "no chunk", err);
    memcpy(e->hex, text, sizeof(e->hex));
    return take_piece(p, e, err);
}

static int read_bytes(struct parser *p, const char *text, struct buf *bytes,
                      struct manifest_entry *e, struct error *err)
{
    if (!digest_unbase64(text, bytes) || bytes->full)
        return refuse(p, "no base64", err);
    e->bytes = buf_str(bytes);
    e->size = bytes->len;
    return take_piece(p, e, err);
}

/* ---- lines ---- */

static const struct {
    const char *word;
    enum manifest_kind kind;
} kinds[] = {
    {"note", MANIFEST_NOTE},   {"dir", MANIFEST_DIRECTORY}, {"file", MANIFEST_FILE},
    {"chunk", MANIFEST_CHUNK}, {"zeros", MANIFEST_ZEROS},   {"text", MANIFEST_BYTES},
    {"sum", MANIFEST_SUM},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool is_piece(enum manifest_kind kind)
{
    return kind == MANIFEST_CHUNK || kind == MANIFEST_ZEROS || kind == MANIFEST_BYTES;
}

static int read_entry(struct parser *p, char *text, struct manifest_entry *e, struct buf *bytes,
                      struct error *err)
{
    if (!is_piece(e->kind)) {
        if (p->missing)
            return refuse(p, "the file before it is not complete", err);
        p->in_file = false;
    }
    switch (e->kind) {
    case MANIFEST_NOTE:
        e->text = text;
        return 0;
    case MANIFEST_DIRECTORY:
        return read_directory(p, text, e, err);
    case MANIFEST_FILE:
        return read_file(p, text, e, err);
    case MANIFEST_CHUNK:
        return read_chunk(p, text, e, err);
    case MANIFEST_ZEROS:
        if (!text_to_u64(text, MANIFEST_SIZE, &e->size))
            return refuse(p, "no number", err);
        return take_piece(p, e, err);
    case MANIFEST_BYTES:
        return read_bytes(p, text, bytes, e, err);
    case MANIFEST_SUM:
        break;
    }
    p->ended = true;
    return digest_is_hex(text) ? 0 : refuse(p, "no sum", err);
}

static int read_header(struct parser *p, char *word, char *text, struct error *err)
{
    static const char *const words[] = {"kiln-backup", "made", "program", "schema"};
    uint64_t number;

    if (strcmp(word, words[p->line - 1]) != 0)
        return refuse(p, "this is no backup", err);
    if (p->line == 1 && strcmp(text, "1") != 0)
        return refuse(p, "it is of a newer Kiln", err);
    if (p->line == 3) {
        if (strlen(text) >= sizeof(p->facts.program))
            return refuse(p, "too long", err);
        (void)snprintf(p->facts.program, sizeof(p->facts.program), "%s", text);
        return 0;
    }
    if (!text_to_u64(text, p->line == 2 ? INT64_MAX : INT32_MAX, &number))
        return refuse(p, "no number", err);
    if (p->line == 2)
        p->facts.made = (int64_t)number;
    if (p->line == 4)
        p->facts.schema = (int)number;
    return p->line == 4 && p->sink->facts ? p->sink->facts(p->sink->self, &p->facts, err) : 0;
}

static int read_line(struct parser *p, char *line, struct error *err)
{
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(MANIFEST_TEXT);
    struct manifest_entry e = {.offset = p->offset};
    char *text = cut(line);
    size_t i = 0;

    if (!text || text_has_control(text, strlen(text)))
        return refuse(p, "not two words", err);
    if (p->line <= 4)
        return read_header(p, line, text, err);
    while (i < KINDS && strcmp(kinds[i].word, line) != 0)
        i++;
    if (i == KINDS)
        return refuse(p, "not known", err);
    e.kind = kinds[i].kind;
    if (read_entry(p, text, &e, &bytes, err) < 0)
        return -1;
    return p->sink->entry ? p->sink->entry(p->sink->self, &e, err) : 0;
}

/* Without its end, which must be there; *ret_len counts it.  0: there is no more. */
static int next_line(FILE *from, char line[MANIFEST_LINE], size_t *ret_len, const struct parser *p,
                     struct error *err)
{
    size_t len;

    *ret_len = 0;
    if (!fgets(line, MANIFEST_LINE, from))
        return ferror(from) ? error_set(err, ERR_SYSTEM, "read the manifest: input/output error")
                            : 0;
    len = strlen(line);
    if (len == 0 || line[len - 1] != '\n')
        return refuse(p, "too long, or cut off", err);
    line[len - 1] = '\0';
    *ret_len = len;
    return 0;
}

int manifest_parse(FILE *from, const struct manifest_sink *sink, struct error *err)
{
    struct parser p = {.sink = sink};
    char line[MANIFEST_LINE];
    size_t len;

    for (;;) {
        p.line++;
        if (next_line(from, line, &len, &p, err) < 0)
            return -1;
        if (len == 0)
            break;
        if (p.ended)
            return refuse(&p, "there is something behind the sum", err);
        if (read_line(&p, line, err) < 0)
            return -1;
        p.offset += len;
    }
    return p.ended ? 0 : refuse(&p, "the rest is missing", err);
}

/* ---- the sum ---- */

#define SUM_LINE (sizeof("sum \n") - 1 + SHA256_HEX - 1)

/* Of all but the last line. */
static int sum_up(FILE *from, uint64_t len, char hex[SHA256_HEX], struct error *err)
{
    CLEANUP(sha256_freep) struct sha256 *sha = NULL;
    unsigned char sum[SHA256_SIZE];
    char piece[65536];

    if (sha256_new(&sha, err) < 0)
        return -1;
    while (len > 0) {
        const size_t n = len < sizeof(piece) ? (size_t)len : sizeof(piece);

        if (fread(piece, 1, n, from) != n)
            return error_set(err, ERR_SYSTEM, "read the manifest: input/output error");
        sha256_add(sha, piece, n);
        len -= n;
    }
    sha256_end(sha, sum);
    digest_hex(sum, sizeof(sum), hex);
    return 0;
}

int manifest_check(FILE *from, struct error *err)
{
    char hex[SHA256_HEX], expected[SUM_LINE + 1], line[SUM_LINE + 1];
    long size;

    if (fseek(from, 0, SEEK_END) < 0 || (size = ftell(from)) < 0)
        return error_set(err, ERR_SYSTEM, "read the manifest: it is no file");
    rewind(from);
    if (size < (long)SUM_LINE)
        return error_set(err, ERR_INPUT, "the manifest is cut off");
    if (sum_up(from, (uint64_t)size - SUM_LINE, hex, err) < 0)
        return -1;
    (void)snprintf(expected, sizeof(expected), "sum %s\n", hex);
    if (fread(line, 1, SUM_LINE, from) != SUM_LINE || memcmp(line, expected, SUM_LINE) != 0)
        return error_set(err, ERR_INPUT, "the manifest is damaged: its sum is not %s", hex);
    rewind(from);
    return 0;
}
