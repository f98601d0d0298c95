/* Whatever the text, toml_walk answers: leaves in bounds, or an error that can be shown. */
#include <string.h>

#include "base/text.h"
#include "base/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_leaf(void *self, const struct toml_leaf *leaf, struct error *err)
{
    (void)err;
    ++*(int *)self;
    if (!*leaf->path || leaf->line < 1 || text_has_control(leaf->path, strlen(leaf->path)) ||
        !text_is_utf8(leaf->path, strlen(leaf->path)) ||
        !text_is_utf8(leaf->text, leaf->text_len) || leaf->text[leaf->text_len] != '\0')
        abort();
    return 0;
}

static int check_group(void *self, const struct toml_group *group, struct error *err)
{
    (void)self;
    (void)err;
    if (!*group->path || group->line < 1 || text_has_control(group->path, strlen(group->path)) ||
        !text_is_utf8(group->path, strlen(group->path)))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int leaves = 0;
    struct toml_visitor visitor = {.leaf = check_leaf, .group = check_group, .self = &leaves};
    struct error err = ERROR_INIT;

    if (toml_walk((const char *)data, size, &visitor, &err) < 0 &&
        (err.kind == ERR_NONE || text_has_control(err.msg, strlen(err.msg)) ||
         !text_is_utf8(err.msg, strlen(err.msg))))
        abort();
    return 0;
}
