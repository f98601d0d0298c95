/* programs/volume_export — `kiln volume export`: a served volume, or a template, as an image or a
 * tar. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "programs/volume_words.h"

static int write_to(struct template_disk *d, const struct template_words *w, int fd,
                    struct error *err)
{
    struct progress_line line;
    int result;

    progress_line_init(&line, "exporting", w->quiet || w->json);
    result = w->format && strcmp(w->format, "tar") == 0
                 ? template_disk_export_tar(d, fd, progress_line_of(&line), err)
                 : template_disk_export_raw(d, fd, progress_line_of(&line), err);
    progress_line_end(&line);
    return result;
}

/* It has its name when it is whole. */
static int write_file(struct template_disk *d, const struct template_words *w, struct error *err)
{
    char temporary[PATH_MAX], random[9];
    int fd, result;

    digest_random_name(random, 8);
    if (snprintf(temporary, sizeof(temporary), "%s.tmp-%s", w->out, random) >=
        (int)sizeof(temporary))
        return error_set(err, ERR_INPUT, "--out: the path is too long");
    fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "create %s", temporary);
    result = write_to(d, w, fd, err);
    if (close(fd) < 0 && result == 0)
        result = error_errno(err, errno, "write %s", w->out);
    if (result == 0 && renameat2(AT_FDCWD, temporary, AT_FDCWD, w->out, RENAME_NOREPLACE) < 0)
        result = errno == EEXIST
                     ? error_set(err, ERR_INPUT, "%s is there already: remove it first", w->out)
                     : error_errno(err, errno, "name the file %s", w->out);
    if (result < 0)
        (void)unlink(temporary);
    return result;
}

static int check_words(const struct template_words *w, struct error *err)
{
    if (!w->out)
        return error_set(err, ERR_INPUT, "say where to: --out FILE, or --out - for a pipe");
    if (w->format && strcmp(w->format, "raw") != 0 && strcmp(w->format, "tar") != 0)
        return error_set(err, ERR_INPUT, "--format is raw or tar, not \"%s\"", w->format);
    if (strcmp(w->out, "-") == 0 && isatty(STDOUT_FILENO))
        return error_set(err, ERR_INPUT, "this is a terminal: send it to a file or a pipe");
    if (strcmp(w->out, "-") != 0 && access(w->out, F_OK) == 0)
        return error_set(err, ERR_INPUT, "%s is there already: remove it first", w->out);
    return 0;
}

/* What is exported may be on stdout. */
static void print_export(const struct template_words *w, const struct template_disk_info *i)
{
    const bool tar = w->format && strcmp(w->format, "tar") == 0;
    char size[TEXT_SIZE];

    text_size(i->size, size);
    if (w->json && strcmp(w->out, "-") != 0)
        template_print_json(json_pack("{s:s, s:s, s:s, s:I, s:I}", "path", w->out, "format",
                                      tar ? "tar" : "raw", "template", i->ref.name, "revision",
                                      (json_int_t)i->ref.revision, "size", (json_int_t)i->size));
    else if (!w->quiet && !w->json)
        fprintf(stderr, "%s: the %s of a volume of %s\n", w->out, tar ? "files" : "image", size);
}

int volume_export_command(const struct config *config, struct template_store *s,
                          const struct template_words *w, struct error *err)
{
    struct volume_choice choice;
    struct template_disk *disk = NULL;
    int result;

    if (check_words(w, err) < 0 || volume_choose(config, w, &choice, err) < 0 ||
        volume_check_there(&choice, err) < 0)
        return -1;
    choice.req.cache_max = 0; /* all is read once, and in order */
    if (template_disk_open(s, &choice.req, &disk, err) < 0)
        return -1;
    result =
        strcmp(w->out, "-") == 0 ? write_to(disk, w, STDOUT_FILENO, err) : write_file(disk, w, err);
    if (result == 0)
        print_export(w, template_disk_info(disk));
    template_disk_free(disk);
    return result;
}
