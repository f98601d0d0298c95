/* objects — a bucket of an S3-compatible object store, and what is kept of it on this machine.
 *
 *   store   one bucket, below one prefix: put, get by ranges, head, copy, delete, list, presign
 *   cache   a directory of objects that were read, in blocks, up to a number of bytes
 *
 * Requests are signed here (Signature Version 4): libcurl 7.88 signs neither a query in its order
 * nor every header, and knows no presigned URLs.  What may go better is tried again, after a wait.
 *
 * Errors: ERR_REMOTE, naming the endpoint and what it said; ERR_SYSTEM when the bucket,
 * the credentials or the region are not right, naming the key of the configuration.  Credentials
 * and the query of a presigned URL are in no message. */
#ifndef OBJECTS_OBJECTS_H
#define OBJECTS_OBJECTS_H

#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/http.h"

/* ---- credentials ---- */

struct objects_credentials {
    char access[256], secret[256];
    char token[4096]; /* of a session; "": none */
};

/* From the file, in the form of ~/.aws/credentials, its section [default]; "": from the variables
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. */
MUST_CHECK int objects_credentials_read(const char *file, struct objects_credentials *ret,
                                        struct error *err);

/* ---- store ---- */

struct objects_config {   /* copied by the store, but for http, cancel and clock */
    const char *url;      /* "s3://bucket/prefix"; the prefix may be left out */
    const char *endpoint; /* "https://host:port"; "": that of AWS for the region */
    const char *region;   /* "us-east-1" */
    bool host_style;      /* https://bucket.host/key instead of https://host/bucket/key */
    const struct objects_credentials *credentials;
    const char *ca_file; /* as in http_request */
    const struct http *http;
    const struct cancel *cancel; /* ends requests, and waits between tries; NULL: none */
    const struct clock *clock;   /* signatures are good for 15 minutes around the server's time */
    int tries;                   /* as in http_tries */
    int64_t wait_ms;
    int64_t stall_ms; /* without a byte, after which a try has failed; 0: 60 s */
    uint64_t part;    /* bytes of a part where an object is put in parts; 0: 16 MiB */
};

#define OBJECT_ETAG 128 /* with quotes and the NUL */
#define OBJECT_KEY  512 /* bytes of a key below the prefix, and the NUL */

struct objects;
MUST_CHECK int objects_open(const struct objects_config *config, struct objects **ret,
                            struct error *err);
/* The same store, for requests that must not take long: 3 tries, of 20 s without a byte at most. */
MUST_CHECK int objects_open_hasty(const struct objects *o, struct objects **ret, struct error *err);
void objects_free(struct objects *o);

/* "s3://bucket/prefix at https://host:port": for messages. */
const char *objects_where(const struct objects *o);

/* Whether a text has the form of such a URL. */
bool objects_url_is_valid(const char *url);

/* Keys are what the caller says, of [A-Za-z0-9._~:=@/-], without empty components and those that
 * begin with a dot; the prefix is added here. */

struct object_info {
    bool there; /* false: nothing else is set */
    uint64_t size;
    char etag[OBJECT_ETAG];
    int64_t age; /* seconds since it was written, by the server's clock; 0 when it does not say */
    /* "name: value" of its x-amz-meta- headers, without that prefix; argv_release. */
    struct argv labels;
};

MUST_CHECK int objects_head(struct objects *o, const char *key, struct object_info *ret,
                            struct error *err);

/* match: NULL puts it whatever is there; OBJECT_ABSENT only where nothing is; an ETag only over the
 * object that has it.  *ret_refused: it was not so, and nothing changed; a try whose answer was
 * lost may have made it so.  Servers that do not know conditions replace what is there:
 * objects_probe tells.  ret_etag: of what was put; NULL: nobody asks.  The SHA-256 of what is sent
 * is signed, so that the server refuses what arrives damaged. */
#define OBJECT_ABSENT "*"
MUST_CHECK int objects_put(struct objects *o, const char *key, const char *match, const void *data,
                           size_t len, char ret_etag[OBJECT_ETAG], bool *ret_refused,
                           struct error *err);

/* The whole file; in parts when it is larger than one, which are taken back on -1. */
MUST_CHECK int objects_put_file(struct objects *o, const char *key, int fd, struct error *err);

