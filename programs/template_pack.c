/* programs/template_pack — `kiln template pack`. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "programs/templates_cli.h"

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_pack(const struct template_words *w, const struct template_pack_report *r,
                       double seconds)
{
    char content[TEXT_SIZE], added[TEXT_SIZE], fresh[TEXT_SIZE], shared[TEXT_SIZE];

    if (w->json) {
        template_print_json(json_pack(
            "{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "name",
            r->ref.name, "revision", (json_int_t)r->ref.revision, "digest", r->digest, "files",
            (json_int_t)r->files, "directories", (json_int_t)r->directories, "symlinks",
            (json_int_t)r->symlinks, "contentSize", (json_int_t)r->content_size, "imageSize",
            (json_int_t)r->image_size, "bytesAdded", (json_int_t)r->bytes_added, "bytesNew",
            (json_int_t)r->bytes_new, "bytesShared", (json_int_t)r->bytes_shared, "chunks",
            (json_int_t)r->chunks, "seconds", seconds));
        return;
    }
    text_size(r->content_size, content);
    text_size(r->bytes_added, added);
    text_size(r->bytes_new, fresh);
    text_size(r->bytes_shared, shared);
    printf("%s:%llu  %llu file%s, %s of content, in %.1f s\n", r->ref.name,
           (unsigned long long)r->ref.revision, (unsigned long long)r->files, plural(r->files),
           content, seconds);
    printf("  added   %s to the store (%s before compression)\n", added, fresh);
    printf("  shared  %s that were there already\n", shared);
    printf("  sha256  %s\n", r->digest);
    if (r->dropped)
        printf("  %u old revision%s dropped; kiln template gc frees the bytes\n", r->dropped,
               plural(r->dropped));
    printf("\nMake a volume of it: kiln volume create my-volume --template %s:%llu\n", r->ref.name,
           (unsigned long long)r->ref.revision);
}

int template_pack_command(struct template_store *s, const struct template_words *w,
                          struct error *err)
{
    const char *source = w->plain[1];
    CLEANUP_CLOSE int fd = open(source, O_RDONLY | O_CLOEXEC);
    struct template_pack_request req = {.name = w->plain[0],
                                        .archive_fd = fd,
                                        .sub = w->directory,
                                        .default_size_mb = w->default_size,
                                        .now = clock_now(&clock_system)};
    struct template_pack_report report;
    struct progress_line line;
    struct stat st;
    int64_t began = clock_monotonic();
    int result;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open %s", source);
    if (S_ISDIR(st.st_mode)) {
        req.archive_fd = -1;
        req.directory = source;
    }
    progress_line_init(&line, "packing", w->quiet || w->json);
    req.progress = progress_line_of(&line);
    result = template_pack(s, &req, &report, err);
    progress_line_end(&line);
    if (result == 0)
        print_pack(w, &report, (double)(clock_monotonic() - began) / (double)NS_PER_SEC);
    return result;
}
