/* builder/copy_archive — see the header.
 *
 * An entry's parent is found like any destination, with the directory that is unpacked into as the
 * root, and kept open for the entries that follow.  It is given up when something that was there
 * before is replaced, since the same path may then lead somewhere else. */
#include "builder/copy_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/copy_content.h"
#include "base/fs.h"
#include "builder/copy_source.h"
#include "builder/copy_walk.h"

#define BLOCK_SIZE (256U << 10)

struct copy_archive {
    struct archive *archive;
    struct archive_entry *entry; /* whose header has been read */
    locale_t locale;             /* "C": names stay the bytes they are */
};

struct unpacking {
    struct copy_archive *a;
    struct copier *c;
    const struct copy_place *root;
    struct buf parent_path;   /* of `parent`, as entries write it */
    bool open;                /* parent is that */
    struct copy_place parent; /* which gets its time when it is left */
    uint64_t entries, bytes;
    const char *path; /* of the entry, clean, below root */
    const char *name; /* its last name */
};

static void unpacking_release(struct unpacking *u)
{
    copy_place_release(&u->parent);
    buf_release(&u->parent_path);
}

/* libarchive asks for the thread's locale; uselocale sets it for this thread alone. */
static void restore_locale(const locale_t *previous)
{
    (void)uselocale(*previous);
}
#define IN_LOCALE(a)                                                                               \
    CLEANUP(restore_locale)                                                                        \
    __attribute__((unused)) locale_t previous_locale_ = uselocale((a)->locale)

/* ---- opening ---- */

void copy_archive_free(struct copy_archive *a)
{
    if (!a)
        return;
    if (a->archive)
        (void)archive_read_free(a->archive);
    if (a->locale)
        freelocale(a->locale);
    free(a);
}

static bool set_up(struct archive *a)
{
    return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
           archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
           archive_read_support_filter_xz(a) == ARCHIVE_OK &&
           archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
           archive_read_support_format_tar(a) == ARCHIVE_OK;
}

static bool is_fine(int result)
{
    return result == ARCHIVE_OK || result == ARCHIVE_WARN;
}

int copy_archive_open(int fd, struct copy_archive **ret, struct error *err)
{
    CLEANUP(copy_archive_freep) struct copy_archive *a = calloc(1, sizeof(*a));

    if (!a || !(a->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0)) ||
        !(a->archive = archive_read_new()))
        return error_set(err, ERR_SYSTEM, "read an archive: out of memory");
    if (!set_up(a->archive))
        return error_set(err, ERR_SYSTEM,
                         "read an archive: libarchive lacks gzip, bzip2, xz or zstd");
    IN_LOCALE(a);
    *ret = NULL;
    if (archive_read_open_fd(a->archive, fd, BLOCK_SIZE) == ARCHIVE_OK &&
        is_fine(archive_read_next_header(a->archive, &a->entry)))
        *ret = TAKE(a);
    return 0;
}

/* ---- names ---- */

static int outside(const char *name, struct error *err)
{
    return error_set(err, ERR_INPUT, "\"%.200s\" is outside of where it is unpacked", name);
}

/* The entry's path below the root: "" is the root itself. */
static int clean(const char *name, struct buf *out, struct error *err)
{
    size_t depth = 0, n;

    for (const char *p = name; *p; p += n + (p[n] == '/')) {
        n = strcspn(p, "/");
        if (n == 0 || (n == 1 && *p == '.'))
            continue;
        if (n == 2 && memcmp(p, "..", 2) == 0) {
            const char *slash = strrchr(buf_str(out), '/');

            if (depth-- == 0)
                return outside(name, err);
            out->len = slash ? (size_t)(slash - out->data) : 0;
            out->data[out->len] = '\0';
            continue;
        }
        if (out->len > 0)
            buf_addc(out, '/');
        buf_add(out, p, n);
        depth++;
    }
    if (out->full || depth > COPY_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "\"%.200s…\": file name too long", name);
    return 0;
}

/* ---- parents ---- */

static int leave_parent(struct unpacking *u, struct error *err)
{
    int result = u->open ? copy_place_settle(&u->parent, buf_str(&u->parent_path), err) : 0;

    copy_place_release(&u->parent);
    u->open = false;
    return result;
}

