/* builder/execute_copy — COPY, ADD and WORKDIR. */
#include <string.h>

#include "base/fs.h"
#include "base/path.h"
#include "builder/accounts.h"
#include "builder/execute.h"
#include "builder/web.h"

#define DEST_MAX 4096

/* ---- the destination ---- */

static bool is_directory(const char *dest)
{
    size_t n = strlen(dest);

    return n == 0 || dest[n - 1] == '/' || strcmp(dest, ".") == 0 || strcmp(dest, "..") == 0 ||
           (n > 1 && strcmp(dest + n - 2, "/.") == 0) ||
           (n > 2 && strcmp(dest + n - 3, "/..") == 0);
}

/* Absolute and cleaned, but for the slash that makes it a directory. */
static int join_dest(const char *working_dir, const char *dest, struct buf *ret, struct error *err)
{
    if (*dest == '/')
        path_clean(ret, dest);
    else
        path_join(ret, working_dir, dest);
    if (is_directory(dest) && strcmp(buf_str(ret), "/") != 0)
        buf_addc(ret, '/');
    return buf_check(ret, "a destination", err);
}

/* ---- the request ---- */

struct job {
    struct copy_request req;
    struct argv sources;
    struct copy_file *files;
    struct stack_view from, view;
    struct buf dest;
};

static void release_job(struct job *j)
{
    argv_release(&j->sources);
    free(j->files);
    stack_view_release(&j->from);
    stack_view_release(&j->view);
    buf_release(&j->dest);
}

static int set_files(struct job *j, const struct builder_step *step, struct error *err)
{
    j->files = calloc(step->n_files + 1, sizeof(*j->files));
    if (!j->files)
        return error_set(err, ERR_SYSTEM, "prepare a COPY: out of memory");
    for (size_t i = 0; i < step->n_files; i++)
        j->files[i] = (struct copy_file){step->files[i].name, step->files[i].content,
                                         strlen(step->files[i].content)};
    for (size_t i = 0; i + 1 < step->words.n; i++)
        argv_push1(&j->sources, step->words.v[i]);
    return j->sources.failed ? error_set(err, ERR_SYSTEM, "prepare a COPY: out of memory") : 0;
}

/* The request without what is only needed to do it: view, diff and owner. */
static int begin(struct stage_run *s, const struct builder_step *step, struct job *j,
                 struct error *err)
{
    struct execution *x = s->x;
    bool elsewhere = step->from.stage != BUILDER_NO_STAGE || *step->from.image;

    *j = (struct job){.from = {.fd = -1}, .view = {.fd = -1}, .dest = BUF_INIT(DEST_MAX)};
    if (step->words.n == 0)
        return error_set(err, ERR_SYSTEM, "a COPY without a destination");
    if (set_files(j, step, err) < 0 ||
        join_dest(step->working_dir, step->words.v[step->words.n - 1], &j->dest, err) < 0 ||
        execute_view_origin(x, &step->from, &j->from, err) < 0)
        return -1;
    j->req = (struct copy_request){
        .from = j->from.fd,
        .sources = &j->sources,
        .files = j->files,
        .n_files = step->n_files,
        .view = -1,
        .to = -1,
        .dest = buf_str(&j->dest),
        .keep_owner = elsewhere && !*step->chown,
        .chowned = *step->chown,
        .chmod = step->chmod,
        .exclude = step->exclude.n ? &step->exclude : NULL,
        .patterns = x->patterns,
        .parents = step->parents,
        .add = step->add && !step->keep_archives,
        .may_link = !elsewhere,
        .epoch = x->doc.program.epoch,
    };
    return 0;
}

/* ---- its parts: each comes from one place ---- */

typedef int part_fn(void *self, const struct copy_request *req, struct error *err);

/* The source i alone, from where it was fetched to. */
static int do_fetched(struct stage_run *s, const struct builder_step *step, const struct job *j,
                      size_t i, part_fn *act, void *self, struct error *err)
{
    CLEANUP(argv_release) struct argv sources = ARGV_INIT;
    CLEANUP_CLOSE int dir = -1;
    struct copy_request req = j->req;

    if (add_open(s, step, i, &dir, &sources, err) < 0)
        return -1;
    req.from = dir;
    req.sources = &sources;
    req.n_files = 0;
    req.add = step->unpack && !add_is_git(s, step, j->sources.v[i]);
    return act(self, &req, err);
}

/* The sources of the context from i to n, with the heredocs where they are the last. */
static int do_context(const struct job *j, size_t i, size_t n, part_fn *act, void *self,
                      struct error *err)
{
    CLEANUP(argv_release) struct argv sources = ARGV_INIT;
    struct copy_request req = j->req;

    for (size_t k = i; k < n; k++)
        argv_push1(&sources, j->sources.v[k]);
    if (sources.failed)
        return error_set(err, ERR_SYSTEM, "prepare a COPY: out of memory");
    req.sources = &sources;
    if (n < j->sources.n)
        req.n_files = 0;
    return act(self, &req, err);
}

