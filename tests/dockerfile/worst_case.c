/* tests/dockerfile/worst_case — takes the front end through one worst case, for valgrind to count.
 *
 *     worst_case             names all of them, one a line
 *     worst_case NAME SCALE  the case of SCALE times its small size; 0: writes it, but reads
 * nothing
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "tests/dockerfile/worst_cases.h"

static int check(const struct dockerfile *d, struct error *err)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;
    struct dockerfile_check_request request = {.all_stages = true, .hadolint = true};
    struct dockerfile_findings findings;
    int r;

    if (dockerfile_ignore_parse("**/*x*y", 7, &ignore, err) < 0)
        return -1;
    request.ignore = ignore;
    if (dockerfile_check(d, &request, &findings, err) < 0)
        return -1;
    *err = findings.failure;
    r = findings.failure.kind == ERR_NONE ? 0 : -1;
    dockerfile_findings_release(&findings);
    return r;
}

static int read_dockerfile(const struct buf *text, struct error *err)
{
    CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    const struct argv no_args = ARGV_INIT;
    const struct dockerfile_sandbox_request sandbox = {.image = "ghcr.io/blaxel-ai/sandbox:latest"};
    struct dockerfile_injection injection;

    if (dockerfile_parse(buf_str(text), text->len, &dockerfile_limits_default, &d, err) < 0 ||
        dockerfile_images(d, &no_args, &images, err) < 0 || check(d, err) < 0 ||
        dockerfile_inject_sandbox_api(d, &sandbox, &injection, err) < 0)
        return -1;
    dockerfile_injection_release(&injection);
    return 0;
}

static int read_ignore(const struct buf *text, const struct buf *path, struct error *err)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *g = NULL;

    if (dockerfile_ignore_parse(buf_str(text), text->len, &g, err) < 0)
        return -1;
    if (dockerfile_ignore_matches(g, buf_str(path)))
        return error_set(err, ERR_INPUT, "it matches, which is not the worst case");
    return 0;
}

static int run(const struct worst_case *c, size_t scale)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(2 << 20);
    CLEANUP(buf_release) struct buf path = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    int r;

    if (scale == 0)
        return 0;
    c->write(c->n * scale, &text, &path);
    r = path.len ? read_ignore(&text, &path, &err) : read_dockerfile(&text, &err);
    /* A case that is stopped by a limit says nothing. */
    if ((r < 0) == c->refused && err.kind != ERR_LIMIT)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", c->name, r < 0 ? err.msg : "not refused");
    return 1;
}

int main(int argc, char **argv)
{
    uint64_t scale;

    for (const struct worst_case *c = worst_cases; c->name; c++) {
        if (argc == 1)
            puts(c->name);
        else if (argc == 3 && strcmp(argv[1], c->name) == 0 && text_to_u64(argv[2], 8, &scale))
            return run(c, (size_t)scale);
    }
    return argc == 1 ? 0 : 2;
}
