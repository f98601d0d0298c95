/* uploads — an archive arrives at a presigned URL, is kept, and becomes a context directory.
 *
 *   ticket   what makes a URL good for one PUT of one object of one workspace
 *   store    received archives, in a directory or in an object store; nothing is there before it
 *            is whole and durable
 *   extract  an archive, hostile until proven otherwise, unpacked beneath one directory
 *   pack     the other way round, for `kiln build DIR`
 *   git      a repository's tree as such an archive, and the commit of an unpacked .git
 */
#ifndef UPLOADS_UPLOADS_H
#define UPLOADS_UPLOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "objects/objects.h"

/* ---- ticket ---- */

#define UPLOAD_KEY_SIZE 32 /* bytes of the HMAC key */

struct upload_ticket {
    const char *method; /* "PUT" */
    const char *workspace;
    const char *object; /* the build's id */
    int64_t expires;    /* seconds since 1970 */
};

/* Appends "<base>/uploads/<workspace>/<object>?expires=<n>&signature=<64 hex>".  The signature is
 * HMAC-SHA256 over all four fields, so none can be changed; names must match [A-Za-z0-9_-]+. */
void upload_ticket_url(const unsigned char key[UPLOAD_KEY_SIZE], const struct upload_ticket *t,
                       const char *base, struct buf *out);

enum upload_ticket_verdict { UPLOAD_TICKET_VALID, UPLOAD_TICKET_EXPIRED, UPLOAD_TICKET_FORGED };

/* Judges the fields as they came in a request.  signature may be NULL or any text.  A forged
 * ticket is FORGED even when it is also expired. */
enum upload_ticket_verdict upload_ticket_check(const unsigned char key[UPLOAD_KEY_SIZE],
                                               const struct upload_ticket *t, const char *signature,
                                               int64_t now_seconds);

/* ---- store ---- */

struct upload_store;

/* dir is made if it is not there.  max_bytes: the largest archive accepted. */
MUST_CHECK int upload_store_open(const char *dir, uint64_t max_bytes, struct upload_store **ret,
                                 struct error *err);
/* The same in an object store; what is received by a sink passes through dir.  objects and cache
 * are borrowed. */
MUST_CHECK int upload_store_open_remote(const char *dir, uint64_t max_bytes,
                                        struct objects *objects, struct object_cache *cache,
                                        struct upload_store **ret, struct error *err);
void upload_store_free(struct upload_store *s);
/* Where clients put archives into the object store themselves; NULL: this store is a directory. */
const struct remote *upload_store_remote(const struct upload_store *s);

/* A key names one received archive: "<object>-<8 random letters and digits>", so that two PUTs to
 * one URL never touch each other's bytes; the caller's database decides which of them counts. */
#define UPLOAD_KEY_TEXT 80

struct upload_sink;
MUST_CHECK int upload_store_begin(struct upload_store *s, const char *object,
                                  struct upload_sink **ret, struct error *err);
/* ERR_LIMIT past the store's max_bytes, saying both sizes in bytes. */
MUST_CHECK int upload_sink_write(struct upload_sink *k, const void *data, size_t len,
                                 struct error *err);
/* Syncs file and directory; the archive is now in the store under ret_key. */
MUST_CHECK int upload_sink_commit(struct upload_sink *k, char ret_key[UPLOAD_KEY_TEXT],
                                  uint64_t *ret_size, struct error *err);
/* Also removes what was written unless it was committed.  NULL is fine. */
void upload_sink_free(struct upload_sink *k);

/* Opens for reading; *ret_fd is seekable, the caller's to close.  From an object store all of it is
 * fetched first, into the cache. */
MUST_CHECK int upload_store_get(struct upload_store *s, const char *key, int *ret_fd,
                                struct error *err);
/* An absent key is fine. */
MUST_CHECK int upload_store_remove(struct upload_store *s, const char *key, struct error *err);

/* Removes every archive that keep says no to, and every temporary file that no sink of a living
 * process can own (older than an hour). */
MUST_CHECK int upload_store_sweep(struct upload_store *s, bool (*keep)(void *self, const char *key),
                                  void *self, struct error *err);

/* The rest is for a store that is remote:
 *
 *   presign → (the client's PUT) → arrived → collect → (the database accepts its key) → forget */

/* Appends a URL that is good for PUTs of the object for so many seconds, 7 days at most.  labels:
 * "name: value", which each PUT has to repeat as x-amz-meta-name (PROTOCOL.md 1.9). */
MUST_CHECK int upload_store_presign(struct upload_store *s, const char *object, int64_t seconds,
                                    const struct argv *labels, struct buf *out, struct error *err);

/* Adds the names of the objects that were put and not forgotten yet. */
MUST_CHECK int upload_store_arrived(struct upload_store *s, struct argv *ret, struct error *err);

