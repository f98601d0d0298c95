/* programs/authorities — the operator's own certificate authorities, as one file that libcurl,
 * OpenSSL, libgit2 and buildah can be given. */
#ifndef PROGRAMS_AUTHORITIES_H
#define PROGRAMS_AUTHORITIES_H

#include "base/error.h"

/* Writes all certificates of `from` — a file in PEM, or a directory with such files, *.pem and
 * *.crt — to the file `to`.  ERR_INPUT: there are none, or a private key is among them. */
MUST_CHECK int authorities_collect(const char *from, const char *to, struct error *err);

#endif
