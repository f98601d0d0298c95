/* templates/image_io — where libext2fs writes to: a file of holes, and a note of what was written.
 *
 * libext2fs hands its opener nothing but a name, so the name is the address of the image. */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <string.h>

#include "base/fs.h"
#include "templates/image.h"

static struct image *image_of(io_channel channel)
{
    return channel->private_data;
}

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
    io_channel channel = NULL;
    uintptr_t address = 0;
    errcode_t code;

    (void)flags;
    if (sscanf(name, "%" SCNxPTR, &address) != 1)
        return EXT2_ET_BAD_DEVICE_NAME;
    code = ext2fs_get_mem(sizeof(*channel), &channel);
    if (code)
        return code;
    memset(channel, 0, sizeof(*channel));
    channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->manager = (io_manager)(uintptr_t)image_io_manager();
    channel->block_size = 1024;
    channel->refcount = 1;
    channel->private_data = (void *)address;
    *ret = channel;
    return 0;
}

static errcode_t io_close(io_channel channel)
{
    if (--channel->refcount > 0)
        return 0;
    return ext2fs_free_mem(&channel);
}

static errcode_t io_set_blksize(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

/* A negative count is one of bytes. */
static size_t length_of(io_channel channel, int count)
{
    return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)channel->block_size;
}

static errcode_t io_read64(io_channel channel, unsigned long long block, int count, void *data)
{
    const size_t len = length_of(channel, count);
    const ssize_t got =
        fs_pread(image_of(channel)->fd, data, len, (uint64_t)block * (uint64_t)channel->block_size);

    if (got < 0)
        return errno;
    memset((char *)data + got, 0, len - (size_t)got);
    return 0;
}

static void note(struct image *m, uint64_t from, uint64_t to)
{
    for (uint64_t block = from / IMAGE_BLOCK; block * IMAGE_BLOCK < to && block < m->n_blocks;
         block++)
        m->written[block / 8] |= (unsigned char)(1u << (block % 8));
}

static errcode_t write_bytes(struct image *m, uint64_t at, const void *data, size_t len)
{
    if (fs_pwrite(m->fd, data, len, at) < 0)
        return errno;
    note(m, at, at + len);
    return 0;
}

static errcode_t io_write64(io_channel channel, unsigned long long block, int count,
                            const void *data)
{
    return write_bytes(image_of(channel), (uint64_t)block * (uint64_t)channel->block_size, data,
                       length_of(channel, count));
}

static errcode_t io_read(io_channel channel, unsigned long block, int count, void *data)
{
    return io_read64(channel, block, count, data);
}

static errcode_t io_write(io_channel channel, unsigned long block, int count, const void *data)
{
    return io_write64(channel, block, count, data);
}

static errcode_t io_write_byte(io_channel channel, unsigned long offset, int count,
                               const void *data)
{
    return write_bytes(image_of(channel), offset, data, (size_t)count);
}

static errcode_t io_flush(io_channel channel)
{
    (void)channel;
    return 0;
}

/* What was never written is zero already. */
static errcode_t io_zeroout(io_channel channel, unsigned long long block, unsigned long long count)
{
    (void)channel;
    (void)block;
    (void)count;
    return 0;
}

static const struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "kiln",
    .open = io_open,
    .close = io_close,
    .set_blksize = io_set_blksize,
    .read_blk = io_read,
    .write_blk = io_write,
    .flush = io_flush,
    .write_byte = io_write_byte,
    .read_blk64 = io_read64,
    .write_blk64 = io_write64,
    .discard = io_zeroout,
    .zeroout = io_zeroout,
};

const struct struct_io_manager *image_io_manager(void)
{
    return &manager;
}

void image_io_init(struct image_io *io, struct image *image)
{
    io->image = image;
    (void)snprintf(io->name, sizeof(io->name), "%" PRIxPTR, (uintptr_t)image);
}

int image_write_blocks(struct build *b, uint64_t block, const void *data, uint32_t n,
                       struct error *err)
{
    errcode_t code = write_bytes(b->image, block * IMAGE_BLOCK, data, (size_t)n * IMAGE_BLOCK);

    return code ? image_failed(err, code, "write blocks of the image") : 0;
}

int image_write_gathered(struct build *b, struct error *err)
{
    const uint32_t n = b->n_gathered;

    b->n_gathered = 0;
    return n ? image_write_blocks(b, b->gathered_at, b->gathered, n, err) : 0;
}

int image_write_block(struct build *b, uint64_t block, const void *data, struct error *err)
{
    if ((block != b->gathered_at + b->n_gathered || b->n_gathered == IMAGE_GATHER) &&
        image_write_gathered(b, err) < 0)
        return -1;
    if (!b->gathered && !(b->gathered = malloc((size_t)IMAGE_GATHER * IMAGE_BLOCK)))
        return error_set(err, ERR_SYSTEM, "make the image: out of memory");
    if (b->n_gathered == 0)
        b->gathered_at = block;
    memcpy(b->gathered + (size_t)b->n_gathered++ * IMAGE_BLOCK, data, IMAGE_BLOCK);
    return 0;
}