/* len bytes at the offset to fd, at the same offset.  etag: ERR_REMOTE when the object has another
 * one by now, or is gone; NULL: any. */
MUST_CHECK int objects_get(struct objects *o, const char *key, const char *etag, uint64_t offset,
                           uint64_t len, int fd, struct error *err);

/* A small object as a whole, up to out's ceiling; *ret_there false leaves out empty.  A checksum
 * that the server has is verified. */
MUST_CHECK int objects_read(struct objects *o, const char *key, struct buf *out, bool *ret_there,
                            struct error *err);

/* Within the store, by the server; *ret_there false: what has the ETag is not there any more. */
MUST_CHECK int objects_copy(struct objects *o, const char *from, const char *etag, const char *to,
                            bool *ret_there, struct error *err);

/* An absent one is fine. */
MUST_CHECK int objects_delete(struct objects *o, const char *key, struct error *err);

/* Every object whose key begins with prefix, in the order of keys; page by page.  each: -1 with err
 * ends the list. */
struct object_listed {
    const char *key; /* below the store's prefix */
    uint64_t size;
    int64_t age; /* as above */
};
MUST_CHECK int objects_list(struct objects *o, const char *prefix,
                            int (*each)(void *self, const struct object_listed *l,
                                        struct error *err),
                            void *self, struct error *err);

/* Takes back puts in parts of anybody's that were begun so many seconds ago, by the server's clock,
 * and have not ended: whoever did that is dead, or lost the answer. */
MUST_CHECK int objects_abort_unfinished(struct objects *o, int64_t seconds, size_t *ret_n,
                                        struct error *err);

/* Appends a URL that is good for one kind of request, a PUT of that key, for so many seconds (7
 * days at most).  labels: "name: value"; the PUT has to carry each as x-amz-meta-name, and no
 * other. */
MUST_CHECK int objects_presign_put(struct objects *o, const char *key, int64_t seconds,
                                   const struct argv *labels, struct buf *out, struct error *err);

/* Puts, reads, lists and deletes a small object: that the bucket is there, and may be used.
 * *ret_conditions: the server keeps the conditions of objects_put. */
MUST_CHECK int objects_probe(struct objects *o, bool *ret_conditions, struct error *err);

/* ---- cache ---- */

/* Objects that were read, each a sparse file in which blocks come as they are asked for.  Several
 * programs may share the directory.  What was not used for longest goes when there is more than
 * max_bytes, but nothing that is open; unless it may shrink. */
struct object_cache;
MUST_CHECK int object_cache_open(const char *dir, uint64_t max_bytes, struct object_cache **ret,
                                 struct error *err);
void object_cache_free(struct object_cache *c);
/* A file without a name beside them, for what is on its way to the store. */
MUST_CHECK int object_cache_temporary(const struct object_cache *c, int *ret_fd, struct error *err);
/* What is kept of the object is of no use any more. */
void object_cache_remove(struct object_cache *c, const struct objects *o, const char *key);

/* An object as a file.  etag and size: what a head said; with another ETag nothing that was kept
 * counts.  cache and store are borrowed.  Threads may fill one file at once. */
struct object_file;
MUST_CHECK int object_file_open(struct object_cache *c, struct objects *o, const char *key,
                                const char *etag, uint64_t size, struct object_file **ret,
                                struct error *err);
/* Of the file's size; bytes are valid once they were filled.  Borrowed; a dup keeps it in the
 * cache. */
int object_file_fd(const struct object_file *f);
/* Fetches what is not there of that range.  ERR_SYSTEM, naming the directory: the disk is full. */
MUST_CHECK int object_file_fill(struct object_file *f, uint64_t offset, uint64_t len,
                                struct error *err);
/* What is there of the range is wrong: the next fill fetches it again. */
void object_file_forget(struct object_file *f, uint64_t offset, uint64_t len);
/* From now on what was filled of the first bytes, up to end, may go again whenever something else
 * is filled, so that open files do not take more than the cache may have.  Whoever reads them, in
 * any process, has to see whether they are right; forget them where they are not; and fill again.
 */
void object_file_let_shrink(struct object_file *f, uint64_t end);
void object_file_close(struct object_file *f);

#endif
