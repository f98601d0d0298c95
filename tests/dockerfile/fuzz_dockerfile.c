/* Anything may come as a Dockerfile; what parsed must parse again with the sandbox's lines added,
 * unless its last line is left open after words that are escape tokens and nothing else: those can
 * not be kept, and an instruction may need them. */
#include <stdint.h>
#include <string.h>

#include "dockerfile/dump.h"
#include "dockerfile/source.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void look_at(const struct dockerfile_instruction *i)
{
    must(i->keyword && i->written && i->text && i->original);
    must(i->first_line >= 1 && i->last_line >= i->first_line);
    for (size_t k = 0; k < i->words.n; k++)
        must(strlen(i->words.v[k]) <= strlen(i->original));
    for (size_t k = 0; k < i->flags.n; k++)
        must(strncmp(i->flags.v[k], "--", 2) == 0);
    for (size_t k = 0; k < i->n_heredocs; k++)
        must(*i->heredocs[k].name && i->heredocs[k].content);
}

static size_t look_at_all(const struct dockerfile *d)
{
    size_t n, count = 0;
    const struct dockerfile_stage *stages = dockerfile_stages(d, &n);

    must(n > 0);
    for (size_t s = 0; s < n; s++) {
        must(stages[s].base && stages[s].n_instructions > 0);
        for (size_t k = 0; k < stages[s].n_instructions; k++)
            look_at(&stages[s].instructions[k]);
        count += stages[s].n_instructions;
    }
    return count;
}

static void list_images(const struct dockerfile *d)
{
    struct argv args = ARGV_INIT, images = ARGV_INIT;
    struct error err = ERROR_INIT;

    argv_push(&args, "V=1.2", "TARGETARCH=riscv64", "EMPTY=", NULL);
    if (dockerfile_images(d, &args, &images, &err) < 0)
        must(err.kind != ERR_NONE && images.n == 0);
    for (size_t i = 0; i < images.n; i++) {
        struct dockerfile_reference r;

        must(dockerfile_parse_reference(images.v[i], &r, &err) == 0);
    }
    argv_release(&images);
    argv_release(&args);
}

static void inject(const struct dockerfile *d, size_t count,
                   const struct dockerfile_sandbox_request *request)
{
    struct dockerfile_limits limits = dockerfile_limits_default;
    struct dockerfile_injection injection;
    struct dockerfile *again = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_inject_sandbox_api(d, request, &injection, &err) < 0)
        abort();
    limits.text_max *= 2;
    limits.instructions_max += 3; /* COPY, ENTRYPOINT, CMD */
    /* A CMD that is repeated can be longer in one line than it was in several. */
    limits.line_max = limits.text_max;
    if (dockerfile_parse(buf_str(&injection.text), injection.text.len, &limits, &again, &err) == 0)
        must(look_at_all(again) >= count + injection.copied + injection.entrypoint_set);
    else
        must(d->open_at != NOT_OPEN);
    dockerfile_free(again);
    dockerfile_injection_release(&injection);
}

/* With nothing known, and with all that can be. */
static void inject_twice(const struct dockerfile *d, size_t count)
{
    static const struct dockerfile_source_file files[] = {
        {"a.sh", "sandbox-api &\n"}, {"b/run", "exec node x\n"}, {"c", ". ./a.sh\n"}};
    const struct dockerfile_source_files in_memory = {.v = files, .n = 3};
    const struct dockerfile_source context = dockerfile_source_memory(&in_memory);
    const struct dockerfile_base_image base = {
        .config = "{\"config\":{\"Entrypoint\":[\"e\"],\"Cmd\":[\"c\",\"\\n\"]}}"};
    const struct dockerfile_sandbox_request blind = {.image = "ghcr.io/blaxel-ai/sandbox:latest"};
    const struct dockerfile_sandbox_request seeing = {
        .image = "ghcr.io/blaxel-ai/sandbox:latest", .base = &base, .context = &context};

    inject(d, count, &blind);
    inject(d, count, &seeing);
}

static void excerpts(const struct dockerfile *d)
{
    struct buf out = BUF_INIT(4 << 20);

    for (int line = 0; line < 9; line += 2)
        dockerfile_excerpt(d, line, line + line % 3, &out);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf dump = BUF_INIT(16 << 20);
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;
    size_t count;

    if (dockerfile_parse((const char *)data, size, &dockerfile_limits_default, &d, &err) < 0) {
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT);
        (void)dockerfile_error_line(&err);
        return 0;
    }
    count = look_at_all(d);
    dump_text(d, &dump);
    list_images(d);
    inject_twice(d, count);
    excerpts(d);
    buf_release(&dump);
    dockerfile_free(d);
    return 0;
}
