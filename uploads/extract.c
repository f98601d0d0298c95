/* uploads/extract — an archive, hostile until proven otherwise, unpacked beneath one directory.
 *
 *   member_reader   libarchive's view of the archive, one member after the other
 *   entry_name      which names are taken, and as what path
 *   content         a member's bytes, counted against the limits
 *   tree            the only place that writes to disk
 *
 * Here is decided what becomes of each member.  Owners are never applied, nor setuid and setgid;
 * two files with secrets go to the report and never to the disk; a link is kept as it is wherever
 * it leads, since nothing that follows is placed through it. */
#include "uploads/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/entry_name.h"

#define DOCKER_DIR    ".docker"
#define DOCKER_CONFIG ".docker/config.json"
#define ENV_BUILD     ".env.build"

#define DEFAULT_FILE_MODE      0644
#define DEFAULT_DIRECTORY_MODE 0755
#define WARNINGS_MAX           20

/* A node_modules of 1 GB has 108,000 files; the deepest real trees have about 40 folders in a row.
 * Deflate's own ceiling is a ratio of 1032. */
const struct upload_limits upload_limits_default = {
    .entries_max = 300000,
    .bytes_max = UINT64_C(10) * 1000 * 1000 * 1000,
    .ratio_max = 200,
    .depth_max = 100,
    .name_max = 255,
    .path_max = 3072, /* leaves room in PATH_MAX for the directory it is unpacked to */
};

static struct tree_attributes attributes_of(const struct member *m, mode_t mask, mode_t otherwise)
{
    return (struct tree_attributes){
        .mode = m->mode & mask ? m->mode & mask : otherwise,
        .has_mtime = m->has_mtime,
        .mtime = m->mtime,
    };
}

static void count_replaced(struct upload_report *r, enum tree_replaced replaced)
{
    if (replaced == TREE_REPLACED_FILE)
        r->files--;
    if (replaced == TREE_REPLACED_SYMLINK)
        r->symlinks--;
}

/* prefix: what has been read of the content; NULL: nothing. */
static int place_file(struct extraction *x, const struct member *m, const char *path,
                      const struct buf *prefix, struct error *err)
{
    struct tree_attributes a = attributes_of(m, 0777, DEFAULT_FILE_MODE);
    enum tree_replaced replaced;
    CLEANUP_CLOSE int fd = -1;

    if (tree_create_file(&x->tree, path, &fd, &replaced, err) < 0 ||
        content_to_file(x, m, fd, prefix, err) < 0 || tree_finish_file(fd, path, &a, err) < 0)
        return -1;
    count_replaced(x->report, replaced);
    x->report->files++;
    return 0;
}

static int place_directory(struct extraction *x, const struct member *m, const char *path,
                           struct error *err)
{
    struct tree_attributes a = attributes_of(m, 01777, DEFAULT_DIRECTORY_MODE);

    if (content_drop(x, m, err) < 0)
        return -1;
    if (strcmp(path, DOCKER_DIR) == 0) {
        x->docker_dir_waits = true;
        x->docker_dir = a;
        return 0;
    }
    return tree_make_directory(&x->tree, path, &a, err);
}

static void warn_of_link(struct extraction *x, const char *path, const char *target)
{
    if (!entry_name_target_escapes(path, target))
        return;
    if (x->links_outside++ < WARNINGS_MAX)
        argv_pushf(&x->report->warnings,
                   "%s is a symbolic link to %s, outside of the upload: kept, but it leads nowhere "
                   "in the build",
                   text_show(path).text, text_show(target).text);
}

static int place_symlink(struct extraction *x, const struct member *m, const char *path,
                         const char *target, struct error *err)
{
    enum tree_replaced replaced;

    if (!entry_name_is_target(target, strlen(target)))
        return entry_name_refuse(err, ERR_INPUT, m->name,
                                 "it is a symbolic link to %s, which is no path; remove it and "
                                 "upload again",
                                 text_show(target).text);
    if (tree_symlink(&x->tree, path, target, &replaced, err) < 0)
        return -1;
    count_replaced(x->report, replaced);
    x->report->symlinks++;
    warn_of_link(x, path, target);
    return 0;
}

/* One client writes the content of the file linked to where the target belongs (PROTOCOL.md 2.9).
 * What cannot be a target is content; permissions of links say nothing about the file. */
static int place_link_or_file(struct extraction *x, const struct member *m, const char *path,
                              struct error *err)
{
    CLEANUP(buf_release) struct buf data = BUF_INIT(PATH_MAX);
    struct member file = *m;
    bool whole;

    if (content_begin(x, m, &data, &whole, err) < 0)
        return -1;
    if (whole && entry_name_is_target(buf_str(&data), data.len))
        return place_symlink(x, m, path, buf_str(&data), err);
    file.mode &= DEFAULT_DIRECTORY_MODE;
    file.size = 0; /* a part of it has been counted */
    return place_file(x, &file, path, &data, err);
}

/* A hard link costs its size: whoever copies the tree gets as many files. */
static int place_hardlink(struct extraction *x, const struct member *m, const char *path,
                          struct error *err)
{
    char target[PATH_MAX];
    enum tree_replaced replaced;
    struct stat st;
    bool slash;

    if (entry_name_to_path(m->target, x->limits, target, &slash, err) < 0)
        return error_wrap(err, "archive entry %s, a hard link", text_show(m->name).text);
    if (content_drop(x, m, err) < 0 ||
        tree_hardlink(&x->tree, path, target, &st, &replaced, err) < 0)
        return -1;
    count_replaced(x->report, replaced);
    if (S_ISLNK(st.st_mode)) {
        x->report->symlinks++;
        return 0;
    }
    x->report->files++;
    return content_count(x, m, (uint64_t)st.st_size, err);
}

