/* programs/beside — see the header. */
#include "programs/beside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLUGIN "nbdkit-kiln-volume-plugin.so"

bool program_is_there(const char *program)
{
    const char *path = getenv("PATH");
    char file[4096];

    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    while (path && *path) {
        size_t n = strcspn(path, ":");

        (void)snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, program);
        if (access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

bool program_beside(const char *const places[], char ret[PATH_MAX])
{
    char self[PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? strrchr(self, '/') : NULL;

    if (!slash)
        return false;
    *slash = '\0';
    for (size_t i = 0; places[i]; i++)
        if (snprintf(ret, PATH_MAX, "%s%s", self, places[i]) < PATH_MAX && access(ret, R_OK) == 0)
            return true;
    return false;
}

/* As they are built, and as they are installed. */

bool program_find_plugin(char ret[PATH_MAX])
{
    static const char *const places[] = {"/" PLUGIN, "/../" PLUGIN, "/../lib/kiln/" PLUGIN, NULL};

    return program_beside(places, ret);
}

int program_become_whole(char **words)
{
    static const char *const places[] = {"/whole/kiln", "/../lib/kiln/kiln", NULL};
    char path[PATH_MAX] = "lib/kiln/kiln";

    errno = ENOENT;
    if (program_beside(places, path))
        (void)execv(path, words);
    fprintf(stderr, "kiln: start %s: %s; it is a part of Kiln: install Kiln anew\n", path,
            strerrordesc_np(errno));
    return 2;
}
