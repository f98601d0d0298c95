/* uploads/git_tree — a commit's tree as a tar.
 *
 * What a hostile repository could hide here: a tree that names itself many times over, which the
 * number of entries bounds; files without end, whose sizes are looked at before they are read; and
 * names that lead elsewhere, which whoever unpacks the tar refuses. */
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/text.h"
#include "uploads/git_submodule.h"
#include "uploads/tar_writer.h"

#define WARNINGS_MAX 20
#define MODULES_MAX  100 /* of a source, with theirs */
#define MODULES_DEEP 10
#define TIME_MAX     INT64_C(4294967295) /* seconds; what a commit says is no more than a claim */

struct walk {
    const struct upload_git *source; /* as it was asked for */
    struct upload_report *report;
    uint64_t bytes_max;               /* that all servers may send */
    struct upload_git_session *fetch; /* of the repository at hand */
    size_t root;                      /* where that begins in path */
    const char *subdir;               /* of it, which path is relative to */
    unsigned n_modules, n_deep;
    uint64_t received; /* bytes, by all repositories */
    struct tar_writer *tar;
    git_odb *odb;
    int64_t time; /* of the commit, and so of every entry */
    char path[PATH_MAX];
    unsigned depth;
    uint64_t entries, bytes;
    size_t left_out; /* submodules */
};

static int put_header(struct walk *w, mode_t mode, size_t size, const char *target,
                      struct error *err)
{
    struct stat st = {.st_mode = mode, .st_size = (off_t)size};

    st.st_mtim.tv_sec = w->time;
    return tar_writer_header(w->tar, w->path, &st, target, err);
}

static int refuse_entry(const struct walk *w, enum error_kind kind, const char *why,
                        struct error *err)
{
    return error_set(err, kind, "git source, %s: %s", text_show(w->path).text, why);
}

/* The size is looked at before the bytes are. */
static int read_blob(struct walk *w, const git_oid *id, git_odb_object **ret, struct error *err)
{
    const struct upload_git_limits *limits = w->fetch->limits;
    git_object_t type;
    size_t size;
    int code = git_odb_read_header(&size, &type, w->odb, id);

    if (code < 0)
        return git_failed(w->fetch, code, err);
    if (type != GIT_OBJECT_BLOB)
        return refuse_entry(w, ERR_INPUT, "the repository is damaged: it is no file", err);
    if (size > limits->file_max)
        return refuse_entry(w, ERR_LIMIT, "the file is larger than a git source may have", err);
    if (size > limits->tree_bytes_max - w->bytes)
        return refuse_entry(w, ERR_LIMIT, "with it the files are larger than allowed (unpack_max)",
                            err);
    w->bytes += size;
    code = git_odb_read(ret, w->odb, id);
    return code < 0 ? git_failed(w->fetch, code, err) : 0;
}

static int put_file(struct walk *w, const git_tree_entry *e, struct error *err)
{
    const bool runs = git_tree_entry_filemode(e) == GIT_FILEMODE_BLOB_EXECUTABLE;
    git_odb_object *blob = NULL;
    int result = -1;

    if (read_blob(w, git_tree_entry_id(e), &blob, err) < 0)
        return -1;
    if (put_header(w, S_IFREG | (runs ? 0755 : 0644), git_odb_object_size(blob), NULL, err) == 0)
        result = tar_writer_data(w->tar, w->path, git_odb_object_data(blob),
                                 git_odb_object_size(blob), err);
    git_odb_object_free(blob);
    return result;
}

static int put_link(struct walk *w, const git_tree_entry *e, struct error *err)
{
    git_odb_object *blob = NULL;
    char target[PATH_MAX] = "";
    size_t size;

    if (read_blob(w, git_tree_entry_id(e), &blob, err) < 0)
        return -1;
    size = git_odb_object_size(blob);
    if (size < sizeof(target)) {
        memcpy(target, git_odb_object_data(blob), size);
        target[size] = '\0';
    }
    git_odb_object_free(blob);
    if (!entry_name_is_target(target, strlen(target)) || strlen(target) != size)
        return refuse_entry(w, ERR_INPUT, "a symbolic link to what is no path", err);
    return put_header(w, S_IFLNK | 0777, 0, target, err);
}

