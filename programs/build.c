/* programs/build — `kiln build ARCHIVE|DIR|URL`: the pipeline of the service on one archive or git
 * source, without a service.  The same worker runs it, on a queue in memory with one build in it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "programs/build_registry.h"
#include "programs/commands.h"
#include "programs/context.h"
#include "programs/installation.h"
#include "programs/project.h"

#define WORKSPACE "local"
#define POLL_MS   100
#define EXPORT_MS 300000 /* for what the build leaves other workers in the registry */

#define ATTESTATION_MAX (64U << 20) /* bytes */

struct order {
    const char *source;
    bool no_cache;
    bool git; /* the source is a repository's address */
    bool no_slim;
    char type[NAME_SIZE];
    char name[NAME_SIZE];
    const char *sbom, *provenance; /* files to write; NULL: none */
    bool json;                     /* the log as JSON lines, and nothing else */
};

/* As the CLI makes names of directories (PROTOCOL.md 1.1). */
static void slugify(const char *text, char name[NAME_SIZE])
{
    size_t n = 0;

    for (; *text && n < 49; text++) {
        char c = (char)tolower((unsigned char)*text);

        if (c == ' ' || c == '_')
            c = '-';
        if (!isalnum((unsigned char)c) && (c != '-' || n == 0 || name[n - 1] == '-'))
            continue;
        name[n++] = c;
    }
    while (n > 0 && name[n - 1] == '-')
        n--;
    name[n] = '\0';
    if (n == 0)
        (void)snprintf(name, NAME_SIZE, "resource");
}

/* "hello" of "/x/hello.zip" or "/x/hello/". */
static void name_of_source(const char *source, char name[NAME_SIZE])
{
    CLEANUP_FREE char *path = realpath(source, NULL);
    char *base = path ? strrchr(path, '/') : NULL;
    struct stat st;

    if (base && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        char *dot = strchr(base, '.');

        if (dot && dot > base + 1)
            *dot = '\0';
    }
    slugify(base ? base + 1 : source, name);
}

/* What looks like an address is one, unless a file has that name. */
static int look_at_source(struct order *order)
{
    struct error err = ERROR_INIT;
    struct upload_git git;

    order->git = upload_git_is_address(order->source) && access(order->source, F_OK) < 0;
    if (!order->git)
        return 0;
    if (upload_git_parse(order->source, &git, &err) < 0) {
        fprintf(stderr, "kiln build: %s\n", err.msg);
        return -1;
    }
    if (!*order->name)
        slugify(git.name, order->name);
    if (!*order->type)
        (void)snprintf(order->type, sizeof(order->type), "sandbox");
    return 0;
}

static bool is_log_form(const char *word)
{
    return text_is_among(word, (const char *const[]){"json", "plain", NULL});
}

/* type and name are "" where the command line does not say them. */
static int read_order(int argc, char **argv, struct order *ret)
{
    *ret = (struct order){.type = ""};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--type") == 0 && i + 1 < argc)
            (void)snprintf(ret->type, sizeof(ret->type), "%s", argv[++i]);
        else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
            slugify(argv[++i], ret->name);
        else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc && is_log_form(argv[i + 1]))
            ret->json = strcmp(argv[++i], "json") == 0;
        else if (strcmp(argv[i], "--sbom") == 0 && i + 1 < argc)
            ret->sbom = argv[++i];
        else if (strcmp(argv[i], "--provenance") == 0 && i + 1 < argc)
            ret->provenance = argv[++i];
        else if (strcmp(argv[i], "--no-slim") == 0)
            ret->no_slim = true;
        else if (strcmp(argv[i], "--no-cache") == 0)
            ret->no_cache = true;
        else if (argv[i][0] != '-' && !ret->source)
            ret->source = argv[i];
        else {
            fprintf(stderr, "kiln build: unexpected word \"%s\"; see kiln build --help\n", argv[i]);
            return -1;
        }
    }
    if (!ret->source) {
        fprintf(stderr, "kiln build: say what to build: an archive, a directory or a repository\n");
        return -1;
    }
    if (*ret->type && !project_check_type("build", ret->type))
        return -1;
    return look_at_source(ret);
}

/* What the command line leaves open is as blaxel.toml says. */
static int complete_order(const struct config *c, struct order *order, struct error *err)
{
    CLEANUP(dockerfile_settings_release) struct dockerfile_settings settings;
    const char *type;

    dockerfile_settings_init(&settings);
    if (*order->type && *order->name)
        return 0;
    if (project_settings(c, order->source, &settings, err) < 0)
        return -1;
    if (!*order->type) {
        if (dockerfile_plan_type(&settings, &type, err) < 0)
            return -1;
        (void)snprintf(order->type, sizeof(order->type), "%s", type);
    }
    if (*order->name)
        return 0;
    if (settings.name)
        slugify(settings.name, order->name);
    else
        name_of_source(order->source, order->name);
    return 0;
}

