/* templates — an archive becomes a revision of a volume template, a revision becomes volumes.
 *
 *   store      a workspace's packs of chunks and its revisions, in a directory
 *   pack       archive or directory → ext4 image → chunks; no tree and no image is written
 *   catalog    names and their revisions: list, remove, hold, compare
 *   revision   an image to read from, every byte verified
 *   volume     a plain file of a revision, grown to the asked size
 *   disk       a volume that is served: fetched as it is read, written to an overlay, exported
 *   gc, verify what nobody needs, and whether all is whole
 *
 * A store may be open in many processes and threads at once.  docs/template-format.md specifies
 * what is on disk. */
#ifndef TEMPLATES_TEMPLATES_H
#define TEMPLATES_TEMPLATES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/process.h"
#include "objects/objects.h"

/* ---- store ---- */

struct template_options {
    unsigned hash_bits;     /* of a store that is made; 0: all 128.  Tests cut the hash. */
    int level;              /* of zstd; 0: 2 */
    unsigned threads;       /* 0: one for each core */
    unsigned revisions_max; /* of one template; older ones are dropped; 0: 10 */
};

struct template_store;

/* dir is made when it is not there; where it has a broker's socket, the store is the broker's.
 * options: NULL for all defaults. */
MUST_CHECK int template_store_open(const char *dir, const struct template_options *options,
                                   struct template_store **ret, struct error *err);
/* In a bucket below its prefix, for packers and collectors on many machines: the objects' server
 * must know conditional puts (objects_probe), or the first open fails with ERR_SYSTEM.  What is
 * read is kept in the cache.  Both are borrowed. */
MUST_CHECK int template_store_open_objects(struct objects *objects, struct object_cache *cache,
                                           const struct template_options *options,
                                           struct template_store **ret, struct error *err);
/* Whether there is a store yet below the objects' prefix. */
MUST_CHECK int template_store_is_made(struct objects *objects, bool *ret, struct error *err);

/* Asked with the store's lock, right before a revision is published: -1 with err, and it is not. */
struct template_gate {
    int (*may_publish)(void *self, struct error *err); /* NULL: nobody is asked */
    void *self;
};

/* Lends a store in a bucket to a jail that gets dir, and no credentials: template_store_open(dir)
 * is that store there.  One process at a time; takes over objects and cache, also on -1.  The gate
 * is called on a thread of the broker's. */
struct template_broker;
MUST_CHECK int template_broker_start(struct objects *objects, struct object_cache *cache,
                                     const char *dir, struct template_gate gate,
                                     struct template_broker **ret, struct error *err);
/* After the jail has ended.  NULL is fine. */
void template_broker_stop(struct template_broker *b);
static inline void template_broker_stopp(struct template_broker **b)
{
    template_broker_stop(*b);
}

/* The twin without a disk, for tests. */
MUST_CHECK int template_store_open_memory(const struct template_options *options,
                                          struct template_store **ret, struct error *err);
void template_store_free(struct template_store *s);
static inline void template_store_freep(struct template_store **s)
{
    template_store_free(*s);
}

/* ---- names ---- */

#define TEMPLATE_NAME 50 /* bytes with the NUL: 49 lower-case letters, digits and hyphens */

struct template_ref {
    char name[TEMPLATE_NAME];
    uint64_t revision; /* from 1; 0: the latest */
};

/* "name", "name:latest", "name:7".  ERR_INPUT says what a name may be. */
MUST_CHECK int template_ref_parse(const char *text, struct template_ref *ret, struct error *err);

/* ---- pack ---- */

struct template_limits {
    uint64_t entries_max; /* members of the archive */
    uint64_t bytes_max;   /* sum of the sizes of all files, holes not counted */
    unsigned depth_max;   /* directories above an entry */
};
extern const struct template_limits template_limits_default;

enum template_phase { TEMPLATE_SCANNING, TEMPLATE_LOOKING, TEMPLATE_PACKING, TEMPLATE_WRITING };

/* Called now and then, on the caller's thread or another, never on two at once.  done and total
 * are entries while scanning (total 0: not known), revisions while looking, else bytes. */
struct template_progress {
    void (*report)(void *self, enum template_phase phase, uint64_t done, uint64_t total);
    void *self;
};

