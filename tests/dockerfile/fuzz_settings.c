/* Whatever the text, the reader answers with settings or with an error that can be shown, and its
 * warnings are lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *s)
{
    if (!*s || text_has_control(s, strlen(s)) || !text_is_utf8(s, strlen(s)))
        abort();
}

static void check_field(const char *s)
{
    if (s && !*s)
        abort();
}

static void check_settings(const struct dockerfile_settings *s)
{
    check_field(s->type);
    check_field(s->name);
    check_field(s->image);
    check_field(s->entrypoint_prod);
    check_field(s->entrypoint_dev);
    check_field(s->build_dockerfile);
    check_field(s->directory);
    if ((s->entrypoint_prod && s->entrypoint_line < 1) || s->default_size_mb < 0)
        abort();
    for (size_t i = 0; i < s->build_args.n; i++)
        if (*s->build_args.v[i] == '=' || !strchr(s->build_args.v[i], '='))
            abort();
    for (size_t i = 0; i < s->warnings.n; i++)
        check_line(s->warnings.v[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dockerfile_settings s;
    struct error err = ERROR_INIT;

    dockerfile_settings_init(&s);
    if (dockerfile_settings_read((const char *)data, size, &s, &err) == 0)
        check_settings(&s);
    else if (err.kind == ERR_NONE || !text_starts(err.msg, "blaxel.toml"))
        abort();
    else
        check_line(err.msg);
    dockerfile_settings_release(&s);
    return 0;
}