/* ---- the archive ---- */

/* A descriptor of the archive: the file itself, or a tar of the directory in a nameless file. */
static int open_source(const struct order *order, const char *dir, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = open(order->source, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, ERR_INPUT, "open %s: %s", order->source, strerrordesc_np(errno));
    if (S_ISDIR(st.st_mode)) {
        cleanup_close(&fd);
        fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0)
            return error_errno(err, errno, "make a temporary file in %s", dir);
        if (context_pack(order->source, fd, err) < 0)
            return -1;
        if (lseek(fd, 0, SEEK_SET) < 0)
            return error_errno(err, errno, "rewind the archive");
    } else if (!S_ISREG(st.st_mode)) {
        return error_set(err, ERR_INPUT, "%s is neither a file nor a directory", order->source);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int copy_to_sink(int fd, struct upload_sink *sink, struct error *err)
{
    CLEANUP_FREE char *block = malloc(1 << 20);

    if (!block)
        return error_set(err, ERR_SYSTEM, "copy the archive: out of memory");
    for (;;) {
        ssize_t n = read(fd, block, 1 << 20);

        if (n < 0)
            return error_errno(err, errno, "read the archive");
        if (n == 0)
            return 0;
        if (upload_sink_write(sink, block, (size_t)n, err) < 0)
            return -1;
    }
}

static void free_sink(struct upload_sink **sink)
{
    upload_sink_free(*sink);
}

/* Everything that a client and the API do between them. */
static int submit(struct installation *i, const struct order *order, const char *dir,
                  struct build *ret, struct error *err)
{
    CLEANUP(free_sink) struct upload_sink *sink = NULL;
    CLEANUP_CLOSE int fd = -1;
    const struct target target = {WORKSPACE, order->type, order->name};
    const struct build_order what = {.purpose = BUILD_FOR_IMAGE,
                                     .source = order->git ? order->source : NULL,
                                     .no_cache = order->no_cache};
    char key[UPLOAD_KEY_TEXT];
    uint64_t size;
    enum upload_outcome outcome;

    if (state_workspace_ensure(i->state, WORKSPACE, err) < 0)
        return -1;
    if (state_build_ask(i->state, &target, &what, ret, err) < 0)
        return -1;
    if (order->git)
        return 0;
    if (open_source(order, dir, &fd, err) < 0 ||
        upload_store_begin(i->uploads, ret->id, &sink, err) < 0 ||
        copy_to_sink(fd, sink, err) < 0 || upload_sink_commit(sink, key, &size, err) < 0)
        return -1;
    return state_upload_accept(i->state, WORKSPACE, ret->id, key, size, &outcome, err);
}

/* ---- watching ---- */

struct tail {
    int64_t seen;
    bool colour, json;
};

static void print_json(const struct log_line *line)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct error ignored = ERROR_INIT;

    if (log_line_json(line, &text, &ignored) == 0)
        fputs(buf_str(&text), stdout);
}

static void print_line(void *self, const struct log_line *line)
{
    struct tail *t = self;
    const char *on = line->severity >= LOG_ERROR     ? "\033[31m"
                     : line->severity >= LOG_WARNING ? "\033[33m"
                                                     : "";

    t->seen = line->seq;
    if (t->json) {
        print_json(line);
        return;
    }
    printf("%s%s%s\n", t->colour ? on : "", line->text, t->colour && *on ? "\033[0m" : "");
}

static int print_log(struct state *state, const char *id, struct tail *tail, struct error *err)
{
    int64_t total;
    int result = state_log_read(state, id, tail->seen, false, 10000, print_line, tail, &total, err);

    (void)fflush(stdout);
    return result;
}

/* Prints the log as it grows, until the build ends or a signal comes (*ret_signal). */
static int watch(struct state *state, const char *id, struct tail *tail, struct build *ret,
                 int *ret_signal, struct error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    enum presence presence;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    do {
        *ret_signal = sigtimedwait(&set, NULL, &pause);
        /* The phase is read before the log: the last lines are written before the end. */
        if (state_build_get(state, id, &presence, ret, err) < 0 ||
            print_log(state, id, tail, err) < 0)
            return -1;
    } while (*ret_signal <= 0 && (ret->phase == BUILD_QUEUED || ret->phase == BUILD_RUNNING));
    return 0;
}

static void print_image(const struct installation *i, const struct build *b)
{
    char repository[3 * NAME_SIZE];
    char size[TEXT_SIZE];

    pipeline_repository(b, repository);
    text_size(b->image_size, size);
    printf("\nBuilt %s/%s in %.1f s\n", b->type, b->name,
           (double)(b->finished - b->uploaded) / (double)NS_PER_SEC);
    printf("  image   %s/%s:%s (and :latest)\n", i->registry_name, repository, b->tag);
    printf("  digest  %s\n  size    %s compressed\n", b->digest, size);
    if (i->config->registry_url[0])
        printf("  run     podman run --rm %s/%s:%s\n", i->registry_name, repository, b->tag);
    else
        printf("  run     kiln serve &   # serves the registry; then\n"
               "          podman run --rm --tls-verify=false --creds any:KEY %s/%s:%s\n",
               i->registry_name, repository, b->tag);
}

