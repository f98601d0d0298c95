/* api/volumes — volumes: files in the data directory, made of a template's revision or empty
 * (PROTOCOL.md 3.3).
 *
 * What the client can mend is found out at once; the file is written by a worker, as a build is.
 * The answer waits a moment for it, because most volumes are there by then. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "api/draft.h"

#define SIZE_DEFAULT 1024 /* MB; what the SDKs send when their user says nothing */
#define WAIT_MS      20

/* ---- showing ---- */

/* A volume that could not be grown is still there, with the size it had. */
int api_describe_volume(struct api_call *c, const struct resource *r, json_t *answer,
                        struct error *err)
{
    json_t *spec = json_object_get(answer, "spec");
    const char *status = json_string_value(json_object_get(answer, "status"));
    json_t *state = json_object();
    struct volume_order made;
    int bad;

    (void)c;
    bad = json_object_set_new(answer, "state", state);
    if (!volume_made_read(r->image, &made))
        return api_json_check(bad, err);
    bad |= json_object_set_new(spec, "size", json_integer((json_int_t)made.size_mb));
    if (strcmp(made.template, "-") != 0)
        bad |= json_object_set_new(state, "template", json_string(made.template));
    if (strcmp(status, status_name(STATUS_FAILED)) == 0)
        bad |= json_object_set_new(answer, "status", json_string(status_name(STATUS_DEPLOYED)));
    return api_json_check(bad, err);
}

bool api_check_volume(struct api_call *c, const json_t *spec)
{
    const json_t *template = json_object_get(spec, "template");
    struct error why = ERROR_INIT;
    struct template_ref ref;
    uint64_t size;

    if (!api_size_of_spec(c, spec, "size", &size))
        return false;
    if (!template || json_is_null(template))
        return true;
    if (json_is_string(template) &&
        template_ref_parse(json_string_value(template), &ref, &why) == 0)
        return true;
    api_refuse(c->resp, 400, "invalid_template",
               "The field spec.template must be the name of a volume template and a version, such "
               "as \"mytemplate:1\" or \"mytemplate:latest\".");
    return false;
}

/* ---- what is asked for ---- */

struct wish {
    json_t *spec;
    const char *template; /* NULL: none */
    uint64_t size;        /* MB; 0: not said */
};

/* The draft's spec was checked already. */
static void read_wish(const struct draft *d, struct wish *ret)
{
    ret->spec = json_loads(d->spec, 0, NULL);
    ret->template = json_string_value(json_object_get(ret->spec, "template"));
    ret->size = (uint64_t)json_integer_value(json_object_get(ret->spec, "size"));
}

static void wish_release(struct wish *w)
{
    json_decref(w->spec);
}

/* Puts size and template into the spec that is stored. */
static int settle_spec(struct draft *d, const struct wish *w, uint64_t size, struct error *err)
{
    char *text;

    if (api_json_check(json_object_set_new(w->spec, "size", json_integer((json_int_t)size)), err) <
        0)
        return -1;
    text = json_dumps(w->spec, JSON_COMPACT);
    if (api_json_check(!text, err) < 0)
        return -1;
    free(d->spec);
    d->spec = text;
    return 0;
}

struct found {
    struct template_ref ref; /* wanted; revision 0: the last */
    struct template_revision_info info;
    bool there;
};

static void find(void *self, const struct template_revision_info *i)
{
    struct found *f = self;

    if (f->ref.revision && f->ref.revision != i->ref.revision)
        return;
    f->info = *i;
    f->there = true;
}

/* Not there: resp holds the refusal. */
static int find_revision(struct api_call *c, const char *template, struct found *ret,
                         struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    char code[160];

    *ret = (struct found){.there = false};
    if (template_ref_parse(template, &ret->ref, err) < 0 ||
        places_open_store(c->config->places, c->key.workspace, &s, err) < 0 ||
        (s && template_revisions(s, ret->ref.name, find, ret, err) < 0))
        return -1;
    if (ret->there)
        return 0;
    (void)snprintf(code, sizeof(code), "volume template %.100s not found", template);
    api_refuse(c->resp, 404, code,
               "This workspace has no volume template %.100s, or it has no version yet. Deploy it "
               "first (bl deploy), or name another: GET /v0/volume_templates lists them.",
               template);
    return 0;
}

/* spec.defaultSize as it is now, else as it was when the revision was packed. */
static int default_size(struct api_call *c, const struct found *f, uint64_t *ret, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    struct target t = {c->key.workspace, TYPE_TEMPLATE, f->ref.name};
    json_auto_t *spec = NULL;
    enum presence presence;
    json_int_t size;

    if (state_resource_get(c->config->state, &t, &presence, &r, err) < 0)
        return -1;
    if (presence == PRESENT)
        spec = json_loads(r.spec, 0, NULL);
    size = json_integer_value(json_object_get(spec, "defaultSize"));
    *ret = size > 0 ? (uint64_t)size : f->info.default_size_mb;
    return 0;
}

