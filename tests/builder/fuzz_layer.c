/* Any bytes as a layer's blob: whatever they say, nothing outside of the diff is made or changed.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "builder/layer_unpack.h"
#include "tests/builder/layer_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct layer_bounds bounds = {.tar_size = 1 << 20, .entries = 200};
    CLEANUP_CLOSE int blob = memfd_create("blob", MFD_CLOEXEC);
    struct error err = ERROR_INIT;
    struct layer_scratch *s;
    struct layer seen;
    void *state = NULL;

    if (blob < 0 || fs_write_all(blob, data, size, &err) < 0 || lseek(blob, 0, SEEK_SET) < 0 ||
        layer_scratch_setup(&state) < 0)
        abort();
    s = state;
    if (layer_unpack_fd(blob, &bounds, size % 2, s->back, &seen, &err) < 0) {
        if (err.kind == ERR_NONE || err.msg[0] == '\0' || err.kind == ERR_REMOTE)
            abort(); /* a failure without a reason */
    } else if (seen.tar_size > bounds.tar_size || seen.entries > bounds.entries ||
               seen.size != size) {
        abort();
    }
    if (!layer_scratch_is_contained(s))
        abort();
    (void)layer_scratch_teardown(&state);
    return 0;
}
