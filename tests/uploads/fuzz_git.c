/* Any text as a git source: what is accepted has the promised form, and is accepted again. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "uploads/git_refs.h"
#include "uploads/uploads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_subdir(const char *subdir)
{
    must(subdir[0] != '/' && !text_ends(subdir, "/") && !strstr(subdir, "//"));
    for (const char *part = subdir; *part;) {
        size_t len = strcspn(part, "/");

        must(!(len == 2 && memcmp(part, "..", 2) == 0) && !(len == 1 && *part == '.'));
        part += len;
        part += *part == '/';
    }
}

static void check(const char *text, const struct upload_git *git)
{
    must(upload_git_is_address(text));
    must(text_starts(text, git->url) && !strpbrk(git->url, "#? "));
    must(git->authority[0] && !strpbrk(git->authority, "/@#? \\"));
    must(strrchr(git->authority, ':')[1]);
    must(strspn(git->checksum, "0123456789abcdef") == strlen(git->checksum));
    must(git->name[0] && !strchr(git->name, '/'));
    must(!git->ref[0] || (git_ref_is_name(git->ref) && git->ref[0] != '-'));
    must(text_is_utf8(git->ref, strlen(git->ref)) && !text_has_control(git->ref, strlen(git->ref)));
    must(!text_has_control(git->subdir, strlen(git->subdir)));
    check_subdir(git->subdir);
}

static void parse_again(const struct upload_git *git)
{
    struct error err = ERROR_INIT;
    struct upload_git again;

    must(upload_git_parse(git->url, &again, &err) == 0);
    must(strcmp(again.url, git->url) == 0 && strcmp(again.authority, git->authority) == 0);
    must(!again.ref[0] && !again.subdir[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    CLEANUP(buf_release) struct buf hint = BUF_INIT(4096);
    const struct argv names = {.v = &text, .n = 1};
    struct error err = ERROR_INIT;
    struct upload_git git;
    size_t at;

    must(text != NULL);
    if (upload_git_parse(text, &git, &err) == 0) {
        check(text, &git);
        parse_again(&git);
    } else {
        must(err.kind == ERR_INPUT && err.msg[0]);
    }
    git_ref_hint(&names, text, &hint);
    (void)git_ref_find(&names, text, &at);
    return 0;
}
