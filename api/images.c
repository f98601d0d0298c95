/* api/images — the images of a workspace: their list, one of them, its Dockerfile. */
#include <string.h>

#include "api/image_json.h"
#include "api/image_ref.h"
#include "api/list_page.h"

/* ---- lists ---- */

struct image_rows {
    struct image *rows;
    size_t n, cap;
    bool failed;
};

static void rows_release(struct image_rows *all)
{
    free(all->rows);
}

static void add_row(void *self, const struct image *i)
{
    struct image_rows *all = self;

    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 16;
        struct image *rows = reallocarray(all->rows, cap, sizeof(*rows));

        if (!rows) {
            all->failed = true;
            return;
        }
        all->rows = rows;
        all->cap = cap;
    }
    all->rows[all->n++] = *i;
}

static int append_image(struct api_call *c, const struct image *i, json_t *list, struct error *err)
{
    json_t *image;
    size_t n_tags;

    if (image_json(c, i, NULL, &image, &n_tags, err) < 0)
        return -1;
    return api_json_check(json_array_append_new(list, image), err);
}

/* By name, and then by type. */
struct image_key {
    char text[sizeof(((struct image *)0)->name) + sizeof(((struct image *)0)->type)];
};

static int answer_page(struct api_call *c, const struct image_rows *all, struct error *err)
{
    CLEANUP_FREE struct page_item *items = calloc(all->n + 1, sizeof(*items));
    CLEANUP_FREE struct image_key *keys = calloc(all->n + 1, sizeof(*keys));
    json_auto_t *list = json_array();
    struct page page;
    const char *next;
    size_t n = 0;
    bool ok;

    if (api_json_check(!items || !keys, err) < 0 || page_parse(c, &page, &ok, err) < 0)
        return -1;
    if (!ok)
        return 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct image *row = &all->rows[i];

        (void)snprintf(keys[i].text, sizeof(keys[i].text), "%s/%s", row->name, row->type);
        if (strstr(row->name, page.q))
            items[n++] = (struct page_item){keys[i].text, row};
    }
    next = page_cut(&page, items, &n);
    for (size_t i = 0; i < n; i++)
        if (append_image(c, items[i].of, list, err) < 0)
            return -1;
    return api_answer_list(c, json_incref(list), next, (int64_t)all->n, err);
}

static int answer_all(struct api_call *c, const struct image_rows *all, struct error *err)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; i < all->n; i++)
        if (append_image(c, &all->rows[i], list, err) < 0)
            return -1;
    return api_response_json(c->resp, 200, list, err);
}

int api_list_images(struct api_call *c, struct error *err)
{
    CLEANUP(rows_release) struct image_rows all = {.n = 0};

    if (state_image_list(c->config->state, c->key.workspace, add_row, &all, err) < 0 ||
        api_json_check(all.failed, err) < 0)
        return -1;
    return c->catalog ? answer_page(c, &all, err) : answer_all(c, &all, err);
}

/* ---- one image ---- */

void api_refuse_image(struct api_call *c, const char *name, const char *tag)
{
    if (tag)
        api_refuse(c->resp, 404, "image tag not found",
                   "There is no tag %.128s of image %.49s/%.49s in this workspace. List its tags "
                   "with GET /v0/images/%.49s/%.49s.",
                   tag, c->args[0], name, c->args[0], name);
    else
        api_refuse(c->resp, 404, "image not found",
                   "There is no image %.49s/%.49s in this workspace. List the images with GET "
                   "/v0/images.",
                   c->args[0], name);
}

int api_load_image(struct api_call *c, const char *name, const char *tag, json_t **ret,
                   struct error *err)
{
    struct target t = {c->key.workspace, c->args[0], name};
    enum presence presence;
    struct image i;
    size_t n_tags;

    *ret = NULL;
    if (state_image_get(c->config->state, &t, &presence, &i, err) < 0)
        return -1;
    if (presence == ABSENT) {
        api_refuse_image(c, name, NULL);
        return 0;
    }
    if (image_json(c, &i, tag, ret, &n_tags, err) < 0)
        return -1;
    if (tag && n_tags == 0) {
        json_decref(*ret);
        *ret = NULL;
        api_refuse_image(c, name, tag);
    }
    return 0;
}

int api_get_image(struct api_call *c, struct error *err)
{
    json_auto_t *image = NULL;
    struct image_ref ref;

    if (!image_ref_parse(c->args[1], &ref)) {
        api_refuse_image(c, c->args[1], NULL);
        return 0;
    }
    if (api_load_image(c, ref.name, ref.tag, &image, err) < 0)
        return -1;
    return image ? api_response_json(c->resp, 200, image, err) : 0;
}

static void refuse_without_dockerfile(struct api_call *c, const char *name)
{
    api_refuse(c->resp, 404, "dockerfile not found",
               "No build of %.32s %.64s has come so far that its Dockerfile is known.", c->args[0],
               name);
}

int api_get_image_dockerfile(struct api_call *c, struct error *err)
{
    struct target t = {c->key.workspace, c->args[0], c->args[1]};
    enum presence presence;
    struct build b;

    if (state_build_newest(c->config->state, &t, &presence, &b, err) < 0)
        return -1;
    if (presence == PRESENT &&
        state_build_dockerfile(c->config->state, b.id, &c->resp->body, err) < 0)
        return -1;
    if (c->resp->body.len == 0) {
        refuse_without_dockerfile(c, t.name);
        return 0;
    }
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "text/plain; charset=utf-8");
    return 0;
}
