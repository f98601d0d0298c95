/* api/events — what happened to a target, as far as its clients may know yet (PROTOCOL.md 6.3).
 *
 * The worker writes the last event of a build when it ends, which is before build_status shows the
 * end; until then such events are left out, or a client would see the outcome before the status. */
#include <string.h>

#include "api/call.h"

#define EVENTS_MAX 100               /* state_event_list gives no more */
#define SETTLED    (60 * NS_PER_SEC) /* build_status keeps no end back for so long */

struct collected {
    json_t *event[EVENTS_MAX];
    char build[EVENTS_MAX][BUILD_ID];
    bool final[EVENTS_MAX];
    int64_t time[EVENTS_MAX];
    size_t n;
    int bad;
    enum build_purpose view;
};

static void collect(void *self, const struct event *e)
{
    struct collected *all = self;
    json_t *event;

    if (all->n == EVENTS_MAX || (all->view == BUILD_FOR_IMAGE && e->of_resource))
        return;
    event = json_pack("{s:s, s:s, s:o, s:s, s:s}", "type", e->type, "status", e->status, "time",
                      api_json_time(e->time), "message", e->message, "revision", e->revision);
    all->bad |= !event;
    memcpy(all->build[all->n], e->build, BUILD_ID);
    all->final[all->n] = e->final;
    all->time[all->n] = e->time;
    all->event[all->n++] = event;
}

/* *ret holds the answer for the event before. */
static int is_visible(struct api_call *c, const struct collected *all, size_t i, bool *ret,
                      struct error *err)
{
    enum presence presence;
    struct build b;

    if (!all->final[i] || !all->build[i][0] || c->now - all->time[i] > SETTLED) {
        *ret = true;
        return 0;
    }
    /* An end is several events. */
    if (i && all->final[i - 1] && strcmp(all->build[i], all->build[i - 1]) == 0)
        return 0;
    if (state_build_get(c->config->state, all->build[i], &presence, &b, err) < 0)
        return -1;
    *ret = presence == ABSENT || status_is_final(build_status(&b, all->view, c->now));
    return 0;
}

static int keep_visible(struct api_call *c, struct collected *all, json_t *out, struct error *err)
{
    bool visible = true;

    for (size_t i = 0; i < all->n; i++) {
        if (is_visible(c, all, i, &visible, err) < 0)
            return -1;
        if (visible)
            all->bad |= json_array_append(out, all->event[i]);
    }
    return api_json_check(all->bad, err);
}

int api_events(struct api_call *c, const struct target *t, enum build_purpose view, json_t **ret,
               struct error *err)
{
    struct collected all = {.n = 0, .view = view};
    json_auto_t *out = json_array();
    int rc;

    rc = state_event_list(c->config->state, t, collect, &all, err);
    if (rc == 0)
        rc = keep_visible(c, &all, out, err);
    for (size_t i = 0; i < all.n; i++)
        json_decref(all.event[i]);
    if (rc == 0)
        *ret = TAKE(out);
    return rc;
}