/* ---- what never reaches the disk ---- */

static int take_secret(struct extraction *x, const struct member *m, bool *has, struct buf *out,
                       struct error *err)
{
    if (m->type != MEMBER_FILE && m->type != MEMBER_LINK_OR_FILE)
        return entry_name_refuse(err, ERR_INPUT, m->name,
                                 "it must be a file, not a folder or link; put the file itself "
                                 "there and upload again");
    buf_clear(out); /* the last of one name wins */
    if (content_to_buf(x, m, out, err) < 0)
        return -1;
    *has = true;
    return 0;
}

/* ---- one member ---- */

static int place(struct extraction *x, const struct member *m, const char *path, struct error *err)
{
    struct upload_report *r = x->report;

    if (!x->has_no_secrets && strcmp(path, DOCKER_CONFIG) == 0)
        return take_secret(x, m, &r->has_docker_config, &r->docker_config, err);
    if (!x->has_no_secrets && strcmp(path, ENV_BUILD) == 0)
        return take_secret(x, m, &r->has_env_build, &r->env_build, err);
    switch (m->type) {
    case MEMBER_FILE:
        return place_file(x, m, path, NULL, err);
    case MEMBER_DIRECTORY:
        return place_directory(x, m, path, err);
    case MEMBER_SYMLINK:
        return place_symlink(x, m, path, m->target, err);
    case MEMBER_HARDLINK:
        return place_hardlink(x, m, path, err);
    case MEMBER_LINK_OR_FILE:
        return place_link_or_file(x, m, path, err);
    case MEMBER_SPECIAL:
    default:
        return entry_name_refuse(err, ERR_INPUT, m->name,
                                 "it is a device, FIFO or socket, which no image is built from; "
                                 "remove it from the folder and upload again");
    }
}

static int check_member(struct extraction *x, const struct member *m, struct error *err)
{
    if (++x->report->entries > x->limits->entries_max)
        return error_set(err, ERR_LIMIT,
                         "the archive has more than %" PRIu64
                         " entries, the limit: leave out what the image does not need and upload "
                         "again",
                         x->limits->entries_max);
    if (m->encrypted)
        return entry_name_refuse(err, ERR_INPUT, m->name,
                                 "it is encrypted; make the archive without a password and upload "
                                 "again");
    return content_count(x, m, 0, err);
}

static int take_member(struct extraction *x, const struct member *m, struct error *err)
{
    char path[PATH_MAX];
    bool slash;

    if (check_member(x, m, err) < 0 ||
        entry_name_to_path(m->name, x->limits, path, &slash, err) < 0)
        return -1;
    if (*path)
        return place(x, m, path, err);
    /* "./" is the directory that the caller made, with the mode that the caller chose. */
    if (m->type != MEMBER_DIRECTORY)
        return entry_name_refuse(err, ERR_INPUT, m->name,
                                 "it names the whole folder but is none; remove it and upload "
                                 "again");
    return content_drop(x, m, err);
}

/* ---- the end ---- */

static int place_docker_dir(struct extraction *x, struct error *err)
{
    struct stat st;

    if (!x->docker_dir_waits)
        return 0;
    if (x->report->has_docker_config &&
        fstatat(x->tree.root, DOCKER_DIR, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    return tree_make_directory(&x->tree, DOCKER_DIR, &x->docker_dir, err);
}

static int finish(struct extraction *x, struct error *err)
{
    if (place_docker_dir(x, err) < 0)
        return -1;
    if (x->links_outside > WARNINGS_MAX)
        argv_pushf(&x->report->warnings, "%zu more symbolic links lead out of the upload",
                   x->links_outside - WARNINGS_MAX);
    if (tree_finish(&x->tree, err) < 0)
        return -1;
    x->report->directories = x->tree.made;
    if (x->report->warnings.failed)
        return error_set(err, ERR_SYSTEM, "unpack: out of memory");
    return 0;
}

static void release(struct extraction *x)
{
    tree_release(&x->tree);
    member_reader_free(x->reader);
}

static int extract(struct extraction *x, int archive_fd, struct error *err)
{
    struct member m;
    struct stat st;
    bool end;

    if (fstat(archive_fd, &st) < 0)
        return error_errno(err, errno, "read the archive");
    x->archive_size = (uint64_t)st.st_size;
    if (member_reader_open(archive_fd, x->archive_size, x->limits->entries_max, &x->reader, err) <
        0)
        return -1;
    for (;;) {
        if (member_reader_next(x->reader, &m, &end, err) < 0)
            return -1;
        if (end)
            return finish(x, err);
        if (take_member(x, &m, err) < 0)
            return -1;
    }
}

int extract_with(int archive_fd, int dirfd, const struct upload_limits *limits,
                 enum tree_method method, struct upload_report *ret, struct error *err)
{
    CLEANUP(release) struct extraction x = {.limits = limits, .report = ret};

    tree_init(&x.tree, dirfd, method);
    return extract(&x, archive_fd, err);
}

int upload_extract(int archive_fd, int dirfd, const struct upload_limits *limits,
                   struct upload_report *ret, struct error *err)
{
    return extract_with(archive_fd, dirfd, limits, TREE_OPENAT2, ret, err);
}

int upload_extract_all(int archive_fd, int dirfd, const struct upload_limits *limits,
                       struct upload_report *ret, struct error *err)
{
    CLEANUP(release)
    struct extraction x = {.limits = limits, .report = ret, .has_no_secrets = true};

    tree_init(&x.tree, dirfd, TREE_OPENAT2);
    return extract(&x, archive_fd, err);
}
