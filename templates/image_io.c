/* templates/image_io — where libext2fs writes to: a file of holes, and a note of what was written.
 */
#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "templates/ext2_channel.h"
#include "templates/image.h"

static struct image *image_of(io_channel channel)
{
    return channel->private_data;
}

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
    (void)flags;
    return ext2_channel_open(name, image_io_manager(), ret);
}

static errcode_t io_read64(io_channel channel, unsigned long long block, int count, void *data)
{
    const size_t len = ext2_channel_length(channel, count);
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
                       ext2_channel_length(channel, count));
}

static errcode_t io_write_byte(io_channel channel, unsigned long offset, int count,
                               const void *data)
{
    return write_bytes(image_of(channel), offset, data, (size_t)count);
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
    .close = ext2_channel_close,
    .set_blksize = ext2_channel_set_blksize,
    .read_blk = ext2_channel_read,
    .write_blk = ext2_channel_write,
    .flush = ext2_channel_flush,
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
    ext2_channel_name(image, io->name);
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
