/* programs/generate — `kiln generate`: writes the Dockerfile that Kiln would build with, for its
 * user to take over. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "programs/commands.h"
#include "programs/project.h"

static int write_one(int dirfd, const char *name, const struct buf *text, struct error *err)
{
    if (fs_write_file(dirfd, name, buf_str(text), text->len, 0644, err) < 0)
        return -1;
    fprintf(stderr, "wrote %s\n", name);
    return 0;
}

static int refuse_if_there(int dirfd, const char *name, struct error *err)
{
    if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return error_set(err, ERR_INPUT,
                         "%s is there already: remove it, or write it over with --force", name);
    return 0;
}

static int open_target(const struct project_words *words, int *ret_dirfd, struct error *err)
{
    CLEANUP_CLOSE int dirfd = -1;

    if (fs_open_dir(AT_FDCWD, words->path, &dirfd, err) < 0)
        return error_wrap(err, "only a directory can take a Dockerfile (else: --stdout)");
    if (!words->force && refuse_if_there(dirfd, "Dockerfile", err) < 0)
        return -1;
    *ret_dirfd = TAKE_FD(dirfd);
    return 0;
}

static int write_files(int dirfd, const struct dockerfile_plan *plan, struct error *err)
{
    if (write_one(dirfd, "Dockerfile", &plan->text, err) < 0)
        return -1;
    /* The rules that the Dockerfile counts on, where the project has none of its own. */
    if (plan->ignore.len == 0 || faccessat(dirfd, ".dockerignore", F_OK, 0) == 0)
        return 0;
    return write_one(dirfd, ".dockerignore", &plan->ignore, err);
}

static void say(const struct dockerfile_plan *plan)
{
    for (size_t i = 0; i < plan->notes.n; i++)
        fprintf(stderr, "%s\n", plan->notes.v[i]);
    for (size_t i = 0; i < plan->warnings.n; i++)
        fprintf(stderr, "warning: %s\n", plan->warnings.v[i]);
}

static int generate(const struct config *config, const struct project_words *words,
                    struct error *err)
{
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan plan;
    CLEANUP_CLOSE int dirfd = -1;

    dockerfile_plan_init(&plan);
    if (!words->to_stdout && open_target(words, &dirfd, err) < 0)
        return -1;
    if (project_plan(config, words, &plan, err) < 0)
        return -1;
    if (plan.failure.kind != ERR_NONE)
        return error_set(err, plan.failure.kind, "%s", plan.failure.msg);
    say(&plan);
    if (!words->to_stdout)
        return write_files(dirfd, &plan, err);
    fputs(buf_str(&plan.text), stdout);
    return 0;
}

int command_generate(const struct config *config, int argc, char **argv)
{
    CLEANUP(project_words_release) struct project_words words;
    struct error err = ERROR_INIT;

    if (project_read_words(argc, argv, PROJECT_WRITES, &words) < 0)
        return 2;
    if (!project_can_open(words.path))
        return COMMAND_OF_WHOLE;
    words.generate = true;
    if (generate(config, &words, &err) < 0) {
        fprintf(stderr, "kiln generate: %s\n", err.msg);
        return 1;
    }
    return 0;
}
