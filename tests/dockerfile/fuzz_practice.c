/* Whatever parses is looked at by all rules, and what they say can be shown. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/check.h"
#include "dockerfile/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void look_at(const struct dockerfile *d)
{
    const struct dockerfile_check_request request = {.hadolint = true, .all_stages = true};
    struct dockerfile_findings f;
    struct error err = ERROR_INIT;

    must(dockerfile_check(d, &request, &f, &err) == 0);
    for (size_t i = 0; i < f.n; i++) {
        must(*f.warnings[i].rule && *f.warnings[i].detail && *f.warnings[i].description);
        must(text_is_utf8(f.warnings[i].detail, strlen(f.warnings[i].detail)));
        must(f.warnings[i].first_line >= 1);
        must(f.warnings[i].last_line >= f.warnings[i].first_line);
    }
    dockerfile_findings_release(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_parse((const char *)data, size, &dockerfile_limits_default, &d, &err) == 0)
        look_at(d);
    dockerfile_free(d);
    return 0;
}
