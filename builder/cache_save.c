/* builder/cache_save — see the header. */
#include "builder/cache_save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "base/fs.h"
#include "builder/cache_mount.h"

#define REQUEST_MAX (16U << 20)
#define NICE        10 /* a build that somebody waits for comes first */

struct saving {
    struct cache cache;
    struct layer_options options;
    uint64_t mounts_max;
    json_t *steps, *mounts, *notes;
};

static void note(struct saving *s, const char *what, const char *name, const struct error *err)
{
    json_array_append_new(s->notes, json_sprintf("%s %.12s: %s", what, name, err->msg));
}

/* ---- steps ---- */

static void save_step(struct saving *s, const char *key)
{
    struct cache_record record;
    struct error err = ERROR_INIT;
    bool found = false;

    if (!digest_is_hex(key) || cache_find(&s->cache, key, &found, &record, &err) < 0 || !found ||
        !record.diff[0])
        return;
    if (!record.has_layer && cache_make_layer(&s->cache, &record, &s->options, &err) < 0) {
        note(s, "step", key, &err);
        return;
    }
    json_object_set_new(s->steps, key, cache_layer_json(&record.layer));
}

/* ---- mounts ---- */

static int look(struct saving *s, int dir, const char *known, struct cache_mount *m, bool *ret_new,
                struct error *err)
{
    uint64_t bytes;

    if (cache_mount_mark(dir, m->mark, &bytes, err) < 0)
        return -1;
    *ret_new = strcmp(m->mark, known) != 0;
    if (*ret_new && bytes > s->mounts_max)
        return error_set(err, ERR_LIMIT, "it has %llu MiB, and %llu may be saved",
                         (unsigned long long)(bytes >> 20),
                         (unsigned long long)(s->mounts_max >> 20));
    return 0;
}

/* Not one that somebody writes to: their build will save it. */
static int save(struct saving *s, const char *name, const char *known, struct error *err)
{
    struct layer_options options = s->options;
    struct cache_mount m = {.mark = ""};
    CLEANUP_CLOSE int dir = -1;
    bool is_new = false;

    options.epoch = -1;                               /* its times are part of its mark */
    options.size_max = 2 * s->mounts_max + (1 << 20); /* with headers */
    if (fs_open_dir(s->cache.mounts, name, &dir, err) < 0)
        return -1;
    if (flock(dir, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? 0 : error_errno(err, errno, "lock it");
    if (look(s, dir, known, &m, &is_new, err) < 0)
        return -1;
    if (!is_new)
        return 0;
    if (layer_write(dir, s->cache.blobs, &options, &m.layer, err) < 0)
        return -1;
    json_object_set_new(s->mounts, name, cache_mount_json(&m));
    return 0;
}

static void save_mount(struct saving *s, const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *known = json_string_value(json_object_get(o, "mark"));
    struct error err = ERROR_INIT;

    if (digest_is_hex(name) && save(s, name, known ? known : "", &err) < 0)
        note(s, "cache mount", name, &err);
}

/* ---- all of it ---- */

static int read_request(json_t **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(REQUEST_MAX);

    if (fs_read_fd(STDIN_FILENO, &text, err) < 0)
        return -1;
    *ret = json_loadb(buf_str(&text), text.len, 0, NULL);
    return *ret ? 0 : error_set(err, ERR_SYSTEM, "what to save is no JSON");
}

static int save_all(struct saving *s, const json_t *request)
{
    const json_t *one;
    size_t i;

    s->options.threads = (int)json_integer_value(json_object_get(request, "threads"));
    s->options.epoch = json_integer_value(json_object_get(request, "epoch"));
    s->mounts_max = (uint64_t)json_integer_value(json_object_get(request, "mounts_max"));
    json_array_foreach (json_object_get(request, "steps"), i, one)
        save_step(s, json_string_value(one));
    json_array_foreach (json_object_get(request, "mounts"), i, one)
        save_mount(s, one);
    return 0;
}

int cache_save_main(const char *cache, const char *job)
{
    struct saving s = {.cache = CACHE_INIT,
                       .steps = json_object(),
                       .mounts = json_object(),
                       .notes = json_array()};
    json_auto_t *request = NULL, *result = NULL;
    struct error err = ERROR_INIT;
    int r = -1;

    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (read_request(&request, &err) == 0 && cache_open(cache, job, &s.cache, &err) == 0)
        r = save_all(&s, request);
    result = json_pack("{s:o, s:o, s:o}", "steps", s.steps, "mounts", s.mounts, "notes", s.notes);
    if (r == 0)
        r = json_dumpf(result, stdout, JSON_COMPACT) < 0 || fflush(stdout) == EOF ? -1 : 0;
    else
        fprintf(stderr, "%s\n", err.msg);
    cache_close(&s.cache);
    return r < 0 ? 1 : 0;
}
