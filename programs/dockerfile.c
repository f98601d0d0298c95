/* programs/dockerfile — `kiln dockerfile --batch MODE`. */
#include <string.h>

#include "programs/batch.h"
#include "programs/commands.h"

static const struct mode {
    const char *name;
    int (*run)(void);
} modes[] = {
    {"parse", batch_parse},
    {"expand", batch_expand},
    {"ignore", batch_ignore},
};

int command_dockerfile(const struct config *config, int argc, char **argv)
{
    (void)config;
    if (argc == 3 && strcmp(argv[1], "--batch") == 0)
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
            if (strcmp(argv[2], modes[i].name) == 0)
                return modes[i].run();
    fputs("usage: kiln dockerfile --batch parse|expand|ignore\n", stderr);
    return 2;
}
