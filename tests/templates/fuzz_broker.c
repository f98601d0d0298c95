/* Any requests of a jail that was taken over, to the broker of a store. */
#include <string.h>
#include <sys/socket.h>

#include "base/message.h"
#include "templates/channel.h"
#include "templates/storage.h"

#define REQUESTS_MAX 60 /* with their replies they fit into a socket's buffers */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int result, const struct error *err)
{
    if (result == 0)
        return;
    (void)fprintf(stderr, "%s\n", err->msg);
    abort();
}

/* Each request is the act, a number, an area, and a name of up to 16 bytes. */
static void make_request(const uint8_t *d, struct channel_request *r)
{
    static const char *const areas[] = {"packs",     "revisions", "templates", "holds",
                                        "condemned", "raw",       "",          "."};

    *r = (struct channel_request){.act = d[0] % (CHANNEL_ACTS + 1), .number = (int8_t)d[1]};
    r->offset = (uint64_t)d[2] << (d[3] % 64);
    r->len = UINT64_MAX >> (d[3] % 64);
    if (d[4] % 9 == 8)
        memset(r->area, d[4], sizeof(r->area));
    else
        (void)snprintf(r->area, sizeof(r->area), "%s", areas[d[4] % 9]);
    memcpy(r->name, d + 5, 11);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct storage *s = NULL;
    struct cancel quit = {.fd = -1};
    struct error err = ERROR_INIT;
    int ends[2], lock = -1;

    must(storage_open_memory(&s, &err), &err);
    must(storage_put_setting(s, "secret", "x", 1, &err), &err);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    for (size_t i = 0; i < REQUESTS_MAX && size >= 16; i++, data += 16, size -= 16) {
        struct channel_request r;

        make_request(data, &r);
        must(message_send(ends[0], &r, sizeof(r), data[15] & 1 ? ends[1] : -1, &err), &err);
    }
    (void)shutdown(ends[0], SHUT_WR);
    broker_serve(s, ends[1], &quit);
    close(ends[0]);
    close(ends[1]);
    /* Whatever was asked for, nothing of it is locked any more. */
    must(storage_lock(s, true, &lock, &err), &err);
    storage_unlock(s, &lock);
    storage_free(s);
    return 0;
}
