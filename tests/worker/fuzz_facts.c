/* What jails tell of their work, after a line that says what: "facts" of a template or volume, a
 * list of "packages", which becomes an SBOM. */
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "worker/facts.h"
#include "worker/planner.h"
#include "worker/sbom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is read can be written, and is read again. */
static void try_facts(const char *text)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct facts facts, again;
    struct error err = ERROR_INIT;

    if (facts_read(text, &facts, &err) < 0) {
        must(err.kind != ERR_NONE);
        return;
    }
    must(memchr(facts.digest, '\0', sizeof(facts.digest)) != NULL);
    facts_write(&facts, NULL, &out);
    must(facts_read(buf_str(&out), &again, &err) == 0);
    must(memcmp(facts.v, again.v, sizeof(facts.v)) == 0);
    must(strcmp(facts.digest, again.digest) == 0);
}

static void see_overlap(void *self, uint64_t a, uint64_t b, uint64_t bytes)
{
    must(!self && a <= UINT32_MAX && b <= UINT32_MAX && bytes <= INT64_MAX);
}

static void try_overlaps(char *text)
{
    struct error err = ERROR_INIT;

    if (planner_read_overlaps(text, see_overlap, NULL, &err) < 0)
        must(err.kind != ERR_NONE);
}

static void try_packages(const char *text)
{
    const struct sbom_subject subject = {
        "reg:5000/ws/sandbox/app",
        "sha256:1111111111111111111111111111111111111111111111111111111111111111", "kiln 1",
        INT64_C(1700000000) * NS_PER_SEC};
    CLEANUP(buf_release) struct buf list = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf out = BUF_INIT(SBOM_MAX);
    json_auto_t *document = NULL;
    struct error err = ERROR_INIT;
    size_t n;

    buf_adds(&list, text);
    if (sbom_write(&subject, &list, &out, &n, &err) < 0) {
        must(err.kind == ERR_SYSTEM);
        return;
    }
    document = json_loadb(buf_str(&out), out.len, JSON_REJECT_DUPLICATES, NULL);
    must(document && json_array_size(json_object_get(document, "packages")) == n + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);

    must(text != NULL);
    if (text_starts(text, "facts\n"))
        try_facts(text + strlen("facts\n"));
    if (text_starts(text, "overlaps\n"))
        try_overlaps(text + strlen("overlaps\n"));
    if (text_starts(text, "packages\n"))
        try_packages(text + strlen("packages\n"));
    return 0;
}