struct template_pack_request {
    const char *name;
    int archive_fd;           /* seekable; any archive of PROTOCOL.md 2.7 or a ZIP; or -1 and … */
    const char *directory;    /* … a directory of this machine */
    const char *sub;          /* only what is below this path of it; NULL: all */
    uint64_t default_size_mb; /* of volumes made without a size; 0: as the template has it */
    /* Who holds the revision (template_hold) from its publication on; NULL: nobody.  If it holds
     * one of the template already, that one is in the report and none is made: so a pack that is
     * tried again, or twice at once, makes one revision. */
    const char *holder;
    const struct template_limits *limits;     /* NULL: the default */
    const struct template_progress *progress; /* NULL: none */
    const struct cancel *cancel;              /* NULL: none */
    int64_t now;                              /* nanoseconds since 1970, for `created` */
};

struct template_pack_report {
    struct template_ref ref; /* the revision that was made */
    char digest[SHA256_HEX]; /* SHA-256 of the image */
    uint64_t entries, files, directories, symlinks, hardlinks;
    uint64_t content_size; /* bytes of file content */
    uint64_t image_size;   /* bytes of the image */
    uint64_t chunks;       /* of the image, zeros not counted */
    uint64_t bytes_added;  /* stored bytes of new chunks, compressed, with their table */
    uint64_t bytes_new;    /* the same before compression */
    uint64_t bytes_shared; /* raw bytes of chunks that were there already */
    uint64_t bytes_zero;   /* of the image: named, not stored */
    unsigned dropped;      /* old revisions past revisions_max */
};

/* Makes the next revision.  ERR_INPUT and ERR_LIMIT name the entry and the remedy; on -1 the store
 * is as it was. */
MUST_CHECK int template_pack(struct template_store *s, const struct template_pack_request *req,
                             struct template_pack_report *ret, struct error *err);

/* ---- catalog ---- */

struct template_info {
    char name[TEMPLATE_NAME];
    uint64_t latest;          /* revision; 0: none is left */
    uint64_t revisions;       /* how many there are */
    uint64_t default_size_mb; /* 0: not said */
};

struct template_revision_info {
    struct template_ref ref;
    int64_t created; /* nanoseconds since 1970 */
    char digest[SHA256_HEX];
    uint64_t image_size, content_size, files, directories, symlinks;
    uint64_t min_size;        /* bytes of the smallest volume: the image */
    uint64_t default_size_mb; /* 0: not said */
    uint64_t bytes_added, bytes_new, bytes_shared, bytes_zero, chunks; /* as it was packed */
};

/* Called in the order of names, and of revisions. */
MUST_CHECK int template_list(struct template_store *s,
                             void (*each)(void *self, const struct template_info *info), void *self,
                             struct error *err);
/* *ret_there false: no such template. */
MUST_CHECK int template_get(struct template_store *s, const char *name, struct template_info *ret,
                            bool *ret_there, struct error *err);
/* name: NULL for every template's. */
MUST_CHECK int template_revisions(struct template_store *s, const char *name,
                                  void (*each)(void *self,
                                               const struct template_revision_info *info),
                                  void *self, struct error *err);
/* Makes a template without revisions, or changes its default size. */
MUST_CHECK int template_set(struct template_store *s, const char *name, uint64_t default_size_mb,
                            struct error *err);

/* revision 0 in ref removes the template with all revisions.  A revision that is held goes from the
 * catalog, and stays readable for its holders until they let go.  Chunks go with template_gc.
 * ERR_INPUT when there is none, or when it is the only one of a template (remove that). */
MUST_CHECK int template_remove(struct template_store *s, const struct template_ref *ref,
                               struct error *err);

/* A volume that reads from the revision says so, by a name of its own (letters, digits, hyphens);
 * the revision and its chunks then outlive every removal.  Idempotent. */
MUST_CHECK int template_hold(struct template_store *s, const struct template_ref *ref,
                             const char *holder, struct error *err);
MUST_CHECK int template_let_go(struct template_store *s, const struct template_ref *ref,
                               const char *holder, struct error *err);

/* Every hold, of removed revisions too. */
MUST_CHECK int template_holds(struct template_store *s,
                              void (*each)(void *self, const struct template_ref *ref,
                                           const char *holder),
                              void *self, struct error *err);
