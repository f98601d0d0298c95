/* builder_driver — one build by the builder alone, for scripts and by hand.
 *
 *   builder_driver build   pull images, build ./Dockerfile text from stdin, push; prints timings
 *   builder_driver doctor  prints the findings
 *
 * Environment: KILN_DIR, REGISTRY (host:port), MIRROR (of docker.io and ghcr.io, host:port/path),
 * EGRESS=nat, USERS=none|direct|helpers, IMAGES ("a b"), CONTEXT (a directory to copy), ARGS ("K=V
 * K=V"), REPOSITORY, TAG. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/state.h"

static void print_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)self;
    (void)len;
    printf("%c %s\n", stream == PROCESS_STDOUT ? '|' : '!', text);
}

static const char *word(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value ? value : otherwise;
}

static void split(const char *text, struct argv *out)
{
    while (*text) {
        size_t len = strcspn(text, " ");

        if (len > 0)
            argv_pushf(out, "%.*s", (int)len, text);
        text += len + (text[len] == ' ');
    }
}

static int fail(const char *act, const struct error *err)
{
    printf("%s: %s error: %s\n", act, error_kind_name(err->kind), err->msg);
    return 1;
}

static double since(int64_t *start)
{
    int64_t now = clock_monotonic();
    double s = (double)(now - *start) / 1e9;

    *start = now;
    return s;
}

static int copy_context(const struct builder_job *job)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    struct process_request req = {.argv = &argv, .stdin_fd = -1};
    struct process_end end;
    struct error err = ERROR_INIT;

    if (!getenv("CONTEXT"))
        return 0;
    argv_push(&argv, "cp", "-a", NULL);
    argv_pushf(&argv, "%s/.", getenv("CONTEXT"));
    argv_pushf(&argv, "%s/context", job->dir);
    if (process_run(&req, &end, &err) < 0 || !process_succeeded(&end))
        return fail("copy the context", &err);
    return 0;
}

static int run_job(struct builder_job *job)
{
    static const char *const names[] = {"done", "failed", "timed out", "cancelled", "killed"};
    const struct process_sink sink = {print_line, NULL};
    const struct builder_io io = {.sink = &sink};
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    CLEANUP(buf_release) struct buf dockerfile = BUF_INIT(1 << 20);
    struct builder_request req = {.build_args = &args};
    struct builder_failure failure;
    enum builder_outcome outcome;
    char digest[BUILDER_DIGEST];
    struct error err = ERROR_INIT;
    int64_t t = clock_monotonic();

    split(word("IMAGES", ""), &images);
    split(word("ARGS", ""), &args);
    if (fs_read_fd(0, &dockerfile, &err) < 0 || copy_context(job) != 0)
        return fail("prepare", &err);
    for (size_t i = 0; i < images.n; i++) {
        if (builder_pull(job, images.v[i], getenv("DOCKER_CONFIG_JSON"), &io, &outcome, &err) < 0)
            return fail("pull", &err);
        printf("pull %s: %s in %.3f s\n", images.v[i], names[outcome], since(&t));
    }
    req.dockerfile = buf_str(&dockerfile);
    if (builder_build(job, &req, &io, &outcome, &failure, &err) < 0)
        return fail("build", &err);
    printf("build: %s in %.3f s\n", names[outcome], since(&t));
    if (outcome == BUILDER_FAILED)
        printf("failure: stage %d step %d exit %d: %s\n", failure.stage, failure.step,
               failure.exit_code, failure.text);
    if (outcome != BUILDER_DONE)
        return 2;
    if (builder_push(job, word("REPOSITORY", "ws/sandbox/app"), word("TAG", "latest"), &io,
                     &outcome, digest, &err) < 0)
        return fail("push", &err);
    printf("push: %s in %.3f s: %s\n", names[outcome], since(&t), digest);
    return 0;
}

static void print_finding(void *self, const struct builder_finding *f)
{
    static const char *const names[] = {"ok", "degraded", "missing"};

    (void)self;
    printf("%-8s %s: %s\n", names[f->health], f->subject, f->detail);
}

static int open_builder(const struct builder_config *config, struct builder **ret,
                        struct error *err)
{
    const char *users = word("USERS", "");

    if (strcmp(users, "none") == 0)
        return builder_open_as(config, JAIL_USERS_NONE, ret, err);
    if (strcmp(users, "direct") == 0)
        return builder_open_as(config, JAIL_USERS_DIRECT, ret, err);
    if (strcmp(users, "helpers") == 0)
        return builder_open_as(config, JAIL_USERS_HELPERS, ret, err);
    return builder_open(config, ret, err);
}

int main(int argc, char **argv)
{
    char ghcr[256];
    struct builder_mirror mirrors[] = {
        {"docker.io", word("MIRROR", "127.0.0.1:5000"), true},
        {"ghcr.io", ghcr, true},
    };
    struct builder_config config = {
        .dir = word("KILN_DIR", "/var/tmp/kiln-driver"),
        .uid_base = 1000000,
        .egress =
            strcmp(word("EGRESS", "none"), "nat") == 0 ? BUILDER_EGRESS_NAT : BUILDER_EGRESS_NONE,
        .mirrors = mirrors,
        .n_mirrors = 2,
        .push_registry = word("REGISTRY", "127.0.0.1:5000"),
        .push_insecure = true,
        .timeout_ms = 120000,
    };
    struct builder *b;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    int64_t t = clock_monotonic();
    int result = 0;

    builder_jail_main(argc, argv, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)snprintf(ghcr, sizeof(ghcr), "%s", mirrors[0].location);
    if (open_builder(&config, &b, &err) < 0)
        return fail("open", &err);
    printf("open: %.3f s\n", since(&t));
    if (argc > 1 && strcmp(argv[1], "doctor") == 0) {
        if (builder_diagnose(b, print_finding, NULL, &err) < 0)
            result = fail("diagnose", &err);
    } else if (builder_job_begin(b, word("WORKSPACE", "ws"), word("JOB", "job"), &job, &err) < 0) {
        result = fail("begin", &err);
    } else {
        result = run_job(job);
        since(&t);
        if (!getenv("KEEP"))
            builder_job_end(job);
        printf("end: %.3f s\n", since(&t));
    }
    builder_free(b);
    return result;
}
