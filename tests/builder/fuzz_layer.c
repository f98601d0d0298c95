/* Any bytes as a layer's blob: whatever they say, nothing outside of the diff is made or changed.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "builder/layer_tar.h"
#include "builder/layer_unpack.h"
#include "tests/builder/layer_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hardly a changed header gets past its checksum, so most get the right one: the fuzzer is after
 * what comes behind it. */
static void mend_checksums(char *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        char *header = data + at;
        unsigned sum = 0;

        if (memcmp(header + 257, "ustar", 5) != 0)
            continue;
        memset(header + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
            sum += (unsigned char)header[i];
        (void)snprintf(header + 148, 8, "%06o", sum);
    }
}

/* The bytes as a file; an input of an even length with its checksums mended. */
static int make_blob(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *copy = malloc(size + 1);
    int blob = memfd_create("blob", MFD_CLOEXEC);
    struct error err = ERROR_INIT;

    if (!copy || blob < 0)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    if (size % 2 == 0)
        mend_checksums(copy, size);
    if (fs_write_all(blob, copy, size, &err) < 0 || lseek(blob, 0, SEEK_SET) < 0)
        abort();
    return blob;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct layer_bounds bounds = {.tar_size = 1 << 20, .entries = 200};
    CLEANUP_CLOSE int blob = make_blob(data, size);
    const char *in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    struct error err = ERROR_INIT;
    struct layer_scratch *s;
    struct layer seen;
    void *state = NULL;

    if (layer_scratch_setup_in(in, &state) < 0)
        abort();
    s = state;
    if (layer_unpack_fd(blob, &bounds, true, s->back, &seen, &err) < 0) {
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
