/* templates/store — see the header. */
#include "templates/store.h"

#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/digest.h"
#include "base/text.h"
#include "templates/channel.h"

#define FORMAT     "kiln-store 1\nhash-bits "
#define FORMAT_MAX 160

/* ---- opening ---- */

/* The file "format": its last line is the SHA-256 of the lines before and of the secret. */
static void write_format(unsigned bits, const void *secret, char ret[FORMAT_MAX])
{
    unsigned char both[FORMAT_MAX + SECRET_SIZE];
    char hex[SHA256_HEX];
    size_t n = (size_t)snprintf(ret, FORMAT_MAX, FORMAT "%u\n", bits);

    memcpy(both, ret, n);
    memcpy(both + n, secret, SECRET_SIZE);
    digest_sha256_hex(both, n + SECRET_SIZE, hex);
    (void)snprintf(ret + n, FORMAT_MAX - n, "sum %s\n", hex);
}

/* Kiln wrote no sum at first: a text that has none is a format as well. */
static bool is_format(const char *text, unsigned bits, const void *secret)
{
    char expected[FORMAT_MAX];
    size_t unsummed;

    write_format(bits, secret, expected);
    unsummed = strlen(expected) - strlen("sum \n") - (SHA256_HEX - 1);
    return strcmp(text, expected) == 0 ||
           (strncmp(text, expected, unsummed) == 0 && text[unsummed] == '\0');
}

static int check_format(struct template_store *s, const struct buf *format,
                        const struct buf *secret, struct error *err)
{
    const char *bits = buf_str(format) + strlen(FORMAT);
    char number[8] = "";
    uint64_t value = 0;

    if (text_starts(buf_str(format), FORMAT))
        (void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(bits, "\n"), bits);
    if (!text_to_u64(number, 128, &value) || value == 0 || secret->len != SECRET_SIZE)
        return error_set(err, ERR_SYSTEM,
                         "%s is no store of this version of kiln: its format or secret is not one",
                         storage_where(s->storage));
    if (!is_format(buf_str(format), (unsigned)value, secret->data))
        return error_set(err, ERR_SYSTEM,
                         "%s: its file format or secret is damaged: restore both from a copy",
                         storage_where(s->storage));
    s->hasher.bits = (unsigned)value;
    memcpy(s->hasher.secret, secret->data, SECRET_SIZE);
    return 0;
}

static int make_format(struct template_store *s, struct error *err)
{
    unsigned char secret[SECRET_SIZE];
    char format[FORMAT_MAX];

    digest_random(secret, sizeof(secret));
    write_format(s->options.hash_bits ? s->options.hash_bits : 128, secret, format);
    if (storage_put_setting(s->storage, "secret", secret, sizeof(secret), err) < 0)
        return -1;
    /* Last, for where it is the store is whole. */
    return storage_put_setting(s->storage, "format", format, strlen(format), err);
}

/* With the lock, unless somebody has made it meanwhile. */
static int make_settings(struct template_store *s, struct buf *format, struct error *err)
{
    int lock = -1;
    int result;

    if (storage_lock(s->storage, true, &lock, err) < 0)
        return -1;
    result = storage_get_setting(s->storage, "format", format, err);
    if (result == 0 && format->len == 0) {
        result = make_format(s, err);
        if (result == 0)
            result = storage_get_setting(s->storage, "format", format, err);
    }
    storage_unlock(s->storage, &lock);
    return result;
}

/* Settings never change, so a store that is whole is opened without waiting for anybody. */
static int load_settings(struct template_store *s, struct error *err)
{
    CLEANUP(buf_release) struct buf format = BUF_INIT(4096);
    CLEANUP(buf_release) struct buf secret = BUF_INIT(4096);

    if (storage_get_setting(s->storage, "format", &format, err) < 0 ||
        (format.len == 0 && make_settings(s, &format, err) < 0) ||
        storage_get_setting(s->storage, "secret", &secret, err) < 0)
        return -1;
    return check_format(s, &format, &secret, err);
}

int store_open(struct storage *storage, const struct template_options *options,
               struct template_store **ret, struct error *err)
{
    struct template_store *s = calloc(1, sizeof(*s));

