/* base/error — formatting and wrapping; nothing here allocates. */
#include "base/error.h"

#include <stdarg.h>
#include <string.h>

/* A message that filled its room may end inside a UTF-8 sequence, and then no JSON may hold it. */
static void trim_broken_end(char *msg)
{
    size_t len = strlen(msg);
    size_t tail = 0; /* continuation bytes at the end */
    unsigned char lead;

    while (tail < 3 && tail < len && ((unsigned char)msg[len - 1 - tail] & 0xc0) == 0x80)
        tail++;
    if (tail == len)
        return;
    lead = (unsigned char)msg[len - 1 - tail];
    if ((lead >= 0xc0 && tail < 1) || (lead >= 0xe0 && tail < 2) || (lead >= 0xf0 && tail < 3))
        msg[len - 1 - tail] = '\0';
}

int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    va_list ap;

    err->kind = kind;
    va_start(ap, fmt);
    if (vsnprintf(err->msg, sizeof(err->msg), fmt, ap) >= (int)sizeof(err->msg))
        trim_broken_end(err->msg);
    va_end(ap);
    return -1;
}

int error_errno(struct error *err, int errnum, const char *fmt, ...)
{
    char text[sizeof(err->msg)];
    char reason[128];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, ERR_SYSTEM, "%s: %s", text, strerror_r(errnum, reason, sizeof(reason)));
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char inner[sizeof(err->msg)];
    char outer[sizeof(err->msg)];
    va_list ap;

    memcpy(inner, err->msg, sizeof(inner));
    va_start(ap, fmt);
    (void)vsnprintf(outer, sizeof(outer), fmt, ap);
    va_end(ap);
    return error_set(err, err->kind, "%s: %s", outer, inner);
}

const char *error_kind_name(enum error_kind kind)
{
    static const char *const names[] = {"none", "input", "limit", "remote", "system"};

    return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "system";
}

bool error_may_retry(enum error_kind kind)
{
    return kind == ERR_REMOTE || kind == ERR_SYSTEM;
}
