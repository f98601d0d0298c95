/* Anything may come as --chmod. */
#include <stdint.h>
#include <string.h>

#include "builder/copy_mode.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mode_t modes[] = {S_IFREG, S_IFREG | 07777, S_IFREG | 0644, S_IFDIR | 0700};
    struct error err = ERROR_INIT;
    char text[256];
    bool octal;

    if (size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (copy_mode_check(text, &err) < 0) {
        must(err.kind == ERR_INPUT);
        return 0;
    }
    octal = *text >= '0' && *text <= '9';
    for (size_t i = 0; i < 4; i++) {
        mode_t mode = copy_mode_apply(text, modes[i]);

        must((mode & ~(mode_t)07777) == 0);
        must(!octal || mode == copy_mode_apply(text, 0));
    }
    return 0;
}