/* *ret_fits false: resp holds the refusal. */
static int choose_size(struct api_call *c, const struct found *f, uint64_t *size, bool *ret_fits,
                       struct error *err)
{
    const uint64_t need = (f->info.min_size + (1 << 20) - 1) >> 20;
    uint64_t usual;

    if (default_size(c, f, &usual, err) < 0)
        return -1;
    if (*size == 0)
        *size = usual ? usual : need > SIZE_DEFAULT ? need : SIZE_DEFAULT;
    else if (*size == SIZE_DEFAULT && usual > SIZE_DEFAULT)
        *size = usual; /* the SDKs say this where their user said nothing */
    *ret_fits = *size >= need;
    if (!*ret_fits)
        api_refuse(c->resp, 400, "volume_too_small",
                   "A volume of %llu MB is too small for %s:%llu, which needs %llu MB: %llu bytes "
                   "of content and what the file system takes. Ask for a size of %llu or more; "
                   "20 to 30 %% more leaves room to write.",
                   (unsigned long long)*size, f->info.ref.name,
                   (unsigned long long)f->info.ref.revision, (unsigned long long)need,
                   (unsigned long long)f->info.content_size, (unsigned long long)need);
    return 0;
}

/* *ret_good false: resp holds the refusal. */
static int plan_volume(struct api_call *c, const struct wish *w, struct volume_order *ret,
                       bool *ret_good, struct error *err)
{
    struct found f;

    *ret = (struct volume_order){
        .verb = VOLUME_CREATE, .template = "-", .size_mb = w->size ? w->size : SIZE_DEFAULT};
    *ret_good = true;
    if (!w->template)
        return 0;
    ret->size_mb = w->size;
    if (find_revision(c, w->template, &f, err) < 0)
        return -1;
    *ret_good = f.there;
    if (!f.there)
        return 0;
    (void)snprintf(ret->template, sizeof(ret->template), "%s:%llu", f.info.ref.name,
                   (unsigned long long)f.info.ref.revision);
    return choose_size(c, &f, &ret->size_mb, ret_good, err);
}

/* ---- ordering ---- */

/* Where nobody takes it from the queue soon, the queue is long, or no worker is there. */
static bool is_worth_waiting(const struct api_call *c, const struct build *b, int64_t waited)
{
    const int64_t wait = c->config->volume_wait;

    return (b->phase == BUILD_QUEUED && waited < wait / 10) ||
           (b->phase == BUILD_RUNNING && waited < wait);
}

/* The resource anew once its build has ended, or time is up. */
static int wait_for(struct api_call *c, const struct build *b, struct resource *r,
                    struct error *err)
{
    const int64_t began = clock_monotonic();
    struct target t = {c->key.workspace, TYPE_VOLUME, r->name};
    struct build now = *b;
    enum presence presence = PRESENT;
    struct resource fresh = {.created = 0};

