/* dockerfile/generate/go_version — see the header. */
#include "dockerfile/generate/go_version.h"

#include <string.h>

#include "base/text.h"

/* The golang images on Debian 12: before 1.19 there are none, and what comes after is not known.
 * A release before the oldest is built by the default one, which keeps to the language version of
 * the go line. */
#define OLDEST_MINOR  19
#define DEFAULT_MINOR 25
#define NEWEST_MINOR  26

struct version {
    unsigned major, minor, patch;
};

/* A number of at most four digits at *s, which moves behind it. */
static bool read_number(const char **s, unsigned *ret)
{
    unsigned n = 0;
    int digits = 0;

    for (; **s >= '0' && **s <= '9' && digits < 5; digits++)
        n = n * 10 + (unsigned)(*(*s)++ - '0');
    if (digits == 0 || digits > 4)
        return false;
    *ret = n;
    return true;
}

/* "1.25", "1.25.3", "1.25rc1", "1.25.3-custom": what follows the numbers is passed over. */
static bool parse(const char *s, struct version *ret)
{
    struct version v = {.patch = 0};

    if (!read_number(&s, &v.major) || *s++ != '.' || !read_number(&s, &v.minor))
        return false;
    if (*s == '.') {
        s++;
        if (!read_number(&s, &v.patch))
            return false;
    }
    *ret = v;
    return true;
}

static bool is_older(const struct version *a, const struct version *b)
{
    if (a->major != b->major)
        return a->major < b->major;
    return a->minor != b->minor ? a->minor < b->minor : a->patch < b->patch;
}

/* The line that decides, and its version; NULL when there is none. */
static const char *decide(const struct go_module *m, struct version *ret, const char **keyword)
{
    struct version go, toolchain;
    const char *name = m->toolchain.value;
    bool has_go = m->go.value && parse(m->go.value, &go);

    /* "default" and "local" are no releases; one older than the go line does not count. */
    if (name && text_starts(name, "go") && parse(name + 2, &toolchain) &&
        (!has_go || !is_older(&toolchain, &go))) {
        *ret = toolchain;
        *keyword = "toolchain";
        return name + 2;
    }
    if (!has_go)
        return NULL;
    *ret = go;
    *keyword = "go";
    return m->go.value;
}

static void choose_known(const struct go_module *m, const struct version *v, const char *keyword,
                         struct go_image *ret)
{
    int line = strcmp(keyword, "go") == 0 ? m->go.line : m->toolchain.line;
    bool old = v->major < 1 || (v->major == 1 && v->minor < OLDEST_MINOR);
    bool new = v->major > 1 || (v->major == 1 && v->minor > NEWEST_MINOR);
    unsigned minor = old ? DEFAULT_MINOR : new ? NEWEST_MINOR : v->minor;

    ret->fetch = new || (!old && v->patch > 0);
    (void)snprintf(ret->name, sizeof(ret->name), "golang:1.%u-bookworm", minor);
    (void)snprintf(ret->why, sizeof(ret->why), "%s line %d: %s %s%.30s%s", m->file, line, keyword,
                   strcmp(keyword, "go") == 0 ? "" : "go", ret->asked,
                   old   ? ", which has no image of its own: a newer Go builds it as well"
                   : new ? ", newer than the images known here: the go command fetches it"
                         : "");
}

void go_image_choose(const struct go_module *m, struct go_image *ret)
{
    struct version v;
    const char *keyword = "";
    const char *asked = decide(m, &v, &keyword);

    *ret = (struct go_image){.fetch = false};
    if (asked) {
        int len = (int)strspn(asked, "0123456789.abcdefghijklmnopqrstuvwxyz-");

        (void)snprintf(ret->asked, sizeof(ret->asked), "%.*s", len < 30 ? len : 30, asked);
        choose_known(m, &v, keyword, ret);
        return;
    }
    (void)snprintf(ret->asked, sizeof(ret->asked), "1.%u", DEFAULT_MINOR);
    (void)snprintf(ret->name, sizeof(ret->name), "golang:1.%u-bookworm", DEFAULT_MINOR);
    (void)snprintf(ret->why, sizeof(ret->why), "no file asks for a version of Go");
}

bool go_version_is_from(const struct go_module *m, unsigned major, unsigned minor)
{
    struct version from = {.major = major, .minor = minor}, v;

    return m->go.value && parse(m->go.value, &v) && !is_older(&v, &from);
}
