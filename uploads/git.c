/* uploads/git — objects are fetched from a repository on another machine; the files git*.c that
 * include uploads/git.h are the ones that know libgit2.
 *
 * libgit2 does the protocol and the objects.  The tree is walked and not checked out (git_tree.c),
 * so that nothing in it is interpreted; the tar that it becomes is unpacked like one that was
 * uploaded, so that names, links and limits are judged in one place.  Written against libgit2 1.5,
 * which cannot fetch shallowly: the history of what is asked for comes along. */
#include "uploads/git.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/git_refs.h"

#define LOCAL_REF "refs/kiln/source"
#define PRIVATE   "it is private or not there; only public repositories can be fetched"
#define NO_MEMORY "it takes more memory than is allowed"

/* The Linux kernel's repository, one of the largest, has 10 million objects in 5 GB; GitHub takes
 * no file above 100 MB. */
const struct upload_git_limits upload_git_limits_default = {
    .bytes_max = UINT64_C(2) << 30,
    .objects_max = 12000000,
    .file_max = UINT64_C(256) << 20,
    .entries_max = 1000000,
    .tree_bytes_max = UINT64_C(20) << 30,
};

/* libgit2 stays: 1.5 frees its user agent a second time when it is started again. */
void upload_git_close(struct upload_git_session *f)
{
    if (!f)
        return;
    git_commit_free(f->commit);
    git_remote_free(f->remote);
    git_repository_free(f->repo);
    argv_release(&f->names);
    free(f->ids);
    free(f);
}

static void close_session(struct upload_git_session **f)
{
    upload_git_close(*f);
}

/* ---- errors ---- */

struct text_shown git_show_source(const struct upload_git *s)
{
    struct text_shown shown;

    (void)snprintf(shown.text, sizeof(shown.text), "%.60s%s%.120s", s->ref, s->ref[0] ? " of " : "",
                   s->url);
    return shown;
}

/* What libgit2 says, where there is more to be said. */
static const struct {
    const char *phrase;
    enum error_kind kind;
    const char *meaning;
} known[] = {
    {"status code: 401", ERR_INPUT, PRIVATE},
    {"status code: 403", ERR_INPUT, PRIVATE},
    {"status code: 404", ERR_INPUT, "there is no repository at this address"},
    {"status code: 410", ERR_INPUT, "there is no repository at this address any more"},
    {"cannot redirect", ERR_INPUT,
     "the server sends us to another host, which is not followed; name the new address"},
    {"content-type", ERR_INPUT, "no git server answers there; is the address right?"},
    {"overly large object", ERR_LIMIT, "a file in its history is larger than is handled"},
    {"failed to init zlib", ERR_LIMIT, NO_MEMORY},
    {"failed to apply delta", ERR_INPUT, "the repository is damaged"},
};

static int fail(const struct upload_git_session *f, enum error_kind kind, const char *why,
                struct error *err)
{
    return error_set(err, kind, "fetch %.300s: %s", f->source->url, why);
}

static int explain(const struct upload_git_session *f, int code, const char *said,
                   struct error *err)
{
    struct text_shown shown = text_show(said);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(said, known[i].phrase))
            return fail(f, known[i].kind, known[i].meaning, err);
    if (code == GIT_EAUTH)
        return fail(f, ERR_INPUT, PRIVATE, err);
    /* A server's own words may be among them: such as could harm a terminal stay quoted. */
    if (text_is_utf8(said, strlen(said)) && !text_has_control(said, strlen(said)))
        (void)snprintf(shown.text, sizeof(shown.text), "%.*s", (int)sizeof(shown.text) - 1, said);
    if (code == GIT_ECERTIFICATE)
        return error_set(err, ERR_INPUT, "fetch %.300s: its certificate is not to be trusted: %s",
                         f->source->url, shown.text);
    return fail(f, ERR_REMOTE, shown.text, err);
}

int git_failed(const struct upload_git_session *f, int code, struct error *err)
{
    const git_error *last = git_error_last();

    if (f->exceeded.kind != ERR_NONE) {
        *err = f->exceeded;
        return -1;
    }
    if (last && last->klass == GIT_ERROR_NOMEMORY)
        return fail(f, ERR_LIMIT, NO_MEMORY, err);
    return explain(f, code, last && last->message ? last->message : "no reason was given", err);
}

/* ---- libgit2 and an empty repository ---- */

