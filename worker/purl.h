/* worker/purl — package URLs (github.com/package-url/purl-spec). */
#ifndef WORKER_PURL_H
#define WORKER_PURL_H

#include "base/buf.h"

struct purl_package {                          /* "" where it is not known */
    const char *type;                          /* "deb", "apk", "rpm", "pypi", "npm", "golang" */
    const char *name, *version, *architecture; /* rpm's version may begin with an epoch, "1:" */
    const char *os, *os_version; /* of the image: ID and VERSION_ID of os-release(5) */
};
void purl_add_package(const struct purl_package *p, struct buf *out);

/* An image: repository is "host/path", digest "sha256:…" or "", tag "" for none. */
void purl_add_image(const char *repository, const char *tag, const char *digest, struct buf *out);

#endif