/* The last of the JSON lines. */
static void print_result(const struct installation *i, const struct build *b)
{
    char repository[3 * NAME_SIZE];

    pipeline_repository(b, repository);
    printf("{\"built\":{\"image\":\"%s/%s:%s\",\"digest\":\"%s\",\"size\":%llu}}\n",
           i->registry_name, repository, b->tag, b->digest, (unsigned long long)b->image_size);
}

/* ---- what is said of the image ---- */

static int write_attestation(struct state *state, const struct build *b, enum attestation kind,
                             const char *what, const char *path, struct error *err)
{
    const struct target t = {b->workspace, b->type, b->name};
    CLEANUP(buf_release) struct buf text = BUF_INIT(ATTESTATION_MAX);
    enum presence presence = ABSENT;

    if (state_attestation_get(state, &t, b->tag, kind, &presence, &text, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_INPUT, "the image has no %s (see the key attest)", what);
    return fs_write_file(AT_FDCWD, path, buf_str(&text), text.len, 0644, err);
}

static int write_attestations(struct state *state, const struct build *b, const struct order *order,
                              struct error *err)
{
    if (order->sbom && write_attestation(state, b, ATTESTATION_SBOM, "SBOM", order->sbom, err) < 0)
        return -1;
    return order->provenance ? write_attestation(state, b, ATTESTATION_PROVENANCE, "provenance",
                                                 order->provenance, err)
                             : 0;
}

/* ---- the command ---- */

static int build_and_watch(struct installation *i, const struct order *order, const char *dir,
                           struct error *err)
{
    struct worker_config config = installation_worker(i, 1, NULL);
    struct worker *worker = NULL;
    struct build b = {.created = 0};
    struct tail tail = {.colour = isatty(STDOUT_FILENO) == 1, .json = order->json};
    int signal = 0;
    int result;
    bool leaves;

    config.sweep = false;
    config.no_slim = order->no_slim;
    if (submit(i, order, dir, &b, err) < 0 || worker_start(&config, &worker, err) < 0)
        return -1;
    result = watch(i->state, b.id, &tail, &b, &signal, err);
    leaves = result == 0 && signal <= 0 && b.phase != BUILD_CANCELLED;
    worker_stop(worker, leaves ? EXPORT_MS : 0);
    if (result == 0)
        result = print_log(i->state, b.id, &tail, err); /* what was said after the end */
    if (b.archive[0]) {
        struct error unused;

        (void)!upload_store_remove(i->uploads, b.archive, &unused);
    }
    if (result < 0)
        return -1;
    if (signal > 0)
        return error_set(err, ERR_INPUT, "interrupted");
    if (b.phase != BUILD_SUCCEEDED)
        return error_set(err, ERR_INPUT, "the build failed: %s", b.message);
    if (order->json)
        print_result(i, &b);
    else
        print_image(i, &b);
    return write_attestations(i->state, &b, order, err);
}

/* Builds of this kind share DATA/local, but not a database.  So whoever finds nobody else there
 * sweeps what dead ones left, and all hold the lock shared while they build. */
static int enter_shared_dir(struct installation *i, const char *dir, int *ret_lock,
                            struct error *err)
{
    struct worker_config config = installation_worker(i, 1, operator_log);
    CLEANUP_CLOSE int lock = -1;
    char path[4096 + 8];

    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return error_errno(err, errno, "open %s", path);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
        worker_sweep(&config);
    if (flock(lock, LOCK_SH) < 0)
        return error_errno(err, errno, "lock %s", path);
    *ret_lock = TAKE_FD(lock);
    return 0;
}

int command_build(const struct config *c, int argc, char **argv)
{
    CLEANUP(installation_release) struct installation i = {.config = c};
    struct build_registry registry = {.api = NULL};
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int lock = -1;
    struct order order;
    char dir[4096];
    int result = -1;

    if (read_order(argc, argv, &order) < 0)
        return 2;
    (void)snprintf(dir, sizeof(dir), "%s/local", c->data_dir);
    if (complete_order(c, &order, &err) == 0 &&
        installation_open(c, dir, ":memory:", &i, &err) == 0 &&
        enter_shared_dir(&i, dir, &lock, &err) == 0 &&
        build_registry_start(&i, &registry, &err) == 0)
        result = build_and_watch(&i, &order, dir, &err);
    build_registry_release(&registry);
    if (result < 0)
        fprintf(stderr, "kiln build: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
