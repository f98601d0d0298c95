/* builder/build_result — what a jail says that it has built. */
#ifndef BUILDER_BUILD_RESULT_H
#define BUILDER_BUILD_RESULT_H

#include "builder/builder.h"

#define BUILD_RESULT_MAX (64U << 20) /* bytes of JSON */

/* Reads what execute_write_result wrote, in the jail where the user's commands ran: nothing of it
 * is believed that is not looked at.  ERR_SYSTEM: it is none. */
MUST_CHECK int build_result_read(const char *text, size_t len, struct builder_image *ret,
                                 struct error *err);

/* A line of text for each step that was done, as execute_note_step wrote them; the last one may be
 * cut off.  text is changed.  Only ret->keys are set, empty when there are none. */
void build_result_read_steps(char *text, struct builder_image *ret);

#endif
