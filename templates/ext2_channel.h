/* templates/ext2_channel — what the channels have in common through which libext2fs reads and
 * writes what is no device: the image that is made (image_io) and the volume that is exported
 * (disk_tar).
 *
 * libext2fs hands an opener nothing but a name, so the name is the address of the object. */
#ifndef TEMPLATES_EXT2_CHANNEL_H
#define TEMPLATES_EXT2_CHANNEL_H

#include <ext2fs/ext2fs.h>

#define EXT2_CHANNEL_NAME 40

/* What to call object, for ext2fs_open or ext2fs_initialize. */
void ext2_channel_name(const void *object, char ret[EXT2_CHANNEL_NAME]);

/* For a manager's open; the channel's private_data is then the object. */
errcode_t ext2_channel_open(const char *name, const struct struct_io_manager *manager,
                            io_channel *ret);

/* Members of a manager. */
errcode_t ext2_channel_close(io_channel channel);
errcode_t ext2_channel_set_blksize(io_channel channel, int size);
errcode_t ext2_channel_flush(io_channel channel); /* nothing to do */
/* By the manager's 64-bit ones. */
errcode_t ext2_channel_read(io_channel channel, unsigned long block, int count, void *data);
errcode_t ext2_channel_write(io_channel channel, unsigned long block, int count, const void *data);

/* Bytes of count blocks; a negative count is one of bytes. */
size_t ext2_channel_length(io_channel channel, int count);

/* What libext2fs, or the system, calls the error. */
const char *ext2_text(errcode_t code);

#endif