    if (!s) {
        storage_free(storage);
        return error_set(err, ERR_SYSTEM, "open the store: out of memory");
    }
    s->storage = storage;
    s->options = options ? *options : (struct template_options){.hash_bits = 0};
    if (load_settings(s, err) < 0) {
        template_store_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

int template_store_open(const char *dir, const struct template_options *options,
                        struct template_store **ret, struct error *err)
{
    struct storage *storage = NULL;
    char socket[PATH_MAX];
    struct stat st;
    int result;

    (void)snprintf(socket, sizeof(socket), "%s/" CHANNEL_SOCKET, dir);
    if (lstat(socket, &st) == 0 && S_ISSOCK(st.st_mode))
        result = storage_open_channel(socket, &storage, err);
    else
        result = storage_open_directory(dir, &storage, err);
    if (result < 0)
        return error_wrap(err, "open the template store");
    return store_open(storage, options, ret, err);
}

int template_store_open_memory(const struct template_options *options, struct template_store **ret,
                               struct error *err)
{
    struct storage *storage = NULL;

    if (storage_open_memory(&storage, err) < 0)
        return -1;
    return store_open(storage, options, ret, err);
}

void template_store_free(struct template_store *s)
{
    if (!s)
        return;
    storage_free(s->storage);
    free(s);
}

/* ---- views ---- */

static int open_packs(struct template_store *s, const struct argv *names,
                      const struct argv *condemned, struct view *v, bool *ret_gone,
                      struct error *err)
{
    *ret_gone = false;
    for (size_t i = 0; i < names->n; i++) {
        struct pack_origin origin;
        int fd = -1;

        if (argv_contains(condemned, names->v[i]))
            continue;
        if (storage_open_pack(s->storage, names->v[i], &fd, &origin, err) < 0)
            return -1;
        if (fd < 0) {
            *ret_gone = true;
            continue;
        }
        if (pack_open(&s->hasher, names->v[i], fd, origin, &v->packs[v->n_packs], err) < 0)
            return -1;
        v->n_packs++;
    }
    return 0;
}

static int open_view(struct template_store *s, bool condemned, struct view *ret, bool *ret_gone,
                     struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(argv_release) struct argv not_these = ARGV_INIT;

    *ret = (struct view){.hasher = &s->hasher};
    if (storage_list(s->storage, AREA_PACKS, &names, err) < 0 ||
        (!condemned && storage_list(s->storage, AREA_CONDEMNED, &not_these, err) < 0))
        return -1;
    ret->packs = calloc(names.n + 1, sizeof(*ret->packs));
    if (!ret->packs)
        return error_set(err, ERR_SYSTEM, "open the packs: out of memory");
    if (open_packs(s, &names, &not_these, ret, ret_gone, err) < 0) {
        view_release(ret);
        return -1;
    }
    return 0;
}

/* A pack that went since it was listed may have left its chunks to one that came since then. */
int view_open(struct template_store *s, bool condemned, struct view *ret, struct error *err)
{
    bool gone = true;

    while (gone) {
        struct view view;

        if (open_view(s, condemned, &view, &gone, err) < 0)
            return -1;
        if (gone)
            view_release(&view);
        else
            *ret = view;
    }
    return 0;
}

void view_release(struct view *v)
{
    for (size_t i = 0; i < v->n_packs; i++)
        pack_close(&v->packs[i]);
    free(v->packs);
    v->packs = NULL;
    v->n_packs = 0;
}

bool view_find(const struct view *v, struct address a, size_t *near, struct pack_chunk *ret)
{
    for (size_t k = 0; k < v->n_packs; k++) {
        size_t i = (*near + k) % v->n_packs;
        uint32_t row;

        if (!pack_find(&v->packs[i], a, &row))
            continue;
        *near = i;
        *ret = pack_chunk(&v->packs[i], row);
        return true;
    }
    return false;
}

/* ---- reading ---- */

int reader_init(struct reader *r, const struct view *view, struct error *err)
{
    *r = (struct reader){.view = view, .keep = READER_FRAMES};
    r->dctx = ZSTD_createDCtx();
    r->stored = malloc(FRAME_MAX);
    if (!r->dctx || !r->stored) {
        reader_release(r);
        return error_set(err, ERR_SYSTEM, "read chunks: out of memory");
    }
    return 0;
}

void reader_release(struct reader *r)
{
    for (size_t i = 0; i < READER_FRAMES; i++)
        free(r->frames[i].raw);
    free(r->stored);
    (void)ZSTD_freeDCtx(r->dctx);
    *r = (struct reader){.view = NULL};
}

/* The slot that holds the frame, or the one that was not used for longest. */
static size_t slot_of(const struct reader *r, const struct pack *p, uint32_t frame, bool *ret_there)
{
    size_t oldest = 0;

    for (size_t i = 0; i < r->keep; i++) {
        if (r->frames[i].pack == p && r->frames[i].frame == frame) {
            *ret_there = true;
            return i;
        }
        if (r->frames[i].used < r->frames[oldest].used)
            oldest = i;
    }
    *ret_there = false;
    return oldest;
}

static int load_frame(struct reader *r, const struct pack *p, uint32_t frame,
                      const unsigned char **ret, struct error *err)
{
    bool there;
    size_t i = slot_of(r, p, frame, &there);

    r->frames[i].used = ++r->clock;
    if (!there) {
        r->frames[i].pack = NULL;
        if (!r->frames[i].raw && !(r->frames[i].raw = malloc(FRAME_MAX)))
            return error_set(err, ERR_SYSTEM, "read chunks: out of memory");
        if (pack_read_frame(r->view->hasher, p, frame, r->dctx, r->stored, r->frames[i].raw, err) <
            0)
            return -1;
        r->frames[i].pack = p;
        r->frames[i].frame = frame;
    }
    *ret = r->frames[i].raw;
    return 0;
}

static int damaged(const struct pack *p, const struct pack_chunk *c, struct error *err)
{
    return error_set(err, ERR_SYSTEM,
                     "pack %s is damaged: the chunk at %u of frame %u is not what its address "
                     "says; kiln template verify names what it touches",
                     p->name, c->offset, c->frame);
}

/* With its frame checked, but not itself. */
static int find_chunk(struct reader *r, const struct pack *p, const struct pack_chunk *c,
                      const unsigned char **ret_data, struct error *err)
{
    const unsigned char *raw = NULL;

    if (load_frame(r, p, c->frame, &raw, err) < 0)
        return -1;
    if (c->len == 0 || c->len > CHUNK_MAX ||
        (uint64_t)c->offset + c->len > pack_frame(p, c->frame).raw)
        return damaged(p, c, err);
    *ret_data = raw + c->offset;
    return 0;
}

int reader_chunk(struct reader *r, const struct pack *p, const struct pack_chunk *c,
                 const unsigned char **ret_data, struct error *err)
{
    const unsigned char *data = NULL;

    if (find_chunk(r, p, c, &data, err) < 0)
        return -1;
    if (!hasher_verify(r->view->hasher, c->address, data, c->len))
        return damaged(p, c, err);
    *ret_data = data;
    return 0;
}

int reader_equals(struct reader *r, const struct pack *p, const struct pack_chunk *c,
                  const void *data, bool *ret, struct error *err)
{
    const unsigned char *there = NULL;

    if (find_chunk(r, p, c, &there, err) < 0)
        return -1;
    if (memcmp(there, data, c->len) == 0)
        *ret = true;
    else if (hasher_verify(r->view->hasher, c->address, there, c->len))
        *ret = false;
    else
        return damaged(p, c, err);
    return 0;
}

int reader_find(struct reader *r, struct address a, struct pack_chunk *ret, struct error *err)
{
    if (view_find(r->view, a, &r->near, ret))
        return 0;
    return error_set(err, ERR_SYSTEM,
                     "the store has no chunk %016llx%016llx: a pack is missing or its table is "
                     "damaged; kiln template verify says which",
                     (unsigned long long)a.high, (unsigned long long)a.low);
}

int reader_address(struct reader *r, struct address a, const unsigned char **ret_data,
                   uint32_t *ret_len, struct error *err)
{
    struct pack_chunk c;

    if (reader_find(r, a, &c, err) < 0)
        return -1;
    *ret_len = c.len;
    return reader_chunk(r, &r->view->packs[r->near], &c, ret_data, err);
}

unsigned store_threads(const struct template_store *s, unsigned max)
{
    cpu_set_t set;
    int n = s->options.threads                             ? (int)s->options.threads
            : sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                           : 1;

    return n < 1 ? 1 : (unsigned)n > max ? max : (unsigned)n;
}
