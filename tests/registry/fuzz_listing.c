/* Any bytes as a registry's list of tags and as its list of what is attached. */
#include <string.h>

#include "registry/listing.h"
#include "registry/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tag(void *self, const char *tag)
{
    (void)self;
    if (!registry_tag_is_valid(tag))
        abort();
}

static void check_referrer(void *self, const struct registry_referrer *r)
{
    size_t *n = self;

    if (!registry_digest_is_valid(r->digest) || !memchr(r->type, '\0', sizeof(r->type)))
        abort();
    ++*n;
}

static void check_sum(const char *text, size_t size, size_t n)
{
    const struct registry_referrer added = {
        .digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        .type = "application/spdx+json"};
    CLEANUP(buf_release) struct buf out = BUF_INIT(64 << 20);
    struct error err = ERROR_INIT;
    size_t after = 0;

    if (registry_index_add(text, size, &added, 1, &out, &err) < 0 ||
        registry_referrers_read(buf_str(&out), out.len, check_referrer, &after, &err) < 0 ||
        after == 0 || after > n + 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct error err = ERROR_INIT;
    size_t n = 0;

    if (size == 0)
        return 0;
    if (registry_tags_read(text, size, check_tag, NULL, &err) < 0 && err.kind != ERR_REMOTE)
        abort();
    err = (struct error)ERROR_INIT;
    if (registry_referrers_read(text, size, check_referrer, &n, &err) == 0)
        check_sum(text, size, n);
    else if (err.kind != ERR_REMOTE)
        abort();
    return 0;
}