/* Process-wide, and the same for every use: no file outside of the repository is read. */
static void set_options(const struct upload_git_limits *limits)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                                 GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};
    const char *authorities = getenv("SSL_CERT_FILE");

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        (void)git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    (void)git_libgit2_opts(GIT_OPT_SET_TEMPLATE_PATH, "");
    if (authorities) /* mbedTLS, with which Debian builds libgit2, does not look there itself */
        (void)git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, authorities, "/etc/ssl/certs");
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    (void)git_libgit2_opts(GIT_OPT_SET_USER_AGENT, "kiln");
    (void)git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    (void)git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)(256 << 20));
    (void)git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)limits->objects_max);
    (void)git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, (size_t)limits->file_max);
}

static int begin(struct upload_git_session *f, const char *dir, struct error *err)
{
    int code;

    set_options(f->limits);
    code = git_repository_init(&f->repo, dir, true);
    if (code == 0)
        code = git_remote_create_anonymous(&f->remote, f->repo, f->source->url);
    return code == 0 ? 0 : git_failed(f, code, err);
}

/* ---- the server ---- */

/* The transport's own list lives no longer than the connection. */
static int list_refs(struct upload_git_session *f, struct error *err)
{
    const git_remote_head **heads;
    size_t n;
    int code = git_remote_ls(&heads, &n, f->remote);

    if (code < 0)
        return git_failed(f, code, err);
    argv_release(&f->names);
    free(f->ids);
    f->ids = calloc(n + 1, sizeof(*f->ids));
    if (!f->ids)
        return error_set(err, ERR_SYSTEM, "list the refs: out of memory");
    for (size_t i = 0; i < n; i++) {
        argv_push1(&f->names, heads[i]->name);
        f->ids[i] = heads[i]->oid;
    }
    return f->names.failed ? error_set(err, ERR_SYSTEM, "list the refs: out of memory") : 0;
}

static int dial(struct upload_git_session *f, struct error *err)
{
    git_remote_connect_options options;
    int code;

    (void)git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    code = git_remote_connect_ext(f->remote, GIT_DIRECTION_FETCH, &options);
    return code < 0 ? git_failed(f, code, err) : list_refs(f, err);
}

/* Called for every 16 KiB or so that arrive. */
static int watch(const git_indexer_progress *p, void *self)
{
    struct upload_git_session *f = self;
    const char *url = f->source->url;
    char size[TEXT_SIZE];

    f->report->entries = p->total_objects;
    f->report->bytes = p->received_bytes;
    if (p->total_objects > f->limits->objects_max)
        return error_set(&f->exceeded, ERR_LIMIT,
                         "fetch %.300s: the history has %u objects, and %" PRIu32 " is the limit; "
                         "upload the folder instead",
                         url, p->total_objects, f->limits->objects_max);
    text_size(f->limits->bytes_max, size);
    if (p->received_bytes > f->limits->bytes_max)
        return error_set(
            &f->exceeded, ERR_LIMIT,
            "fetch %.300s: with its history it is larger than %s, the limit (git_max); "
            "upload the folder instead",
            url, size);
    return 0;
}

static int download(struct upload_git_session *f, char **specs, size_t n, struct error *err)
{
    const git_strarray list = {specs, n};
    git_fetch_options options;
    int code;

    (void)git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    options.callbacks.transfer_progress = watch;
    options.callbacks.payload = f;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    code = git_remote_download(f->remote, &list, &options);
    return code < 0 ? git_failed(f, code, err) : 0;
}

static int download_one(struct upload_git_session *f, const char *name, struct error *err)
{
    char spec[2 * UPLOAD_GIT_TEXT];
    char *specs[] = {spec};

    if (snprintf(spec, sizeof(spec), "+%s:" LOCAL_REF, name) >= (int)sizeof(spec))
        return error_set(err, ERR_INPUT, "fetch %.300s: a ref's name is too long", f->source->url);
    return download(f, specs, 1, err);
}

static int download_all(struct upload_git_session *f, struct error *err)
{
    char branches[] = "+refs/heads/*:refs/heads/*", tags[] = "+refs/tags/*:refs/tags/*";
    char *specs[] = {branches, tags};

    return download(f, specs, 2, err);
}

/* ---- which commit ---- */

static int refuse_ref(const struct upload_git_session *f, struct error *err)
{
    CLEANUP(buf_release) struct buf hint = BUF_INIT(4096);
    const char *ref = f->source->ref;

    git_ref_hint(&f->names, ref, &hint);
    if (!ref[0])
        return error_set(err, ERR_INPUT, "fetch %.300s: it has no HEAD to build from; %s",
                         f->source->url, buf_str(&hint));
    return error_set(err, ERR_INPUT, "fetch %.300s: there is no branch, tag or commit %s; %s",
                     f->source->url, text_show(ref).text, buf_str(&hint));
}

