/* registry/names — see the header. */
#include "registry/names.h"

#include <stddef.h>
#include <string.h>

#include "base/digest.h"

#define REPOSITORY_MAX 255
#define TAG_MAX        128

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Bytes of the separator at s, 0 if none: one dot, one or two underscores, any dashes. */
static size_t separator_length(const char *s)
{
    if (*s == '.')
        return 1;
    if (*s == '_')
        return s[1] == '_' ? 2 : 1;
    return strspn(s, "-");
}

/* Past [a-z0-9]+(separator[a-z0-9]+)* at s; NULL when none stands there. */
static const char *skip_component(const char *s)
{
    for (;;) {
        size_t separator;

        if (!is_lower_or_digit(*s))
            return NULL;
        while (is_lower_or_digit(*s))
            s++;
        separator = separator_length(s);
        if (separator == 0)
            return s;
        s += separator;
    }
}

bool registry_repository_is_valid(const char *repository)
{
    const char *s = repository;

    if (strlen(repository) > REPOSITORY_MAX)
        return false;
    for (;;) {
        s = skip_component(s);
        if (!s)
            return false;
        if (*s == '\0')
            return true;
        if (*s++ != '/')
            return false;
    }
}

bool registry_tag_is_valid(const char *tag)
{
    size_t len = strlen(tag);

    if (len < 1 || len > TAG_MAX || *tag == '.' || *tag == '-')
        return false;
    return strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

bool registry_digest_is_valid(const char *digest)
{
    return digest_is_sha256(digest);
}
