/* objects/unfinished — puts in parts that nobody will end, because who began them died, or because
 * the answer that had their id was lost.  Their parts cost room, and no list of objects shows them.
 */
#include "objects/unfinished.h"

#include <string.h>

#include "base/text.h"
#include "objects/sign.h"

#define PAGE_MAX   (8u << 20) /* 1000 of them, as for keys */
#define ANSWER_MAX (64u << 10)

static void add_parameter(struct argv *query, const char *name, const char *value)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4 * ANSWER_VALUE);

    sign_encode(value, false, &text);
    argv_pushf(query, "%s=%s", name, buf_str(&text));
    query->failed = query->failed || text.full;
}

int unfinished_abort(struct objects *o, const char *key, const char *id, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    const struct store_request r = {.method = "DELETE", .key = key, .query = &query};

    add_parameter(&query, "uploadId", id);
    if (query.failed)
        return error_set(err, ERR_SYSTEM, "take back a put in parts: out of memory");
    if (store_exchange(o, &r, &resp, err) < 0)
        return -1;
    if (resp.status / 100 == 2 || store_says(&resp, "NoSuchUpload"))
        return 0;
    return store_refused(o, &resp, err);
}

struct search {
    struct objects *o;
    const struct http_response *resp;
    int64_t seconds;
    struct argv found; /* key, id, key, id… */
};

static int on_upload(void *self, const struct answer_upload *u, struct error *err)
{
    struct search *s = self;

    if (!text_starts(u->key, s->o->prefix))
        return error_set(err, ERR_REMOTE, "%s: a list with what was not asked for", s->o->where);
    if (store_age(s->resp, u->begun) >= s->seconds)
        argv_push(&s->found, u->key + strlen(s->o->prefix), u->id, NULL);
    return 0;
}

/* page: where it begins, "" for the first; then where the next one does. */
static int list_page(struct search *s, struct answer_uploads *page, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(PAGE_MAX);
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    const struct store_request r = {.method = "GET", .query = &query};
    char key[ANSWER_VALUE], id[ANSWER_VALUE];

    memcpy(key, page->next_key, sizeof(key));
    memcpy(id, page->next_id, sizeof(id));
    if (*key)
        add_parameter(&query, "key-marker", key);
    add_parameter(&query, "prefix", s->o->prefix);
    if (*key)
        add_parameter(&query, "upload-id-marker", id);
    argv_push1(&query, "uploads=");
    if (query.failed)
        return error_set(err, ERR_SYSTEM, "list puts in parts: out of memory");
    if (store_exchange(s->o, &r, &resp, err) < 0)
        return -1;
    if (resp.status != 200)
        return store_refused(s->o, &resp, err);
    s->resp = &resp;
    if (answer_read_uploads(buf_str(&resp.body), resp.body.len, page, err) < 0)
        return -1;
    if (*key && strcmp(page->next_key, key) == 0 && strcmp(page->next_id, id) == 0)
        return error_set(err, ERR_REMOTE, "%s: a list that does not go on", s->o->where);
    return 0;
}

static int find(struct search *s, struct error *err)
{
    struct answer_uploads page = {.each = on_upload, .self = s};

    do {
        if (list_page(s, &page, err) < 0)
            return error_wrap(err, "list puts in parts");
    } while (page.next_key[0]);
    return s->found.failed ? error_set(err, ERR_SYSTEM, "list puts in parts: out of memory") : 0;
}

int objects_abort_unfinished(struct objects *o, int64_t seconds, size_t *ret_n, struct error *err)
{
    struct search s = {.o = o, .seconds = seconds, .found = ARGV_INIT};
    int result = find(&s, err);

    for (size_t i = 0; result == 0 && i + 1 < s.found.n; i += 2)
        result = unfinished_abort(o, s.found.v[i], s.found.v[i + 1], err);
    if (result == 0)
        *ret_n = s.found.n / 2;
    argv_release(&s.found);
    return result;
}
