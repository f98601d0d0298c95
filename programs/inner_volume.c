/* programs/inner_volume — writes a volume's image inside a jail: of a template, empty, or an old
 * one grown.  The programs of e2fsprogs read bytes there that a user's machine has written. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/copy_content.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/text.h"
#include "programs/commands.h"
#include "programs/inner_facts.h"

#define IMAGE INNER_OUT "/volume.img"

struct order {
    bool grow;
    const char *template; /* "-": none */
    uint64_t size_mb;
};

/* create|grow TEMPLATE SIZE_MB */
static int read_order(int argc, char **argv, struct order *ret, struct error *err)
{
    if (argc != 4 || !text_to_u64(argv[3], UINT64_C(16) << 20, &ret->size_mb))
        return error_set(err, ERR_SYSTEM, "template-volume: wants a verb, a template and a size");
    ret->grow = strcmp(argv[1], "grow") == 0;
    ret->template = argv[2];
    return 0;
}

/* ---- e2fsprogs ---- */

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct buf *lines = self;

    (void)stream;
    (void)len;
    buf_addf(lines, "%s%s", lines->len ? "; " : "", text);
}

/* code_max: the largest exit code that is a success. */
static int run(const struct argv *argv, int code_max, struct error *err)
{
    CLEANUP(buf_release) struct buf output = BUF_INIT(4096);
    const struct process_sink sink = {.line = keep_line, .self = &output};
    const struct process_request request = {.argv = argv, .stdin_fd = -1, .sink = &sink};
    struct process_end end;
    char how[PROCESS_TEXT];

    if (process_run(&request, &end, err) < 0)
        return error_wrap(err, "run %s (is e2fsprogs installed?)", argv->v[0]);
    if (process_succeeded(&end) || (!end.signal && end.code >= 0 && end.code <= code_max))
        return 0;
    process_describe(&end, how);
    return error_set(err, ERR_SYSTEM, "%s %s: %s", argv->v[0], how, buf_str(&output));
}

static int make_empty(const struct order *o, struct error *err)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP_CLOSE int fd = open(IMAGE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)(o->size_mb << 20)) < 0)
        return error_errno(err, errno, "write the volume");
    argv_push(&words, "/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E",
              "lazy_journal_init=1", IMAGE, NULL);
    return run(&words, 0, err);
}

/* ---- growing ---- */

static int copy_old(const struct order *o, struct error *err)
{
    CLEANUP_CLOSE int fd = open(IMAGE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0 || fstat(STDIN_FILENO, &st) < 0)
        return error_errno(err, errno, "copy the volume");
    if (copy_content(STDIN_FILENO, fd, &st, "the volume", err) < 0)
        return -1;
    if (ftruncate(fd, (off_t)(o->size_mb << 20)) < 0)
        return error_errno(err, errno, "grow the volume");
    return 0;
}

static int grow(const struct order *o, struct error *err)
{
    CLEANUP(argv_release) struct argv check = ARGV_INIT, resize = ARGV_INIT;

    if (copy_old(o, err) < 0)
        return -1;
    /* A volume that was not unmounted has a journal to be replayed.  1: that was done. */
    argv_push(&check, "/sbin/e2fsck", "-f", "-y", IMAGE, NULL);
    argv_push(&resize, "/sbin/resize2fs", IMAGE, NULL);
    return run(&check, 1, err) < 0 ? -1 : run(&resize, 0, err);
}

/* ---- of a template ---- */

static int make_of_template(const struct order *o, struct error *err)
{
    struct inner_progress progress;
    struct template_volume_request req = {
        .path = IMAGE, .size_mb = o->size_mb, .progress = &progress.progress};
    struct template_volume_report report;
    CLEANUP(template_store_freep) struct template_store *s = NULL;

    inner_progress_init(&progress);
    if (template_ref_parse(o->template, &req.ref, err) < 0 ||
        template_store_open(INNER_STORE, NULL, &s, err) < 0)
        return -1;
    return template_volume_create(s, &req, &report, err);
}

static int make(int argc, char **argv, struct error *err)
{
    struct order o;

    if (read_order(argc, argv, &o, err) < 0)
        return -1;
    if (o.grow)
        return grow(&o, err);
    return strcmp(o.template, "-") == 0 ? make_empty(&o, err) : make_of_template(&o, err);
}

int inner_volume(int argc, char **argv)
{
    struct facts f = {.digest = ""};
    struct error err = ERROR_INIT;

    return inner_end(&f, make(argc, argv, &err) < 0 ? &err : NULL);
}
