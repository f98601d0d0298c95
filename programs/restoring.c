/* programs/restoring — see the header. */
#include "programs/restoring.h"

#include <limits.h>

int restoring_check(const char *data_dir, struct error *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/" RESTORING, data_dir) >= (int)sizeof(path) ||
        access(path, F_OK) < 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "a restore into %s has not ended: run kiln restore again, or empty the "
                     "directory",
                     data_dir);
}