/* A tag may name another tag, and at last a commit. */
static int keep_commit(struct upload_git_session *f, git_object *object, struct error *err)
{
    git_object *commit = NULL;
    int code = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);

    if (!f->is_resolved)
        f->wanted = *git_object_id(object);
    git_object_free(object);
    if (code < 0)
        return error_set(err, ERR_INPUT, "fetch %s: it is no commit, and names none",
                         git_show_source(f->source).text);
    f->commit = (git_commit *)commit;
    return 0;
}

/* Where it was resolved before, the commit of that time: the ref may have moved on. */
static int fetch_named(struct upload_git_session *f, size_t at, struct error *err)
{
    git_object *object = NULL;
    int code;

    if (download_one(f, f->names.v[at], err) < 0)
        return -1;
    code = git_object_lookup(&object, f->repo, f->is_resolved ? &f->wanted : &f->ids[at],
                             GIT_OBJECT_ANY);
    if (code == GIT_ENOTFOUND && f->is_resolved)
        return fail(f, ERR_REMOTE, "the ref was moved to another history meanwhile", err);
    return code < 0 ? git_failed(f, code, err) : keep_commit(f, object, err);
}

static int find_commit(struct upload_git_session *f, struct error *err)
{
    const char *ref = f->source->ref;
    git_object *object = NULL;
    git_oid id;
    int code = git_oid_fromstrn(&id, ref, strlen(ref));

    if (code == 0)
        code = git_object_lookup_prefix(&object, f->repo, &id, strlen(ref), GIT_OBJECT_ANY);
    if (code == GIT_EAMBIGUOUS)
        return error_set(err, ERR_INPUT,
                         "fetch %s: several commits begin like this; write all 40 "
                         "digits",
                         git_show_source(f->source).text);
    if (code < 0)
        return refuse_ref(f, err);
    return keep_commit(f, object, err);
}

/* Some servers give out any commit for the asking.  From the others, and for the beginning of an
 * id, all branches and tags are fetched to find it in. */
static int fetch_commit(struct upload_git_session *f, struct error *err)
{
    struct error why = ERROR_INIT;

    if (git_ref_is_commit(f->source->ref)) {
        if (download_one(f, f->source->ref, &why) == 0)
            return find_commit(f, err);
        if (f->exceeded.kind != ERR_NONE) {
            *err = why;
            return -1;
        }
        git_remote_disconnect(f->remote);
        if (dial(f, err) < 0)
            return -1;
    }
    if (f->names.n == 0)
        return refuse_ref(f, err);
    return download_all(f, err) < 0 ? -1 : find_commit(f, err);
}

/* A ref that the server has, unless the word is a commit's whole id. */
static int fetch_objects(struct upload_git_session *f, struct error *err)
{
    const char *ref = f->source->ref;
    bool found = false;
    size_t at = 0;

    if (dial(f, err) < 0)
        return -1;
    if (!git_ref_is_commit(ref))
        found = git_ref_find(&f->names, ref, &at);
    if (found)
        return fetch_named(f, at, err);
    return git_ref_may_be_commit(ref) ? fetch_commit(f, err) : refuse_ref(f, err);
}

/* ---- a session ---- */

int upload_git_open(const struct upload_git *source, const char *dir,
                    const struct upload_git_limits *limits, struct upload_report *report,
                    struct upload_git_session **ret, struct error *err)
{
    CLEANUP(close_session) struct upload_git_session *f = NULL;

    if (git_libgit2_init() < 0)
        return error_set(err, ERR_SYSTEM, "start libgit2: out of memory");
    f = calloc(1, sizeof(*f));
    if (!f)
        return error_set(err, ERR_SYSTEM, "fetch: out of memory");
    f->source = source;
    f->limits = limits;
    f->report = report;
    f->dir = dir;
    if (begin(f, dir, err) < 0)
        return -1;
    *ret = f;
    f = NULL;
    return 0;
}

