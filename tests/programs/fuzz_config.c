/* Any text as a configuration file, and any words as options: the options up to a NUL byte, one a
 * line, the file behind it.  What is taken can be shown; what is not is the user's fault. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "programs/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 16

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void show(const struct config *c)
{
    static FILE *nowhere;

    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    must(nowhere && c->data_dir && c->listen && c->workers >= 0 && c->workers <= 256);
    config_print_table(c, nowhere);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *words = strndup((const char *)data, size);
    const size_t options = words ? strlen(words) : 0;
    const size_t file = options < size ? options + 1 : size;
    CLEANUP_CLOSE int fd = memfd_create("kiln.toml", MFD_CLOEXEC);
    CLEANUP(config_release) struct config config;
    struct error err = ERROR_INIT;
    char path[64];
    char program[] = "kiln";
    char option[] = "--config";
    char *argv[WORDS_MAX + 4] = {program, option, path};
    int argc = 3;
    char *rest = words;

    must(words && fd >= 0 && write(fd, data + file, size - file) == (ssize_t)(size - file));
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (char *word = strsep(&rest, "\n"); word && argc < WORDS_MAX; word = strsep(&rest, "\n"))
        if (strcmp(word, "--config") != 0 && strncmp(word, "--config=", 9) != 0)
            argv[argc++] = word;
    if (config_load(&argc, argv, &config, &err) == 0)
        show(&config);
    else
        must((err.kind == ERR_INPUT || err.kind == ERR_LIMIT) && err.msg[0]);
    return 0;
}
