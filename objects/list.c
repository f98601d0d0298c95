/* objects/list — ListObjectsV2, page by page; and whether the store can be used at all. */
#include <string.h>

#include "base/text.h"
#include "objects/sign.h"
#include "objects/store.h"

#define PAGE_MAX (8u << 20) /* 1000 keys of 1024 bytes, each byte as an entity at worst */

struct lister {
    const struct objects *o;
    int (*each)(void *self, const struct object_listed *l, struct error *err);
    void *self;
    const struct http_response *resp;
};

static int on_object(void *self, const struct answer_object *object, struct error *err)
{
    const struct lister *l = self;
    const size_t prefix = strlen(l->o->prefix);
    const struct object_listed listed = {.key = object->key + prefix,
                                         .size = object->size,
                                         .age = store_age(l->resp, object->modified)};

    if (!text_starts(object->key, l->o->prefix))
        return error_set(err, ERR_REMOTE, "%s: a list with what was not asked for", l->o->where);
    return l->each(l->self, &listed, err);
}

static void add_parameter(struct argv *query, const char *name, const char *first,
                          const char *second)
{
    CLEANUP(buf_release) struct buf value = BUF_INIT(4 * ANSWER_VALUE);

    sign_encode(first, false, &value);
    sign_encode(second, false, &value);
    argv_pushf(query, "%s=%s", name, buf_str(&value));
    query->failed = query->failed || value.full;
}

/* token: of the page, "" for the first; then that of the next. */
static int list_page(struct lister *l, const char *prefix, char token[ANSWER_VALUE],
                     struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(PAGE_MAX);
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    const struct store_request r = {.method = "GET", .query = &query};
    struct answer_page page = {.each = on_object, .self = l};

    argv_push1(&query, "list-type=2");
    add_parameter(&query, "prefix", l->o->prefix, prefix);
    if (*token)
        add_parameter(&query, "continuation-token", token, "");
    if (query.failed)
        return error_set(err, ERR_SYSTEM, "list objects: out of memory");
    if (store_exchange((struct objects *)l->o, &r, &resp, err) < 0)
        return -1;
    if (resp.status != 200)
        return store_refused(l->o, &resp, err);
    l->resp = &resp;
    if (answer_read_page(buf_str(&resp.body), resp.body.len, &page, err) < 0)
        return -1;
    if (*page.next && strcmp(page.next, token) == 0)
        return error_set(err, ERR_REMOTE, "%s: a list that does not go on", l->o->where);
    memcpy(token, page.next, ANSWER_VALUE);
    return 0;
}

int objects_list(struct objects *o, const char *prefix,
                 int (*each)(void *self, const struct object_listed *l, struct error *err),
                 void *self, struct error *err)
{
    struct lister l = {.o = o, .each = each, .self = self};
    char token[ANSWER_VALUE] = "";

    do {
        if (list_page(&l, prefix, token, err) < 0)
            return error_wrap(err, "list objects");
    } while (*token);
    return 0;
}

static int find(void *self, const struct object_listed *l, struct error *err)
{
    (void)err;
    (void)l;
    *(bool *)self = true;
    return 0;
}

static int probe(struct objects *o, const char *key, bool *ret_conditions, struct error *err)
{
    static const char text[] = "kiln doctor was here\n";
    CLEANUP(buf_release) struct buf back = BUF_INIT(4096);
    bool there, refused, listed = false;

    if (objects_put(o, key, NULL, text, strlen(text), NULL, &refused, err) < 0 ||
        objects_read(o, key, &back, &there, err) < 0 ||
        objects_list(o, key, find, &listed, err) < 0 ||
        objects_put(o, key, OBJECT_ABSENT, "", 0, NULL, &refused, err) < 0)
        return -1;
    if (!there || strcmp(buf_str(&back), text) != 0 || !listed)
        return error_set(err, ERR_REMOTE, "%s: what was put there is not there afterwards",
                         o->where);
    *ret_conditions = refused;
    if (refused && objects_put(o, key, "\"0\"", "", 0, NULL, ret_conditions, err) < 0)
        return -1;
    return 0;
}

int objects_probe(struct objects *o, bool *ret_conditions, struct error *err)
{
    struct error ignored = ERROR_INIT;
    char random[17], key[40];

    digest_random_name(random, sizeof(random) - 1);
    (void)snprintf(key, sizeof(key), "probe-%s", random);
    if (probe(o, key, ret_conditions, err) == 0)
        return objects_delete(o, key, err);
    if (err->kind == ERR_REMOTE)
        (void)!objects_delete(o, key, &ignored);
    return -1;
}
