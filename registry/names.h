/* registry/names — what may stand in a registry's URL (distribution specification 1.1, "pulling
 * manifests").  All else is refused before a URL is made of it. */
#ifndef REGISTRY_NAMES_H
#define REGISTRY_NAMES_H

#include <stdbool.h>

/* "workspace/sandbox/name": at most 255 bytes. */
bool registry_repository_is_valid(const char *repository);

/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool registry_tag_is_valid(const char *tag);

/* "sha256:" and 64 lower-case hex digits: the one algorithm Kiln uses. */
bool registry_digest_is_valid(const char *digest);

#endif
