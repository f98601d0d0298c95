/* worker/program — see the header.  The steps of the program are those of the evaluation, one for
 * one, so that an index into the one is an index into the other. */
#include "worker/program.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "uploads/uploads.h"

#define TITLE_MAX  400
#define TEXT_MAX   (1 << 20)
#define CONFIG_MAX (16 << 20)
#define EPOCH      "SOURCE_DATE_EPOCH="
#define EPOCH_MAX  INT64_C(253402300799) /* the end of the year 9999 */

/* ---- the bases ---- */

static int base_config(void *self, const char *image, const char *platform, struct buf *out,
                       bool *ret_found, struct error *err)
{
    static const char *const nothing[] = {NULL};
    CLEANUP(builder_base_release) struct builder_base base = {.program = NULL};

    (void)platform; /* the one that was fetched */
    *ret_found = false;
    if (!self)
        return 0;
    if (builder_base_find(self, image, nothing, ret_found, &base, err) < 0)
        return -1;
    if (*ret_found)
        buf_add(out, buf_str(&base.config), base.config.len);
    return 0;
}

/* ---- texts ---- */

static const char *keep(struct program *p, const struct buf *text)
{
    argv_push1(&p->texts, buf_str(text));
    return p->texts.failed || text->full ? "" : p->texts.v[p->texts.n - 1];
}

/* "[build 2/5] RUN make" */
static const char *title(struct program *p, size_t stage, const struct dockerfile_step *step,
                         size_t number, size_t total)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TITLE_MAX + 256);
    const char *name = p->program.stages[stage].name;
    const char *original = step->instruction->original;
    size_t n = strcspn(original, "\n");

    buf_addf(&text, "[%s%s%zu/%zu] %.*s", name, *name ? " " : "", number, total,
             (int)(n < TITLE_MAX ? n : TITLE_MAX), original);
    return keep(p, &text);
}

/* The history without values of build arguments: BuildKit's line of a RUN begins with all of them,
 * and that of an ARG has its own. */
static const char *history(struct program *p, const struct dockerfile_step *step)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
    const char *keyword = step->instruction->keyword;

    if (!step->history)
        return NULL;
    if (strcmp(keyword, "RUN") == 0) {
        buf_adds(&text, "RUN");
        for (size_t i = 0; i < step->words.n; i++)
            buf_addf(&text, " %s", step->words.v[i]);
        buf_adds(&text, " # buildkit");
        return keep(p, &text);
    }
    if (strcmp(keyword, "ARG") == 0) {
        buf_addf(&text, "ARG %s", step->instruction->text);
        return keep(p, &text);
    }
    return step->history;
}

/* ---- steps ---- */

static struct builder_origin origin(size_t stage, const char *image)
{
    bool is_stage = stage != DOCKERFILE_NO_STAGE;

    return (struct builder_origin){is_stage ? stage : BUILDER_NO_STAGE, is_stage ? "" : image};
}

static struct builder_mount lower_mount(const struct dockerfile_mount *m)
{
    static const enum builder_mount_type types[] = {
        [DOCKERFILE_MOUNT_BIND] = BUILDER_MOUNT_BIND,
        [DOCKERFILE_MOUNT_CACHE] = BUILDER_MOUNT_CACHE,
        [DOCKERFILE_MOUNT_TMPFS] = BUILDER_MOUNT_TMPFS,
        [DOCKERFILE_MOUNT_SECRET] = BUILDER_MOUNT_SECRET,
        [DOCKERFILE_MOUNT_SSH] = BUILDER_MOUNT_SSH,
    };

    return (struct builder_mount){
        .type = types[m->type],
        .from = origin(m->from_stage, m->from),
        .source = m->source,
        .target = m->target,
        .id = m->id,
        .env = m->env,
        .sharing = m->sharing,
        .read_only = m->read_only,
        .required = m->required,
        .mode = m->mode,
        .uid = m->uid,
        .gid = m->gid,
        .size = m->size,
    };
}

/* The predefined arguments reach every RUN without being declared. */
static void add_proxies(const struct argv *build_args, struct argv *env)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
                                        "all_proxy"};

    for (size_t i = 0; build_args && i < build_args->n; i++)
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            if (strncasecmp(build_args->v[i], names[k], strlen(names[k])) == 0 &&
                build_args->v[i][strlen(names[k])] == '=')
                argv_push1(env, build_args->v[i]);
}

static void copy_words(const struct argv *from, struct argv *to)
{
    for (size_t i = 0; i < from->n; i++)
        argv_push1(to, from->v[i]);
}

