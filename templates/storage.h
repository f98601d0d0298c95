/* templates/storage — where a store keeps its files: a directory, an object store, or memory for
 * tests.
 *
 * A file is in an area under a name, whole and synced before it can be seen, and never changed
 * afterwards.  All kinds hand files out as descriptors, which stay good after a removal; of packs
 * in an object store, see may_remove.
 *
 * Sessions are how a collector knows who is at work: a session holds names of packs, and is there
 * for as long as its owner lives. */
#ifndef TEMPLATES_STORAGE_H
#define TEMPLATES_STORAGE_H

#include "base/argv.h"
#include "base/buf.h"
#include "objects/objects.h"
#include "templates/pack_file.h"
#include "templates/templates.h"

enum storage_area {
    AREA_PACKS,
    AREA_REVISIONS, /* "name:7" */
    AREA_TEMPLATES, /* "name" */
    AREA_HOLDS,     /* "name:7=holder" */
    AREA_CONDEMNED, /* a pack's name: new packers do not see it */
    AREA_RAW,       /* "name:7": the whole image, for reflinks */
    AREAS,
};

struct storage; /* one of these kinds */

MUST_CHECK int storage_open_directory(const char *dir, struct storage **ret, struct error *err);
MUST_CHECK int storage_open_memory(struct storage **ret, struct error *err);
/* Takes over both, also on -1. */
MUST_CHECK int storage_open_objects(struct objects *objects, struct object_cache *cache,
                                    struct storage **ret, struct error *err);
/* One of these as a broker lends it: path is its socket. */
MUST_CHECK int storage_open_channel(const char *path, struct storage **ret, struct error *err);
void storage_free(struct storage *s);

/* The store's own unlisted files, "secret" and "format": absent leaves ret empty. */
MUST_CHECK int storage_get_setting(struct storage *s, const char *name, struct buf *ret,
                                   struct error *err);
/* Once; an existing one is an error. */
MUST_CHECK int storage_put_setting(struct storage *s, const char *name, const void *data,
                                   size_t len, struct error *err);

/* Names in byte order are added to ret. */
MUST_CHECK int storage_list(struct storage *s, enum storage_area area, struct argv *ret,
                            struct error *err);

/* *ret_fd is -1 when there is no such file. */
MUST_CHECK int storage_open(struct storage *s, enum storage_area area, const char *name,
                            int *ret_fd, struct error *err);

/* The same of a pack, whose bytes may have to be fetched as they are read. */
MUST_CHECK int storage_open_pack(struct storage *s, const char *name, int *ret_fd,
                                 struct pack_origin *ret_origin, struct error *err);

/* The whole of a small file; *ret_there false leaves ret empty. */
MUST_CHECK int storage_get(struct storage *s, enum storage_area area, const char *name,
                           struct buf *ret, bool *ret_there, struct error *err);

/* A file on its way: written by descriptor, then committed under a name. */
struct storage_file {
    int fd;
    char temporary[40];
};
#define STORAGE_FILE_INIT                                                                          \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
MUST_CHECK int storage_create(struct storage *s, struct storage_file *ret, struct error *err);
/* Syncs, names, syncs the directory; replaces what had the name.  The descriptor is closed. */
MUST_CHECK int storage_commit(struct storage *s, struct storage_file *f, enum storage_area area,
                              const char *name, struct error *err);
/* Removes it unless it was committed. */
void storage_discard(struct storage *s, struct storage_file *f);

/* create, write and commit in one. */
MUST_CHECK int storage_put(struct storage *s, enum storage_area area, const char *name,
                           const void *data, size_t len, struct error *err);

/* An absent one is fine. */
MUST_CHECK int storage_remove(struct storage *s, enum storage_area area, const char *name,
                              struct error *err);

/* Whether a condemned pack that nobody needs may go now.  What is elsewhere cannot be read after
 * its removal, so readers that found the pack before it was condemned are given an hour. */
MUST_CHECK int storage_may_remove(struct storage *s, const char *pack, bool *ret,
                                  struct error *err);

/* One lock, held for moments: shared to begin a session or publish, exclusive to decide what goes.
 * Every lock call is a lock of its own, also within one process. */
MUST_CHECK int storage_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err);
void storage_unlock(struct storage *s, int *lock);

/* text: names, one a line, that this session may refer to. */
MUST_CHECK int storage_session_begin(struct storage *s, const char *text, int *ret_session,
                                     struct error *err);
void storage_session_end(struct storage *s, int *session);
/* Adds the lines of every living session to ret, and clears away those of the dead. */
MUST_CHECK int storage_sessions(struct storage *s, struct argv *ret, struct error *err);

/* Removes files on their way whose owner died. */
MUST_CHECK int storage_sweep(struct storage *s, struct error *err);

/* Where messages say it is. */
const char *storage_where(const struct storage *s);

/* ---- for the kinds: how storage.c calls them ---- */

struct storage_kind {
    int (*list)(struct storage *s, const char *area, struct argv *ret, struct error *err);
    int (*open)(struct storage *s, const char *area, const char *name, int *ret_fd,
                struct error *err);
    int (*create)(struct storage *s, struct storage_file *ret, struct error *err);
    int (*commit)(struct storage *s, struct storage_file *f, const char *area, const char *name,
                  struct error *err);
    void (*discard)(struct storage *s, struct storage_file *f);
    int (*remove)(struct storage *s, const char *area, const char *name, struct error *err);
    int (*lock)(struct storage *s, bool exclusive, int *ret_lock, struct error *err);
    void (*unlock)(struct storage *s, int *lock);
    int (*session_begin)(struct storage *s, const char *text, int *ret, struct error *err);
    void (*session_end)(struct storage *s, int *session);
    int (*sessions)(struct storage *s, struct argv *ret, struct error *err);
    int (*sweep)(struct storage *s, struct error *err);
    /* NULL: as open, with all bytes there. */
    int (*open_pack)(struct storage *s, const char *name, int *ret_fd,
                     struct pack_origin *ret_origin, struct error *err);
    /* NULL: at once. */
    int (*may_remove)(struct storage *s, const char *pack, bool *ret, struct error *err);
    void (*release)(struct storage *s);
};

struct storage {
    const struct storage_kind *kind;
    char *where;
    struct template_gate gate; /* of what a broker lends */
};

#endif
