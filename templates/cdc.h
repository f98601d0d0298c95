/* templates/cdc — where a large file is cut: by its content, so that an insertion moves the cuts
 * behind it along (gear hash with normalized chunking: Xia et al., FastCDC, USENIX ATC 2016).
 *
 * The same bytes from the same start are cut alike everywhere and always: the table and the masks
 * are part of the format's sense, though not of the format. */
#ifndef TEMPLATES_CDC_H
#define TEMPLATES_CDC_H

#include <stdbool.h>
#include <stddef.h>

#define CDC_MIN    (16u << 10)
#define CDC_NORMAL (64u << 10)
#define CDC_MAX    (256u << 10)

/* Bytes of the first chunk of data, of which len bytes are there; more follow unless last.  0: not
 * to be known yet.  With CDC_MAX bytes there it is always known. */
size_t cdc_cut(const unsigned char *data, size_t len, bool last);

/* Whether a chunk of len bytes, more than CDC_MIN, may end there though more follow: cdc_cut says
 * so of data where it has cut nowhere before. */
bool cdc_ends_at(const unsigned char *data, size_t len);

#endif
