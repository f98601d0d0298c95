/* worker/state_rotate — see the header.  Two secrets: the key, and the old one with the moment, in
 * eight bytes, until which that is accepted. */
#include "worker/state_rotate.h"

#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"

#define CURRENT "upload key"
#define OLD     "old upload key"
#define MOMENT  8

static int load(struct state *s, struct state_upload_keys *ret, bool *ret_made, struct error *err)
{
    unsigned char value[STATE_KEY + MOMENT];
    int rc = 0;

    *ret = (struct state_upload_keys){.old_until = 0};
    *ret_made = false;
    QUERY(q, s->db, "select name, value from secrets where name in ('" CURRENT "', '" OLD "')");
    while (query_row(&q, &rc, err)) {
        size_t len = query_get_blob(&q, 1, value, sizeof(value));

        if (len == STATE_KEY && strcmp(query_get_text(&q, 0), CURRENT) == 0) {
            memcpy(ret->current, value, STATE_KEY);
            *ret_made = true;
        } else if (len == sizeof(value)) {
            memcpy(ret->old, value, STATE_KEY);
            for (int i = 0; i < MOMENT; i++)
                ret->old_until = ret->old_until << 8 | value[STATE_KEY + i];
        }
    }
    return rc;
}

int state_upload_keys(struct state *s, struct state_upload_keys *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool made;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 || load(s, ret, &made, err) < 0)
        return -1;
    tx_end(&tx);
    return made ? 0 : state_secret(s, CURRENT, ret->current, STATE_KEY, err);
}

static int put(struct state *s, const char *name, const void *value, size_t len, struct error *err)
{
    QUERY(q, s->db,
          "insert into secrets values (?, ?)"
          " on conflict (name) do update set value = excluded.value");
    query_text(&q, name);
    query_blob(&q, value, len);
    return query_run(&q, NULL, err);
}

static int forget_old(struct state *s, struct error *err)
{
    QUERY(q, s->db, "delete from secrets where name = '" OLD "'");
    return query_run(&q, NULL, err);
}

static int keep_old(struct state *s, const unsigned char key[STATE_KEY], int64_t until,
                    struct error *err)
{
    unsigned char value[STATE_KEY + MOMENT];

    memcpy(value, key, STATE_KEY);
    for (int i = 0; i < MOMENT; i++)
        value[STATE_KEY + i] = (unsigned char)(until >> 8 * (MOMENT - 1 - i));
    return put(s, OLD, value, sizeof(value), err);
}

int state_upload_rotate(struct state *s, int64_t overlap, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const int64_t now = clock_now(&s->clock);
    unsigned char fresh[STATE_KEY];
    struct state_upload_keys keys;
    bool made;

    digest_random(fresh, sizeof(fresh));
    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || load(s, &keys, &made, err) < 0)
        return -1;
    if (overlap && keys.old_until > now)
        return error_set(err, ERR_INPUT,
                         "the key before this one is accepted for %lld s more: wait, or end that "
                         "with --now",
                         (long long)((keys.old_until - now) / NS_PER_SEC + 1));
    if ((made && overlap ? keep_old(s, keys.current, now + overlap, err) : forget_old(s, err)) <
            0 ||
        put(s, CURRENT, fresh, sizeof(fresh), err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_upload_purge(struct state *s, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct state_upload_keys keys;
    bool made;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || load(s, &keys, &made, err) < 0)
        return -1;
    if (!keys.old_until || keys.old_until > clock_now(&s->clock))
        return 0;
    return forget_old(s, err) < 0 ? -1 : tx_commit(&tx, err);
}
