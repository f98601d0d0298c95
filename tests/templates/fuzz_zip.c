/* Any bytes as a ZIP: its members lie within it, or it is an error with a reason. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "templates/zip_directory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct zip {
    int fd;
    uint64_t size;
};

static void check_error(const struct error *err)
{
    if (err->kind != ERR_INPUT || err->msg[0] == '\0')
        abort(); /* it is the archive that is wrong, and how is said */
}

static int check_member(void *self, const struct zip_member *m, struct error *err)
{
    const struct zip *z = self;
    struct error problem = ERROR_INIT;
    uint64_t data = 0;

    (void)err;
    if ((m->mode & S_IFMT) == 0)
        abort();
    if (zip_directory_data(z->fd, z->size, m->local, m->packed, &data, &problem) < 0)
        check_error(&problem);
    else if (data > z->size || m->packed > z->size - data)
        abort(); /* its bytes are not in the file */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_CLOSE int fd = memfd_create("zip", MFD_CLOEXEC);
    struct zip z = {.fd = fd, .size = size};
    struct error err = ERROR_INIT;

    if (fd < 0 || fs_write_all(fd, data, size, &err) < 0)
        abort();
    if (zip_directory_read(fd, size, check_member, &z, &err) < 0)
        check_error(&err);
    return 0;
}
