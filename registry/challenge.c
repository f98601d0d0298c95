/* registry/challenge — see the header.  A parameter that is too long, or not well-formed, makes the
 * whole challenge one that is not understood: half an address leads nowhere good. */
#include "registry/challenge.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define NAME_SIZE  64
#define VALUE_SIZE 2048
#define SPACE      " \t"

static const char token_ends[] = " \t,=\"";

/* A token, or what is between quotes, to value; NULL: it does not end, or is too long. */
static const char *read_value(const char *at, char value[VALUE_SIZE])
{
    const bool quoted = *at == '"';
    size_t n = 0;

    for (at += quoted; *at && (quoted ? *at != '"' : !strchr(token_ends, *at)); at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        if (n + 1 == VALUE_SIZE)
            return NULL;
        value[n++] = *at;
    }
    value[n] = '\0';
    if (quoted && *at != '"')
        return NULL;
    return at + quoted;
}

static bool set(char *member, size_t size, const char *value)
{
    return snprintf(member, size, "%s", value) < (int)size;
}

static bool keep(struct registry_challenge *c, const char *name, const char *value)
{
    if (strcasecmp(name, "realm") == 0)
        return set(c->realm, sizeof(c->realm), value);
    if (strcasecmp(name, "service") == 0)
        return set(c->service, sizeof(c->service), value);
    return strcasecmp(name, "scope") != 0 || set(c->scope, sizeof(c->scope), value);
}

/* name=value, name="value" … */
static bool read_parameters(const char *at, struct registry_challenge *c)
{
    char name[NAME_SIZE], value[VALUE_SIZE];

    for (at += strspn(at, SPACE ","); *at; at += strspn(at, SPACE ",")) {
        const size_t len = strcspn(at, token_ends);

        if (len == 0 || len >= sizeof(name) || at[len] != '=')
            return false;
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, at);
        at = read_value(at + len + 1, value);
        if (!at || !keep(c, name, value))
            return false;
    }
    return true;
}

void registry_challenge_read(const char *text, struct registry_challenge *ret)
{
    struct registry_challenge c = {.kind = REGISTRY_CHALLENGE_NONE};
    size_t len;

    text += strspn(text, SPACE);
    len = strcspn(text, SPACE);
    if (text_has_control(text, strlen(text)))
        return;
    if (len == 5 && strncasecmp(text, "basic", len) == 0)
        c.kind = REGISTRY_CHALLENGE_BASIC;
    else if (len == 6 && strncasecmp(text, "bearer", len) == 0)
        c.kind = REGISTRY_CHALLENGE_BEARER;
    if (c.kind != REGISTRY_CHALLENGE_NONE && read_parameters(text + len, &c))
        *ret = c;
}