static void warn_of_submodule(struct walk *w, const char *why)
{
    if (w->left_out++ < WARNINGS_MAX)
        argv_pushf(&w->report->warnings, "%s is a submodule and is left out: %s",
                   text_show(w->path).text, why);
}

static int put_tree(struct walk *w, const git_oid *id, struct error *err);

/* With the tree of another repository, as if it was a folder of this one. */
static int put_module(struct walk *w, struct git_nested *m, struct error *err)
{
    const struct walk before = *w;
    const git_oid *tree = git_commit_tree_id(m->session->commit);
    int code = git_repository_odb(&w->odb, m->session->repo);
    int result;

    if (code < 0)
        return git_failed(m->session, code, err);
    w->fetch = m->session;
    w->subdir = "";
    w->root = strlen(w->path) + 1;
    w->n_deep++;
    result = put_tree(w, tree, err);
    git_odb_free(w->odb);
    w->fetch = before.fetch;
    w->odb = before.odb;
    w->subdir = before.subdir;
    w->root = before.root;
    w->n_deep--;
    return result;
}

static int fetch_module(struct walk *w, const git_oid *commit, struct error *err)
{
    CLEANUP(git_nested_release) struct git_nested m = {.session = NULL};
    struct upload_git_limits limits = *w->fetch->limits;
    struct error why = ERROR_INIT;
    char path[PATH_MAX + UPLOAD_GIT_TEXT];

    if (w->n_modules == MODULES_MAX || w->n_deep == MODULES_DEEP)
        return refuse_entry(w, ERR_LIMIT, "there are too many submodules, or in one another", err);
    if (w->received >= w->bytes_max)
        return refuse_entry(w, ERR_LIMIT, "with it the repositories are larger than git_max", err);
    limits.bytes_max = w->bytes_max - w->received;
    (void)snprintf(path, sizeof(path), "%s%s%s", w->subdir, *w->subdir ? "/" : "",
                   w->path + w->root);
    if (git_nested_open(w->fetch, path, commit, &limits, w->n_modules++, &m, &why, err) < 0)
        return -1;
    if (!m.session) {
        warn_of_submodule(w, why.msg);
        return 0;
    }
    w->received += m.report.bytes;
    return put_header(w, S_IFDIR | 0755, 0, NULL, err) < 0 ? -1 : put_module(w, &m, err);
}

static int put_submodule(struct walk *w, const git_tree_entry *e, struct error *err)
{
    if (!w->source->no_submodules)
        return fetch_module(w, git_tree_entry_id(e), err);
    warn_of_submodule(w, "the source says submodules=false");
    return 0;
}

static int put_entry(struct walk *w, const git_tree_entry *e, struct error *err)
{
    if (++w->entries > w->fetch->limits->entries_max)
        return refuse_entry(w, ERR_LIMIT,
                            "with it the files are more than allowed (unpack_entries)", err);
    if (strcasecmp(git_tree_entry_name(e), ".git") == 0)
        return refuse_entry(w, ERR_INPUT, "no file of a repository may have this name", err);
    switch (git_tree_entry_filemode(e)) {
    case GIT_FILEMODE_TREE:
        if (put_header(w, S_IFDIR | 0755, 0, NULL, err) < 0)
            return -1;
        return put_tree(w, git_tree_entry_id(e), err);
    case GIT_FILEMODE_LINK:
        return put_link(w, e, err);
    case GIT_FILEMODE_COMMIT:
        return put_submodule(w, e, err);
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
    case GIT_FILEMODE_UNREADABLE:
    default:
        return put_file(w, e, err);
    }
}

