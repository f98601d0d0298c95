/* programs/project — see the header. */
#include "programs/project.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/uploads.h"

#define ENV_MAX      (1 << 20)
#define JSON_MAX     (16 << 20)
#define SETTINGS_MAX (1 << 20)

/* ---- words ---- */

void project_words_release(struct project_words *w)
{
    argv_release(&w->build_args);
}

bool project_check_type(const char *command, const char *type)
{
    static const char *const types[] = {"sandbox", "agent", "function", "job", NULL};

    if (text_is_among(type, types))
        return true;
    fprintf(stderr, "kiln %s: --type is sandbox, agent, function or job, not \"%s\"\n", command,
            type);
    return false;
}

static bool read_flag(const char *word, int takes, struct project_words *w)
{
    if (takes & PROJECT_JSON && strcmp(word, "--json") == 0)
        w->json = true;
    else if (takes & PROJECT_WRITES && strcmp(word, "--force") == 0)
        w->force = true;
    else if (takes & PROJECT_WRITES && strcmp(word, "--stdout") == 0)
        w->to_stdout = true;
    else if (word[0] != '-' && !w->path)
        w->path = word;
    else
        return false;
    return true;
}

int project_read_words(int argc, char **argv, int takes, struct project_words *ret)
{
    *ret = (struct project_words){.type = ""};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--type") == 0 && i + 1 < argc)
            ret->type = argv[++i];
        else if (strcmp(argv[i], "--build-arg") == 0 && i + 1 < argc && strchr(argv[i + 1], '='))
            argv_push1(&ret->build_args, argv[++i]);
        else if (!read_flag(argv[i], takes, ret)) {
            fprintf(stderr, "kiln %s: unexpected word \"%s\"; see kiln %s --help\n", argv[0],
                    argv[i], argv[0]);
            return -1;
        }
    }
    if (!ret->path)
        ret->path = ".";
    if (*ret->type && !project_check_type(argv[0], ret->type))
        return -1;
    return 0;
}

/* ---- files ---- */

struct project {
    int dirfd;
    const char *file; /* of a Dockerfile that was named; NULL otherwise */
    char *directory;  /* of that file */
    char temporary[32];
    struct argv build_args;
};

static void project_close(struct project *p)
{
    struct error ignored;

    if (p->dirfd >= 0)
        close(p->dirfd);
    if (p->temporary[0])
        (void)!fs_remove_tree(AT_FDCWD, p->temporary, &ignored);
    free(p->directory);
    argv_release(&p->build_args);
}

int project_read_env(const struct buf *text, struct argv *ret, struct error *err)
{
    return upload_parse_env(buf_str(text), text->len, ret, err) < 0 ? error_wrap(err, ".env.build")
                                                                    : 0;
}

static int open_directory(struct project *p, const char *path, struct error *err)
{
    CLEANUP(buf_release) struct buf env = BUF_INIT(ENV_MAX);

    if (fs_open_dir(AT_FDCWD, path, &p->dirfd, err) < 0)
        return -1;
    if (faccessat(p->dirfd, ".env.build", R_OK, 0) < 0)
        return 0;
    return fs_read_file(p->dirfd, ".env.build", &env, err) < 0
               ? -1
               : project_read_env(&env, &p->build_args, err);
}

static int unpack(struct project *p, int fd, const struct config *c, struct error *err)
{
    (void)snprintf(p->temporary, sizeof(p->temporary), "/tmp/kiln-plan-XXXXXX");
    if (!mkdtemp(p->temporary)) {
        int problem = errno;

        p->temporary[0] = '\0';
        return error_errno(err, problem, "make a temporary directory");
    }
    if (fs_open_dir(AT_FDCWD, p->temporary, &p->dirfd, err) < 0)
        return -1;
    return project_unpack(fd, p->dirfd, c, &p->build_args, err);
}

/* A file that begins as no archive does is taken for a Dockerfile. */
static bool is_archive(int fd)
{
    unsigned char head[263] = {0};
    ssize_t n = pread(fd, head, sizeof(head), 0);

    return n >= 4 && (memcmp(head, "PK", 2) == 0 || memcmp(head, "\x1f\x8b", 2) == 0 ||
                      memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ||
                      (n == sizeof(head) && memcmp(head + 257, "ustar", 5) == 0));
}

