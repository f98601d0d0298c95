/* Small words of other machines: moments, numbers, base64, Retry-After and Location headers. */
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/http.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void try_moment(const char *text)
{
    char again[CLOCK_TEXT];
    int64_t ns, same;

    if (!clock_parse(text, &ns))
        return;
    clock_format(ns, again);
    must(clock_parse(again, &same) && same == ns);
}

static void try_number(const char *text)
{
    uint64_t number = 1000;

    must(text_to_u64(text, 999, &number) ? number <= 999 : number == 1000);
}

static void try_base64(const char *text)
{
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(64 << 10);
    CLEANUP(buf_release) struct buf again = BUF_INIT(128 << 10);

    if (!digest_unbase64(text, &bytes) || bytes.full)
        return;
    digest_base64(buf_str(&bytes), bytes.len, &again);
    must(strlen(text) == again.len);
}

static void try_headers(const char *text)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(16);
    CLEANUP(buf_release) struct buf url = BUF_INIT(8192);
    struct error err = ERROR_INIT;
    int64_t ms;

    argv_pushf(&resp.headers, "retry-after: %s", text);
    ms = http_retry_after(&resp);
    must(ms >= 0);
    buf_adds(&url, "https://registry.test/v2/a/blobs/uploads/");
    if (http_resolve(&url, text, &err) == 0)
        must(text_starts(buf_str(&url), "http://") || text_starts(buf_str(&url), "https://"));
    else
        must(err.kind != ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    char shown[TEXT_SIZE];

    must(text != NULL);
    try_moment(text);
    try_number(text);
    try_base64(text);
    try_headers(text);
    text_size(size >= 8 ? *(const uint8_t *)data * UINT64_C(72340172838076673) : 0, shown);
    must(text_utf8_length(text, strlen(text)) <= strlen(text));
    return 0;
}
