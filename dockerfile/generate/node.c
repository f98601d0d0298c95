/* dockerfile/generate/node — not written yet: nothing is detected. */
#include "dockerfile/generate/generator.h"

static int detect(struct generator *g, const char **ret_reason, struct error *err)
{
    (void)g;
    (void)err;
    *ret_reason = NULL;
    return 0;
}

static int draft(struct generator *g, struct error *err)
{
    (void)g;
    return error_set(err, ERR_SYSTEM, "typescript is not written yet");
}

const struct language language_node = {
    .name = "typescript", .detect = detect, .write = draft, .looked_for = "nothing"};
