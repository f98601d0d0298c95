/* templates/source_zip — a ZIP, read in any order: stored and deflated members.
 *
 * A member that fits into memory is inflated at once, by libdeflate, which takes less than half of
 * zlib's time (fetched, by any thread, or opened); longer ones are streamed through zlib.  Size and
 * CRC-32 are held against what the directory says. */
#include <errno.h>
#include <libdeflate.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/fs.h"
#include "base/text.h"
#include "templates/source.h"
#include "templates/zip_directory.h"

#define WHOLE_MAX (8u << 20) /* a member up to this size is inflated at once */
/* Deflate may lengthen what it cannot shorten: what takes more than this is not fetched. */
#define FETCH_PACKED    (FETCH_MAX + FETCH_MAX / 16)
#define INPUT_SIZE      (256u << 10)
#define METHOD_STORED   0
#define METHOD_DEFLATED 8

struct place {
    uint64_t local, packed;
    uint32_t crc;
    uint16_t method;
};

/* What inflating at once takes; the path is of the member at hand, for messages. */
struct hand {
    struct libdeflate_decompressor *inflater;
    unsigned char *packed;
    char path[PATH_MAX];
};

struct zip {
    struct source source;
    int fd;
    uint64_t size;
    uint64_t packed_total;
    struct tree *tree; /* while scanning */
    struct place *places;
    size_t n_places, cap_places;

    struct hand *hand;
    unsigned char *whole; /* WHOLE_MAX */
    /* The open member. */
    struct place place;
    uint64_t member_size, at, input_at, input_end;
    uint32_t crc;
    bool in_whole;
    bool streaming;
    z_stream z;
    unsigned char *input;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
}

static int damaged(const struct hand *h, struct error *err)
{
    return entry_refuse(err, ERR_INPUT, h->path,
                        "its bytes in the ZIP are damaged: make the archive again and upload it "
                        "whole");
}

/* ---- hands ---- */

static void hand_free(void *hand)
{
    struct hand *h = hand;

    if (!h)
        return;
    if (h->inflater)
        libdeflate_free_decompressor(h->inflater);
    free(h->packed);
    free(h);
}

static int make_hand(size_t packed_max, struct hand **ret, struct error *err)
{
    struct hand *h = calloc(1, sizeof(*h));

    if (!h)
        return out_of_memory(err);
    h->inflater = libdeflate_alloc_decompressor();
    h->packed = malloc(packed_max);
    if (!h->inflater || !h->packed) {
        hand_free(h);
        return out_of_memory(err);
    }
    *ret = h;
    return 0;
}

static int hand_new(const struct source *source, void **ret, struct error *err)
{
    struct hand *h = NULL;

    (void)source;
    if (make_hand(FETCH_PACKED, &h, err) < 0)
        return -1;
    *ret = h;
    return 0;
}

/* ---- reading ---- */

static int read_at(const struct zip *z, const struct hand *h, uint64_t at, unsigned char *data,
                   size_t len, struct error *err)
{
    const ssize_t got = fs_pread(z->fd, data, len, at);

    if (got < 0)
        return error_errno(err, errno, "read the archive");
    return (size_t)got < len ? damaged(h, err) : 0;
}

/* Where the bytes of a member begin. */
static int find_data(const struct zip *z, const struct hand *h, const struct place *p,
                     uint64_t *ret, struct error *err)
{
    if (zip_directory_data(z->fd, z->size, p->local, p->packed, ret, err) < 0)
        return error_wrap(err, "entry %s", text_show(h->path).text);
    return 0;
}

/* All of a member, from `at` of the archive to data. */
static int inflate_whole(const struct zip *z, struct hand *h, const struct place *p, uint64_t at,
                         unsigned char *data, size_t size, struct error *err)
{
    size_t got = 0;

    if (p->method == METHOD_STORED) {
        if (p->packed != size)
            return damaged(h, err);
        if (read_at(z, h, at, data, size, err) < 0)
            return -1;
    } else {
        if (read_at(z, h, at, h->packed, (size_t)p->packed, err) < 0)
            return -1;
        if (libdeflate_deflate_decompress(h->inflater, h->packed, (size_t)p->packed, data, size,
                                          &got) != LIBDEFLATE_SUCCESS ||
            got != size)
            return damaged(h, err);
    }
    return libdeflate_crc32(0, data, size) == p->crc ? 0 : damaged(h, err);
}