/* The revision of the template that the holder holds. */
MUST_CHECK int template_find_held(struct template_store *s, const char *name, const char *holder,
                                  bool *ret_there, struct template_revision_info *ret,
                                  struct error *err);

/* How much of a revision is in others: raw bytes of its chunks, each chunk once. */
struct template_sharing {
    struct template_ref ref;
    uint64_t bytes;            /* of the revision */
    uint64_t only_here;        /* in no other revision */
    uint64_t same_template;    /* in another revision of this template, and … */
    uint64_t others;           /* … in none of it, but in other templates */
    uint64_t stored_only_here; /* stored bytes that its removal would free, about */
};
MUST_CHECK int template_sharing(struct template_store *s,
                                void (*each)(void *self, const struct template_sharing *sharing),
                                void *self, struct error *err);

/* The same of every two of a template's newest revisions, at most `newest` of them: raw bytes of
 * chunks that both a and b have, each once.  a is before b, or is b: then the bytes are all of the
 * revision.  Nothing for a template that is not there. */
MUST_CHECK int template_overlaps(struct template_store *s, const char *name, size_t newest,
                                 void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes),
                                 void *self, struct error *err);

/* What two revisions have in common: raw bytes of chunks, each once. */
struct template_difference {
    uint64_t both, only_a, only_b;
    uint64_t chunks_both, chunks_only_a, chunks_only_b;
};
MUST_CHECK int template_compare(struct template_store *s, const struct template_ref *a,
                                const struct template_ref *b, struct template_difference *ret,
                                struct error *err);

/* ---- revision ---- */

struct template_revision;

/* held_ok: also one that was removed and is held.  Opening reads the revision's root and opens
 * packs; nothing else is read before it is asked for.  ERR_INPUT when there is none. */
MUST_CHECK int template_revision_open(struct template_store *s, const struct template_ref *ref,
                                      struct template_revision **ret, struct error *err);
void template_revision_free(struct template_revision *r);

/* Borrowed. */
const struct template_revision_info *template_revision_info(const struct template_revision *r);

/* Exactly len bytes from offset; ERR_SYSTEM past the end or where the store is damaged.  From any
 * thread. */
MUST_CHECK int template_revision_read(struct template_revision *r, uint64_t offset, void *data,
                                      size_t len, struct error *err);

/* The run of zeros, or of data, at offset: *ret_len bytes from there on, at least 1, and no more
 * than up to the end.  ERR_SYSTEM past it. */
MUST_CHECK int template_revision_extent(struct template_revision *r, uint64_t offset,
                                        uint64_t *ret_len, bool *ret_zero, struct error *err);

/* ---- volume ---- */

struct template_volume_request {
    struct template_ref ref;
    const char *path;           /* of the file; must not be there */
    uint64_t size_mb;           /* 0: the revision's default; without one: as small as may be */
    const char *resize_program; /* NULL: resize2fs */
    const struct template_progress *progress;
    const struct cancel *cancel;
};

struct template_volume_report {
    struct template_ref ref; /* the revision in numbers */
    uint64_t size;           /* bytes of the file */
    bool reflinked;
};

/* ERR_LIMIT when size_mb is less than the content needs, saying how much that is; ERR_INPUT when
 * the file is there already. */
MUST_CHECK int template_volume_create(struct template_store *s,
                                      const struct template_volume_request *req,
                                      struct template_volume_report *ret, struct error *err);

/* ---- served volumes ---- */

/* A volume that is there at once: blocks are fetched, and verified, when they are first read, and
 * then kept in a file without a name; writes go to an overlay. */
struct template_disk;

#define TEMPLATE_DISK_CACHE (UINT64_C(4) << 30)

struct template_disk_request {
    struct template_ref ref; /* name "": what the overlay says */
    const char *overlay;   /* file; made where it is not there; NULL: the disk cannot be written */
    uint64_t size;         /* bytes; 0: as it is, or the default of the revision */
    uint64_t cache_max;    /* bytes of the cache's file; 0: none.  TEMPLATE_DISK_CACHE does. */
    const char *cache_dir; /* NULL: beside the overlay, else /var/tmp */
};

