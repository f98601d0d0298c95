/* programs/context — see the header. */
#include "programs/context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "dockerfile/dockerfile.h"
#include "uploads/uploads.h"

#define RULES ".blaxelignore"

/* self: the rules, or NULL. */
static enum upload_choice choose(void *self, const char *path, bool is_dir)
{
    const struct dockerfile_ignore *rules = self;

    if (strcmp(path, ".git") == 0)
        return UPLOAD_SKIP;
    if (!rules || !dockerfile_ignore_matches(rules, path))
        return UPLOAD_KEEP;
    return is_dir && dockerfile_ignore_may_reinclude(rules, path) ? UPLOAD_LOOK_INSIDE
                                                                  : UPLOAD_SKIP;
}

/* *ret stays NULL when there is no such file. */
static int read_rules(const char *dir, struct dockerfile_ignore **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(DOCKERFILE_IGNORE_TEXT_MAX);
    CLEANUP_CLOSE int dirfd = -1;
    CLEANUP_CLOSE int fd = -1;

    if (fs_open_dir(AT_FDCWD, dir, &dirfd, err) < 0)
        return -1;
    fd = openat(dirfd, RULES, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return error_errno(err, errno, "open " RULES);
    if (fs_read_fd(fd, &text, err) < 0 || buf_check(&text, "the file", err) < 0 ||
        dockerfile_ignore_parse_blaxel(buf_str(&text), text.len, ret, err) < 0)
        return error_wrap(err, RULES);
    return 0;
}

int context_pack(const char *dir, int fd, struct error *err)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *rules = NULL;
    struct upload_filter filter = {.choose = choose};

    if (read_rules(dir, &rules, err) < 0)
        return -1;
    filter.self = rules;
    return upload_pack_directory(dir, &filter, fd, err);
}
