/* The first line is a WWW-Authenticate header, the rest a Docker config.json. */
#include <string.h>

#include "base/text.h"
#include "registry/challenge.h"
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check_config(const char *text, size_t len)
{
    CLEANUP(buf_release) struct buf found = BUF_INIT(1 << 20);

    registry_login_find(text, len, "registry.example/team/app", &found);
    if (text_has_control(buf_str(&found), found.len))
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    struct registry_challenge c = {.kind = REGISTRY_CHALLENGE_NONE};
    CLEANUP_FREE char *line = end ? strndup(text, (size_t)(end - text)) : NULL;

    if (!line)
        return 0;
    registry_challenge_read(line, &c);
    if (text_has_control(c.realm, strlen(c.realm)) || text_has_control(c.scope, strlen(c.scope)))
        abort();
    check_config(end + 1, size - (size_t)(end + 1 - text));
    return 0;
}
