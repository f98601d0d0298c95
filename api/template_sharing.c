/* api/template_sharing — how much the versions of a volume template have in common.  The store is
 * read in a jail, so the answer takes a moment, and only some are made at once. */
#include <string.h>

#include "api/call.h"

struct overlaps {
    json_t *versions, *shared;
    int bad;
};

static void add_overlap(void *self, uint64_t a, uint64_t b, uint64_t bytes)
{
    struct overlaps *o = self;

    if (a == b)
        o->bad |= json_array_append_new(
            o->versions,
            json_pack("{s:o, s:I}", "name", api_json_number_text(a), "bytes", (json_int_t)bytes));
    else
        o->bad |= json_array_append_new(
            o->shared, json_pack("{s:[o, o], s:I}", "versions", api_json_number_text(a),
                                 api_json_number_text(b), "bytes", (json_int_t)bytes));
}

static int has_versions(struct api_call *c, const char *name, bool *ret, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    struct template_info info = {.revisions = 0};
    bool there = false;

    if (places_open_store(c->config->places, c->key.workspace, &s, err) < 0 ||
        (s && template_get(s, name, &info, &there, err) < 0))
        return -1;
    *ret = there && info.revisions > 0;
    return 0;
}

static int compare(struct api_call *c, const char *name, struct overlaps *o,
                   enum planner_outcome *ret_outcome, struct error *err)
{
    bool any;

    *ret_outcome = PLANNER_DONE;
    if (has_versions(c, name, &any, err) < 0)
        return -1;
    if (!any)
        return 0;
    if (planner_overlaps(c->config->planner, c->key.workspace, name, add_overlap, o, ret_outcome,
                         err) < 0)
        return -1;
    return api_json_check(o->bad, err);
}

int api_get_template_sharing(struct api_call *c, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    json_auto_t *versions = json_array();
    json_auto_t *shared = json_array();
    json_auto_t *answer = NULL;
    struct overlaps o = {.versions = versions, .shared = shared};
    enum planner_outcome outcome;
    enum presence presence;

    c->kind = api_kind_of_type(TYPE_TEMPLATE);
    if (api_load_resource(c, c->args[0], &presence, &r, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0;
    if (!c->config->planner) {
        api_refuse(c->resp, 501, "not_supported", "This server does not compare versions.");
        return 0;
    }
    if (compare(c, r.name, &o, &outcome, err) < 0)
        return -1;
    if (outcome == PLANNER_BUSY) {
        api_refuse(c->resp, 429, "too_many_comparisons",
                   "Plans and comparisons are being made. Try again in a second.");
        api_response_header(c->resp, "Retry-After", "1");
        return 0;
    }
    answer = json_pack("{s:s, s:O, s:O}", "name", r.name, "versions", versions, "shared", shared);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}
