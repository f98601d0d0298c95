/* uploads/git_submodule — see the header. */
#include "uploads/git_submodule.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "uploads/git_modules.h"

#define FILE_MAX (1 << 20) /* bytes of .gitmodules */

void git_nested_release(struct git_nested *m)
{
    struct error ignored = ERROR_INIT;

    upload_git_close(m->session);
    upload_report_release(&m->report);
    if (m->dir[0])
        (void)!fs_remove_tree(AT_FDCWD, m->dir, &ignored);
    *m = (struct git_nested){.session = NULL};
}

static int read_blob(struct upload_git_session *f, const git_oid *id, struct buf *out,
                     struct error *err)
{
    git_blob *blob = NULL;
    int code = git_blob_lookup(&blob, f->repo, id);

    if (code < 0)
        return git_failed(f, code, err);
    buf_add(out, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    git_blob_free(blob);
    return buf_check(out, ".gitmodules", err);
}

/* Nothing, if there is none. */
static int read_modules(struct upload_git_session *f, struct buf *out, struct error *err)
{
    git_tree *tree = NULL;
    const git_tree_entry *e;
    int result = git_commit_tree(&tree, f->commit);

    if (result < 0)
        return git_failed(f, result, err);
    e = git_tree_entry_byname(tree, ".gitmodules");
    if (e && git_tree_entry_type(e) == GIT_OBJECT_BLOB &&
        git_tree_entry_filemode(e) != GIT_FILEMODE_LINK)
        result = read_blob(f, git_tree_entry_id(e), out, err);
    git_tree_free(tree);
    return result;
}

/* -1: it is left out. */
static int find_source(const struct upload_git_session *parent, const struct buf *modules,
                       const char *path, const git_oid *commit, struct upload_git *ret,
                       struct error *err)
{
    char url[UPLOAD_GIT_TEXT], whole[UPLOAD_GIT_TEXT];

    if (!git_modules_find(buf_str(modules), path, url))
        return error_set(err, ERR_INPUT, ".gitmodules does not say where it is");
    if (git_modules_resolve(parent->source->url, url, whole, err) < 0)
        return -1;
    if (strpbrk(whole, "?#"))
        return error_set(err, ERR_INPUT, "its address has a \"?\" or \"#\"");
    if (upload_git_parse(whole, ret, err) < 0)
        return -1;
    if (strcmp(ret->authority, parent->source->authority) != 0 && parent->limits->may_ask &&
        !parent->limits->may_ask(ret->authority))
        return error_set(err, ERR_INPUT, "%s is not asked", ret->authority);
    (void)git_oid_tostr(ret->ref, sizeof(ret->ref), commit);
    return 0;
}

static int open_source(const struct upload_git_session *parent, unsigned number,
                       struct git_nested *m, struct error *err)
{
    char dir[PATH_MAX];

    if (snprintf(dir, sizeof(dir), "%s/module-%u", parent->dir, number) >= (int)sizeof(dir))
        return error_set(err, ERR_LIMIT, "fetch %.300s: submodules lie too deep", m->source.url);
    if (mkdir(dir, 0700) < 0)
        return error_errno(err, errno, "make a directory for a submodule");
    memcpy(m->dir, dir, sizeof(dir));
    if (upload_git_open(&m->source, m->dir, &m->limits, &m->report, &m->session, err) < 0)
        return -1;
    return git_receive(m->session, err);
}

int git_nested_open(struct upload_git_session *parent, const char *path, const git_oid *commit,
                    const struct upload_git_limits *limits, unsigned number, struct git_nested *ret,
                    struct error *ret_why, struct error *err)
{
    CLEANUP(buf_release) struct buf modules = BUF_INIT(FILE_MAX);

    *ret = (struct git_nested){.limits = *limits};
    *ret_why = (struct error)ERROR_INIT;
    upload_report_init(&ret->report);
    if (read_modules(parent, &modules, err) < 0)
        return -1;
    if (find_source(parent, &modules, path, commit, &ret->source, ret_why) < 0)
        return 0;
    return open_source(parent, number, ret, err) < 0
               ? error_wrap(err, "submodule %s (?submodules=false leaves them out)", path)
               : 0;
}