static int put_entries(struct walk *w, const git_tree *tree, struct error *err)
{
    const size_t len = strlen(w->path);

    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *e = git_tree_entry_byindex(tree, i);
        size_t room = sizeof(w->path) - len;

        if (snprintf(w->path + len, room, "%s%s", len ? "/" : "", git_tree_entry_name(e)) >=
            (int)room)
            return refuse_entry(w, ERR_LIMIT, "the path is too long", err);
        if (put_entry(w, e, err) < 0)
            return -1;
    }
    w->path[len] = '\0';
    return 0;
}

static int put_tree(struct walk *w, const git_oid *id, struct error *err)
{
    git_tree *tree = NULL;
    int result;

    if (w->depth > upload_limits_default.depth_max)
        return refuse_entry(w, ERR_LIMIT, "it is more folders deep than allowed", err);
    result = git_tree_lookup(&tree, w->fetch->repo, id);
    if (result < 0)
        return git_failed(w->fetch, result, err);
    w->depth++;
    result = put_entries(w, tree, err);
    w->depth--;
    git_tree_free(tree);
    return result;
}

/* "it has api, docs and web": the folders that there are. */
static int refuse_subdir(const struct upload_git_session *f, const git_tree *tree, const char *what,
                         struct error *err)
{
    CLEANUP(buf_release) struct buf hint = BUF_INIT(400);

    for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *e = git_tree_entry_byindex(tree, i);

        if (git_tree_entry_type(e) == GIT_OBJECT_TREE)
            buf_addf(&hint, "%s%s", hint.len ? ", " : "; at the top it has ",
                     text_show(git_tree_entry_name(e)).text);
    }
    return error_set(err, ERR_INPUT, "fetch %s: %s %s%s", git_show_source(f->source).text, what,
                     text_show(f->source->subdir).text, buf_str(&hint));
}

static int find_subdir(struct upload_git_session *f, git_oid *ret, struct error *err)
{
    const char *subdir = f->source->subdir;
    git_tree *tree = NULL;
    git_tree_entry *e = NULL;
    int result = git_commit_tree(&tree, f->commit);

    if (result < 0)
        return git_failed(f, result, err);
    *ret = *git_tree_id(tree);
    if (*subdir && git_tree_entry_bypath(&e, tree, subdir) < 0)
        result = refuse_subdir(f, tree, "there is no folder", err);
    else if (*subdir && git_tree_entry_type(e) != GIT_OBJECT_TREE)
        result = refuse_subdir(f, tree, "it is a file and no folder:", err);
    else if (*subdir)
        *ret = *git_tree_entry_id(e);
    git_tree_entry_free(e);
    git_tree_free(tree);
    return result;
}

static int walk_tree(struct walk *w, const git_oid *id, struct error *err)
{
    int64_t time = git_commit_time(w->fetch->commit);
    int code = git_repository_odb(&w->odb, w->fetch->repo);

    if (code < 0)
        return git_failed(w->fetch, code, err);
    w->time = time < 0 ? 0 : time > TIME_MAX ? TIME_MAX : time;
    if (put_tree(w, id, err) < 0)
        return -1;
    if (w->left_out > WARNINGS_MAX)
        argv_pushf(&w->report->warnings, "%zu more submodules are left out",
                   w->left_out - WARNINGS_MAX);
    return tar_writer_close(w->tar, err);
}

int git_tree_to_tar(struct upload_git_session *f, int fd, struct error *err)
{
    CLEANUP(tar_writer_freep) struct tar_writer *tar = NULL;
    CLEANUP_FREE struct walk *w = calloc(1, sizeof(*w));
    git_oid id;
    int result;

    if (!w)
        return error_set(err, ERR_SYSTEM, "fetch: out of memory");
    if (find_subdir(f, &id, err) < 0 || tar_writer_new(fd, &tar, err) < 0)
        return -1;
    w->fetch = f;
    w->source = f->source;
    w->report = f->report;
    w->bytes_max = f->limits->bytes_max;
    w->received = f->report->bytes;
    w->subdir = f->source->subdir;
    w->tar = tar;
    result = walk_tree(w, &id, err);
    git_odb_free(w->odb);
    return result;
}