    while (presence == PRESENT && is_worth_waiting(c, &now, clock_monotonic() - began)) {
        (void)poll(NULL, 0, WAIT_MS);
        if (state_build_get(c->config->state, b->id, &presence, &now, err) < 0)
            return -1;
    }
    if (state_resource_get(c->config->state, &t, &presence, &fresh, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0; /* deleted meanwhile: as it was */
    resource_release(r);
    *r = fresh;
    c->now = clock_now(c->config->clock);
    return 0;
}

static int answer_existing(struct api_call *c, const char *name, struct error *err)
{
    if (api_request_flag(c->req, "createIfNotExist"))
        return api_answer_named(c, name, err);
    api_refuse(c->resp, 409, "VOLUME_ALREADY_EXISTS",
               "Volume %s already exists. Choose another name, or delete it first.", name);
    return 0;
}

static int answer_written(struct api_call *c, const struct build *b, struct resource *r,
                          struct error *err)
{
    if (b->id[0] && wait_for(c, b, r, err) < 0)
        return -1;
    return api_answer_resource(c, r, NULL, err);
}

static int create_volume(struct api_call *c, const struct draft *d, const struct volume_order *o,
                         struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    struct target t = {c->key.workspace, TYPE_VOLUME, d->name};
    const struct resource_body body = draft_body(d);
    enum resource_outcome outcome;
    struct build b = {.id = ""};
    char source[BUILD_SOURCE];

    volume_order_write(o, source);
    if (state_resource_order(c->config->state, &t, &body, true, source, &outcome, &r, &b, err) < 0)
        return -1;
    return outcome == RESOURCE_EXISTS ? answer_existing(c, d->name, err)
                                      : answer_written(c, &b, &r, err);
}

/* Before its spec is looked into: an existing one is 409 whatever is asked of it. */
static int exists(struct api_call *c, const char *name, bool *ret, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    struct target t = {c->key.workspace, TYPE_VOLUME, name};
    enum presence presence;

    if (state_resource_get(c->config->state, &t, &presence, &r, err) < 0)
        return -1;
    *ret = presence == PRESENT && r.image[0];
    return 0;
}

int api_post_volume(struct api_call *c, struct error *err)
{
    CLEANUP(draft_release) struct draft d = {.metadata = NULL};
    CLEANUP(wish_release) struct wish w = {.spec = NULL};
    struct volume_order o;
    bool good, there;

    c->kind = api_kind_of_type(TYPE_VOLUME);
    if (!api_check_host(c))
        return 0;
    if (api_draft(c, NULL, &d, &good, err) < 0)
        return -1;
    if (!good)
        return 0;
    if (exists(c, d.name, &there, err) < 0)
        return -1;
    if (there)
        return answer_existing(c, d.name, err);
    read_wish(&d, &w);
    if (plan_volume(c, &w, &o, &good, err) < 0)
        return -1;
    if (!good)
        return 0;
    return settle_spec(&d, &w, o.size_mb, err) < 0 ? -1 : create_volume(c, &d, &o, err);
}

/* ---- changing ---- */

static void refuse_busy(struct api_call *c, const char *name)
{
    api_refuse(c->resp, 409, "VOLUME_BUSY",
               "Volume %s is being made or grown, or could not be made. Try again when its status "
               "is DEPLOYED.",
               name);
}

/* What of the volume stays, however it is changed. */
static bool check_change(struct api_call *c, const struct wish *w, const struct wish *old)
{
    if (w->template && (!old->template || strcmp(w->template, old->template) != 0)) {
        api_refuse(c->resp, 400, "invalid_template",
                   "The template of a volume cannot be changed. Create another volume.");
        return false;
    }
    if (w->size && w->size < old->size) {
        api_refuse(c->resp, 400, "volume_cannot_shrink",
                   "The volume has %llu MB, and a volume can only grow. Ask for a larger size, or "
                   "create a smaller volume and copy.",
                   (unsigned long long)old->size);
        return false;
    }
    return true;
}

static int keep_template(struct wish *w, const struct wish *old, struct error *err)
{
    if (w->template || !old->template)
        return 0;
    return api_json_check(json_object_set_new(w->spec, "template", json_string(old->template)),
                          err);
}

static int change_volume(struct api_call *c, struct draft *d, const struct resource *old,
                         struct error *err)
{
    const struct draft before = {.spec = old->spec};
    CLEANUP(wish_release) struct wish was = {.spec = NULL}, w = {.spec = NULL};
    CLEANUP(resource_release) struct resource r = {.created = 0};
    struct volume_order made;
    struct target t = {c->key.workspace, TYPE_VOLUME, d->name};
    struct resource_body body;
    enum resource_outcome outcome;
    struct build b = {.id = ""};
    char source[BUILD_SOURCE] = "";

    read_wish(&before, &was);
    read_wish(d, &w);
    if (!volume_made_read(old->image, &made)) {
        refuse_busy(c, d->name);
        return 0;
    }
    was.size = made.size_mb;
    if (!check_change(c, &w, &was))
        return 0;
    made.verb = VOLUME_GROW;
    made.size_mb = w.size > was.size ? w.size : was.size;
    if (made.size_mb > was.size)
        volume_order_write(&made, source);
    if (keep_template(&w, &was, err) < 0 || settle_spec(d, &w, made.size_mb, err) < 0)
        return -1;
    body = draft_body(d);
    if (state_resource_order(c->config->state, &t, &body, false, source, &outcome, &r, &b, err) < 0)
        return -1;
    if (outcome == RESOURCE_ABSENT)
        api_refuse_absent(c, d->name);
    if (outcome == RESOURCE_BUSY)
        refuse_busy(c, d->name);
    return outcome == RESOURCE_WRITTEN ? answer_written(c, &b, &r, err) : 0;
}

int api_put_volume(struct api_call *c, struct error *err)
{
    CLEANUP(draft_release) struct draft d = {.metadata = NULL};
    CLEANUP(resource_release) struct resource old = {.created = 0};
    enum presence presence;
    bool good;

    c->kind = api_kind_of_type(TYPE_VOLUME);
    if (!api_check_host(c))
        return 0;
    if (api_draft(c, c->args[0], &d, &good, err) < 0)
        return -1;
    if (!good)
        return 0;
    if (api_load_resource(c, d.name, &presence, &old, err) < 0)
        return -1;
    return presence == PRESENT ? change_volume(c, &d, &old, err) : 0;
}

static int remove_file(struct api_call *c, const char *name, struct error *err)
{
    char path[PATH_MAX];

    if (places_volume(c->config->places, c->key.workspace, name, path, err) < 0)
        return -1;
    if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
        return error_errno(err, errno, "remove %s", path);
    return 0;
}

/* The file first, so that whoever asks again after a crash finds the volume; and once more, as a
 * worker may have ended in between.  One that is still at it removes what it makes. */
int api_delete_volume(struct api_call *c, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    enum presence presence;

    c->kind = api_kind_of_type(TYPE_VOLUME);
    if (api_load_resource(c, c->args[0], &presence, &r, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0;
    if (remove_file(c, r.name, err) < 0 || api_delete_resource(c, err) < 0)
        return -1;
    return remove_file(c, r.name, err);
}
