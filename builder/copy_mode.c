/* builder/copy_mode — what BSD's setmode(3) makes of a mode, as BuildKit has it (dchapes/mode),
 * with its umask of 022 for clauses that name nobody.
 *
 * A mode is read anew for every file: it is a handful of bytes, and so there is nothing to keep. */
#include "builder/copy_mode.h"

#include <string.h>

#define EVERY 0111 /* times a digit: that digit for user, group and others */
#define ALL   (S_ISUID | S_ISGID | 0777)

struct change {
    mode_t first; /* as the file had it; X asks for it */
    mode_t mode;
    mode_t who; /* 0: nobody was named */
    char op;
    mode_t bits; /* read, and not applied yet */
    bool x;      /* an X likewise */
    bool set;    /* this = has cleared what was there */
};

static mode_t named(char c)
{
    switch (c) {
    case 'u':
        return S_ISUID | S_IRWXU;
    case 'g':
        return S_ISGID | S_IRWXG;
    case 'o':
        return S_IRWXO;
    case 'a':
        return ALL;
    default:
        return 0;
    }
}

/* Applies what was read since the operator. */
static void apply_bits(struct change *c)
{
    mode_t reach = c->who ? c->who : 07777;

    if (c->op == '=' && (c->bits || !c->set)) {
        c->mode &= ~(c->who ? c->who : ALL);
        c->set = true;
    }
    if (c->op == '-')
        c->mode &= ~(c->bits & reach);
    else
        c->mode |= c->bits & reach;
    if (c->x && ((c->first & EVERY) || S_ISDIR(c->first)))
        c->mode |= EVERY & reach;
    c->bits = 0;
    c->x = false;
}

/* "g=u": the bits of one are those of others. */
static void copy_bits(struct change *c, char from)
{
    static const struct {
        mode_t reader;
        int shift;
    } whom[] = {{S_IRUSR, 6}, {S_IRGRP, 3}, {S_IROTH, 0}};
    mode_t value;

    c->set = c->set || !c->bits; /* what is copied takes the place of what was there */
    apply_bits(c);
    value = (c->mode >> (from == 'u' ? 6 : from == 'g' ? 3 : 0)) & 07;
    for (size_t i = 0; i < 3; i++) {
        if (c->who && !(c->who & whom[i].reader))
            continue;
        if (c->op != '+')
            c->mode &= ~((c->op == '=' ? 07 : value) << whom[i].shift);
        if (c->op != '-')
            c->mode |= value << whom[i].shift;
    }
    c->set = true;
}

static bool add_permission(struct change *c, char permission)
{
    bool others = c->who && !(c->who & ~(mode_t)S_IRWXO); /* have no such bits */

    switch (permission) {
    case 'r':
        c->bits |= 4 * EVERY;
        return true;
    case 'w':
        c->bits |= 2 * EVERY;
        return true;
    case 'x':
        c->bits |= EVERY;
        return true;
    case 'X':
        c->x = c->x || c->op != '-';
        c->bits |= c->op == '-' ? EVERY : 0;
        return true;
    case 's':
        c->bits |= others ? 0 : S_ISUID | S_ISGID;
        return true;
    case 't':
        c->bits |= others ? 0 : S_ISVTX;
        c->who |= others ? 0 : S_ISVTX;
        return true;
    case 'u':
    case 'g':
    case 'o':
        copy_bits(c, permission);
        return true;
    default:
        return false;
    }
}

/* One operator and its permissions; NULL where there is no operator. */
static const char *operate(struct change *c, const char *s)
{
    if (!*s || !strchr("+-=", *s))
        return NULL;
    c->op = *s++;
    c->set = false;
    c->who &= ~(mode_t)S_ISVTX;
    while (*s && add_permission(c, *s))
        s++;
    apply_bits(c);
    return s;
}

static bool apply_symbolic(const char *s, mode_t mode, mode_t *ret)
{
    struct change c = {.first = mode, .mode = mode & 07777};

    for (;; s++) {
        for (c.who = 0; *s && named(*s); s++)
            c.who |= named(*s);
        do {
            s = operate(&c, s);
            if (!s)
                return false;
        } while (*s && *s != ',');
        if (!*s)
            break;
    }
    *ret = c.mode;
    return true;
}

static bool read_octal(const char *s, mode_t *ret)
{
    mode_t mode = 0;

    for (; *s; s++) {
        if (*s < '0' || *s > '7' || mode > 0777)
            return false;
        mode = mode << 3 | (mode_t)(*s - '0');
    }
    *ret = mode;
    return true;
}

static bool apply(const char *text, mode_t mode, mode_t *ret)
{
    if (*text >= '0' && *text <= '9')
        return read_octal(text, ret);
    return apply_symbolic(text, mode, ret);
}

int copy_mode_check(const char *text, struct error *err)
{
    mode_t ignored;

    if (!*text || apply(text, 0, &ignored))
        return 0;
    return error_set(err, ERR_INPUT, "invalid mode: %.100s", text);
}

mode_t copy_mode_apply(const char *text, mode_t mode)
{
    mode_t result = mode & 07777;

    if (*text && !apply(text, mode, &result))
        return mode & 07777;
    return result;
}