static bool zip_can_fetch(const struct source *source, const struct node *n)
{
    return ((const struct zip *)source)->places[n->data].packed <= FETCH_PACKED;
}

static int zip_fetch(const struct source *source, void *hand, const struct tree *t, uint32_t node,
                     unsigned char *data, struct error *err)
{
    const struct zip *z = (const struct zip *)source;
    const struct place *p = &z->places[t->nodes[node].data];
    struct hand *h = hand;
    uint64_t at = 0;

    nodes_path(t, node, h->path);
    if (find_data(z, h, p, &at, err) < 0)
        return -1;
    return inflate_whole(z, h, p, at, data, (size_t)t->nodes[node].size, err);
}

static int begin_stream(struct zip *z, struct error *err)
{
    z->in_whole = false;
    z->crc = 0;
    if (z->place.method == METHOD_STORED)
        return z->place.packed == z->member_size ? 0 : damaged(z->hand, err);
    if (!z->streaming && inflateInit2(&z->z, -MAX_WBITS) != Z_OK)
        return out_of_memory(err);
    if (z->streaming && inflateReset(&z->z) != Z_OK)
        return out_of_memory(err);
    z->streaming = true;
    z->z.avail_in = 0;
    return 0;
}

static int open_place(struct zip *z, const struct place *p, uint64_t size, struct error *err)
{
    z->place = *p;
    z->member_size = size;
    z->at = 0;
    if (find_data(z, z->hand, p, &z->input_at, err) < 0)
        return -1;
    z->input_end = z->input_at + p->packed;
    if (size > WHOLE_MAX || p->packed > WHOLE_MAX)
        return begin_stream(z, err);
    z->in_whole = true;
    return inflate_whole(z, z->hand, p, z->input_at, z->whole, (size_t)size, err);
}

static int stream(struct zip *z, unsigned char *data, size_t len, struct error *err)
{
    z->z.next_out = data;
    z->z.avail_out = (unsigned)len;
    while (z->z.avail_out > 0) {
        uint64_t left = z->input_end - z->input_at;
        int result;

        if (z->z.avail_in == 0 && left > 0) {
            size_t n = left < INPUT_SIZE ? (size_t)left : INPUT_SIZE;

            if (read_at(z, z->hand, z->input_at, z->input, n, err) < 0)
                return -1;
            z->input_at += n;
            z->z.next_in = z->input;
            z->z.avail_in = (unsigned)n;
        }
        result = inflate(&z->z, Z_NO_FLUSH);
        if (result == Z_STREAM_END && z->z.avail_out == 0)
            break;
        if (result != Z_OK)
            return damaged(z->hand, err);
    }
    return 0;
}

static int zip_read(struct source *source, uint64_t offset, void *data, size_t len,
                    struct error *err)
{
    struct zip *z = (struct zip *)source;

    (void)offset; /* a ZIP has no holes */
    if (len > z->member_size - z->at)
        return damaged(z->hand, err);
    if (z->in_whole) {
        memcpy(data, z->whole + z->at, len);
        z->at += len;
        return 0;
    }
    if (z->place.method == METHOD_STORED) {
        if (read_at(z, z->hand, z->input_at, data, len, err) < 0)
            return -1;
        z->input_at += len;
    } else if (stream(z, data, len, err) < 0) {
        return -1;
    }
    z->crc = libdeflate_crc32(z->crc, data, len);
    z->at += len;
    return z->at == z->member_size && z->crc != z->place.crc ? damaged(z->hand, err) : 0;
}

static int zip_open(struct source *source, const struct tree *t, uint32_t node, struct error *err)
{
    struct zip *z = (struct zip *)source;

    nodes_path(t, node, z->hand->path);
    return open_place(z, &z->places[t->nodes[node].data], t->nodes[node].size, err);
}

/* ---- scanning ---- */

static int keep_place(struct zip *z, const struct zip_member *m, uint64_t *ret, struct error *err)
{
    if (z->n_places == z->cap_places) {
        size_t cap = z->cap_places ? z->cap_places * 2 : 1024;
        struct place *places = reallocarray(z->places, cap, sizeof(*places));

        if (!places)
            return out_of_memory(err);
        z->places = places;
        z->cap_places = cap;
    }
    z->places[z->n_places] =
        (struct place){.local = m->local, .packed = m->packed, .crc = m->crc, .method = m->method};
    *ret = z->n_places++;
    return 0;
}

