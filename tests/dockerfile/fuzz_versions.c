/* Any text as a version, as npm's range of them, and as Python's: the range up to a line end, a
 * version behind it. */
#include <string.h>

#include "base/cleanup.h"
#include "dockerfile/generate/python.h"
#include "dockerfile/generate/semver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void try_npm(const char *range, const char *version)
{
    struct semver_range r;
    struct semver v = {.v = {0}};
    int parts = 0;

    if (semver_parse(version, &v, &parts))
        must(parts >= 1 && parts <= 3);
    if (!semver_range_parse(range, &r))
        return;
    must(r.n <= SEMVER_ALTERNATIVES_MAX);
    for (size_t i = 0; i < r.n; i++) {
        must(semver_compare(&r.v[i].low, &r.v[i].high) < 0);
        must(semver_range_allows(&r, &r.v[i].low));
    }
    (void)semver_range_allows(&r, &v);
}

static void try_python(const char *range, enum python_syntax syntax)
{
    struct python_specifier s;

    if (!python_specifier_parse(range, syntax, &s))
        return;
    must(s.n <= PYTHON_CLAUSES_MAX);
    for (int minor = PYTHON_MINOR_MIN; minor <= PYTHON_MINOR_MAX; minor++)
        (void)python_specifier_allows(&s, minor, minor % 2 ? PYTHON_PATCH_ANY : 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    char *rest = text;
    const char *range;

    must(text != NULL);
    range = strsep(&rest, "\n");
    try_npm(range, rest ? rest : "");
    try_python(range, PYTHON_PEP440);
    try_python(range, PYTHON_POETRY);
    return 0;
}
