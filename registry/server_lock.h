/* registry/server_lock — who uses the directory of a registry server. */
#ifndef REGISTRY_SERVER_LOCK_H
#define REGISTRY_SERVER_LOCK_H

#include "registry/registry.h"

/* Until *ret_fd is closed, which the caller does.  alone: nobody else may.  *ret_busy: others keep
 * it from that, and there is no *ret_fd. */
MUST_CHECK int registry_server_lock(const char *dir, bool alone, bool *ret_busy, int *ret_fd,
                                    struct error *err);

#endif