static int check_member(struct zip *z, const struct zip_member *m, struct error *err)
{
    if (m->encrypted)
        return entry_refuse(err, ERR_INPUT, m->name,
                            "it is encrypted; make the archive again without a password");
    if (!S_ISREG(m->mode) && !S_ISDIR(m->mode) && !S_ISLNK(m->mode))
        return entry_refuse(err, ERR_INPUT, m->name,
                            "it is a device, FIFO or socket, which a template cannot hold; leave "
                            "it out");
    if (m->method != METHOD_STORED && m->method != METHOD_DEFLATED)
        return entry_refuse(err, ERR_INPUT, m->name,
                            "it is compressed by a method that is not supported; make the archive "
                            "again with deflate, the usual one");
    /* Members that share bytes are how a small ZIP becomes an enormous one. */
    z->packed_total += m->packed;
    if (m->packed > z->size || z->packed_total > z->size)
        return entry_refuse(err, ERR_INPUT, m->name,
                            "members of the ZIP overlap; make the archive again");
    return 0;
}

/* A link's data is its target, unless it can be none: one client stores the linked file there. */
static int read_target(struct zip *z, const struct zip_member *m, char target[PATH_MAX],
                       bool *ret_is_target, struct error *err)
{
    struct place p = {.local = m->local, .packed = m->packed, .crc = m->crc, .method = m->method};

    *ret_is_target = m->size > 0 && m->size < PATH_MAX;
    if (!*ret_is_target)
        return 0;
    if (open_place(z, &p, m->size, err) < 0 || zip_read(&z->source, 0, target, m->size, err) < 0)
        return -1;
    target[m->size] = '\0';
    *ret_is_target = strlen(target) == m->size;
    return 0;
}

static int add_member(void *self, const struct zip_member *m, struct error *err)
{
    struct zip *z = self;
    char path[PATH_MAX], target[PATH_MAX];
    struct tree_entry e = {.name = m->name,
                           .path = path,
                           .target = target,
                           .mode = (uint16_t)(m->mode & 07777u),
                           .uid = m->uid,
                           .gid = m->gid,
                           .mtime = m->mtime,
                           .type = S_ISDIR(m->mode) ? NODE_DIRECTORY : NODE_FILE};
    uint32_t node;
    bool wanted;

    source_tick(&z->source);
    if (source_path(&z->source, m->name, z->tree->limits, path, &wanted, err) < 0)
        return -1;
    if (!wanted)
        return 0;
    if (check_member(z, m, err) < 0)
        return -1;
    (void)snprintf(z->hand->path, sizeof(z->hand->path), "%s", path);
    if (S_ISLNK(m->mode)) {
        bool is_target;

        if (read_target(z, m, target, &is_target, err) < 0)
            return -1;
        if (is_target)
            e.type = NODE_SYMLINK;
        else
            e.mode &= 0755;
    }
    if (e.type == NODE_FILE) {
        e.size = m->size;
        if (keep_place(z, m, &e.data, err) < 0)
            return -1;
    }
    return nodes_add(z->tree, &e, &node, err);
}

static int zip_scan(struct source *source, struct tree *t, struct error *err)
{
    struct zip *z = (struct zip *)source;

    z->tree = t;
    return zip_directory_read(z->fd, z->size, add_member, z, err);
}

static void zip_release(struct source *source)
{
    struct zip *z = (struct zip *)source;

    if (z->streaming)
        (void)inflateEnd(&z->z);
    hand_free(z->hand);
    free(z->whole);
    free(z->input);
    free(z->places);
    free(z);
}

static const struct source_kind zip_kind = {.scan = zip_scan,
                                            .open = zip_open,
                                            .read = zip_read,
                                            .release = zip_release,
                                            .hand_new = hand_new,
                                            .hand_free = hand_free,
                                            .can_fetch = zip_can_fetch,
                                            .fetch = zip_fetch};

int source_open_zip(int fd, uint64_t size, struct source **ret, struct error *err)
{
    struct zip *z = calloc(1, sizeof(*z));

    if (!z)
        return out_of_memory(err);
    z->source.kind = &zip_kind;
    z->source.sub = "";
    z->fd = fd;
    z->size = size;
    z->source.plain_fd = -1;
    z->whole = malloc(WHOLE_MAX);
    z->input = malloc(INPUT_SIZE);
    if (make_hand(WHOLE_MAX, &z->hand, err) < 0 || !z->whole || !z->input) {
        zip_release(&z->source);
        return out_of_memory(err);
    }
    *ret = &z->source;
    return 0;
}
