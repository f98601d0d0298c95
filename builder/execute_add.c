/* builder/execute_add — what ADD gets from the web.  A file is fetched for its step's key and lies
 * in the job's part of the cache until the build is over, so the step can link to it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/execute.h"
#include "builder/web.h"

#define PAUSE_MS 1000

bool add_is_url(const struct builder_step *step, const char *source)
{
    return step->add && (text_starts(source, "http://") || text_starts(source, "https://"));
}

static bool fetches(const struct builder_stage *s)
{
    for (size_t i = 0; i < s->n_steps; i++)
        for (size_t k = 0; k + 1 < s->steps[i].words.n; k++)
            if (add_is_url(&s->steps[i], s->steps[i].words.v[k]))
                return true;
    return false;
}

int add_setup(const struct builder_program *p, struct error *err)
{
    for (size_t i = 0; i < p->n_stages; i++)
        if (p->stages[i].needed && fetches(&p->stages[i]))
            return http_setup(err);
    return 0;
}

/* For filepath.Match, where the name would mean more than itself: "[*]" is a star.  (An escaped
 * star alone would not make it a pattern.) */
static void add_pattern(const char *name, struct argv *to)
{
    CLEANUP(buf_release) struct buf pattern = BUF_INIT(3 * NAME_MAX + 1);
    bool special = strpbrk(name, "*?[") != NULL;

    for (; *name; name++) {
        if (strchr("*?[", *name))
            buf_addf(&pattern, "[%c]", *name);
        else
            buf_addf(&pattern, "%s%c", special && *name == '\\' ? "\\" : "", *name);
    }
    argv_push1(to, buf_str(&pattern));
}

/* Fetches into a directory that gets its name when all is well. */
static int fetch(struct stage_run *s, const struct builder_step *step, const char *url,
                 const char *path, struct error *err)
{
    struct execution *x = s->x;
    const struct web_request req = {.http = &http_curl,
                                    .url = url,
                                    .checksum = step->checksum,
                                    .pause_ms = PAUSE_MS,
                                    .cancel = &x->cancel};
    CLEANUP(buf_release) struct buf begun = BUF_INIT(256);
    CLEANUP_CLOSE int dir = -1;

    if (x->doc.no_egress)
        return error_set(err, ERR_INPUT,
                         "ADD of an address: builds have no network here (egress = \"none\")");
    buf_addf(&begun, "%s.begun", path);
    if (mkdirat(x->cache.tmp, buf_str(&begun), 0700) < 0)
        return error_errno(err, errno, "make a directory to fetch to");
    if (fs_open_dir(x->cache.tmp, buf_str(&begun), &dir, err) < 0)
        return -1;
    if (web_fetch(&req, dir, err) < 0) {
        if (cancel_is_thrown(&x->cancel))
            err->kind = ERR_NONE;
        return -1;
    }
    if (renameat(x->cache.tmp, buf_str(&begun), x->cache.tmp, path) < 0)
        return error_errno(err, errno, "name what was fetched");
    return 0;
}

int add_open(struct stage_run *s, const struct builder_step *step, size_t i, int *ret_dir,
             struct argv *ret_sources, struct error *err)
{
    struct execution *x = s->x;
    const char *url = step->words.v[i];
    CLEANUP(buf_release) struct buf path = BUF_INIT(256);
    char name[NAME_MAX + 1];

    buf_addf(&path, "%s/fetched-%zu-%zu-%zu", x->cache.job, s->index,
             (size_t)(step - s->stage->steps), i);
    if (faccessat(x->cache.tmp, buf_str(&path), F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        fetch(s, step, url, buf_str(&path), err) < 0)
        return -1;
    web_name(url, name);
    add_pattern(name, ret_sources);
    if (ret_sources->failed)
        return error_set(err, ERR_SYSTEM, "prepare an ADD: out of memory");
    return fs_open_dir(x->cache.tmp, buf_str(&path), ret_dir, err);
}
