/* templates/acl — POSIX ACLs of an archive's entries, as the attributes that ext4 and the kernel
 * know them by (include/uapi/linux/posix_acl_xattr.h, version 2). */
#ifndef TEMPLATES_ACL_H
#define TEMPLATES_ACL_H

#include <archive_entry.h>

#include "base/buf.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* The permission bits that a file with the entry's ACL has: the group's are the ACL's mask. */
unsigned acl_mode(struct archive_entry *e);

/* The value of ACL_ACCESS (type ARCHIVE_ENTRY_ACL_TYPE_ACCESS) or ACL_DEFAULT (…_DEFAULT) for an
 * entry; none when it has no such ACL.  ERR_INPUT for what cannot be kept, saying why; name is the
 * entry's. */
MUST_CHECK int acl_from_entry(struct archive_entry *e, int type, const char *name, struct buf *ret,
                              struct error *err);

/* The other way.  False: it is no such value. */
bool acl_to_entry(struct archive_entry *e, int type, const void *value, size_t len);

#endif