/* --checksum may give the id of a tag, too, as with BuildKit. */
static int check_commit(const struct upload_git_session *f, const git_oid *commit,
                        const git_oid *tag, struct error *err)
{
    const char *expected = f->source->checksum;
    char id[UPLOAD_REVISION], tag_id[UPLOAD_REVISION];

    (void)git_oid_tostr(id, sizeof(id), commit);
    (void)git_oid_tostr(tag_id, sizeof(tag_id), tag);
    if (text_starts(id, expected) || text_starts(tag_id, expected))
        return 0;
    return error_set(err, ERR_INPUT, "fetch %s: expected checksum to match %s, got %s",
                     git_show_source(f->source).text, expected, id);
}

int git_receive(struct upload_git_session *f, struct error *err)
{
    if (!f->commit && fetch_objects(f, err) < 0)
        return -1;
    return check_commit(f, git_commit_id(f->commit), &f->wanted, err);
}

/* The server lists "refs/tags/v1^{}" beside a tag that is an object, with the commit that it names
 * (gitprotocol-pack(5)). */
static const git_oid *peel(const struct upload_git_session *f, size_t at)
{
    char peeled[2 * UPLOAD_GIT_TEXT];

    (void)snprintf(peeled, sizeof(peeled), "%.*s^{}", UPLOAD_GIT_TEXT, f->names.v[at]);
    for (size_t i = 0; i < f->names.n; i++)
        if (strcmp(f->names.v[i], peeled) == 0)
            return &f->ids[i];
    return &f->ids[at];
}

/* A ref's commit is known by the list; the beginning of an id only when all is here. */
static int look_up(struct upload_git_session *f, git_oid *ret, struct error *err)
{
    const char *ref = f->source->ref;
    size_t at = 0;

    if (dial(f, err) < 0)
        return -1;
    if (git_ref_find(&f->names, ref, &at)) {
        f->wanted = f->ids[at];
        *ret = *peel(f, at);
        (void)snprintf(f->ref, sizeof(f->ref), "%s", f->names.v[at]);
        return 0;
    }
    if (!git_ref_may_be_commit(ref))
        return refuse_ref(f, err);
    if (fetch_commit(f, err) < 0)
        return -1;
    *ret = *git_commit_id(f->commit);
    return 0;
}

int upload_git_resolve(struct upload_git_session *f, char ret[UPLOAD_REVISION], struct error *err)
{
    git_oid commit;

    if (git_ref_is_commit(f->source->ref)) {
        (void)git_oid_fromstr(&f->wanted, f->source->ref);
        commit = f->wanted;
    } else {
        if (look_up(f, &commit, err) < 0)
            return -1;
        git_remote_disconnect(f->remote);
    }
    f->is_resolved = true;
    if (check_commit(f, &commit, &f->wanted, err) < 0)
        return -1;
    (void)git_oid_tostr(ret, UPLOAD_REVISION, &commit);
    return 0;
}

/* The tar is judged like one that was uploaded. */
static int unpack(struct upload_git_session *f, const char *to, int tar_fd, struct error *err)
{
    CLEANUP(upload_report_release) struct upload_report report;
    struct upload_limits limits = upload_limits_default;
    CLEANUP_CLOSE int dirfd = -1;

    upload_report_init(&report);
    limits.entries_max = f->limits->entries_max;
    limits.bytes_max = f->limits->tree_bytes_max;
    if (git_tree_to_tar(f, tar_fd, err) < 0 || fs_open_dir(AT_FDCWD, to, &dirfd, err) < 0)
        return -1;
    if (lseek(tar_fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a temporary file");
    return upload_extract_all(tar_fd, dirfd, &limits, &report, err);
}

int upload_git_unpack(struct upload_git_session *f, const char *to, struct error *err)
{
    CLEANUP_CLOSE int tar_fd = open(to, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (tar_fd < 0)
        return error_errno(err, errno, "make a temporary file");
    if (git_receive(f, err) < 0 || unpack(f, to, tar_fd, err) < 0)
        return -1;
    return f->source->keep_git_dir && !f->source->subdir[0] ? git_keep(f, to, err) : 0;
}

int upload_git_fetch(const struct upload_git *source, const char *dir, int tar_fd,
                     const struct upload_git_limits *limits, struct upload_report *ret,
                     struct error *err)
{
    CLEANUP(close_session) struct upload_git_session *f = NULL;

    if (upload_git_open(source, dir, limits, ret, &f, err) < 0 || git_receive(f, err) < 0 ||
        git_tree_to_tar(f, tar_fd, err) < 0)
        return -1;
    (void)git_oid_tostr(ret->revision, sizeof(ret->revision), git_commit_id(f->commit));
    if (ret->warnings.failed)
        return error_set(err, ERR_SYSTEM, "fetch: out of memory");
    return 0;
}
