/* builder/execute_result — what came of a build, for whoever started it: out/image.json, and
 * out/steps of one that did not come to its end. */
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "builder/execute.h"

#define RESULT "/kiln/out/image.json"
#define STEPS  "/kiln/out/steps"

static json_t *layers_json(const struct image_layer *layers, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_pack("{s:s, s:s, s:I, s:b, s:b}", "digest", layers[i].digest,
                                           "diff_id", layers[i].diff_id, "size",
                                           (json_int_t)layers[i].size, "base", (int)layers[i].base,
                                           "away", (int)layers[i].away));
    return a;
}

/* slim: the image has another layer of it than the whole one, which may not be made yet. */
static void add_step(json_t *steps, const char *key, const struct cache_record *r, bool slim)
{
    json_array_append_new(steps, json_pack("{s:s, s:b, s:b, s:o}", "key", key, "away", (int)r->away,
                                           "slim", (int)slim, "record", cache_record_json(r)));
}

/* What is no step, but found by a key as if it was one. */
static void add_layer(json_t *steps, const char *key, const char *diff, const struct layer *layer,
                      bool away)
{
    struct cache_record r = {.has_layer = true, .layer = *layer, .away = away};

    memcpy(r.key, key, sizeof(r.key));
    memcpy(r.diff, diff, sizeof(r.diff));
    add_step(steps, key, &r, false);
}

/* By each key under which it may be found. */
static void add_made(json_t *steps, const struct made *made, bool slim)
{
    add_step(steps, made->record.key, &made->record, slim);
    if (made->key[0] && strcmp(made->key, made->record.key) != 0)
        add_step(steps, made->key, &made->record, slim);
    if (made->quick[0])
        add_step(steps, made->quick, &made->record, slim);
}

static json_t *steps_json(const struct execution *x)
{
    json_t *a = json_array();

    for (size_t i = 0; i < x->doc.program.n_stages; i++)
        for (size_t k = 0; k < x->stages[i].n_made; k++) {
            const struct made *made = &x->stages[i].made[k];
            struct known_layer layer;
            const bool slim = execute_slim_layer(made, &layer);

            add_made(a, made, slim);
            if (slim)
                add_layer(a, layer.key, made->record.diff, &layer.layer, layer.away);
        }
    if (x->known.found)
        add_layer(a, x->known.key, x->known.key, &x->known.layer, false);
    return a;
}

/* ---- of a build that may not come to its end ---- */

/* One line, in one piece, as stages run beside each other.  The whole layers of what the image
 * stands on are wanted, which nobody may have made. */
void execute_note_step(const struct made *made)
{
    json_auto_t *steps = json_array();
    CLEANUP_FREE char *text = NULL;
    CLEANUP(buf_release) struct buf line = BUF_INIT(64 << 10);
    CLEANUP_CLOSE int fd = -1;

    if (made->stage->x->remote.link.fd < 0)
        return; /* nobody will want them */
    add_made(steps, made, made->stage->exported);
    text = json_dumps(steps, JSON_COMPACT);
    buf_addf(&line, "%s\n", text ? text : "[]");
    fd = open(STEPS, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && !line.full)
        (void)!write(fd, buf_str(&line), line.len);
}

void execute_forget_steps(void)
{
    (void)unlink(STEPS);
}

/* ---- of one that has ---- */

static json_t *mounts_json(const struct execution *x)
{
    json_t *a = json_array();

    for (size_t i = 0; i < x->mounts.n; i++)
        json_array_append_new(a, json_string(x->mounts.v[i]));
    return a;
}

int execute_write_result(struct execution *x, const struct image_layer *layers, size_t n_layers,
                         const struct buf *config, struct error *err)
{
    const struct buf *packages = &x->packages.list;
    json_auto_t *o = json_pack(
        "{s:s%, s:o, s:I, s:I, s:o, s:o, s:I, s:s%}", "config", buf_str(config), config->len,
        "layers", layers_json(layers, n_layers), "steps", (json_int_t)x->n_steps, "cached",
        (json_int_t)x->n_cached, "keys", steps_json(x), "mounts", mounts_json(x), "epoch",
        (json_int_t)x->doc.program.epoch, "packages", buf_str(packages), packages->len);
    CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    if (!text)
        return error_set(err, ERR_SYSTEM, "write the image's description: out of memory");
    return fs_write_file(AT_FDCWD, RESULT, text, strlen(text), 0600, err);
}
