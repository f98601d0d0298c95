/* templates/overlay_file — an overlay is made, opened, grown and closed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "templates/bytes.h"
#include "templates/catalog.h"
#include "templates/overlay_layout.h"

#define MAGIC "KilnOvly\1"

static void encode(const struct overlay_header *h, unsigned char page[OVERLAY_BLOCK])
{
    memset(page, 0, OVERLAY_BLOCK);
    memcpy(page, MAGIC, sizeof(MAGIC) - 1);
    bytes_put64(page + 16, h->size);
    bytes_put64(page + 24, h->ref.revision);
    memcpy(page + 32, h->ref.name, strlen(h->ref.name));
    memcpy(page + 96, h->digest, strlen(h->digest));
    memcpy(page + 176, h->holder, strlen(h->holder));
    digest_sha256(page, HEADER_SUMMED, page + HEADER_SUMMED);
}

/* What is said of the revision becomes part of a path. */
static bool names_a_revision(const struct overlay_header *h)
{
    char name[REVISION_NAME];
    struct template_ref ref;

    catalog_name(&h->ref, name);
    return catalog_parse(name, &ref) && strcmp(ref.name, h->ref.name) == 0 &&
           catalog_is_holder(h->holder);
}

static bool decode(const unsigned char page[OVERLAY_BLOCK], struct overlay_header *ret)
{
    unsigned char sum[SHA256_SIZE];

    digest_sha256(page, HEADER_SUMMED, sum);
    if (memcmp(page, MAGIC, sizeof(MAGIC) - 1) != 0 ||
        memcmp(sum, page + HEADER_SUMMED, sizeof(sum)) != 0)
        return false;
    *ret = (struct overlay_header){.size = bytes_get64(page + 16)};
    ret->ref.revision = bytes_get64(page + 24);
    memcpy(ret->ref.name, page + 32, sizeof(ret->ref.name) - 1);
    memcpy(ret->digest, page + 96, sizeof(ret->digest) - 1);
    memcpy(ret->holder, page + 176, sizeof(ret->holder) - 1);
    return ret->size > 0 && ret->size <= OVERLAY_SIZE_MAX && names_a_revision(ret);
}

static int lock(int fd, const char *path, struct error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return error_set(err, ERR_INPUT,
                         "%s is in use: another server or export has it open; end that first",
                         path);
    return error_errno(err, errno, "lock %s", path);
}