struct template_disk_info {
    struct template_ref ref;
    uint64_t size;        /* bytes */
    uint64_t image_size;  /* of the file system in the revision; after it there are zeros */
    bool writable, fresh; /* fresh: the overlay was made by this call */
};

/* The overlay holds its revision (template_hold) from its making to template_disk_remove.
 * ERR_INPUT when it is in use, is of another revision, or would have to shrink. */
MUST_CHECK int template_disk_open(struct template_store *s, const struct template_disk_request *req,
                                  struct template_disk **ret, struct error *err);
/* Flushes first. */
void template_disk_free(struct template_disk *d);
const struct template_disk_info *template_disk_info(const struct template_disk *d);

/* From any thread.  A range past the end is ERR_SYSTEM, as is damage: damaged bytes are never
 * given out.  extent: *ret_len is at least 1 and at most len. */
MUST_CHECK int template_disk_read(struct template_disk *d, uint64_t offset, void *data, size_t len,
                                  struct error *err);
MUST_CHECK int template_disk_write(struct template_disk *d, uint64_t offset, const void *data,
                                   size_t len, struct error *err);
MUST_CHECK int template_disk_zero(struct template_disk *d, uint64_t offset, uint64_t len,
                                  struct error *err);
MUST_CHECK int template_disk_extent(struct template_disk *d, uint64_t offset, uint64_t len,
                                    uint64_t *ret_len, bool *ret_zero, struct error *err);
/* What was written before survives a crash. */
MUST_CHECK int template_disk_flush(struct template_disk *d, struct error *err);

/* Removes an overlay, with what was written, and lets its revision go.  ERR_INPUT when it is in
 * use, or there is none. */
MUST_CHECK int template_disk_remove(struct template_store *s, const char *overlay,
                                    struct error *err);

/* The whole image to fd: with holes where fd is a regular file. */
MUST_CHECK int template_disk_export_raw(struct template_disk *d, int fd,
                                        const struct template_progress *progress,
                                        struct error *err);
/* Its files, as a tar (pax).  ERR_INPUT when the file system has not been unmounted, naming the
 * remedy, or is damaged. */
MUST_CHECK int template_disk_export_tar(struct template_disk *d, int fd,
                                        const struct template_progress *progress,
                                        struct error *err);

/* ---- copy ---- */

struct template_taker {
    /* "packs": comes before what is in it. */
    int (*directory)(void *self, const char *path, struct error *err);
    /* path: "packs/NAME", below the store.  lasting: it never changes under that name. */
    int (*file)(void *self, const char *path, int fd, bool lasting, struct error *err);
    void *self;
};
/* Hands out every file of a store in a directory, so that these are a store of the same revisions
 * and holds.  Runs beside packers, collectors and readers, which wait while the small files go. */
MUST_CHECK int template_copy(struct template_store *s, const struct template_taker *taker,
                             struct error *err);

/* ---- gc and verify ---- */

struct template_gc_report {
    uint64_t packs_removed, packs_rewritten;
    uint64_t packs_waiting; /* unneeded, but somebody at work may be using them: run it again */
    uint64_t bytes_freed, bytes_live, bytes_waiting; /* stored */
};
/* Runs beside packers and readers.  One at a time: ERR_SYSTEM "busy" otherwise. */
MUST_CHECK int template_gc(struct template_store *s, const struct template_progress *progress,
                           struct template_gc_report *ret, struct error *err);

/* Only looks: *_waiting is what a collection would free now, by and by. */
MUST_CHECK int template_gc_look(struct template_store *s, struct template_gc_report *ret,
                                struct error *err);

struct template_verify_report {
    uint64_t packs, chunks, revisions, bytes; /* that were looked at; raw bytes */
    struct argv damage; /* one line each, naming file and place; empty: all is whole */
};
void template_verify_report_release(struct template_verify_report *r);
/* Reads every pack, checks every chunk, and that every revision has all of its own.  images: also
 * the SHA-256 of every revision's image, and of what volumes are cloned from.  -1 only when it
 * could not look. */
MUST_CHECK int template_verify(struct template_store *s, bool images,
                               const struct template_progress *progress,
                               struct template_verify_report *ret, struct error *err);

#endif
