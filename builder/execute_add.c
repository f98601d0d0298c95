/* builder/execute_add — what ADD gets from the web.  It is fetched to the job's part of the cache,
 * where it lies until the build is over, so that the step can link to it: a file for its step's
 * key, a repository, whose commit is its key, when the step is done. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/execute.h"
#include "builder/jail.h"
#include "builder/web.h"

#define PAUSE_MS 1000

static bool is_web(const struct builder_step *step, const char *source)
{
    return step->add && (text_starts(source, "http://") || text_starts(source, "https://"));
}

bool add_is_git(const struct stage_run *s, const struct builder_step *step, const char *source)
{
    return step->add && s->x->git->is_source(source);
}

bool add_is_url(const struct stage_run *s, const struct builder_step *step, const char *source)
{
    return is_web(step, source) || add_is_git(s, step, source);
}

static bool fetches(const struct builder_stage *s)
{
    for (size_t i = 0; i < s->n_steps; i++)
        for (size_t k = 0; k + 1 < s->steps[i].words.n; k++)
            if (is_web(&s->steps[i], s->steps[i].words.v[k]))
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

/* ---- where it comes to ---- */

static void name_directory(const struct stage_run *s, const struct builder_step *step, size_t i,
                           struct buf *out)
{
    buf_addf(out, "%s/fetched-%zu-%zu-%zu", s->x->cache.job, s->index,
             (size_t)(step - s->stage->steps), i);
}

static int make_directory(const struct stage_run *s, const char *path, int *ret_fd,
                          struct error *err)
{
    if (s->x->doc.no_egress)
        return error_set(err, ERR_INPUT,
                         "ADD of an address: builds have no network here (egress = \"none\")");
    if (mkdirat(s->x->cache.tmp, path, 0700) < 0)
        return error_errno(err, errno, "make a directory to fetch to");
    return fs_open_dir(s->x->cache.tmp, path, ret_fd, err);
}

/* ---- repositories ---- */

static void tell_source(const struct stage_run *s, const struct builder_step *step,
                        const char *text)
{
    const struct builder_event e = {.kind = BUILDER_EVENT_NOTE,
                                    .stage = s->index,
                                    .step = (size_t)(step - s->stage->steps),
                                    .text = text};

    events_say(&e);
}

static int find_git(struct stage_run *s, const struct builder_step *step, size_t i,
                    struct error *err)
{
    const struct builder_git_order order = {.source = step->words.v[i],
                                            .checksum = step->checksum,
                                            .keep_git_dir = step->keep_git_dir,
                                            .bytes_max = s->x->doc.git_max};
    CLEANUP(buf_release) struct buf path = BUF_INIT(256);
    int dir = -1;

    name_directory(s, step, i, &path);
    if (make_directory(s, buf_str(&path), &dir, err) < 0)
        return -1;
    return git_process_find(&s->x->git_process, &order, dir, &s->x->cancel, &s->sources[i], err);
}

int add_key_of_git(struct stage_run *s, const struct builder_step *step, struct cache_key *key,
                   struct error *err)
{
    CLEANUP(buf_release) struct buf note = BUF_INIT(BUILDER_GIT_KEY + 64);

    add_release_git(s);
    for (size_t i = 0; i + 1 < step->words.n; i++) {
        if (!add_is_git(s, step, step->words.v[i]))
            continue;
        if (!s->sources && !(s->sources = calloc(step->words.n, sizeof(*s->sources))))
            return error_set(err, ERR_SYSTEM, "prepare an ADD: out of memory");
        for (; s->n_sources <= i; s->n_sources++)
            s->sources[s->n_sources] = (struct git_source)GIT_SOURCE_INIT;
        if (find_git(s, step, i, err) < 0)
            return -1;
        cache_key_add_number(key, (int64_t)i);
        cache_key_add_word(key, s->sources[i].key);
        cache_inputs_add_text(&s->inputs, "the commit of", step->words.v[i], s->sources[i].key);
        buf_clear(&note);
        buf_addf(&note, "commit %.40s", s->sources[i].key);
        tell_source(s, step, buf_str(&note));
    }
    return 0;
}

void add_release_git(struct stage_run *s)
{
    for (size_t i = 0; i < s->n_sources; i++)
        git_process_release(&s->sources[i]);
    free(s->sources);
    s->sources = NULL;
    s->n_sources = 0;
}

static int open_git(struct stage_run *s, const struct builder_step *step, size_t i, int *ret_dir,
                    struct argv *ret_sources, struct error *err)
{
    CLEANUP(buf_release) struct buf notes = BUF_INIT(1 << 16);
    struct git_source *source = i < s->n_sources ? &s->sources[i] : NULL;

    if (!source || source->dir < 0)
        return error_set(err, ERR_SYSTEM, "fetch a git repository that was not asked for");
    if (git_process_fetch(source, &s->x->cancel, &notes, err) < 0)
        return -1;
    for (const char *line = buf_str(&notes); *line;) {
        CLEANUP(buf_release) struct buf one = BUF_INIT(1 << 16);
        size_t n = strcspn(line, "\n");

        buf_add(&one, line, n);
        tell_source(s, step, buf_str(&one));
        line += n + (line[n] == '\n');
    }
    argv_push1(ret_sources, ".");
    return fs_open_dir(source->dir, GIT_SOURCE_TREE, ret_dir, err);
}

/* ---- files ---- */

/* Fetches into a directory that gets its name when all is well. */
static int fetch(struct stage_run *s, const struct builder_step *step, const char *url,
                 const char *path, struct error *err)
{
    struct execution *x = s->x;
    const struct web_request req = {.http = &http_curl,
                                    .url = url,
                                    .ca_file = getenv(JAIL_AUTHORITIES),
                                    .checksum = step->checksum,
                                    .pause_ms = PAUSE_MS,
                                    .cancel = &x->cancel};
    CLEANUP(buf_release) struct buf begun = BUF_INIT(256);
    CLEANUP_CLOSE int dir = -1;

    buf_addf(&begun, "%s.begun", path);
    if (make_directory(s, buf_str(&begun), &dir, err) < 0)
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

static int open_file(struct stage_run *s, const struct builder_step *step, size_t i, int *ret_dir,
                     struct argv *ret_sources, struct error *err)
{
    struct execution *x = s->x;
    const char *url = step->words.v[i];
    CLEANUP(buf_release) struct buf path = BUF_INIT(256);
    char name[NAME_MAX + 1];

    name_directory(s, step, i, &path);
    if (faccessat(x->cache.tmp, buf_str(&path), F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        fetch(s, step, url, buf_str(&path), err) < 0)
        return -1;
    web_name(url, name);
    add_pattern(name, ret_sources);
    return fs_open_dir(x->cache.tmp, buf_str(&path), ret_dir, err);
}

int add_open(struct stage_run *s, const struct builder_step *step, size_t i, int *ret_dir,
             struct argv *ret_sources, struct error *err)
{
    if ((add_is_git(s, step, step->words.v[i])
             ? open_git(s, step, i, ret_dir, ret_sources, err)
             : open_file(s, step, i, ret_dir, ret_sources, err)) < 0)
        return -1;
    return ret_sources->failed ? error_set(err, ERR_SYSTEM, "prepare an ADD: out of memory") : 0;
}
