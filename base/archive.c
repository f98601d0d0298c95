/* base/archive — see the header. */
#include "base/archive.h"

#include <string.h>

void archive_restore_locale(const locale_t *previous)
{
    (void)uselocale(*previous);
}

bool archive_header_is_good(struct archive *a, int result)
{
    const char *text = archive_error_string(a);

    return result == ARCHIVE_OK || (result == ARCHIVE_WARN && text && strstr(text, "be converted"));
}

int archive_next_block(struct archive *a, const void **ret_data, size_t *ret_len,
                       uint64_t *ret_offset)
{
    const void *data = NULL;
    size_t len = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(a, &data, &len, &offset);

    if ((result != ARCHIVE_OK && result != ARCHIVE_EOF) || offset < 0)
        return -1;
    *ret_data = result == ARCHIVE_EOF ? NULL : data;
    *ret_len = result == ARCHIVE_EOF ? 0 : len;
    *ret_offset = (uint64_t)offset;
    return 0;
}
