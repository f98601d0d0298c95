/* dockerfile/platform — "linux/arm64/v8": operating system, architecture and variant, as
 * containerd's platforms package reads them. */
#ifndef DOCKERFILE_PLATFORM_H
#define DOCKERFILE_PLATFORM_H

#include "base/error.h"

#ifdef __aarch64__
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "amd64"
#endif

struct platform {
    char os[64];
    char architecture[64]; /* by its usual name: x86_64 is amd64 */
    char variant[64];      /* "" when there is none, or it is the architecture's usual one */
};

/* ERR_INPUT in containerd's words. */
MUST_CHECK int platform_parse(const char *text, struct platform *ret, struct error *err);

#endif
