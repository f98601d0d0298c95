/* The first line is the Content-Type, the rest the answer's body. */
#include <string.h>

#include "base/text.h"
#include "registry/manifest.h"
#include "registry/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error_document(const char *body, size_t len)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(512);

    registry_error_read(body, len, &out);
    if (text_has_control(buf_str(&out), out.len) || !text_is_utf8(buf_str(&out), out.len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    struct registry_manifest m = {.size = 77};
    struct error err = ERROR_INIT;
    CLEANUP_FREE char *type = NULL;

    if (!end)
        return 0;
    type = strndup(text, (size_t)(end - text));
    size -= (size_t)(end + 1 - text);
    check_error_document(end + 1, size);
    if (registry_manifest_read(end + 1, size, *type ? type : NULL, &m, &err) == 0) {
        if (!registry_digest_is_valid(m.digest) || !text_starts(m.media_type, "application/vnd."))
            abort();
    } else if (err.kind != ERR_REMOTE || m.size != 77) {
        abort();
    }
    return 0;
}