static size_t count_of_context(const struct stage_run *s, const struct builder_step *step,
                               const struct job *j, size_t i)
{
    size_t n = i;

    while (n < j->sources.n && !add_is_url(s, step, j->sources.v[n]))
        n++;
    return n - i;
}

/* Calls act once for all that stands together and comes from one place, in order; git: also for
 * repositories, which are known without their files. */
static int do_parts(struct stage_run *s, const struct builder_step *step, const struct job *j,
                    bool git, part_fn *act, void *self, struct error *err)
{
    size_t i = 0;

    for (; i < j->sources.n; i++) {
        size_t n = count_of_context(s, step, j, i);

        if (i + n == j->sources.n)
            break;
        if (n > 0 && do_context(j, i, i + n, act, self, err) < 0)
            return -1;
        i += n;
        if (!git && add_is_git(s, step, j->sources.v[i]))
            continue;
        if (do_fetched(s, step, j, i, act, self, err) < 0)
            return -1;
    }
    return i < j->sources.n || step->n_files ? do_context(j, i, j->sources.n, act, self, err) : 0;
}

/* ---- keys ---- */

/* The same file may come by another address. */
static void add_words(const struct stage_run *s, const struct builder_step *step,
                      struct cache_key *key)
{
    cache_key_add_number(key, (int64_t)step->words.n);
    for (size_t i = 0; i < step->words.n; i++)
        if (!add_is_url(s, step, step->words.v[i]))
            cache_key_add_word(key, step->words.v[i]);
}

static void add_options(const struct stage_run *s, const struct builder_step *step,
                        struct cache_key *key)
{
    add_words(s, step, key);
    cache_key_add_word(key, step->working_dir);
    cache_key_add_word(key, step->chown);
    cache_key_add_word(key, step->chmod);
    cache_key_add_words(key, &step->exclude);
    cache_key_add_number(key, step->add);
    cache_key_add_number(key, step->keep_archives);
    cache_key_add_number(key, step->unpack);
    cache_key_add_number(key, step->parents);
    cache_key_add_number(key, step->link);
}

static void add_files(const struct builder_step *step, struct cache_key *key)
{
    for (size_t i = 0; i < step->n_files; i++) {
        cache_key_add_word(key, step->files[i].name);
        cache_key_add_word(key, step->files[i].content);
    }
}

static int add_part(void *self, const struct copy_request *req, struct error *err)
{
    unsigned char digest[SHA256_SIZE];

    if (copy_digest(req, digest, NULL, err) < 0)
        return -1;
    cache_key_add(self, digest, sizeof(digest));
    return 0;
}

/* What --checksum says need not be fetched to be known. */
static void add_checked(const struct builder_step *step, struct cache_key *key)
{
    char name[NAME_MAX + 1];

    web_name(step->words.v[0], name);
    cache_key_add_word(key, step->checksum);
    cache_key_add_word(key, name);
}

static void tell_file(void *self, const char *path, uint64_t mark)
{
    cache_inputs_add(self, "", path, mark);
}

/* What the key is made of, by name. */
static void tell(struct stage_run *s, const struct builder_step *step)
{
    struct cache_inputs *in = &s->inputs;

    cache_inputs_add_words(in, "the instruction", &step->words);
    cache_inputs_add_text(in, "", "the working directory", step->working_dir);
    cache_inputs_add_text(in, "", "--chown", step->chown);
    cache_inputs_add_text(in, "", "--chmod", step->chmod);
    cache_inputs_add_words(in, "--exclude", &step->exclude);
    cache_inputs_add(in, "", "the other options",
                     (uint64_t)(step->add | step->keep_archives << 1 | step->parents << 2 |
                                step->link << 3 | step->keep_git_dir << 4));
    cache_inputs_add(in, "", "SOURCE_DATE_EPOCH", (uint64_t)s->x->doc.program.epoch);
    for (size_t i = 0; i < step->n_files; i++)
        cache_inputs_add_text(in, "heredoc", step->files[i].name, step->files[i].content);
}

int execute_copy_key(struct stage_run *s, const struct builder_step *step, char ret[SHA256_HEX],
                     struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};
    CLEANUP(release_job) struct job j = {.from = {.fd = -1}};
    const struct copy_told told = {tell_file, &s->inputs};

    if (begin(s, step, &j, err) < 0)
        return -1;
    tell(s, step);
    j.req.told = &told;
    if (cache_key_begin(&key, "copy 2", s->key, err) < 0)
        return -1;
    add_options(s, step, &key);
    cache_key_add_number(&key, s->x->doc.program.epoch);
    if (add_key_of_git(s, step, &key, err) < 0)
        return -1;
    if (*step->checksum && !s->n_sources)
        add_checked(step, &key);
    else if (do_parts(s, step, &j, false, add_part, &key, err) < 0)
        return -1;
    cache_key_end(&key, ret);
    return 0;
}

