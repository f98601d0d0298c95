/* worker/import_source — an image of another registry, imported: it is the build of a Dockerfile
 * that names it as its base and adds nothing, so that it is pulled, looked at, completed and pushed
 * as any build is.  The archive of it, with the credentials in their usual place, is made in
 * memory. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "worker/credentials.h"
#include "worker/steps.h"

bool import_is_source(const char *source)
{
    return text_starts(source, BUILD_IMPORT);
}

int import_source_open(struct run *r, int *ret_fd, struct error *err)
{
    CLEANUP(buf_release) struct buf dockerfile = BUF_INIT(BUILD_SOURCE + 16);
    CLEANUP(buf_release) struct buf credentials = BUF_INIT(CREDENTIALS_MAX);
    CLEANUP_CLOSE int fd = memfd_create("import", MFD_CLOEXEC);
    struct upload_file files[2] = {{.path = "Dockerfile"}, {.path = ".docker/config.json"}};

    if (fd < 0)
        return error_errno(err, errno, "make a memory file");
    if (r->config->credentials_dir &&
        credentials_read(r->config->credentials_dir, r->build.id, &credentials, err) < 0)
        return -1;
    buf_addf(&dockerfile, "FROM %s\n", r->build.source + strlen(BUILD_IMPORT));
    files[0].content = buf_str(&dockerfile);
    files[0].len = dockerfile.len;
    files[1].content = buf_str(&credentials);
    files[1].len = credentials.len;
    if (upload_pack_files(files, credentials.len ? 2 : 1, fd, err) < 0)
        return -1;
    if (credentials.data)
        explicit_bzero(credentials.data, credentials.len);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a memory file");
    *ret_fd = TAKE_FD(fd);
    return 0;
}
