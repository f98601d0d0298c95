/* dockerfile/csv — Go's encoding/csv with its default settings. */
#include "dockerfile/csv.h"

#include <string.h>

#include "base/buf.h"

static int quoted_field(const char **p, struct buf *field, struct error *err)
{
    for ((*p)++; **p; (*p)++) {
        if (**p == '"' && *++*p != '"') {
            if (**p && **p != ',')
                break;
            return 0;
        }
        buf_addc(field, **p);
    }
    return error_set(err, ERR_INPUT, "extraneous or missing \" in quoted-field");
}

static int plain_field(const char **p, struct buf *field, struct error *err)
{
    size_t n = strcspn(*p, ",");

    if (memchr(*p, '"', n))
        return error_set(err, ERR_INPUT, "bare \" in non-quoted-field");
    buf_add(field, *p, n);
    *p += n;
    return 0;
}

int csv_read(const char *text, struct argv *ret_fields, struct error *err)
{
    CLEANUP(buf_release) struct buf field = BUF_INIT(strlen(text));

    if (!*text)
        return error_set(err, ERR_INPUT, "EOF");
    for (;; text++) {
        buf_clear(&field);
        if ((*text == '"' ? quoted_field(&text, &field, err) : plain_field(&text, &field, err)) < 0)
            return -1;
        argv_push1(ret_fields, buf_str(&field));
        if (!*text)
            break;
    }
    return ret_fields->failed ? error_set(err, ERR_SYSTEM, "read fields: out of memory") : 0;
}