static int lower_run(const struct program_request *req, const struct dockerfile_step *from,
                     struct builder_step *to, struct error *err)
{
    to->kind = BUILDER_STEP_RUN;
    if (strcmp(from->security, "insecure") == 0)
        return error_set(
            err, ERR_INPUT,
            "dockerfile parse error on line %d: RUN --security=insecure is not allowed "
            "here",
            from->first_line);
    copy_words(&from->words, &to->argv);
    copy_words(&from->env, &to->env);
    add_proxies(req->build_args, &to->env);
    to->script = from->script;
    to->no_network = strcmp(from->network, "none") == 0;
    to->mounts = calloc(from->n_mounts + 1, sizeof(*to->mounts));
    if (!to->mounts)
        return error_set(err, ERR_SYSTEM, "prepare the build: out of memory");
    to->n_mounts = from->n_mounts;
    for (size_t i = 0; i < from->n_mounts; i++)
        to->mounts[i] = lower_mount(&from->mounts[i]);
    return 0;
}

/* What BuildKit fetches and this builder does not: repositories by ssh, other digests. */
static int check_add(const struct dockerfile_step *step, struct error *err)
{
    bool git = false;

    for (size_t i = 0; i + 1 < step->words.n; i++) {
        struct upload_git source;

        if (dockerfile_origin_of(step->words.v[i]) != DOCKERFILE_ORIGIN_GIT)
            continue;
        git = true;
        if (upload_git_parse(step->words.v[i], &source, err) < 0 ||
            (*step->checksum && upload_git_expect(&source, step->checksum, err) < 0))
            return error_wrap(err, "dockerfile parse error on line %d", step->first_line);
    }
    if (!git && *step->checksum && !text_starts(step->checksum, "sha256:"))
        return error_set(err, ERR_INPUT,
                         "dockerfile parse error on line %d: ADD --checksum is supported with "
                         "sha256 only",
                         step->first_line);
    return 0;
}

static int lower_copy(const struct dockerfile_step *from, struct builder_step *to,
                      struct error *err)
{
    if (check_add(from, err) < 0)
        return -1;
    to->kind = BUILDER_STEP_COPY;
    to->from = origin(from->from_stage, from->from);
    copy_words(&from->words, &to->words);
    copy_words(&from->exclude, &to->exclude);
    to->chown = from->chown;
    to->chmod = from->chmod;
    to->checksum = from->checksum;
    to->add = strcmp(from->instruction->keyword, "ADD") == 0;
    to->keep_archives = strcasecmp(from->unpack, "false") == 0;
    to->unpack = strcasecmp(from->unpack, "true") == 0;
    to->parents = from->parents;
    to->link = from->link;
    to->keep_git_dir = from->keep_git_dir;
    to->files = calloc(from->n_heredocs + 1, sizeof(*to->files));
    if (!to->files)
        return error_set(err, ERR_SYSTEM, "prepare the build: out of memory");
    to->n_files = from->n_heredocs;
    for (size_t i = 0; i < from->n_heredocs; i++)
        to->files[i] = (struct builder_file){from->heredocs[i].name, from->heredocs[i].content};
    return 0;
}

static bool makes_files(const struct dockerfile_step *s)
{
    static const char *const words[] = {"RUN", "COPY", "ADD", "WORKDIR", NULL};

    return text_is_among(s->instruction->keyword, words);
}

static int lower_step(const struct program_request *req, const struct dockerfile_step *from,
                      struct builder_step *to, struct error *err)
{
    const char *keyword = from->instruction->keyword;

    if (strcmp(keyword, "RUN") == 0)
        return lower_run(req, from, to, err);
    if (strcmp(keyword, "COPY") == 0 || strcmp(keyword, "ADD") == 0)
        return lower_copy(from, to, err);
    if (strcmp(keyword, "WORKDIR") == 0)
        to->kind = BUILDER_STEP_WORKDIR;
    return 0;
}

/* ---- stages ---- */

static const char *stage_name(struct program *p, const struct dockerfile_outcome *o, size_t index,
                              size_t n)
{
    CLEANUP(buf_release) struct buf name = BUF_INIT(256);

    if (n == 1)
        return "";
    if (o->stage->name)
        return o->stage->name;
    buf_addf(&name, "stage-%zu", index);
    return keep(p, &name);
}

