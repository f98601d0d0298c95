/* builder/slim — see the header. */
#include "builder/slim.h"

#include <string.h>

#include "base/text.h"
#include "builder/layer_place.h"
#include "builder/slim_store.h"

struct slim {
    struct slim_config config;
    struct slim_pins pins; /* of the layers that were looked at */
    int64_t epoch;
};

struct slim_step {
    char key[SHA256_HEX]; /* of what is known of its diff */
    struct slim_facts facts;
    struct slim_twins *twins; /* NULL: there are none, or they have to be looked for again */
    bool made;
    char made_key[SHA256_HEX];
    struct layer layer;
};

int slim_new(const struct builder_program *p, struct slim **ret, struct error *err)
{
    struct slim *s = calloc(1, sizeof(*s));

    if (!s)
        return error_set(err, ERR_SYSTEM, "slim an image: out of memory");
    s->epoch = p->epoch;
    if (slim_config_read(p->config, &s->config, err) < 0) {
        slim_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

void slim_free(struct slim *s)
{
    if (!s)
        return;
    slim_config_release(&s->config);
    slim_pins_release(&s->pins);
    free(s);
}

void slim_step_free(struct slim_step *step)
{
    if (!step)
        return;
    slim_facts_release(&step->facts);
    slim_twins_free(step->twins);
    free(step);
}

/* ---- looking ---- */

static void add_places(const struct slim *s, struct cache_key *key)
{
    for (size_t i = 0; i < s->config.places.n; i++) {
        cache_key_add_word(key, s->config.places.v[i].pattern);
        cache_key_add_word(key, s->config.places.v[i].rule->names);
        cache_key_add_number(key, s->config.places.v[i].rule - slim_rules);
    }
    cache_key_add_words(key, &s->config.volumes);
}

void slim_add_to_key(const struct slim *s, struct cache_key *key)
{
    add_places(s, key);
    cache_key_add_words(key, &s->config.pins.at);
    cache_key_add_words(key, &s->config.pins.by);
    cache_key_add_number(key, s->config.pins.many);
    cache_key_add_words(key, &s->config.commands);
}

/* All that a scan depends on beside the code; a change of that needs a new number. */
static int key_of(const struct slim *s, const struct slim_look_request *req, char ret[SHA256_HEX],
                  struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    if (cache_key_begin(&key, "slim 1", req->record->diff, err) < 0)
        return -1;
    add_places(s, &key);
    cache_key_add_number(&key, s->epoch);
    cache_key_add_number(&key, req->is_run);
    cache_key_end(&key, ret);
    return 0;
}

static int scan(const struct slim *s, const struct slim_look_request *req, struct slim_facts *facts,
                struct slim_twins **ret_twins, struct error *err)
{
    struct slim_scan_request scan = {
        .config = &s->config, .removes = req->is_run, .below = -1, .epoch = s->epoch};
    CLEANUP_CLOSE int diff = -1, below = -1;

    if (cache_open_diff(req->cache, req->record->diff, &diff, err) < 0)
        return -1;
    if (req->is_run && req->open_below(req->self, &below, err) < 0)
        return -1;
    scan.diff = diff;
    scan.below = below;
    return slim_scan(&scan, facts, ret_twins, err);
}

static void forget_twins(struct slim_step *step)
{
    slim_twins_free(step->twins);
    step->twins = NULL;
}

static int look(const struct slim *s, const struct slim_look_request *req, struct slim_step *step,
                struct error *err)
{
    bool found;

    if (key_of(s, req, step->key, err) < 0 ||
        slim_facts_load(req->cache, step->key, &found, &step->facts, err) < 0)
        return -1;
    if (found)
        return 0;
    if (scan(s, req, &step->facts, &step->twins, err) < 0)
        return -1;
    if (step->facts.twins == 0)
        forget_twins(step);
    return slim_facts_store(req->cache, step->key, req->record, &step->facts, err);
}

int slim_look(struct slim *s, const struct slim_look_request *req, struct slim_step **ret,
              struct error *err)
{
    struct slim_step *step = calloc(1, sizeof(*step));

    if (!step)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    if (look(s, req, step, err) < 0) {
        slim_step_free(step);
        return error_wrap(err, "slim a layer");
    }
    slim_pins_add_all(&s->pins, &step->facts.pins);
    *ret = step;
    return 0;
}

/* ---- deciding ---- */

/* Why it stays; "": it goes. */
static void reason_to_keep(const struct slim *s, const struct slim_root *r, struct buf *out)
{
    const char *runs = slim_config_runs(&s->config, r->rule);
    const char *named = slim_pins_find(&s->config.pins, r->rule, r->path);
    const char *linked = slim_pins_find(&s->pins, r->rule, r->path);

    if (r->covers)
        buf_adds(out, "the layers below have other files there");
    else if (runs)
        buf_addf(out, "the image's command runs %.40s", runs);
    else if (named)
        buf_addf(out, "%s names it", named);
    else if (linked)
        buf_addf(out, "%s needs it", linked);
}

static bool goes(const struct slim *s, const struct slim_root *r)
{
    CLEANUP(buf_release) struct buf reason = BUF_INIT(1024);

    if (r->files == 0)
        return false;
    reason_to_keep(s, r, &reason);
    return reason.len == 0;
}

bool slim_step_changes(const struct slim *s, const struct slim_step *step)
{
    for (size_t i = 0; i < step->facts.n_roots; i++)
        if (goes(s, &step->facts.roots[i]))
            return true;
    return step->facts.twins > 0;
}

/* ---- a layer ---- */

struct cut { /* a layer's filter */
    const struct slim_facts *facts;
    const struct slim_twins *twins; /* NULL: none */
    bool gone[SLIM_ROOTS_MAX];
};

/* In a root that goes.  What hides something of a lower layer stays, with all directories. */
static bool keeps_inside(const struct slim_root *r, const char *rest, const struct stat *st)
{
    if (layer_place_is_whiteout(st))
        return true;
    if (r->rule->names)
        return !S_ISREG(st->st_mode) || !slim_rule_takes(r->rule, rest);
    return r->marks && S_ISDIR(st->st_mode);
}

static bool keeps(const void *self, const char *path, const struct stat *st)
{
    const struct cut *c = self;

    for (size_t i = 0; i < c->facts->n_roots; i++) {
        const struct slim_root *r = &c->facts->roots[i];
        size_t len = strlen(r->path);

        if (c->gone[i] && slim_is_below(path, r->path) && path[len] &&
            !keeps_inside(r, path + len + 1, st))
            return false;
    }
    return true;
}

static bool shares(const void *self, const struct stat *st, ino_t *ret)
{
    const struct cut *c = self;

    return c->twins && slim_twins_has(c->twins, st, ret);
}

static int key_layer(const struct slim_step *step, const struct cut *cut, char ret[SHA256_HEX],
                     struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    if (cache_key_begin(&key, "slim layer 1", step->key, err) < 0)
        return -1;
    for (size_t i = 0; i < step->facts.n_roots; i++)
        if (cut->gone[i])
            cache_key_add_word(&key, step->facts.roots[i].path);
    cache_key_end(&key, ret);
    return 0;
}

static int write_layer(const struct slim *s, struct slim_step *step,
                       const struct slim_look_request *req, const struct layer_options *options,
                       struct cut *cut, struct error *err)
{
    const struct layer_filter filter = {cut, keeps, shares};
    CLEANUP(slim_facts_release) struct slim_facts known = {.n_roots = 0};
    struct layer_options with = *options;
    CLEANUP_CLOSE int diff = -1;

    if (!step->twins && step->facts.twins > 0 && scan(s, req, &known, &step->twins, err) < 0)
        return -1;
    cut->twins = step->twins;
    with.filter = &filter;
    if (cache_open_diff(req->cache, req->record->diff, &diff, err) < 0)
        return -1;
    return layer_write(diff, req->cache->blobs, &with, &step->layer, err);
}

static int make_layer(const struct slim *s, struct slim_step *step,
                      const struct slim_look_request *req, const struct layer_options *options,
                      struct cut *cut, struct error *err)
{
    struct cache_record record;
    bool found;

    if (cache_find(req->cache, step->made_key, &found, &record, err) < 0)
        return -1;
    if (found && record.has_layer) {
        step->layer = record.layer;
        return 0;
    }
    if (write_layer(s, step, req, options, cut, err) < 0)
        return -1;
    record = (struct cache_record){.disk = req->record->disk, .layer = step->layer};
    memcpy(record.key, step->made_key, sizeof(record.key));
    memcpy(record.diff, req->record->diff, sizeof(record.diff));
    return cache_store_layer(req->cache, &record, err);
}

int slim_make_layer(const struct slim *s, struct slim_step *step,
                    const struct slim_look_request *req, const struct layer_options *options,
                    struct layer *ret, struct error *err)
{
    struct cut cut = {.facts = &step->facts};
    char key[SHA256_HEX];

    for (size_t i = 0; i < step->facts.n_roots; i++)
        cut.gone[i] = goes(s, &step->facts.roots[i]);
    if (key_layer(step, &cut, key, err) < 0)
        return -1;
    if (!step->made || strcmp(step->made_key, key) != 0) {
        memcpy(step->made_key, key, sizeof(key));
        step->made = false;
        if (make_layer(s, step, req, options, &cut, err) < 0)
            return error_wrap(err, "slim a layer");
        step->made = true;
        forget_twins(step);
    }
    *ret = step->layer;
    return 0;
}

bool slim_step_layer(const struct slim_step *step, char ret_key[SHA256_HEX], struct layer *ret)
{
    if (!step->made)
        return false;
    memcpy(ret_key, step->made_key, SHA256_HEX);
    *ret = step->layer;
    return true;
}

/* ---- the report ---- */

#define LINES_MAX 64

struct line { /* of one group, and one reason to keep it */
    const char *group, *path;
    char reason[400];
    size_t paths;
    uint64_t files, bytes;
};

struct report {
    struct line v[LINES_MAX];
    size_t n;
    uint64_t twins, twin_bytes;
};

static struct line *line_of(struct report *r, const char *group, const char *reason)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->v[i].group, group) == 0 && strcmp(r->v[i].reason, reason) == 0)
            return &r->v[i];
    if (r->n == LINES_MAX)
        return NULL;
    r->v[r->n].group = group;
    (void)snprintf(r->v[r->n].reason, sizeof(r->v[r->n].reason), "%s", reason);
    return &r->v[r->n++];
}

