/* worker/state_webhooks — messages that wait until they are acknowledged. */
#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"
#include "worker/webhooks.h"

#define BODY_MAX (64 << 10)

void webhook_message_release(struct webhook_message *m)
{
    buf_release(&m->body);
}

void state_announce(struct state *s, const struct argv *urls, const char *registry_name)
{
    s->webhooks = urls;
    s->registry_name = registry_name;
}

/* ---- writing ---- */

static void put(json_t *data, const char *key, const char *value)
{
    if (value && value[0])
        (void)json_object_set_new(data, key, json_string(value));
}

/* NULL: out of memory. */
static char *write_body(const struct webhook_news *n, int64_t now)
{
    char time[CLOCK_TEXT];
    json_auto_t *o = NULL;
    json_t *data;

    clock_format(now, time);
    data = json_pack("{s:s, s:s, s:s}", "workspace", n->of.workspace, "type", n->of.type, "name",
                     n->of.name);
    put(data, "build", n->build);
    put(data, "revision", n->revision);
    put(data, "status", n->status);
    put(data, "image", n->image);
    put(data, "digest", n->digest);
    put(data, "template", n->template);
    put(data, "message", n->message);
    o = json_pack("{s:s, s:s, s:o}", "type", n->type, "timestamp", time, "data", data);
    return o ? json_dumps(o, JSON_COMPACT) : NULL;
}

static int add_one(struct state *s, const char *url, const char *id, const struct webhook_news *n,
                   const char *body, int64_t now, struct error *err)
{
    QUERY(q, s->db,
          "insert into webhook_messages (id, url, build, type, body, created, next_try)"
          " values (?1, ?2, ?3, ?4, ?5, ?6, ?6) on conflict (id, url) do nothing");
    query_text(&q, id);
    query_text(&q, url);
    query_text(&q, n->build);
    query_text(&q, n->type);
    query_text(&q, body);
    query_int(&q, now);
    return query_run(&q, NULL, err);
}

int webhook_tell(struct state *s, const struct webhook_news *n, struct error *err)
{
    const int64_t now = clock_now(&s->clock);
    CLEANUP_FREE char *body = NULL;
    char drawn[33];
    char id[WEBHOOK_ID];

    if (!s->webhooks || s->webhooks->n == 0)
        return 0;
    digest_random_name(drawn, sizeof(drawn) - 1);
    (void)snprintf(id, sizeof(id), "msg_%s",
                   n->build[0] ? n->build : drawn); /* a build ends once */
    body = write_body(n, now);
    if (!body)
        return error_set(err, ERR_SYSTEM, "write a webhook's message: out of memory");
    for (size_t i = 0; i < s->webhooks->n; i++)
        if (add_one(s, s->webhooks->v[i], id, n, body, now, err) < 0)
            return -1;
    return 0;
}

static const char *type_of_end(enum build_purpose purpose, bool good)
{
    switch (purpose) {
    case BUILD_FOR_TEMPLATE:
        return good ? "volumetemplate.ready" : "volumetemplate.failed";
    case BUILD_FOR_VOLUME:
        return good ? "volume.ready" : "volume.failed";
    default:
        return good ? "deployment.succeeded" : "deployment.failed";
    }
}

int webhook_add(struct state *s, const struct build *b, const char *template, const char *message,
                bool good, struct error *err)
{
    char image[512] = "";
    const struct webhook_news n = {.type = type_of_end(b->purpose, good),
                                   .of = build_target(b),
                                   .build = b->id,
                                   .revision = b->tag,
                                   .status = good ? "DEPLOYED" : "FAILED",
                                   .image = image,
                                   .digest = purpose_is_image(b->purpose) ? b->digest : "",
                                   .template = template,
                                   .message = message};

    if (b->digest[0] && purpose_is_image(b->purpose))
        (void)snprintf(image, sizeof(image), "%s/%s/%s/%s@%s",
                       s->registry_name ? s->registry_name : "", b->workspace, b->type, b->name,
                       b->digest);
    return webhook_tell(s, &n, err);
}

/* ---- sending ---- */

#define COLUMNS "id, url, build, type, attempts, created, next_try, tried, delivered, answer, body"