bool project_can_open(const char *path)
{
    CLEANUP_CLOSE int fd = project_unpack ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return fd < 0 || !is_archive(fd);
}

static int open_dockerfile(struct project *p, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');

    p->file = slash ? slash + 1 : path;
    p->directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!p->directory)
        return error_set(err, ERR_SYSTEM, "open %s: out of memory", path);
    return fs_open_dir(AT_FDCWD, p->directory, &p->dirfd, err);
}

static int open_project(struct project *p, const char *path, const struct config *c,
                        struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, ERR_INPUT, "open %s: %s", path, strerrordesc_np(errno));
    if (S_ISDIR(st.st_mode))
        return open_directory(p, path, err);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INPUT, "%s is neither a file nor a directory", path);
    return is_archive(fd) ? unpack(p, fd, c, err) : open_dockerfile(p, path, err);
}

int project_plan(const struct config *c, const struct project_words *words,
                 struct dockerfile_plan *ret, struct error *err)
{
    CLEANUP(project_close) struct project p = {.dirfd = -1};
    struct dockerfile_source source;

    if (open_project(&p, words->path, c, err) < 0)
        return -1;
    for (size_t i = 0; i < words->build_args.n; i++)
        argv_push1(&p.build_args, words->build_args.v[i]);
    source = dockerfile_source_directory(&p.dirfd);
    return dockerfile_plan_make(&(struct dockerfile_plan_request){.source = &source,
                                                                  .type = words->type,
                                                                  .build_args = &p.build_args,
                                                                  .sandbox_image = c->sandbox_image,
                                                                  .file = p.file,
                                                                  .all_stages = words->all_stages,
                                                                  .generate = words->generate},
                                ret, err);
}

int project_settings(const struct config *c, const char *path, struct dockerfile_settings *ret,
                     struct error *err)
{
    CLEANUP(project_close) struct project p = {.dirfd = -1};
    CLEANUP(buf_release) struct buf text = BUF_INIT(SETTINGS_MAX);
    struct dockerfile_source source;
    bool found;

    if (open_project(&p, path, c, err) < 0)
        return -1;
    source = dockerfile_source_directory(&p.dirfd);
    if (source.read(source.self, "blaxel.toml", &text, &found, err) < 0)
        return -1;
    return found ? dockerfile_settings_read(buf_str(&text), text.len, ret, err) : 0;
}

/* ---- showing ---- */

static void print_excerpt(const struct dockerfile_plan *p, int first, int last, FILE *out)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);

    if (first <= 0)
        return;
    dockerfile_excerpt_text(buf_str(&p->text), p->text.len, first, last, &text);
    fputs(buf_str(&text), out);
}

void project_print_checks(const struct dockerfile_plan *p, FILE *out)
{
    int line = dockerfile_error_line(&p->failure);

    for (size_t i = 0; i < p->n_checks; i++) {
        const struct dockerfile_plan_check *c = &p->checks[i];

        fprintf(out, "WARNING: %s%s%s\n%s\n", c->rule, c->url ? " - " : "", c->url ? c->url : "",
                c->detail);
        print_excerpt(p, c->first_line, c->last_line, out);
        fputc('\n', out);
    }
    if (p->failure.kind == ERR_NONE)
        return;
    fprintf(out, "ERROR: %s\n", p->failure.msg);
    print_excerpt(p, line, line, out);
    fputc('\n', out);
}

int project_show(const struct config *c, int argc, char **argv, bool all_stages,
                 void (*print)(const struct dockerfile_plan *p))
{
    CLEANUP(project_words_release) struct project_words words;
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan plan;
    CLEANUP(buf_release) struct buf json = BUF_INIT(JSON_MAX);
    struct error err = ERROR_INIT;

    dockerfile_plan_init(&plan);
    if (project_read_words(argc, argv, PROJECT_JSON, &words) < 0)
        return 2;
    if (!project_can_open(words.path))
        return COMMAND_OF_WHOLE;
    words.all_stages = all_stages;
    if (project_plan(c, &words, &plan, &err) < 0 ||
        (words.json && dockerfile_plan_write(&plan, &json, &err) < 0)) {
        fprintf(stderr, "kiln %s: %s\n", argv[0], err.msg);
        return 1;
    }
    if (words.json)
        puts(buf_str(&json));
    else
        print(&plan);
    return plan.failure.kind == ERR_NONE ? 0 : 1;
}
