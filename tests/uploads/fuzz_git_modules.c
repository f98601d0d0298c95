/* The first line is a submodule's path, the rest .gitmodules: an address that is found leads to the
 * server of its repository, or is another whole one. */
#include <string.h>

#include "base/text.h"
#include "uploads/git_modules.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const char base[] = "https://a.example/team/app.git";
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    char url[UPLOAD_GIT_TEXT], whole[UPLOAD_GIT_TEXT];
    struct error err = ERROR_INIT;
    char *rest = text ? strchr(text, '\n') : NULL;

    if (!rest)
        return 0;
    *rest++ = '\0';
    if (!git_modules_find(rest, text, url))
        return 0;
    if (!url[0] || strlen(url) >= sizeof(url))
        abort();
    if (git_modules_resolve(base, url, whole, &err) < 0) {
        if (err.kind != ERR_INPUT)
            abort();
    } else if (url[0] == '.' && (text_starts(url, "./") || text_starts(url, "../"))) {
        if (!text_starts(whole, "https://a.example/"))
            abort();
    }
    return 0;
}
