/* objects/parts — a file becomes an object: in one put, or in parts that nobody sees before the
 * last of them is there. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "objects/sign.h"
#include "objects/store.h"
#include "objects/unfinished.h"

#define ANSWER_MAX (64u << 10)
#define PART       (UINT64_C(16) << 20)
#define PARTS_MAX  10000 /* "Amazon S3 multipart upload limits" */
#define PIECE      (256u << 10)

struct parts {
    struct objects *o;
    const char *key;
    int fd;
    uint64_t size, part;
    char id[ANSWER_VALUE];
    struct argv etags;
};

static void parts_release(struct parts *p)
{
    argv_release(&p->etags);
}

static int hash_range(const struct http_source *from, char ret[SHA256_HEX], struct error *err)
{
    CLEANUP(sha256_freep) struct sha256 *sum = NULL;
    CLEANUP_FREE unsigned char *piece = malloc(PIECE);
    unsigned char hash[SHA256_SIZE];
    uint64_t done = 0;

    if (!piece)
        return error_set(err, ERR_SYSTEM, "hash a file: out of memory");
    if (sha256_new(&sum, err) < 0)
        return -1;
    while (done < from->len) {
        size_t want = from->len - done < PIECE ? (size_t)(from->len - done) : PIECE;
        ssize_t got = fs_pread(from->fd, piece, want, from->offset + done);

        if (got < 0)
            return error_errno(err, errno, "read a file");
        if ((size_t)got < want)
            return error_set(err, ERR_SYSTEM, "a file became shorter while it was sent");
        sha256_add(sum, piece, want);
        done += want;
    }
    sha256_end(sum, hash);
    digest_hex(hash, sizeof(hash), ret);
    return 0;
}

/* A PUT of a range; ret_etag NULL: nobody asks. */
static int put_range(struct parts *p, uint64_t offset, uint64_t len, const struct argv *query,
                     struct argv *ret_etags, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    const struct http_source source = {.fd = p->fd, .offset = offset, .len = len};
    char hex[SHA256_HEX];
    const struct store_request r = {
        .method = "PUT", .key = p->key, .query = query, .source = &source, .payload = hex};
    const char *etag;

    if (hash_range(&source, hex, err) < 0 || store_exchange(p->o, &r, &resp, err) < 0)
        return -1;
    if (resp.status != 200)
        return store_refused(p->o, &resp, err);
    etag = http_header(&resp, "etag");
    if (!etag || strlen(etag) >= OBJECT_ETAG || strpbrk(etag, "<>&"))
        return error_set(err, ERR_REMOTE, "%s: a part without an ETag", objects_where(p->o));
    argv_push1(ret_etags, etag);
    return 0;
}

static int begin(struct parts *p, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    const struct store_request r = {.method = "POST", .key = p->key, .query = &query};

    argv_push1(&query, "uploads=");
    if (query.failed)
        return error_set(err, ERR_SYSTEM, "put an object: out of memory");
    if (store_exchange(p->o, &r, &resp, err) < 0)
        return -1;
    if (resp.status != 200)
        return store_refused(p->o, &resp, err);
    return answer_read_value(buf_str(&resp.body), resp.body.len, "InitiateMultipartUploadResult",
                             "UploadId", p->id, err);
}

static void add_id(const struct parts *p, struct argv *query)
{
    CLEANUP(buf_release) struct buf id = BUF_INIT(4 * ANSWER_VALUE);

    sign_encode(p->id, false, &id);
    argv_pushf(query, "uploadId=%s", buf_str(&id));
    query->failed = query->failed || id.full;
}

static int put_parts(struct parts *p, struct error *err)
{
    for (uint64_t offset = 0; offset < p->size; offset += p->part) {
        CLEANUP(argv_release) struct argv query = ARGV_INIT;
        uint64_t len = p->size - offset < p->part ? p->size - offset : p->part;

        argv_pushf(&query, "partNumber=%zu", p->etags.n + 1);
        add_id(p, &query);
        if (query.failed)
            return error_set(err, ERR_SYSTEM, "put an object: out of memory");
        if (put_range(p, offset, len, &query, &p->etags, err) < 0)
            return -1;
    }
    return p->etags.failed ? error_set(err, ERR_SYSTEM, "put an object: out of memory") : 0;
}

static int complete(struct parts *p, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    CLEANUP(buf_release) struct buf body = BUF_INIT(4u << 20);
    char hex[SHA256_HEX], etag[ANSWER_VALUE];
    struct store_request r = {.method = "POST", .key = p->key, .query = &query, .payload = hex};

    add_id(p, &query);
    buf_adds(&body, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < p->etags.n; i++)
        buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                 p->etags.v[i]);
    buf_adds(&body, "</CompleteMultipartUpload>");
    if (query.failed || buf_check(&body, "the list of parts", err) < 0)
        return error_set(err, ERR_SYSTEM, "put an object: out of memory");
    digest_sha256_hex(buf_str(&body), body.len, hex);
    r.body = buf_str(&body);
    r.body_len = body.len;
    if (store_exchange(p->o, &r, &resp, err) < 0)
        return -1;
    /* The answer begins before the work is done, so a failure can be a 200. */
    if (resp.status == 200 &&
        answer_read_value(buf_str(&resp.body), resp.body.len, "CompleteMultipartUploadResult",
                          "ETag", etag, err) == 0)
        return 0;
    return store_refused(p->o, &resp, err);
}

/* The second try of a completion whose answer was lost finds no upload: then the object decides. */
static int complete_or_find(struct parts *p, struct error *err)
{
    CLEANUP(argv_release) struct argv labels = ARGV_INIT;
    struct error ignored = ERROR_INIT;
    struct object_info info;

    if (complete(p, err) == 0)
        return 0;
    if (objects_head(p->o, p->key, &info, &ignored) < 0)
        return -1;
    labels = info.labels;
    return info.there && info.size == p->size && info.age < 60 ? 0 : -1;
}

static uint64_t part_of(const struct objects *o, uint64_t size)
{
    uint64_t part = o->config.part ? o->config.part : PART;

    while (size / part >= PARTS_MAX)
        part *= 2;
    return part;
}

int objects_put_file(struct objects *o, const char *key, int fd, struct error *err)
{
    CLEANUP(parts_release) struct parts p = {.o = o, .key = key, .fd = fd};
    struct error ignored = ERROR_INIT;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "put an object");
    p.size = (uint64_t)st.st_size;
    p.part = part_of(o, p.size);
    if (p.size <= p.part)
        return put_range(&p, 0, p.size, NULL, &p.etags, err);
    if (begin(&p, err) < 0)
        return -1;
    if (put_parts(&p, err) == 0 && complete_or_find(&p, err) == 0)
        return 0;
    /* What cannot be taken back now is by objects_abort_unfinished. */
    (void)!unfinished_abort(o, key, p.id, &ignored);
    return -1;
}