/* Opens the directory the entry goes into, making it if it is missing. */
static int open_parent(struct unpacking *u, struct error *err)
{
    const char *slash = strrchr(u->path, '/');
    size_t len = slash ? (size_t)(slash - u->path) : 0;
    CLEANUP(buf_release) struct buf resolved = BUF_INIT(COPY_PLACE_PATH);
    enum copy_place_kind kind;

    u->name = slash ? slash + 1 : u->path;
    if (u->open && u->parent_path.len == len && memcmp(buf_str(&u->parent_path), u->path, len) == 0)
        return 0;
    if (leave_parent(u, err) < 0)
        return -1;
    buf_clear(&u->parent_path);
    buf_add(&u->parent_path, u->path, len);
    if (copy_place_resolve(u->root, buf_str(&u->parent_path), true, &resolved, &kind, err) < 0 ||
        copy_place_make(u->root, buf_str(&resolved), &u->c->made, &u->parent, NULL, err) < 0)
        return -1;
    u->open = true;
    return 0;
}

/* Takes away what is at the entry's place in the diff, unless both are directories.  *ret_merge:
 * the directory is in the diff already. */
static int make_way(struct unpacking *u, bool is_dir, bool *ret_merge, struct error *err)
{
    struct copy_place_entry there;
    struct stat st;

    *ret_merge = false;
    if (copy_place_look(&u->parent, u->name, &there, err) < 0)
        return -1;
    if (there.kind == COPY_PLACE_ABSENT || there.in_view)
        return 0;
    *ret_merge = is_dir && there.kind == COPY_PLACE_DIRECTORY;
    if (*ret_merge)
        return 0;
    if (is_dir && u->parent.view >= 0 &&
        fstatat(u->parent.view, u->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return error_set(err, ERR_INPUT,
                         "%.200s is a directory of the image, a file of the archive, and a "
                         "directory of the archive",
                         u->path);
    return fs_remove_tree(u->parent.to, u->name, err);
}

/* Whether the entry takes the place of something: then the parent has to be looked for anew. */
static int replaces(const struct unpacking *u, bool *ret, struct error *err)
{
    struct copy_place_entry there;

    if (copy_place_look(&u->parent, u->name, &there, err) < 0)
        return -1;
    *ret = there.kind != COPY_PLACE_ABSENT;
    return 0;
}

/* ---- attributes ---- */

static int attributes_of(const struct unpacking *u, struct copy_attributes *ret, struct error *err)
{
    struct archive_entry *e = u->a->entry;
    const struct copy_request *req = u->c->req;
    bool own = !req->chowned && req->uid == 0 && req->gid == 0;
    la_int64_t uid = own ? archive_entry_uid(e) : req->uid;
    la_int64_t gid = own ? archive_entry_gid(e) : req->gid;
    struct timespec t = {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)};

    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return error_set(err, ERR_INPUT, "%.200s has an owner that no system has", u->path);
    *ret = (struct copy_attributes){.mode = archive_entry_perm(e) & 07777,
                                    .uid = (uid_t)uid,
                                    .gid = (gid_t)gid,
                                    .mtime = copy_file_time(t, req->epoch)};
    return 0;
}

static int set_xattrs(const struct unpacking *u, int fd, struct error *err)
{
    struct archive_entry *e = u->a->entry;
    const char *name;
    const void *value;
    size_t len;

    for (int n = archive_entry_xattr_reset(e); n > 0; n--) {
        if (archive_entry_xattr_next(e, &name, &value, &len) != ARCHIVE_OK)
            break;
        if (copy_file_keeps_xattr(name) &&
            copy_file_set_xattr(fd, name, value, len, u->path, err) < 0)
            return -1;
    }
    return 0;
}

static int finish(const struct unpacking *u, int fd, struct error *err)
{
    struct copy_attributes a;

    if (attributes_of(u, &a, err) < 0 || copy_file_set(fd, &a, u->path, err) < 0)
        return -1;
    return set_xattrs(u, fd, err);
}

static int finish_at(const struct unpacking *u, bool is_link, struct error *err)
{
    struct copy_attributes a;

    if (attributes_of(u, &a, err) < 0)
        return -1;
    return copy_file_set_at(u->parent.to, u->name, &a, is_link, u->path, err);
}

/* ---- entries ---- */

static int broken(const struct unpacking *u, struct error *err)
{
    const char *text = archive_error_string(u->a->archive);

    if (archive_errno(u->a->archive) == ENOMEM)
        return error_set(err, ERR_SYSTEM, "read the archive: out of memory");
    text = text ? text : "it ends too early";
    return error_set(err, ERR_INPUT, "the archive is damaged or was cut off (%.*s)",
                     (int)strcspn(text, "\n"), text);
}

static int create(const struct unpacking *u, int *ret_fd, struct error *err)
{
    int fd =
        openat(u->parent.to, u->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(err, errno, "make %.200s", u->path);
    *ret_fd = fd;
    return 0;
}

/* Holes stay holes: what is between the blocks is not written. */
static int write_content(struct unpacking *u, int fd, struct error *err)
{
    la_int64_t size = archive_entry_size(u->a->entry), offset;
    const void *block;
    size_t len;
    int r;

    if (size < 0 || (uint64_t)size > COPY_ARCHIVE_BYTES_MAX - u->bytes)
        return error_set(err, ERR_LIMIT, "the archive has more than %llu bytes",
                         (unsigned long long)COPY_ARCHIVE_BYTES_MAX);
    u->bytes += (uint64_t)size;
    while (is_fine(r = archive_read_data_block(u->a->archive, &block, &len, &offset))) {
        if (offset < 0 || offset > size || (la_int64_t)len > size - offset)
            return broken(u, err);
        if (lseek(fd, offset, SEEK_SET) < 0)
            return error_errno(err, errno, "write %.200s", u->path);
        if (fs_write_all(fd, block, len, err) < 0)
            return error_wrap(err, "%.200s", u->path);
    }
    if (r != ARCHIVE_EOF)
        return broken(u, err);
    if (ftruncate(fd, size) < 0)
        return error_errno(err, errno, "write %.200s", u->path);
    return 0;
}

static int place_file(struct unpacking *u, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (create(u, &fd, err) < 0 || write_content(u, fd, err) < 0 || finish(u, fd, err) < 0)
        return -1;
    u->c->result.files++;
    u->c->result.bytes += (uint64_t)archive_entry_size(u->a->entry);
    return 0;
}

static int place_directory(struct unpacking *u, bool merge, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (!merge && mkdirat(u->parent.to, u->name, 0700) < 0)
        return error_errno(err, errno, "mkdir %.200s", u->path);
    fd = openat(u->parent.to, u->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %.200s", u->path);
    return finish(u, fd, err);
}

static int place_symlink(struct unpacking *u, struct error *err)
{
    const char *target = archive_entry_symlink(u->a->entry);

    if (!target || !*target || strlen(target) >= PATH_MAX)
        return error_set(err, ERR_INPUT, "%.200s is a link that leads nowhere", u->path);
    if (symlinkat(target, u->parent.to, u->name) < 0)
        return error_errno(err, errno, "make the link %.200s", u->path);
    return finish_at(u, true, err);
}

/* A device 0, 0 would be a whiteout in the diff. */
static int place_node(struct unpacking *u, mode_t kind, struct error *err)
{
    struct archive_entry *e = u->a->entry;
    dev_t dev = kind == S_IFIFO ? 0
                                : makedev((unsigned)archive_entry_rdevmajor(e),
                                          (unsigned)archive_entry_rdevminor(e));
    bool allowed = kind == S_IFIFO || dev != 0;

    if (!allowed || mknodat(u->parent.to, u->name, kind | 0600, dev) < 0) {
        if (!allowed || errno == EPERM || errno == EINVAL)
            return error_set(err, ERR_INPUT,
                             "%.200s is a device (%u, %u), and a build cannot make that one: make "
                             "the archive without it",
                             u->path, major(dev), minor(dev));
        return error_errno(err, errno, "make %.200s", u->path);
    }
    return finish_at(u, false, err);
}

/* What is linked to is in the view only: there it stays, and this is a copy. */
static int copy_from_view(struct unpacking *u, const char *target, struct error *err)
{
    CLEANUP_CLOSE int from = -1;
    CLEANUP_CLOSE int to = -1;
    struct copy_attributes a;
    struct stat st;

    if (copy_source_open(u->root->view, target, O_RDONLY | O_NONBLOCK, &from, err) < 0)
        return -1;
    if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERR_INPUT, "%.200s is a hard link to /%.200s, which is no file",
                         u->path, target);
    a = (struct copy_attributes){st.st_mode & 07777, st.st_uid, st.st_gid,
                                 copy_file_time(st.st_mtim, u->c->req->epoch)};
    if (create(u, &to, err) < 0 || copy_content(from, to, &st, u->path, err) < 0 ||
        copy_file_set(to, &a, u->path, err) < 0)
        return -1;
    return copy_file_xattrs(from, to, u->path, err);
}

static int place_hardlink(struct unpacking *u, struct error *err)
{
    CLEANUP(buf_release) struct buf wanted = BUF_INIT(COPY_PLACE_PATH);
    CLEANUP(buf_release) struct buf target = BUF_INIT(COPY_PLACE_PATH);
    enum copy_place_kind kind;

    if (clean(archive_entry_hardlink(u->a->entry), &wanted, err) < 0 ||
        copy_place_resolve(u->root, buf_str(&wanted), false, &target, &kind, err) < 0)
        return error_wrap(err, "%.200s, a hard link", u->path);
    if (kind == COPY_PLACE_ABSENT || kind == COPY_PLACE_DIRECTORY)
        return error_set(err, ERR_INPUT,
                         "%.200s is a hard link to %.200s, which is no file that comes before it",
                         u->path, buf_str(&wanted));
    if (linkat(u->root->to, buf_str(&target), u->parent.to, u->name, 0) == 0)
        return 0;
    if (errno != ENOENT || u->root->view < 0)
        return error_errno(err, errno, "make the hard link %.200s", u->path);
    return copy_from_view(u, buf_str(&target), err);
}

static int place_kind(struct unpacking *u, mode_t kind, bool merge, struct error *err)
{
    if (archive_entry_hardlink(u->a->entry))
        return place_hardlink(u, err);
    switch (kind) {
    case S_IFREG:
        return place_file(u, err);
    case S_IFDIR:
        return place_directory(u, merge, err);
    case S_IFLNK:
        return place_symlink(u, err);
    default:
        return place_node(u, kind, err);
    }
}

static int place(struct unpacking *u, const char *name, struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(COPY_PLACE_PATH - 1);
    mode_t kind = archive_entry_filetype(u->a->entry);
    bool link = archive_entry_hardlink(u->a->entry) != NULL;
    bool replacing, merge;

    if (clean(name, &path, err) < 0)
        return -1;
    u->path = buf_str(&path);
    if (path.len == 0 || (!link && (kind == S_IFSOCK || kind == 0)))
        return 0;
    if (open_parent(u, err) < 0 || replaces(u, &replacing, err) < 0 ||
        make_way(u, !link && kind == S_IFDIR, &merge, err) < 0 ||
        place_kind(u, kind, merge, err) < 0)
        return -1;
    return replacing ? leave_parent(u, err) : 0;
}

static int unpack(struct unpacking *u, struct error *err)
{
    int r = ARCHIVE_OK;

    while (is_fine(r)) {
        const char *name = archive_entry_pathname(u->a->entry);

        if (++u->entries > COPY_ARCHIVE_ENTRIES_MAX)
            return error_set(err, ERR_LIMIT, "the archive has more than %d entries",
                             COPY_ARCHIVE_ENTRIES_MAX);
        if (!name)
            return error_set(err, ERR_INPUT, "an entry of the archive has no name");
        if (place(u, name, err) < 0)
            return -1;
        r = archive_read_next_header(u->a->archive, &u->a->entry);
    }
    return r == ARCHIVE_EOF ? leave_parent(u, err) : broken(u, err);
}

int copy_archive_unpack(struct copy_archive *a, struct copier *c, const struct copy_place *to,
                        struct error *err)
{
    CLEANUP(unpacking_release)
    struct unpacking u = {.a = a,
                          .c = c,
                          .root = to,
                          .parent_path = BUF_INIT(COPY_PLACE_PATH),
                          .parent = COPY_PLACE_NONE};
    IN_LOCALE(a);

    return unpack(&u, err);
}
