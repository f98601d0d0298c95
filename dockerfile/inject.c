/* dockerfile/inject — the lines that make a sandbox of an image, put at the end of the Dockerfile
 * so that the user's own steps stay cached. */
#include "dockerfile/parse.h"

/* The user's text byte for byte, then the lines.  A continuation left open at the end of the file
 * would take them in (empty lines do not close one), so its escape token and what follows it,
 * comments and blank lines at most, give way; with it go words before it that are escape tokens and
 * nothing else, as each would leave the line open again. */
static void write_text(const struct dockerfile *d, const struct buf *lines, struct buf *text)
{
    if (lines->len == 0) {
        buf_add(text, d->text, d->len);
        return;
    }
    buf_add(text, d->text, d->open_at == NOT_OPEN ? d->len : d->open_at);
    if (text->len > 0 && text->data[text->len - 1] != '\n')
        buf_addc(text, '\n');
    buf_add(text, buf_str(lines), lines->len);
}

int dockerfile_inject_sandbox_api(const struct dockerfile *d,
                                  const struct dockerfile_sandbox_request *request,
                                  struct dockerfile_injection *ret, struct error *err)
{
    CLEANUP(dockerfile_sandbox_findings_release)
    struct dockerfile_sandbox_findings found = {.base = NULL};
    struct dockerfile_injection out = {.copied = false};

    if (dockerfile_find_sandbox_api(d, request, &found, err) < 0)
        return -1;
    out.text = (struct buf)BUF_INIT(d->len + 1 + found.lines.len);
    write_text(d, &found.lines, &out.text);
    if (buf_check(&out.text, "Dockerfile", err) < 0) {
        buf_release(&out.text);
        return -1;
    }
    out.copied = found.lacks_copy;
    out.entrypoint_set = found.lacks_entrypoint;
    out.notes = found.notes;
    out.warnings = found.warnings;
    found.notes = (struct buf)BUF_INIT(0);
    found.warnings = (struct argv)ARGV_INIT;
    *ret = out;
    return 0;
}

void dockerfile_injection_release(struct dockerfile_injection *i)
{
    buf_release(&i->text);
    buf_release(&i->notes);
    argv_release(&i->warnings);
}
