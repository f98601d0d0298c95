/* base/archive — what all who read by libarchive have in common.
 *
 * libarchive converts names to the thread's locale.  Under "C" what it cannot convert it hands over
 * as it is, with a warning that is expected; every other warning means that something was dropped
 * or guessed. */
#ifndef BASE_ARCHIVE_H
#define BASE_ARCHIVE_H

#include <archive.h>
#include <locale.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* For the rest of the block this thread, and no other, has the locale. */
void archive_restore_locale(const locale_t *previous);
#define ARCHIVE_IN_LOCALE(locale)                                                                  \
    CLEANUP(archive_restore_locale)                                                                \
    __attribute__((unused)) locale_t previous_locale_ = uselocale(locale)

/* Whether what archive_read_next_header said is no failure: all is well, or the one warning that is
 * expected. */
bool archive_header_is_good(struct archive *a, int result);

/* The next bytes of the member, and where in it they belong: what lies between are zeros.  At the
 * end *ret_data is NULL, and *ret_offset the member's size.  -1: archive_error_string says what is
 * wrong, or nothing does. */
MUST_CHECK int archive_next_block(struct archive *a, const void **ret_data, size_t *ret_len,
                                  uint64_t *ret_offset);

#endif
