/* Any bytes as an archive: it becomes an image that reads back as its digest says, or an error with
 * a reason. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct template_limits limits = {
        .entries_max = 200, .bytes_max = 4 << 20, .depth_max = 10};
    const struct template_options options = {.threads = 1};
    CLEANUP_CLOSE int fd = memfd_create("archive", MFD_CLOEXEC);
    struct template_pack_request req = {
        .name = "fuzz", .archive_fd = fd, .limits = &limits, .now = 1};
    struct template_pack_report report;
    struct template_store *store = NULL;
    struct error err = ERROR_INIT;

    if (fd < 0 || fs_write_all(fd, data, size, &err) < 0 ||
        template_store_open_memory(&options, &store, &err) < 0)
        abort();
    if (template_pack(store, &req, &report, &err) < 0) {
        if (err.kind == ERR_NONE || err.kind == ERR_REMOTE || err.msg[0] == '\0')
            abort(); /* a failure without a reason */
    } else if (!image_is_right(store, "fuzz", &err)) {
        abort();
    }
    template_store_free(store);
    return 0;
}
