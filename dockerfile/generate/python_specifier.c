/* dockerfile/generate/python_specifier — PEP 440's version specifiers and Poetry's constraints, as
 * far as they can speak of a version of Python: numbers, no pre-releases.
 *
 * Where Poetry and PEP 440 write the same they mean the same, so one reader serves both; Poetry
 * adds "^", "~", "||" and versions without an operator. */
#include <string.h>

#include "dockerfile/generate/python.h"

#define NUMBER_MAX   9999
#define NEWEST_PATCH 9998 /* stands for one newer than any that is named */

static const struct {
    const char *text;
    int op;
    bool poetry; /* only Poetry writes it */
} operators[] = {
    /* The longer before those they begin with. */
    {"===", PYTHON_EQUAL, false},  {"==", PYTHON_EQUAL, false},    {"!=", PYTHON_NOT_EQUAL, false},
    {"<=", PYTHON_AT_MOST, false}, {">=", PYTHON_AT_LEAST, false}, {"~=", PYTHON_COMPATIBLE, false},
    {"<", PYTHON_LESS, false},     {">", PYTHON_MORE, false},      {"^", PYTHON_CARET, true},
    {"~", PYTHON_TILDE, true},     {"=", PYTHON_EQUAL, true},      {"", PYTHON_EQUAL, true},
};

static const char *read_operator(const char *s, enum python_syntax syntax, struct python_clause *c)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        size_t n = strlen(operators[i].text);

        if (strncmp(s, operators[i].text, n) != 0)
            continue;
        if (operators[i].poetry && syntax != PYTHON_POETRY)
            return NULL;
        c->op = (unsigned)operators[i].op;
        return s + n + strspn(s + n, " \t");
    }
    return NULL;
}

static const char *read_number(const char *s, int *ret)
{
    int n = 0;

    if (*s < '0' || *s > '9')
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++)
        if (n <= NUMBER_MAX)
            n = n * 10 + (*s - '0');
    *ret = n > NUMBER_MAX ? NUMBER_MAX : n;
    return s;
}

/* "3.11.4", "3.11.*", "*"; what follows the numbers ("rc1", ".dev0") is skipped. */
static const char *read_version(const char *s, struct python_clause *c)
{
    if (*s == 'v')
        s++;
    for (;;) {
        int number;

        if (*s == '*') {
            c->wildcard = true;
            return s + 1;
        }
        s = read_number(s, &number);
        if (!s)
            return NULL;
        if (c->n < 3)
            c->parts[c->n++] = number;
        if (*s != '.' || !(s[1] == '*' || (s[1] >= '0' && s[1] <= '9')))
            break;
        s++;
    }
    return s + strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_");
}

/* A wildcard stands after "==" and "!=" alone; "~=" needs two numbers to drop the last. */
static bool is_meaningful(const struct python_clause *c)
{
    if (c->wildcard)
        return c->op == PYTHON_EQUAL || c->op == PYTHON_NOT_EQUAL;
    return c->n > (c->op == PYTHON_COMPATIBLE ? 1 : 0);
}

bool python_specifier_parse(const char *text, enum python_syntax syntax,
                            struct python_specifier *ret)
{
    bool alternative = false;

    ret->n = 0;
    for (const char *s = text + strspn(text, " \t,"); *s; s += strspn(s, " \t,")) {
        struct python_clause c = {.starts_alternative = alternative};

        if (*s == '|') {
            if (syntax != PYTHON_POETRY || alternative || ret->n == 0)
                return false;
            alternative = true;
            s += strspn(s, "|");
            continue;
        }
        s = read_operator(s, syntax, &c);
        s = s ? read_version(s, &c) : NULL;
        if (!s || !is_meaningful(&c) || ret->n == PYTHON_CLAUSES_MAX)
            return false;
        ret->v[ret->n++] = c;
        alternative = false;
    }
    return !alternative;
}

/* The first n numbers of both; -1, 0 or 1. */
static int compare(const int version[3], const int parts[3], int n)
{
    for (int i = 0; i < n; i++)
        if (version[i] != parts[i])
            return version[i] < parts[i] ? -1 : 1;
    return 0;
}

static bool clause_allows(const struct python_clause *c, const int version[3])
{
    int all = compare(version, c->parts, 3);
    int equal_parts = c->wildcard ? c->n : 3;

    switch (c->op) {
    case PYTHON_EQUAL:
        return compare(version, c->parts, equal_parts) == 0;
    case PYTHON_NOT_EQUAL:
        return compare(version, c->parts, equal_parts) != 0;
    case PYTHON_LESS:
        return all < 0;
    case PYTHON_AT_MOST:
        return all <= 0;
    case PYTHON_MORE:
        return all > 0;
    case PYTHON_AT_LEAST:
        return all >= 0;
    case PYTHON_COMPATIBLE:
        return all >= 0 && compare(version, c->parts, c->n - 1) == 0;
    case PYTHON_CARET:
        return all >= 0 && compare(version, c->parts, 1) == 0;
    case PYTHON_TILDE:
        return all >= 0 && compare(version, c->parts, c->n < 2 ? c->n : 2) == 0;
    }
    return false;
}

bool python_specifier_allows(const struct python_specifier *s, int minor, int patch)
{
    const int version[3] = {3, minor, patch == PYTHON_PATCH_ANY ? NEWEST_PATCH : patch};
    bool holds = true;

    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].starts_alternative) {
            if (holds)
                return true;
            holds = true;
        }
        holds = holds && clause_allows(&s->v[i], version);
    }
    return holds;
}
