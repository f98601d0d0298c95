/* uploads/git_keep — a .git beside the files of a commit, as a fresh clone of depth 1 has it.
 *
 * It is written anew from the commit's own objects: nothing else that the server sent gets into it,
 * and what git reads of it — configuration, HEAD, refs — is our text. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "uploads/git.h"
#include "uploads/git_refs.h"

static int make_directories(int to, struct error *err)
{
    static const char *const names[] = {
        ".git",      ".git/objects",    ".git/objects/info", ".git/objects/pack",
        ".git/refs", ".git/refs/heads", ".git/refs/tags"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (mkdirat(to, names[i], 0755) < 0)
            return error_errno(err, errno, "make %s", names[i]);
    return 0;
}

/* The commit with its tree, and the tag that names it. */
static int fill_pack(const struct upload_git_session *f, git_packbuilder *pack, const char *to)
{
    char path[PATH_MAX];
    int code = git_packbuilder_insert_commit(pack, git_commit_id(f->commit));

    (void)git_packbuilder_set_threads(pack, 1);
    if (code == 0)
        code = git_packbuilder_insert(pack, &f->wanted, NULL);
    (void)snprintf(path, sizeof(path), "%s/.git/objects/pack", to);
    return code == 0 ? git_packbuilder_write(pack, path, 0444, NULL, NULL) : code;
}

static int write_pack(const struct upload_git_session *f, const char *to, struct error *err)
{
    git_packbuilder *pack = NULL;
    int code = git_packbuilder_new(&pack, f->repo);

    if (code == 0)
        code = fill_pack(f, pack, to);
    git_packbuilder_free(pack);
    return code < 0 ? git_failed(f, code, err) : 0;
}

/* Without what a stat of the files says: git looks for itself. */
static int write_index(const struct upload_git_session *f, const char *to, struct error *err)
{
    git_index *index = NULL;
    git_tree *tree = NULL;
    char path[PATH_MAX];
    int code = git_commit_tree(&tree, f->commit);

    (void)snprintf(path, sizeof(path), "%s/.git/index", to);
    if (code == 0)
        code = git_index_open(&index, path);
    if (code == 0)
        code = git_index_read_tree(index, tree);
    if (code == 0)
        code = git_index_write(index);
    git_index_free(index);
    git_tree_free(tree);
    return code < 0 ? git_failed(f, code, err) : 0;
}

static int write_text(int to, const char *name, struct error *err, const char *fmt, ...)
    PRINTF(4, 5);
static int write_text(int to, const char *name, struct error *err, const char *fmt, ...)
{
    char text[2 * UPLOAD_GIT_TEXT];
    va_list words;
    int n;

    va_start(words, fmt);
    n = vsnprintf(text, sizeof(text), fmt, words);
    va_end(words);
    return fs_write_file(to, name, text, (size_t)n, 0644, err);
}

/* A branch or a tag keeps its name; one with folders in it would need them made, and is left out:
 * HEAD has the commit in any case. */
static int write_ref(const struct upload_git_session *f, int to, struct error *err)
{
    char name[sizeof(f->ref) + 8], id[UPLOAD_REVISION];
    const char *last = strrchr(f->ref, '/');

    if (!git_ref_is_name(f->ref) || !last ||
        ((size_t)(last - f->ref) != strlen("refs/tags") &&
         (size_t)(last - f->ref) != strlen("refs/heads")) ||
        (strncmp(f->ref, "refs/tags/", 10) != 0 && strncmp(f->ref, "refs/heads/", 11) != 0))
        return 0;
    (void)snprintf(name, sizeof(name), ".git/%s", f->ref);
    (void)git_oid_tostr(id, sizeof(id), &f->wanted);
    return write_text(to, name, err, "%s\n", id);
}

int git_keep(struct upload_git_session *f, const char *to, struct error *err)
{
    char id[UPLOAD_REVISION];
    CLEANUP_CLOSE int dir = -1;

    (void)git_oid_tostr(id, sizeof(id), git_commit_id(f->commit));
    if (fs_open_dir(AT_FDCWD, to, &dir, err) < 0 || make_directories(dir, err) < 0 ||
        write_pack(f, to, err) < 0 || write_index(f, to, err) < 0 || write_ref(f, dir, err) < 0)
        return -1;
    if (git_commit_parentcount(f->commit) > 0 &&
        write_text(dir, ".git/shallow", err, "%s\n", id) < 0)
        return -1;
    if (write_text(dir, ".git/config", err,
                   "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
                   "\tlogallrefupdates = true\n[remote \"origin\"]\n\turl = \"%s\"\n"
                   "\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
                   f->source->url) < 0)
        return -1;
    return write_text(dir, ".git/HEAD", err, "%s\n", id);
}
