/* api/image_tags — the tags of an image, by pages (Blaxel-Version 2026-09-22). */
#include <string.h>

#include "api/image_json.h"
#include "api/image_ref.h"
#include "api/list_page.h"

/* As JSON objects, which have their own names. */
static void add_tag(void *self, const struct image_tag *g)
{
    (void)json_array_append_new(self, image_tag_json(g));
}

/* *ret_name: of whom the image is; false: resp holds the refusal. */
static int find_owner(struct api_call *c, struct image *ret, bool *ret_ok, struct error *err)
{
    const struct target t = {c->key.workspace, c->args[0], c->args[1]};
    const char *source = api_request_param(c->req, "sourceWorkspace");
    enum presence presence;

    if (state_image_get(c->config->state, &t, &presence, ret, err) < 0)
        return -1;
    *ret_ok = presence == PRESENT && (!source || !*source || strcmp(source, ret->workspace) == 0);
    if (!*ret_ok)
        api_refuse_image(c, c->args[1], NULL);
    return 0;
}

/* Of what begins with q, or has the very name. */
static size_t select_tags(const struct api_call *c, const struct page *page, const json_t *all,
                          struct page_item *items)
{
    const char *exact = api_request_param(c->req, "name");
    size_t i, n = 0;
    json_t *tag;

    json_array_foreach (all, i, tag) {
        const char *name = json_string_value(json_object_get(tag, "name"));

        if (strncmp(name, page->q, strlen(page->q)) == 0 &&
            (!exact || !*exact || strcmp(name, exact) == 0))
            items[n++] = (struct page_item){name, tag};
    }
    return n;
}

static int answer(struct api_call *c, const struct page *page, const json_t *all, struct error *err)
{
    CLEANUP_FREE struct page_item *items = calloc(json_array_size(all) + 1, sizeof(*items));
    json_auto_t *list = json_array();
    const char *next;
    int bad = 0;
    size_t n;

    if (api_json_check(!items, err) < 0)
        return -1;
    n = select_tags(c, page, all, items);
    next = page_cut(page, items, &n);
    for (size_t i = 0; i < n; i++)
        bad |= json_array_append(list, (json_t *)items[i].of);
    if (api_json_check(bad, err) < 0)
        return -1;
    c->enveloped = true; /* there was no such route before */
    return api_answer_list(c, json_incref(list), next, (int64_t)json_array_size(all), err);
}

int api_list_image_tags(struct api_call *c, struct error *err)
{
    json_auto_t *all = json_array();
    struct page page;
    struct image i;
    bool ok;

    if (page_parse(c, &page, &ok, err) < 0)
        return -1;
    if (!ok)
        return 0;
    if (find_owner(c, &i, &ok, err) < 0)
        return -1;
    if (!ok)
        return 0;
    if (state_image_tags(c->config->state, &(struct target){i.workspace, i.type, i.name}, add_tag,
                         all, err) < 0)
        return -1;
    return answer(c, &page, all, err);
}
