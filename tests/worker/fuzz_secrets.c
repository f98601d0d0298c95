/* Any text as the file of webhooks' secrets, and as that of an object store's credentials. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "objects/objects.h"
#include "worker/webhooks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* With what was taken, something can be signed; what was not stands in no message. */
static void try_secrets(const char *path)
{
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    CLEANUP(buf_release) struct buf signature = BUF_INIT(4 << 20);
    struct error err = ERROR_INIT;

    if (webhook_secrets_read(path, &secrets, &err) < 0) {
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT || err.kind == ERR_SYSTEM);
        return;
    }
    must(secrets.n > 0);
    must(webhook_sign(&secrets, "msg_1", 1767225600, "{}", 2, &signature, &err) == 0);
}

static void try_credentials(const char *path)
{
    struct objects_credentials c;
    struct error err = ERROR_INIT;

    if (objects_credentials_read(path, &c, &err) == 0)
        must(c.access[0] && c.secret[0]);
    else
        must(err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_CLOSE int fd = memfd_create("secrets", MFD_CLOEXEC);
    char path[64];

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    try_secrets(path);
    try_credentials(path);
    return 0;
}
