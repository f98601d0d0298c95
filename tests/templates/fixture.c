#include "fixture.h"

#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"

void tar_add(struct buf *tar, const char *name, const void *data, size_t len)
{
    static const char zeros[512];
    char head[512] = "";
    unsigned sum = 0;

    (void)snprintf(head, 100, "%s", name);
    (void)snprintf(head + 100, 8, "%07o", 0644u);
    (void)snprintf(head + 108, 8, "%07o", 1000u);
    (void)snprintf(head + 116, 8, "%07o", 1000u);
    (void)snprintf(head + 124, 12, "%011zo", len);
    (void)snprintf(head + 136, 12, "%011o", 1600000000u);
    memcpy(head + 148, "        ", 8);
    head[156] = '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(head); i++)
        sum += (unsigned char)head[i];
    (void)snprintf(head + 148, 8, "%06o", sum);
    buf_add(tar, head, sizeof(head));
    buf_add(tar, data, len);
    buf_add(tar, zeros, (512 - len % 512) % 512);
}

void tar_end(struct buf *tar)
{
    static const char zeros[1024];

    buf_add(tar, zeros, sizeof(zeros));
}

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

void tar_make(struct buf *tar, unsigned seed, unsigned n, size_t size, unsigned turn,
              unsigned changed)
{
    unsigned char *data = calloc(1, size + 1);

    for (unsigned i = 0; i < n; i++) {
        uint64_t state = (uint64_t)seed * 1000003 + i + (i < changed ? (uint64_t)turn << 32 : 0);
        size_t len = (size_t)next(&state) % size;
        char name[64];

        for (size_t k = 0; k < len; k++)
            data[k] = (unsigned char)(next(&state) % 24 + 'a');
        (void)snprintf(name, sizeof(name), "folder-%u/file-%u", i % 3, i);
        tar_add(tar, name, data, len);
    }
    free(data);
    tar_end(tar);
}

int pack_tar(struct template_store *s, const char *name, const struct buf *tar,
             struct template_pack_report *ret, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("tar", MFD_CLOEXEC);
    struct template_pack_request req = {.name = name, .archive_fd = fd, .now = 1};

    if (fd < 0 || fs_write_all(fd, tar->data, tar->len, err) < 0)
        return -1;
    return template_pack(s, &req, ret, err);
}

bool image_is_right(struct template_store *s, const char *name, struct error *err)
{
    enum { STEP = 100003 }; /* no multiple of anything */
    struct template_revision *r = NULL;
    struct template_ref ref;
    struct sha256 *sha = NULL;
    unsigned char digest[SHA256_SIZE], *data = malloc(STEP);
    char hex[SHA256_HEX];
    bool right = false;

    if (template_ref_parse(name, &ref, err) == 0 && template_revision_open(s, &ref, &r, err) == 0 &&
        sha256_new(&sha, err) == 0) {
        uint64_t size = template_revision_info(r)->image_size;
        int result = 0;

        for (uint64_t at = 0; at < size && result == 0; at += STEP) {
            size_t n = size - at < STEP ? (size_t)(size - at) : STEP;

            result = template_revision_read(r, at, data, n, err);
            sha256_add(sha, data, n);
        }
        sha256_end(sha, digest);
        digest_hex(digest, sizeof(digest), hex);
        right = result == 0 && strcmp(hex, template_revision_info(r)->digest) == 0;
    }
    sha256_free(sha);
    template_revision_free(r);
    free(data);
    return right;
}