static void read_row(struct query *q, struct webhook_message *ret)
{
    *ret = (struct webhook_message){.attempts = (int)query_get_int(q, 4),
                                    .created = query_get_int(q, 5),
                                    .next_try = query_get_int(q, 6),
                                    .tried = query_get_int(q, 7),
                                    .delivered = query_get_int(q, 8),
                                    .body = BUF_INIT(BODY_MAX)};
    COPY_TEXT(ret->id, query_get_text(q, 0));
    COPY_TEXT(ret->url, query_get_text(q, 1));
    COPY_TEXT(ret->build, query_get_text(q, 2));
    COPY_TEXT(ret->type, query_get_text(q, 3));
    COPY_TEXT(ret->answer, query_get_text(q, 9));
}

#define NEXT_MESSAGE                                                                               \
    "(select id from webhook_messages where delivered = 0 and url = ?1 and next_try <= ?2"         \
    " and lease_until <= ?2 order by next_try limit 1)"

/* Looking waits for nobody's transaction; taking does. */
static int has_next(struct state *s, const char *url, bool *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select 1 from " NEXT_MESSAGE " found");
    query_text(&q, url);
    query_int(&q, clock_now(&s->clock));
    return query_next(&q, ret, err);
}

int state_webhook_claim(struct state *s, const char *url, const char *worker, int64_t lease_ns,
                        enum presence *ret_presence, struct webhook_message *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct webhook_message m = {.attempts = 0};
    int64_t now;
    bool row;

    *ret_presence = ABSENT;
    if (has_next(s, url, &row, err) < 0)
        return -1;
    if (!row)
        return 0;
    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0)
        return -1;
    now = clock_now(&s->clock);
    QUERY(q, s->db,
          "update webhook_messages set worker = ?3, lease_until = ?4, attempts = attempts + 1,"
          " tried = ?2 where url = ?1 and id = " NEXT_MESSAGE " returning " COLUMNS);
    query_text(&q, url);
    query_int(&q, now);
    query_text(&q, worker);
    query_int(&q, now + lease_ns);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row) {
        read_row(&q, &m);
        buf_adds(&m.body, query_get_text(&q, 10));
    }
    query_end(&q);
    if (buf_check(&m.body, "a webhook's message", err) < 0 || tx_commit(&tx, err) < 0) {
        webhook_message_release(&m);
        return -1;
    }
    *ret = m;
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int state_webhook_settle(struct state *s, const struct webhook_message *m, const char *worker,
                         bool acknowledged, const char *answer, int64_t pause, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t now;

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0)
        return -1;
    now = clock_now(&s->clock);
    QUERY(q, s->db,
          "update webhook_messages set delivered = ?1, answer = ?2, next_try = ?3, worker = '',"
          " lease_until = 0 where id = ?4 and url = ?5 and worker = ?6 and delivered = 0");
    query_int(&q, acknowledged ? now : 0);
    query_text(&q, answer);
    query_int(&q, now + pause);
    query_text(&q, m->id);
    query_text(&q, m->url);
    query_text(&q, worker);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

/* ---- looking after them ---- */

int state_webhook_list(struct state *s, bool all,
                       void (*each)(void *self, const struct webhook_message *m), void *self,
                       struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select " COLUMNS
          " from webhook_messages where delivered = 0 or ? = 1 order by created, id,"
          " url");
    query_int(&q, all);
    while (query_row(&q, &rc, err)) {
        struct webhook_message m;

        read_row(&q, &m);
        each(self, &m);
    }
    return rc;
}

/* Of a URL that nobody configures any more nothing is waited for. */
static int forget_url(struct state *s, const char *url, int64_t before, struct error *err)
{
    QUERY(q, s->db, "delete from webhook_messages where created < ? and url = ?");
    query_int(&q, before);
    query_text(&q, url);
    return query_run(&q, NULL, err);
}

static int list_urls(struct state *s, struct argv *ret, struct error *err)
{
    QUERY(q, s->db, "select distinct url from webhook_messages where delivered = 0");
    return query_list(&q, "webhooks", ret, err);
}

int state_webhook_forget(struct state *s, const struct argv *urls, int64_t before,
                         struct error *err)
{
    CLEANUP(argv_release) struct argv known = ARGV_INIT;
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0 || list_urls(s, &known, err) < 0)
        return -1;
    for (size_t i = 0; i < known.n; i++)
        if (!argv_contains(urls, known.v[i]) && forget_url(s, known.v[i], before, err) < 0)
            return -1;
    QUERY(q, s->db, "delete from webhook_messages where created < ? and delivered > 0");
    query_int(&q, before);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}
