/* uploads/content — the bytes of one member, counted against the limits before they go anywhere. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/entry_name.h"
#include "uploads/extract.h"

/* Below this many bytes nothing is a bomb: a few lines of text alone compress a hundredfold. */
#define RATIO_FROM (UINT64_C(64) << 20)

#define REMEDY "leave out what the image does not need and upload again"

static int refuse_size(const struct extraction *x, const struct member *m, struct error *err)
{
    char limit[TEXT_SIZE];

    text_size(x->limits->bytes_max, limit);
    return entry_name_refuse(err, ERR_LIMIT, m->name,
                             "with it the archive unpacks to more than %s (%" PRIu64
                             " bytes), the limit; " REMEDY,
                             limit, x->limits->bytes_max);
}

static bool ratio_is_exceeded(const struct extraction *x, uint64_t unpacked)
{
    uint64_t allowed;

    if (unpacked <= RATIO_FROM)
        return false;
    return !__builtin_mul_overflow(x->archive_size, x->limits->ratio_max, &allowed) &&
           unpacked > allowed;
}

int content_count(struct extraction *x, const struct member *m, uint64_t bytes, struct error *err)
{
    uint64_t *total = &x->report->bytes;

    if (bytes > x->limits->bytes_max || *total > x->limits->bytes_max - bytes)
        return refuse_size(x, m, err);
    *total += bytes;
    if (ratio_is_exceeded(x, *total) || ratio_is_exceeded(x, member_reader_unpacked(x->reader)))
        return entry_name_refuse(err, ERR_LIMIT, m->name,
                                 "the archive unpacks to more than %" PRIu64
                                 " times its own size, as archives made to fill a disk do; " REMEDY,
                                 x->limits->ratio_max);
    return 0;
}

/* A piece of the current member. */
struct piece {
    const void *data; /* NULL: the end; offset is the whole size */
    size_t len;
    uint64_t offset;
};

/* *position: how far the member has been counted; holes count as the bytes they read as. */
static int next_piece(struct extraction *x, const struct member *m, uint64_t *position,
                      struct piece *ret, struct error *err)
{
    struct piece p = {.data = NULL};
    uint64_t end;

    if (member_reader_data(x->reader, &p.data, &p.len, &p.offset, err) < 0)
        return error_wrap(err, "archive entry %s", text_show(m->name).text);
    if (__builtin_add_overflow(p.offset, p.len, &end) || p.offset > INT64_MAX)
        return refuse_size(x, m, err);
    if (end > *position) {
        if (content_count(x, m, end - *position, err) < 0)
            return -1;
        *position = end;
    }
    *ret = p;
    return 0;
}

/* A lie in the header costs nothing; the truth saves unpacking what will be refused. */
static int check_declared(const struct extraction *x, const struct member *m, struct error *err)
{
    if (m->size > x->limits->bytes_max || x->report->bytes > x->limits->bytes_max - m->size)
        return refuse_size(x, m, err);
    return 0;
}

static int write_at(int fd, uint64_t *at, const struct piece *p, struct error *err)
{
    if (p->offset != *at && lseek(fd, (off_t)p->offset, SEEK_SET) < 0)
        return error_errno(err, errno, "seek");
    if (fs_write_all(fd, p->data, p->len, err) < 0)
        return -1;
    *at = p->offset + p->len;
    return 0;
}

int content_to_file(struct extraction *x, const struct member *m, int fd, const struct buf *prefix,
                    struct error *err)
{
    uint64_t at = prefix ? prefix->len : 0;
    uint64_t position = at;
    struct piece p = {.data = NULL};

    if (check_declared(x, m, err) < 0)
        return -1;
    if (prefix && fs_write_all(fd, buf_str(prefix), prefix->len, err) < 0)
        return error_wrap(err, "unpack archive entry %s", text_show(m->name).text);
    for (;;) {
        if (next_piece(x, m, &position, &p, err) < 0)
            return -1;
        if (!p.data)
            break;
        if (write_at(fd, &at, &p, err) < 0)
            return error_wrap(err, "unpack archive entry %s", text_show(m->name).text);
    }
    /* A hole at the end has no piece. */
    if (position > at && ftruncate(fd, (off_t)position) < 0)
        return error_errno(err, errno, "unpack archive entry %s", text_show(m->name).text);
    return 0;
}

int content_begin(struct extraction *x, const struct member *m, struct buf *out, bool *ret_whole,
                  struct error *err)
{
    uint64_t position = 0;
    struct piece p = {.data = NULL};

    for (;;) {
        if (next_piece(x, m, &position, &p, err) < 0)
            return -1;
        if (!p.data)
            break;
        /* The ceiling is the caller's question, not a limit: the piece is kept whole. */
        if (p.len > out->max - out->len)
            out->max = out->len + p.len;
        buf_add(out, p.data, p.len);
        if (out->full)
            return error_set(err, ERR_SYSTEM, "unpack: out of memory");
        if (out->len >= PATH_MAX) {
            *ret_whole = false;
            return 0;
        }
    }
    *ret_whole = true;
    return 0;
}

static int refuse_long(const struct member *m, const struct buf *out, struct error *err)
{
    return entry_name_refuse(err, ERR_LIMIT, m->name,
                             "it is larger than %zu bytes, the limit; shorten it and upload again",
                             out->max);
}

int content_to_buf(struct extraction *x, const struct member *m, struct buf *out, struct error *err)
{
    uint64_t position = 0;
    struct piece p = {.data = NULL};

    if (m->size > out->max)
        return refuse_long(m, out, err);
    for (;;) {
        if (next_piece(x, m, &position, &p, err) < 0)
            return -1;
        if (!p.data)
            return 0;
        if (p.offset != out->len)
            return entry_name_refuse(err, ERR_INPUT, m->name,
                                     "it is a file with holes; write it anew and upload again");
        buf_add(out, p.data, p.len);
        if (out->full)
            return refuse_long(m, out, err);
    }
}

int content_drop(struct extraction *x, const struct member *m, struct error *err)
{
    uint64_t position = 0;
    struct piece p = {.data = NULL};

    do
        if (next_piece(x, m, &position, &p, err) < 0)
            return -1;
    while (p.data);
    return 0;
}
