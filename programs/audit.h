/* programs/audit — what the commands note of themselves in the audit log. */
#ifndef PROGRAMS_AUDIT_H
#define PROGRAMS_AUDIT_H

#include "worker/worker.h"

/* By the user of this process; account, workspace and object may be NULL. */
MUST_CHECK int audit_note(struct state *s, const char *action, const char *account,
                          const char *workspace, const char *object, struct error *err);

#endif