enum upload_arrival_verdict { UPLOAD_ABSENT, UPLOAD_ARRIVED, UPLOAD_EMPTY, UPLOAD_TOO_LARGE };
struct upload_arrival {
    enum upload_arrival_verdict verdict;
    uint64_t size;             /* bytes */
    char key[UPLOAD_KEY_TEXT]; /* of an ARRIVED one */
};
/* Copies what was put, so that a later PUT to the same URL does not touch it.  Others may do so at
 * once: each gets a key of its own, and the caller's database decides. */
MUST_CHECK int upload_store_collect(struct upload_store *s, const char *object,
                                    struct upload_arrival *ret, struct error *err);
/* What was put there is not looked at any more. */
MUST_CHECK int upload_store_forget(struct upload_store *s, const char *object, struct error *err);

/* Adds what the archive's PUT said in x-amz-meta-: "name: value", printable.  Of a directory
 * nothing. */
MUST_CHECK int upload_store_labels(struct upload_store *s, const char *key, struct argv *ret,
                                   struct error *err);

/* ---- extract ---- */

struct upload_limits {
    uint64_t entries_max; /* members of the archive */
    uint64_t bytes_max;   /* sum of all file contents once unpacked */
    uint64_t ratio_max;   /* unpacked bytes for one archive byte, looked at past 64 MiB */
    unsigned depth_max;   /* directories above a file */
    size_t name_max;      /* bytes of one path component */
    size_t path_max;      /* bytes of a whole path */
};
extern const struct upload_limits upload_limits_default;

#define UPLOAD_REVISION 41 /* 40 hex digits of a commit's SHA-1, and the NUL */

/* What an archive held.  Owned by the caller; upload_report_release. */
struct upload_report {
    uint64_t entries, files, directories, symlinks, bytes;
    bool has_docker_config, has_env_build;
    struct buf docker_config;       /* .docker/config.json, kept out of the context */
    struct buf env_build;           /* .env.build, kept out of the context */
    char revision[UPLOAD_REVISION]; /* the commit that it is of; "" when that is not known */
    struct argv warnings;           /* one line each, for the build log */
};
void upload_report_init(struct upload_report *r);
void upload_report_release(struct upload_report *r);

/* Unpacks any archive of PROTOCOL.md 1.8, 2.7, 2.10, 3.1, 3.2 (ZIP in all dialects, tar plain or
 * compressed) below dirfd, and nowhere else whatever it says.  archive_fd must be seekable; an
 * archive with no entries is fine.  ret must be initialised and stays releasable on -1.
 * ERR_INPUT and ERR_LIMIT name the entry and the remedy; what was unpacked until then stays for
 * the caller to remove. */
MUST_CHECK int upload_extract(int archive_fd, int dirfd, const struct upload_limits *limits,
                              struct upload_report *ret, struct error *err);

/* The same for what nobody put credentials into: all of it goes below dirfd. */
MUST_CHECK int upload_extract_all(int archive_fd, int dirfd, const struct upload_limits *limits,
                                  struct upload_report *ret, struct error *err);

/* A report (or the error of a failed extraction) as one JSON document, to cross a process
 * boundary: extraction runs in a jail of its own. */
MUST_CHECK int upload_report_write(const struct upload_report *r, const struct error *failure,
                                   struct buf *out, struct error *err);
/* -1 with the failure that the document tells of, or ERR_SYSTEM when it is not such a document. */
MUST_CHECK int upload_report_read(const char *json, size_t len, struct upload_report *ret,
                                  struct error *err);

/* "KEY=value" lines to words; blank lines and # comments are skipped, one pair of quotes around a
 * value is removed.  ERR_INPUT names the line. */
MUST_CHECK int upload_parse_env(const char *text, size_t len, struct argv *out, struct error *err);

/* A docker config.json, reduced to {"auths":{host:{"auth":…}}}: helpers and everything else that
 * could make a reader run a program are dropped.  ERR_INPUT when it is not one. */
MUST_CHECK int upload_clean_docker_config(const char *text, size_t len, struct buf *out,
                                          struct error *err);

/* ---- pack ---- */

enum upload_choice {
    UPLOAD_KEEP,
    UPLOAD_SKIP,        /* a directory: with all below it */
    UPLOAD_LOOK_INSIDE, /* a directory: not itself, but what in it is kept */
};

struct upload_filter {
    /* path: relative to the packed directory. */
    enum upload_choice (*choose)(void *self, const char *path, bool is_dir);
    void *self;
};

struct upload_file { /* borrowed */
    const char *path, *content;
    size_t len;
};
/* Writes the files as an uncompressed pax tar to fd. */
MUST_CHECK int upload_pack_files(const struct upload_file *files, size_t n, int fd,
                                 struct error *err);

