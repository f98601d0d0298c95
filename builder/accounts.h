/* builder/accounts — who a USER or a --chown names, looked up in the image's own files.
 *
 * The files are the image's, so they are hostile: they are opened below the tree's root only, read
 * up to a limit, and lines that make no sense are passed over, as runc and BuildKit do
 * (github.com/moby/sys/user). */
#ifndef BUILDER_ACCOUNTS_H
#define BUILDER_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ACCOUNTS_GROUPS_MAX 64

struct account {
    uint32_t uid, gid;
    uint32_t groups[ACCOUNTS_GROUPS_MAX]; /* further ones, of /etc/group; sorted */
    size_t n_groups;
    char home[4096]; /* "/" when there is none */
};

/* Reads "", "name", "uid", "name:group", "uid:gid"… against <root>/etc/passwd and <root>/etc/group;
 * "" is root.  With a group named there are no further groups, as in runc.  root: a directory
 * descriptor of the image's tree; -1: it has no files.  A number need not be in the files (its
 * group is 0 then); a name must, but for "root", which is 0 anywhere: ERR_INPUT says which one is
 * unknown.  ERR_LIMIT: one of the files is larger than 4 MiB, or the user is in more groups than
 * ret can hold. */
MUST_CHECK int accounts_find(int root, const char *who, struct account *ret, struct error *err);

/* Who files shall belong to: "user", "user:group", numbers or names.  As with BuildKit (readUser),
 * a number alone is the group too, a name alone has the group of its line in /etc/passwd, and a
 * name that is unknown changes nothing: it is root, or the user's group (*ret_unknown: there was
 * one). Home and further groups are not looked at. */
MUST_CHECK int accounts_find_owner(int root, const char *who, uint32_t *ret_uid, uint32_t *ret_gid,
                                   bool *ret_unknown, struct error *err);

/* The same over the text of the two files, which ends at its first NUL. */
MUST_CHECK int accounts_read(const char *passwd, const char *group, const char *who,
                             struct account *ret, struct error *err);
MUST_CHECK int accounts_read_owner(const char *passwd, const char *group, const char *who,
                                   uint32_t *ret_uid, uint32_t *ret_gid, bool *ret_unknown,
                                   struct error *err);

#endif
