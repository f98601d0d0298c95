/* The client against an object store that answers anything.
 *
 * The first line says what is asked for; then come the answers.  Whatever they are, the client
 * ends, speaks to that store alone, and does not blame the user. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "objects/objects.h"
#include "tests/fuzz/answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENDPOINT "http://objects.test"
#define ASKS_MAX 3000

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- what is asked for ---- */

static int head(struct objects *o, struct error *err)
{
    struct object_info info;

    if (objects_head(o, "a/b", &info, err) < 0)
        return -1;
    must(!info.there || (info.age >= 0 && memchr(info.etag, '\0', sizeof(info.etag))));
    argv_release(&info.labels);
    return 0;
}

static int put(struct objects *o, struct error *err)
{
    char etag[OBJECT_ETAG];
    bool refused;

    return objects_put(o, "a/b", OBJECT_ABSENT, "x", 1, etag, &refused, err);
}

static int put_file(struct objects *o, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("object", MFD_CLOEXEC);

    must(fd >= 0 && ftruncate(fd, 3000) == 0);
    return objects_put_file(o, "a/b", fd, err);
}

static int get(struct objects *o, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("object", MFD_CLOEXEC);

    must(fd >= 0);
    return objects_get(o, "a/b", "\"e\"", 2, 3, fd, err);
}

static int read_whole(struct objects *o, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64);
    bool there;

    return objects_read(o, "a/b", &text, &there, err);
}

static int copy(struct objects *o, struct error *err)
{
    bool there;

    return objects_copy(o, "a/b", "\"e\"", "c", &there, err);
}

static int see(void *self, const struct object_listed *l, struct error *err)
{
    (void)err;
    must(self == NULL && l->key[0] && l->age >= 0);
    return 0;
}

static int list(struct objects *o, struct error *err)
{
    return objects_list(o, "a/", see, NULL, err);
}

static int probe(struct objects *o, struct error *err)
{
    bool conditions;

    return objects_probe(o, &conditions, err);
}

static int delete (struct objects *o, struct error *err)
{
    return objects_delete(o, "a/b", err);
}

static const struct {
    const char *name;
    int (*ask)(struct objects *o, struct error *err);
} asks[] = {{"head\n", head}, {"put\n", put},         {"file\n", put_file},
            {"get\n", get},   {"read\n", read_whole}, {"copy\n", copy},
            {"list\n", list}, {"probe\n", probe},     {"delete\n", delete}};

/* ---- */

static int64_t fixed_now(void *self)
{
    (void)self;
    return INT64_C(1767225600) * NS_PER_SEC;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct clock clock = {fixed_now, NULL};
    static const struct objects_credentials credentials = {.access = "a", .secret = "s"};
    CLEANUP_FREE char *text = strndup((const char *)data, size);

    must(text != NULL);
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        struct answers from = {
            .next = text + strlen(asks[i].name), .url = ENDPOINT "/bucket", .asks_max = ASKS_MAX};
        const struct http http = {answers_give, &from};
        const struct objects_config config = {.url = "s3://bucket/prefix",
                                              .endpoint = ENDPOINT,
                                              .region = "us-east-1",
                                              .credentials = &credentials,
                                              .http = &http,
                                              .clock = &clock,
                                              .tries = 2,
                                              .wait_ms = 1,
                                              .part = 1024};
        struct error err = ERROR_INIT;
        struct objects *o;

        if (!text_starts(text, asks[i].name) || strstr(text, "etry-after"))
            continue; /* which would be waited for */
        must(objects_open(&config, &o, &err) == 0);
        if (asks[i].ask(o, &err) < 0)
            must((err.kind == ERR_REMOTE || err.kind == ERR_SYSTEM || err.kind == ERR_LIMIT) &&
                 err.msg[0]);
        objects_free(o);
    }
    return 0;
}
