/* templates/ext2_channel — see the header. */
#include "templates/ext2_channel.h"

#include <inttypes.h>
#include <string.h>

void ext2_channel_name(const void *object, char ret[EXT2_CHANNEL_NAME])
{
    (void)snprintf(ret, EXT2_CHANNEL_NAME, "%" PRIxPTR, (uintptr_t)object);
}

errcode_t ext2_channel_open(const char *name, const struct struct_io_manager *manager,
                            io_channel *ret)
{
    io_channel channel = NULL;
    uintptr_t address = 0;
    errcode_t code;

    if (sscanf(name, "%" SCNxPTR, &address) != 1)
        return EXT2_ET_BAD_DEVICE_NAME;
    code = ext2fs_get_mem(sizeof(*channel), &channel);
    if (code)
        return code;
    memset(channel, 0, sizeof(*channel));
    channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->manager = (io_manager)(uintptr_t)manager;
    channel->block_size = 1024;
    channel->refcount = 1;
    channel->private_data = (void *)address;
    *ret = channel;
    return 0;
}

errcode_t ext2_channel_close(io_channel channel)
{
    return --channel->refcount > 0 ? 0 : ext2fs_free_mem(&channel);
}

errcode_t ext2_channel_set_blksize(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

errcode_t ext2_channel_flush(io_channel channel)
{
    (void)channel;
    return 0;
}

errcode_t ext2_channel_read(io_channel channel, unsigned long block, int count, void *data)
{
    return channel->manager->read_blk64(channel, block, count, data);
}

errcode_t ext2_channel_write(io_channel channel, unsigned long block, int count, const void *data)
{
    return channel->manager->write_blk64(channel, block, count, data);
}

size_t ext2_channel_length(io_channel channel, int count)
{
    return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)channel->block_size;
}

const char *ext2_text(errcode_t code)
{
    const struct error_table *t = &et_ext2_error_table;

    return code >= t->base && code - t->base < t->n_msgs ? t->msgs[code - t->base]
                                                         : error_message(code);
}
