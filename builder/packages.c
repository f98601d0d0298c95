/* builder/packages — see the header. */
#include "builder/packages.h"

#include <string.h>

#include "base/text.h"

int packages_init(struct packages *p, size_t max, struct error *err)
{
    *p = (struct packages){.list = json_array(), .max = max};
    return p->list ? 0 : error_set(err, ERR_SYSTEM, "list packages: out of memory");
}

void packages_release(struct packages *p)
{
    json_decref(p->list);
    *p = (struct packages){.list = NULL};
}

static bool is_text(const char *s, size_t max)
{
    size_t len = s ? strnlen(s, max + 1) : 0;

    return len > 0 && len <= max && text_is_utf8(s, len) && !text_has_control(s, len);
}

static bool is_word(const char *s)
{
    return is_text(s, PACKAGES_WORD_MAX) && !strpbrk(s, " \"<>\\`{|}");
}

static void set(json_t *o, const char *key, const char *value)
{
    if (is_text(value, PACKAGES_TEXT_MAX))
        json_object_set_new(o, key, json_string(value));
}

void packages_add(struct packages *p, const struct package *package)
{
    json_t *o;

    if (!is_word(package->name) || !is_word(package->version))
        return;
    if (json_array_size(p->list) >= p->max) {
        p->cut = true;
        return;
    }
    o = json_pack("{s:s, s:s, s:s}", "type", package->type, "name", package->name, "version",
                  package->version);
    if (is_word(package->architecture))
        set(o, "architecture", package->architecture);
    set(o, "license", package->license);
    set(o, "vendor", package->vendor);
    if (json_array_append_new(p->list, o) < 0)
        p->cut = true;
}
