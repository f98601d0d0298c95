/* builder/jail_spec — the specification as bytes, and back.
 *
 * Writer and reader are the same binary, so there is no version and no byte order; the reader
 * still checks every length, because a cut specification must not become a laxer jail. */
#include <string.h>

#include "builder/jail.h"

#define END_MARK 0x6b696c6eu /* "kiln" */

void jail_spec_release(struct jail_spec *s)
{
    for (size_t i = 0; i < s->n_entries; i++) {
        free(s->entries[i].path);
        free(s->entries[i].from);
    }
    free(s->entries);
    argv_release(&s->argv);
    argv_release(&s->env);
    argv_release(&s->routes);
    buf_release(&s->hosts);
    argv_release(&s->limits.groups);
    argv_release(&s->limits.disk_dir);
    *s = (struct jail_spec){.ids = s->ids};
}

void jail_spec_add(struct jail_spec *s, enum jail_entry_kind kind, const char *path,
                   const char *from)
{
    struct jail_entry *more = reallocarray(s->entries, s->n_entries + 1, sizeof(*more));
    struct jail_entry e = {.kind = kind, .path = strdup(path), .from = strdup(from ? from : "")};

    if (more)
        s->entries = more;
    if (!more || !e.path || !e.from) {
        free(e.path);
        free(e.from);
        s->failed = true;
        return;
    }
    s->entries[s->n_entries++] = e;
}

/* ---- writing ---- */

static void put_u32(struct buf *out, uint32_t v)
{
    buf_add(out, &v, sizeof(v));
}

static void put_word(struct buf *out, const char *word)
{
    put_u32(out, (uint32_t)strlen(word));
    buf_adds(out, word);
}

static void put_words(struct buf *out, const struct argv *a)
{
    put_u32(out, (uint32_t)a->n);
    for (size_t i = 0; i < a->n; i++)
        put_word(out, a->v[i]);
}

void jail_spec_write(const struct jail_spec *s, struct buf *out)
{
    const uint32_t head[] = {s->ids.users,     s->ids.root_uid, s->ids.first_uid, s->ids.root_gid,
                             s->ids.first_gid, s->net,          s->rights,        s->inner,
                             s->out,           s->grace_ms};

    buf_add(out, head, sizeof(head));
    put_u32(out, (uint32_t)s->n_entries);
    for (size_t i = 0; i < s->n_entries; i++) {
        put_u32(out, s->entries[i].kind);
        put_word(out, s->entries[i].path);
        put_word(out, s->entries[i].from);
    }
    put_words(out, &s->argv);
    put_words(out, &s->env);
    put_words(out, &s->routes);
    put_words(out, &s->limits.groups);
    put_words(out, &s->limits.disk_dir);
    buf_add(out, &s->limits.disk, sizeof(s->limits.disk));
    put_u32(out, s->limits.processes);
    put_u32(out, END_MARK);
}

/* ---- reading ---- */

struct reader {
    const char *at;
    size_t left;
    bool bad;
};

static uint32_t get_u32(struct reader *r)
{
    uint32_t v = 0;

    if (r->left < sizeof(v)) {
        r->bad = true;
        return 0;
    }
    memcpy(&v, r->at, sizeof(v));
    r->at += sizeof(v);
    r->left -= sizeof(v);
    return v;
}

static uint64_t get_u64(struct reader *r)
{
    const uint32_t halves[2] = {get_u32(r), get_u32(r)};
    uint64_t v;

    memcpy(&v, halves, sizeof(v));
    return v;
}

/* A number below end. */
static uint32_t get_below(struct reader *r, uint32_t end)
{
    uint32_t v = get_u32(r);

    if (v >= end)
        r->bad = true;
    return r->bad ? 0 : v;
}

/* The caller frees it; NULL when the bytes are bad. */
static char *get_word(struct reader *r)
{
    uint32_t len = get_u32(r);
    char *word;

    if (r->bad || len > r->left || memchr(r->at, '\0', len)) {
        r->bad = true;
        return NULL;
    }
    word = strndup(r->at, len);
    r->bad = !word;
    r->at += len;
    r->left -= len;
    return word;
}

static void get_words(struct reader *r, struct argv *ret)
{
    uint32_t n = get_u32(r);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        CLEANUP_FREE char *word = get_word(r);

        if (word)
            argv_push1(ret, word);
    }
    if (ret->failed)
        r->bad = true;
}

static void get_entries(struct reader *r, struct jail_spec *s)
{
    uint32_t n = get_u32(r);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        enum jail_entry_kind kind = get_below(r, JAIL_KINDS_END);
        CLEANUP_FREE char *path = get_word(r);
        CLEANUP_FREE char *from = get_word(r);

        if (path && from)
            jail_spec_add(s, kind, path, from);
    }
    if (s->failed)
        r->bad = true;
}

int jail_spec_read(const void *data, size_t len, struct jail_spec *ret, struct error *err)
{
    struct reader r = {.at = data, .left = len};
    struct jail_spec s = {.ids.users = JAIL_USERS_NONE};

    s.ids.users = get_below(&r, JAIL_USERS_HELPERS + 1);
    s.ids.root_uid = get_u32(&r);
    s.ids.first_uid = get_u32(&r);
    s.ids.root_gid = get_u32(&r);
    s.ids.first_gid = get_u32(&r);
    s.net = get_below(&r, JAIL_NET_LIST + 1);
    s.rights = get_below(&r, JAIL_RIGHTS_BUILD + 1);
    s.inner = get_below(&r, 2) == 1;
    s.out = get_below(&r, 2) == 1;
    s.grace_ms = get_u32(&r);
    get_entries(&r, &s);
    get_words(&r, &s.argv);
    get_words(&r, &s.env);
    get_words(&r, &s.routes);
    get_words(&r, &s.limits.groups);
    get_words(&r, &s.limits.disk_dir);
    s.limits.disk = get_u64(&r);
    s.limits.processes = get_u32(&r);
    if (get_u32(&r) != END_MARK || r.left != 0 || r.bad || s.argv.n == 0) {
        jail_spec_release(&s);
        return error_set(err, ERR_SYSTEM, "read the jail's specification: it is damaged");
    }
    *ret = s;
    return 0;
}
