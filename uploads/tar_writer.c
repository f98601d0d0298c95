/* uploads/tar_writer — see the header.  This file and member_reader.c are the ones that know
 * libarchive. */
#include "uploads/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/entry_name.h"

#define BLOCK_SIZE (256 << 10)

struct tar_writer {
    struct archive *archive;
    struct archive_entry *entry;
    locale_t locale, previous;
    int fd;
    struct error write_error; /* of the write that did not succeed */
};

static la_ssize_t write_block(struct archive *a, void *self, const void *data, size_t len)
{
    struct tar_writer *w = self;

    if (fs_write_all(w->fd, data, len, &w->write_error) < 0) {
        archive_set_error(a, EIO, "write");
        return -1;
    }
    return (la_ssize_t)len;
}

static int archive_failed(const struct tar_writer *w, const char *path, struct error *err)
{
    if (w->write_error.kind == ERR_NONE)
        return error_set(err, ERR_SYSTEM, "pack %s: %s", text_show(path).text,
                         archive_error_string(w->archive));
    *err = w->write_error;
    return error_wrap(err, "pack %s", text_show(path).text);
}

static int begin(struct tar_writer *w, struct error *err)
{
    struct archive *a = w->archive;

    if (!a || !w->entry || !w->locale)
        return error_set(err, ERR_SYSTEM, "pack: out of memory, or no C.UTF-8 locale");
    w->previous = uselocale(w->locale);
    /* "Restricted": pax headers only for what ustar cannot say. */
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(a, BLOCK_SIZE) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open(a, w, NULL, write_block, NULL) != ARCHIVE_OK)
        return archive_failed(w, ".", err);
    return 0;
}

int tar_writer_new(int fd, struct tar_writer **ret, struct error *err)
{
    CLEANUP(tar_writer_freep) struct tar_writer *w = calloc(1, sizeof(*w));

    if (!w)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    w->fd = fd;
    w->archive = archive_write_new();
    w->entry = archive_entry_new();
    w->locale = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    if (begin(w, err) < 0)
        return -1;
    *ret = TAKE(w);
    return 0;
}

void tar_writer_free(struct tar_writer *w)
{
    if (!w)
        return;
    if (w->archive)
        archive_write_free(w->archive);
    if (w->entry)
        archive_entry_free(w->entry);
    if (w->previous)
        (void)uselocale(w->previous);
    if (w->locale)
        freelocale(w->locale);
    free(w);
}

int tar_writer_header(struct tar_writer *w, const char *path, const struct stat *st,
                      const char *target, struct error *err)
{
    struct archive_entry *e = archive_entry_clear(w->entry);

    archive_entry_set_pathname(e, path);
    archive_entry_set_mode(e, st->st_mode);
    archive_entry_set_mtime(e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
    if (target)
        archive_entry_set_symlink(e, target);
    if (archive_write_header(w->archive, e) != ARCHIVE_OK)
        return archive_failed(w, path, err);
    return 0;
}

int tar_writer_data(struct tar_writer *w, const char *path, const void *data, size_t len,
                    struct error *err)
{
    if (archive_write_data(w->archive, data, len) != (la_ssize_t)len)
        return archive_failed(w, path, err);
    return 0;
}

int tar_writer_close(struct tar_writer *w, struct error *err)
{
    if (archive_write_close(w->archive) != ARCHIVE_OK)
        return archive_failed(w, ".", err);
    return 0;
}