static void add_root(const struct slim *s, struct report *report, const struct slim_root *r)
{
    CLEANUP(buf_release) struct buf reason = BUF_INIT(1024);
    struct line *l;

    reason_to_keep(s, r, &reason);
    l = r->files ? line_of(report, r->rule->group, buf_str(&reason)) : NULL;
    if (!l)
        return;
    l->paths += !l->path || strcmp(l->path, r->path) != 0;
    l->path = l->path ? l->path : r->path;
    l->files += r->files;
    l->bytes += r->bytes;
}

static void write_line(const struct line *l, struct buf *out)
{
    char size[TEXT_SIZE];

    text_size(l->bytes, size);
    buf_addf(out, "slim: %s %s of %s: %llu file%s in /%s", *l->reason ? "kept" : "removed", size,
             l->group, (unsigned long long)l->files, l->files == 1 ? "" : "s", l->path);
    if (l->paths > 1)
        buf_adds(out, " and elsewhere");
    buf_addf(out, "%s%s\n", *l->reason ? ", because " : "", l->reason);
}

void slim_report(const struct slim *s, struct slim_step *const *steps, size_t n, struct buf *out)
{
    struct report report = {.n = 0};
    char size[TEXT_SIZE];

    for (size_t i = 0; i < n; i++) {
        report.twins += steps[i]->facts.twins;
        report.twin_bytes += steps[i]->facts.twin_bytes;
        for (size_t k = 0; k < steps[i]->facts.n_roots; k++)
            add_root(s, &report, &steps[i]->facts.roots[k]);
    }
    for (size_t i = 0; i < report.n; i++)
        write_line(&report.v[i], out);
    text_size(report.twin_bytes, size);
    if (report.twins)
        buf_addf(out, "slim: saved %s by hard links among equal files: %llu file%s\n", size,
                 (unsigned long long)report.twins, report.twins == 1 ? "" : "s");
    if (out->len)
        buf_adds(out, "slim: [build] slim = false in blaxel.toml keeps all as the Dockerfile makes "
                      "it\n");
}
