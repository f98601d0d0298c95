/* builder/packages_rpm — the three forms of rpm's database, which are files of header blobs.
 *
 *   packages_rpm.c         which form it is, and what a blob says
 *   packages_rpm_sqlite.c  rpmdb.sqlite: RHEL 9, Fedora 33 and later
 *   packages_rpm_ndb.c     Packages.db: SUSE
 *   packages_rpm_bdb.c     Packages, a hash database of Berkeley DB: up to RHEL 8
 *
 * The file is whatever an image has under such a name.  Nothing is read twice: all blobs together
 * are no larger than the file, and where they would be, it is not sound. */
#ifndef BUILDER_PACKAGES_RPM_H
#define BUILDER_PACKAGES_RPM_H

#include <stdint.h>

#include "base/buf.h"
#include "builder/packages.h"

#define PACKAGES_RPM_FILE_MAX (256U << 20) /* bytes of a database */
#define PACKAGES_RPM_BLOB_MAX (32U << 20)  /* bytes of a package's header */

struct packages_rpm {
    int fd;
    uint64_t size; /* of the file, bytes */
    uint64_t left; /* bytes that blobs may still have */
    struct packages *out;
};

/* Whether a blob may have that many bytes; they are counted. */
bool packages_rpm_take(struct packages_rpm *r, uint64_t len);

/* Reads len bytes at an offset; false: they are not there. */
bool packages_rpm_read(const struct packages_rpm *r, void *data, size_t len, uint64_t offset);

/* Adds the package that a header says; one that is not sound is left out, and out is then cut. */
void packages_rpm_add(const struct packages_rpm *r, const void *blob, size_t len);

/* Each adds the packages of a database of its form.  False: it is not sound, or goes beyond a
 * limit; what was read up to there stays. */
bool packages_rpm_read_sqlite(struct packages_rpm *r);
bool packages_rpm_read_ndb(struct packages_rpm *r);
bool packages_rpm_read_bdb(struct packages_rpm *r);

#endif