int execute_copy_quick_key(struct stage_run *s, const struct builder_step *step,
                           char ret[SHA256_HEX], struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    ret[0] = '\0';
    if (step->from.stage == BUILDER_NO_STAGE && !*step->from.image)
        return 0;
    if (cache_key_begin(&key, "copy from 1", s->key, err) < 0 ||
        execute_key_origin(s->x, &step->from, &key, err) < 0)
        return -1;
    add_options(s, step, &key);
    add_files(step, &key);
    cache_key_add_number(&key, s->x->doc.program.epoch);
    cache_key_end(&key, ret);
    return 0;
}

/* ---- doing it ---- */

/* The view is what was there before; --link copies as if nothing was. */
static int open_ends(struct stage_run *s, struct job *j, const char *path, bool link, int *ret_to,
                     struct error *err)
{
    char diff[CACHE_PATH + 8];

    (void)snprintf(diff, sizeof(diff), "%s/diff", path);
    if (!link && execute_view(s->x, &s->files, &j->view, err) < 0)
        return -1;
    if (fs_open_dir(AT_FDCWD, diff, ret_to, err) < 0)
        return -1;
    j->req.view = j->view.fd;
    j->req.to = *ret_to;
    return 0;
}

static void tell_unknown(const struct stage_run *s, const struct builder_step *step,
                         const char *who, uint32_t uid, uint32_t gid)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(8192);
    struct builder_event e = {
        .kind = BUILDER_EVENT_NOTE, .stage = s->index, .step = (size_t)(step - s->stage->steps)};

    buf_addf(
        &text,
        "warning: %s is not in the image's /etc/passwd and /etc/group: what is made belongs to "
        "%u:%u",
        who, uid, gid);
    e.text = buf_str(&text);
    events_say(&e);
}

/* In the files that view shows. */
static int find_owner(const struct stage_run *s, const struct builder_step *step, int view,
                      const char *who, uint32_t *ret_uid, uint32_t *ret_gid, struct error *err)
{
    bool unknown;

    if (accounts_find_owner(view, who, ret_uid, ret_gid, &unknown, err) < 0)
        return -1;
    if (unknown && view < 0)
        return error_set(
            err, ERR_INPUT,
            "unable to find user %s: there are no files before this, so it can only be "
            "a number",
            who);
    if (unknown)
        tell_unknown(s, step, who, *ret_uid, *ret_gid);
    return 0;
}

static int find_chown(struct stage_run *s, const struct builder_step *step, uint32_t *ret_uid,
                      uint32_t *ret_gid, struct error *err)
{
    CLEANUP(stack_view_release) struct stack_view view = {.fd = -1};

    if (execute_view(s->x, &s->files, &view, err) < 0)
        return -1;
    return find_owner(s, step, view.fd, step->chown, ret_uid, ret_gid, err);
}

static int copy_part(void *self, const struct copy_request *req, struct error *err)
{
    struct copy_result result;
    struct step_end *end = self;

    if (copy_into(req, &result, err) < 0)
        return -1;
    end->bytes += result.bytes;
    end->files += result.files;
    return 0;
}

int execute_copy(struct stage_run *s, const struct builder_step *step, const char *path,
                 struct step_end *end, struct error *err)
{
    CLEANUP(release_job) struct job j = {.from = {.fd = -1}};
    CLEANUP_CLOSE int to = -1;

    if (begin(s, step, &j, err) < 0 || open_ends(s, &j, path, step->link, &to, err) < 0)
        return -1;
    if (*step->chown && find_chown(s, step, &j.req.uid, &j.req.gid, err) < 0)
        return -1;
    return do_parts(s, step, &j, true, copy_part, end, err);
}

/* ---- WORKDIR ---- */

int execute_workdir_key(struct stage_run *s, const struct builder_step *step, char ret[SHA256_HEX],
                        struct error *err)
{
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    if (cache_key_begin(&key, "workdir 1", s->key, err) < 0)
        return -1;
    cache_key_add_word(&key, step->working_dir);
    cache_key_add_word(&key, step->user);
    cache_key_add_number(&key, s->x->doc.program.epoch);
    cache_key_end(&key, ret);
    cache_inputs_add_text(&s->inputs, "", "the working directory", step->working_dir);
    cache_inputs_add_text(&s->inputs, "", "the user", step->user);
    cache_inputs_add(&s->inputs, "", "SOURCE_DATE_EPOCH", (uint64_t)s->x->doc.program.epoch);
    return 0;
}

int execute_workdir(struct stage_run *s, const struct builder_step *step, const char *path,
                    struct step_end *end, struct error *err)
{
    CLEANUP(stack_view_release) struct stack_view view = {.fd = -1};
    CLEANUP_CLOSE int to = -1;
    char diff[CACHE_PATH + 8];
    uint32_t uid = 0, gid = 0;
    bool made;

    (void)end;
    (void)snprintf(diff, sizeof(diff), "%s/diff", path);
    if (execute_view(s->x, &s->files, &view, err) < 0 || fs_open_dir(AT_FDCWD, diff, &to, err) < 0)
        return -1;
    if (*step->user && find_owner(s, step, view.fd, step->user, &uid, &gid, err) < 0)
        return -1;
    return copy_make_directory(view.fd, to, step->working_dir, uid, gid, s->x->doc.program.epoch,
                               &made, err);
}