static int prepare(struct overlay *o, struct error *err)
{
    uint64_t blocks = (o->header.size + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;

    o->n_dirty = (size_t)((blocks + PAGE_BITS - 1) / PAGE_BITS);
    o->dirty = calloc(o->n_dirty, sizeof(*o->dirty));
    if (!o->dirty || !bits_init(&o->written, o->n_dirty * PAGE_BITS))
        return error_set(err, ERR_SYSTEM, "open an overlay: out of memory");
    return 0;
}

static int load_page(struct overlay *o, size_t page, struct error *err)
{
    uint64_t words[PAGE_WORDS];

    if (overlay_pread(o->fd, BITMAP_AT + page * OVERLAY_BLOCK, words, sizeof(words), err) < 0)
        return -1;
    for (size_t i = 0; i < PAGE_WORDS; i++)
        if (words[i])
            o->written.words[page * PAGE_WORDS + i] = le64toh(words[i]);
    return 0;
}

/* Pages of the bitmap that are holes say nothing. */
static int load_bitmap(struct overlay *o, struct error *err)
{
    const off_t end = (off_t)(BITMAP_AT + o->n_dirty * OVERLAY_BLOCK);

    for (off_t at = BITMAP_AT; at < end;) {
        off_t data = lseek(o->fd, at, SEEK_DATA);

        if (data < 0 && errno == ENXIO)
            break;
        data = data < 0 ? at : data;
        if (data >= end)
            break;
        at = data / OVERLAY_BLOCK * OVERLAY_BLOCK;
        if (load_page(o, (size_t)((uint64_t)at / OVERLAY_BLOCK - 1), err) < 0)
            return -1;
        at += OVERLAY_BLOCK;
    }
    return 0;
}

static void init(struct overlay *o)
{
    *o = (struct overlay){.fd = -1};
    (void)pthread_mutex_init(&o->mutex, NULL);
    (void)pthread_mutex_init(&o->flushing, NULL);
}

static int read_overlay(struct overlay *o, const char *path, struct error *err)
{
    unsigned char page[OVERLAY_BLOCK];
    struct stat st;

    if (lock(o->fd, path, err) < 0)
        return -1;
    if (fstat(o->fd, &st) < 0)
        return error_errno(err, errno, "open %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(page) ||
        overlay_pread(o->fd, 0, page, sizeof(page), err) < 0 || !decode(page, &o->header))
        return error_set(err, ERR_INPUT, "%s is not the overlay of a volume, or is damaged", path);
    if (prepare(o, err) < 0)
        return -1;
    return load_bitmap(o, err) < 0 ? error_wrap(err, "open %s", path) : 0;
}

int overlay_open(const char *path, struct overlay *ret, bool *ret_there, struct error *err)
{
    init(ret);
    ret->fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    *ret_there = ret->fd >= 0;
    if (ret->fd >= 0 && read_overlay(ret, path, err) == 0)
        return 0;
    if (ret->fd < 0 && errno == ENOENT)
        return 0;
    if (ret->fd < 0)
        return error_errno(err, errno, "open %s", path);
    overlay_release(ret);
    return -1;
}

static int write_header(struct overlay *o, struct error *err)
{
    unsigned char page[OVERLAY_BLOCK];

    encode(&o->header, page);
    if (ftruncate(o->fd, (off_t)(BLOCKS_AT + o->header.size)) < 0)
        return error_errno(err, errno, "make room for %llu bytes in the overlay",
                           (unsigned long long)o->header.size);
    if (overlay_pwrite(o->fd, 0, page, sizeof(page), err) < 0)
        return -1;
    return fsync(o->fd) < 0 ? error_errno(err, errno, "sync the overlay") : 0;
}

/* Under a name of its own, locked, until it is whole. */
static int create_named(const char *temporary, const char *path, struct overlay *o,
                        struct error *err)
{
    if (lock(o->fd, temporary, err) < 0 || prepare(o, err) < 0 || write_header(o, err) < 0)
        return -1;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        return errno == EEXIST ? error_set(err, ERR_INPUT, "%s is there already", path)
                               : error_errno(err, errno, "name the overlay %s", path);
    return fs_sync_parent(AT_FDCWD, path, err);
}

int overlay_create(const char *path, const struct overlay_header *h, struct overlay *ret,
                   struct error *err)
{
    char temporary[4096], random[9];
    int result;

    init(ret);
    ret->header = *h;
    digest_random_name(random, 8);
    if (h->size > OVERLAY_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "a volume has at most %llu bytes",
                         (unsigned long long)OVERLAY_SIZE_MAX);
    if (snprintf(temporary, sizeof(temporary), "%s.tmp-%s", path, random) >= (int)sizeof(temporary))
        return error_set(err, ERR_INPUT, "the overlay's path is too long");
    ret->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (ret->fd < 0)
        return error_errno(err, errno, "create %s", temporary);
    result = create_named(temporary, path, ret, err);
    if (result < 0) {
        (void)unlink(temporary);
        overlay_release(ret);
    }
    return result;
}

int overlay_grow(struct overlay *o, uint64_t size, struct error *err)
{
    struct overlay_header before = o->header;

    if (size > OVERLAY_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "a volume has at most %llu bytes",
                         (unsigned long long)OVERLAY_SIZE_MAX);
    bits_release(&o->written);
    free(TAKE(o->dirty));
    o->header.size = size;
    if (prepare(o, err) < 0 || write_header(o, err) < 0) {
        o->header = before;
        return -1;
    }
    return load_bitmap(o, err);
}

void overlay_release(struct overlay *o)
{
    struct error err = ERROR_INIT;

    if (o->fd >= 0 && o->dirty)
        (void)!overlay_flush(o, &err);
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    free(TAKE(o->dirty));
    bits_release(&o->written);
}