/* Writes dir as an uncompressed pax tar to fd: names sorted, symlinks as links, hard links as
 * copies, owners zero, what the filter (NULL: none) does not keep left out.  ERR_INPUT names what
 * an upload could not hold either: devices, FIFOs, sockets, names that are not UTF-8. */
MUST_CHECK int upload_pack_directory(const char *dir, const struct upload_filter *filter, int fd,
                                     struct error *err);

/* ---- git ---- */

#define UPLOAD_GIT_TEXT 2048 /* of a source as it is written, with the NUL */

/* "https://host/repo.git#ref:subdir" or "https://host/repo.git?ref=…&subdir=…", BuildKit's forms,
 * taken apart. */
struct upload_git {
    char url[UPLOAD_GIT_TEXT]; /* without "?", "#" and what follows */
    char authority[280];       /* "host:port", lower case; "[…]" around IPv6 */
    char name[64];             /* the last part of the path without ".git": what it may be called */
    char ref[256];             /* branch, tag, commit, or the whole name of a ref; "": HEAD */
    char subdir[1024];         /* "a/b", below the tree; "": all of it */
    char checksum[UPLOAD_REVISION]; /* what the commit's id begins with; "": anything */
    bool keep_git_dir;
    bool no_submodules;
};

/* Whether text looks like the address of a repository rather than the path of a file: it has a
 * scheme, or the form of ssh (git@host:path).  What looks so need not be acceptable. */
bool upload_git_is_address(const char *text);

/* ERR_INPUT, with what to write instead: anything but http and https, a password in the URL, names
 * that no ref can have, a subdir that leads out, a query that means nothing. */
MUST_CHECK int upload_git_parse(const char *text, struct upload_git *ret, struct error *err);

/* Sets what the commit's id must begin with.  ERR_INPUT: that is none. */
MUST_CHECK int upload_git_expect(struct upload_git *git, const char *checksum, struct error *err);

struct upload_git_limits {
    uint64_t bytes_max;   /* that the server may send */
    uint32_t objects_max; /* in the pack it sends: commits, folders and files of all history */
    uint64_t file_max;    /* bytes of one object, in memory while it is handled */
    uint64_t entries_max; /* files, links and folders of the tree */
    uint64_t tree_bytes_max;
    /* Whether a submodule may be asked of another server ("host:port") than its repository's; NULL:
     * of any. */
    bool (*may_ask)(const char *authority);
};
extern const struct upload_git_limits upload_git_limits_default;

/* Fetches source into a repository in the directory dir, which is empty, and writes the tree as a
 * tar to tar_fd.  The history of the ref comes along (libgit2 1.5 has no shallow fetch), so bytes
 * and objects count all of it.  Nothing of the tree is interpreted: no attributes, filters, hooks,
 * configuration.  Submodules are fetched likewise, and theirs, all within the limits together; one
 * whose address is not of http or https, or that may not be asked for, is left out with a warning.
 * Redirects to other hosts are refused.
 * Certificates of the file that the variable SSL_CERT_FILE names are trusted beside the system's.
 * In ret, which must be initialised: revision, warnings; entries and bytes count what was received.
 * ERR_INPUT: no such repository or ref, the message lists some that there are; ERR_LIMIT;
 * ERR_REMOTE.  Changes the process for good: limits of its file sizes and memory, signals. */
MUST_CHECK int upload_git_fetch(const struct upload_git *source, const char *dir, int tar_fd,
                                const struct upload_git_limits *limits, struct upload_report *ret,
                                struct error *err);

/* The same in steps, for one who wants to know the commit before its files:
 *
 *   upload_git_open → upload_git_resolve → upload_git_unpack → upload_git_close
 *
 * All is borrowed until the end; dir is an empty directory, for the repository. */
struct upload_git_session;
MUST_CHECK int upload_git_open(const struct upload_git *source, const char *dir,
                               const struct upload_git_limits *limits, struct upload_report *report,
                               struct upload_git_session **ret, struct error *err);
/* Asks the server which commit the ref is now; a whole commit's id is taken at its word. */
MUST_CHECK int upload_git_resolve(struct upload_git_session *s, char ret[UPLOAD_REVISION],
                                  struct error *err);
/* Fetches that commit and writes its files below `to`, an empty directory; with keep_git_dir, and
 * when no subdir is asked for, also a .git with this one commit, as `git clone --depth=1` makes. */
MUST_CHECK int upload_git_unpack(struct upload_git_session *s, const char *to, struct error *err);
void upload_git_close(struct upload_git_session *s);

/* The commit that HEAD of the .git in dirfd names; "" when there is none, or it is in any way not
 * as git makes it.  Nothing of it is obeyed; a process of its own looks, for 10 s at most. */
void upload_git_revision(int dirfd, char ret[UPLOAD_REVISION]);

#endif
