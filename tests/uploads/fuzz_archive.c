/* Any bytes as an archive: whatever they say, nothing outside of the tree is made or changed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "tests/uploads/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void extract_once(struct scratch *s, int archive, enum tree_method method)
{
    static const struct upload_limits limits = {
        .entries_max = 200,
        .bytes_max = 1 << 20,
        .ratio_max = 200,
        .depth_max = 10,
        .name_max = 255,
        .path_max = 1024,
    };
    CLEANUP(upload_report_release) struct upload_report r;
    struct error err = ERROR_INIT;

    upload_report_init(&r);
    if (extract_with(archive, s->treefd, &limits, method, &r, &err) < 0 &&
        (err.kind == ERR_NONE || err.msg[0] == '\0' || err.kind == ERR_REMOTE))
        abort(); /* a failure without a reason */
    if (r.bytes > limits.bytes_max || r.entries > limits.entries_max + 1)
        abort();
    if (!scratch_is_contained(s))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_CLOSE int archive = memfd_create("archive", MFD_CLOEXEC);
    struct error err = ERROR_INIT;
    void *state = NULL;

    if (archive < 0 || fs_write_all(archive, data, size, &err) < 0 || scratch_setup(&state) < 0)
        abort();
    extract_once(state, archive, size % 2 ? TREE_OPENAT2 : TREE_WALK);
    (void)scratch_teardown(&state);
    return 0;
}
