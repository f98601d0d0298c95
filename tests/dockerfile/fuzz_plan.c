/* Anything may come out of a jail as a plan; what is one is written, and read again, unchanged. */
#include <stdint.h>
#include <string.h>

#include "dockerfile/dockerfile.h"

#define TEXT_MAX (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void write_plan(struct dockerfile_plan *p, struct buf *out)
{
    struct error err = ERROR_INIT;

    argv_release(&p->build_args);
    p->build_args = (struct argv)ARGV_INIT;
    must(dockerfile_plan_write(p, out, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan first, second;
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX);
    struct error err = ERROR_INIT;

    dockerfile_plan_init(&first);
    dockerfile_plan_init(&second);
    if (dockerfile_plan_read((const char *)data, size, &first, &err) < 0) {
        must(err.kind == ERR_SYSTEM);
        return 0;
    }
    write_plan(&first, &text);
    must(dockerfile_plan_read(buf_str(&text), text.len, &second, &err) == 0);
    write_plan(&second, &again);
    must(strcmp(buf_str(&text), buf_str(&again)) == 0);
    return 0;
}