static int lower_stage(const struct program_request *req, struct program *p,
                       const struct dockerfile_outcome *o, size_t index, struct error *err)
{
    struct builder_stage *s = &p->program.stages[index];
    size_t total = 1, number = 1;

    s->name = stage_name(p, o, index, p->program.n_stages);
    s->base = origin(o->base_stage, o->base);
    s->needed = o->needed;
    s->steps = calloc(o->n_steps + 1, sizeof(*s->steps));
    if (!s->steps)
        return error_set(err, ERR_SYSTEM, "prepare the build: out of memory");
    s->n_steps = o->n_steps;
    for (size_t i = 0; i < o->n_steps; i++)
        total += makes_files(&o->steps[i]);
    for (size_t i = 0; i < o->n_steps; i++) {
        const struct dockerfile_step *from = &o->steps[i];
        struct builder_step *to = &s->steps[i];

        *to = (struct builder_step){.history = history(p, from),
                                    .user = from->user,
                                    .working_dir = from->working_dir,
                                    .from = {BUILDER_NO_STAGE, ""},
                                    .chown = "",
                                    .chmod = "",
                                    .checksum = ""};
        number += makes_files(from);
        to->title = title(p, index, from, number, total);
        if (lower_step(req, from, to, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the rest ---- */

static void set_label(struct dockerfile_pairs *labels, const char *key, const char *value)
{
    for (size_t i = 0; i < labels->n; i++)
        if (strcmp(labels->v[i].key, key) == 0)
            return; /* the Dockerfile's own counts */
    labels->v[labels->n++] = (struct dockerfile_pair){key, value};
}

/* The configuration of the target with our labels. */
static int write_config(const struct program_request *req, struct program *p,
                        const struct dockerfile_config *config, struct error *err)
{
    struct dockerfile_config with = *config;
    size_t n = req->labels ? req->labels->n : 0;
    CLEANUP_FREE struct dockerfile_pair *pairs = calloc(config->labels.n + n + 1, sizeof(*pairs));

    if (!pairs)
        return error_set(err, ERR_SYSTEM, "prepare the build: out of memory");
    if (config->labels.n)
        memcpy(pairs, config->labels.v, config->labels.n * sizeof(*pairs));
    with.labels.v = pairs;
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_release) struct buf key = BUF_INIT(TEXT_MAX);
        const char *pair = req->labels->v[i];
        size_t len = strcspn(pair, "=");

        buf_add(&key, pair, len);
        set_label(&with.labels, keep(p, &key), pair[len] ? pair + len + 1 : "");
    }
    if (dockerfile_config_write(&with, &p->config, err) < 0)
        return -1;
    p->program.config = buf_str(&p->config);
    p->program.author = config->author ? config->author : "";
    return buf_check(&p->config, "the image's configuration", err);
}

static int set_secrets(const struct program_request *req, struct program *p, struct error *err)
{
    size_t n = req->build_args ? req->build_args->n : 0;

    p->program.epoch = -1;
    p->program.secrets = calloc(n + 1, sizeof(*p->program.secrets));
    if (!p->program.secrets)
        return error_set(err, ERR_SYSTEM, "prepare the build: out of memory");
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_release) struct buf id = BUF_INIT(TEXT_MAX);
        const char *pair = req->build_args->v[i];
        size_t len = strcspn(pair, "=");
        uint64_t epoch;

        buf_add(&id, pair, len);
        p->program.secrets[p->program.n_secrets++] =
            (struct builder_secret){keep(p, &id), pair[len] ? pair + len + 1 : ""};
        if (text_starts(pair, EPOCH) && text_to_u64(pair + strlen(EPOCH), EPOCH_MAX, &epoch))
            p->program.epoch = (int64_t)epoch;
    }
    return 0;
}

static int lower(const struct program_request *req, struct program *p, struct error *err)
{
    struct builder_program *ret = &p->program;
    size_t n;
    const struct dockerfile_outcome *outcomes =
        dockerfile_outcomes(p->evaluation, &n, &ret->target);

    ret->stages = calloc(n, sizeof(*ret->stages));
    if (!ret->stages)
        return error_set(err, ERR_SYSTEM, "prepare the build: out of memory");
    ret->n_stages = n;
    ret->os = "linux";
    ret->architecture = "amd64";
    ret->name = req->name;
    ret->slim = req->slim;
    for (size_t i = 0; i < n; i++)
        if (lower_stage(req, p, &outcomes[i], i, err) < 0)
            return -1;
    if (write_config(req, p, &outcomes[ret->target].config, err) < 0 ||
        set_secrets(req, p, err) < 0)
        return -1;
    return p->texts.failed ? error_set(err, ERR_SYSTEM, "prepare the build: out of memory") : 0;
}

int program_make(const struct program_request *req, struct program *ret, struct error *err)
{
    const struct dockerfile_bases bases = {base_config, (void *)req->job};
    const struct dockerfile_request request = {
        .build_args = req->build_args, .bases = &bases, .to_build = true};

    *ret = (struct program){.config = BUF_INIT(CONFIG_MAX)};
    if (dockerfile_evaluate(req->dockerfile, &request, &ret->evaluation, err) < 0)
        return -1;
    return lower(req, ret, err);
}

void program_release(struct program *p)
{
    builder_program_release(&p->program);
    argv_release(&p->texts);
    buf_release(&p->config);
    dockerfile_evaluation_free(p->evaluation);
    *p = (struct program){.evaluation = NULL};
}

void program_lines(const struct program *p, size_t stage, size_t step, int *ret_first,
                   int *ret_last)
{
    size_t n, target;
    const struct dockerfile_outcome *outcomes = dockerfile_outcomes(p->evaluation, &n, &target);

    *ret_first = *ret_last = 0;
    if (stage >= n || step >= outcomes[stage].n_steps)
        return;
    *ret_first = outcomes[stage].steps[step].first_line;
    *ret_last = outcomes[stage].steps[step].last_line;
}
