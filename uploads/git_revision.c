/* uploads/git_revision — the commit of a .git that somebody uploaded.
 *
 * It is only a name for a label, so whatever is unusual about it means that there is none.  libgit2
 * obeys little of a repository's configuration, but reads it, and has had its faults; so a child
 * looks, with little memory and time, and no more of it is believed than 40 hex digits. */
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/repository.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/sanitized.h"
#include "uploads/uploads.h"

#define SECONDS    10
#define MEMORY_MAX (UINT64_C(1) << 30)

/* A file of at most so many bytes; missing: or none at all. */
static bool is_file(int fd, const char *name, off_t max, bool missing)
{
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return missing && errno == ENOENT;
    return S_ISREG(st.st_mode) && st.st_size <= max;
}

/* As git makes it, and not a part of another one (worktrees and submodules have a commondir). */
static bool is_plain(int dirfd)
{
    CLEANUP_CLOSE int fd = openat(dirfd, ".git", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 && is_file(fd, "HEAD", 4096, false) && is_file(fd, "config", 65536, true) &&
           is_file(fd, "packed-refs", 16 << 20, true) && is_file(fd, "commondir", -1, true);
}

/* The configuration of the machine is not read, and that of the repository not used. */
static int open_bare(git_repository **ret)
{
    const unsigned flags =
        GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_NO_DOTGIT | GIT_REPOSITORY_OPEN_BARE;
    git_config *nothing = NULL;

    for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
        (void)git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    if (git_repository_open_ext(ret, ".git", flags, NULL) < 0 || git_config_new(&nothing) < 0 ||
        git_repository_set_config(*ret, nothing) < 0)
        return -1;
    git_config_free(nothing);
    return 0;
}

static void look(int dirfd, int to) __attribute__((noreturn));
static void look(int dirfd, int to)
{
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
    char text[UPLOAD_REVISION] = "";
    git_repository *repo = NULL;
    git_oid id;

    (void)alarm(SECONDS);
    if ((!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0) || fchdir(dirfd) < 0 ||
        git_libgit2_init() < 0 || open_bare(&repo) < 0 ||
        git_reference_name_to_id(&id, repo, "HEAD") < 0)
        _exit(1);
    (void)git_oid_tostr(text, sizeof(text), &id);
    _exit(write(to, text, sizeof(text)) == (ssize_t)sizeof(text) ? 0 : 1);
}

static bool is_revision(const char *text)
{
    return strspn(text, "0123456789abcdef") == UPLOAD_REVISION - 1 && !text[UPLOAD_REVISION - 1];
}

static void wait_for(pid_t child)
{
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

void upload_git_revision(int dirfd, char ret[UPLOAD_REVISION])
{
    char text[UPLOAD_REVISION] = "";
    ssize_t n;
    int fds[2];
    pid_t child;

    ret[0] = '\0';
    if (!is_plain(dirfd) || pipe2(fds, O_CLOEXEC) < 0)
        return;
    child = fork();
    if (child == 0)
        look(dirfd, fds[1]);
    close(fds[1]);
    while ((n = read(fds[0], text, sizeof(text))) < 0 && errno == EINTR) {
    }
    close(fds[0]);
    if (child > 0)
        wait_for(child);
    if (n == (ssize_t)sizeof(text) && is_revision(text))
        memcpy(ret, text, sizeof(text));
}
