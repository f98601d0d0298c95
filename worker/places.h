/* worker/places — where a workspace's template store and volumes are, and what may be asked of
 * them:
 *
 *   DATA/templates/WORKSPACE/             the store, unless it is in a bucket
 *   DATA/templates/.lent/JOB/             what a job's jail has instead of one in a bucket
 *   DATA/volumes/WORKSPACE/NAME.img       a volume
 *   DATA/volumes/WORKSPACE/.making/JOB/   what a job is writing
 *
 * Archives and images are only ever read in jails.  Outside, names and numbers of the store are. */
#ifndef WORKER_PLACES_H
#define WORKER_PLACES_H

#include <limits.h>

#include "templates/templates.h"
#include "worker/state.h"

struct places {                      /* borrowed */
    const char *templates, *volumes; /* directories */
    unsigned revisions_max;          /* of one template */
    uint64_t bytes_max, entries_max; /* of an archive that is packed */
    uint64_t volume_max;             /* MB */
    /* NULL: stores are in the directory.  Else they are in this bucket, each below the name of its
     * workspace, and what is read of them is kept in objects_cache. */
    const struct objects_config *objects;
    const char *objects_cache;
    uint64_t objects_cache_max;
};

/* *ret is NULL for a workspace that has no store yet. */
MUST_CHECK int places_open_store(const struct places *p, const char *workspace,
                                 struct template_store **ret, struct error *err);

/* DATA/templates/WORKSPACE. */
MUST_CHECK int places_store(const struct places *p, const char *workspace, char ret[PATH_MAX],
                            struct error *err);

/* The store for a jail of a job: the directory, or one with a broker's socket. */
struct store_loan {
    char dir[PATH_MAX];
    struct template_broker *broker; /* NULL: the directory is the store */
};
MUST_CHECK int places_lend_store(const struct places *p, const char *workspace, const char *job,
                                 struct template_gate gate, struct store_loan *ret,
                                 struct error *err);
/* After the jail has ended. */
void places_loan_end(struct store_loan *l);
#define PLACES_LENT ".lent"
/* DATA/volumes/WORKSPACE/NAME.img. */
MUST_CHECK int places_volume(const struct places *p, const char *workspace, const char *name,
                             char ret[PATH_MAX], struct error *err);

/* What a workspace takes of what struct workspace_limits bounds. */
struct workspace_use {
    uint64_t builds; /* that run */
    uint64_t images; /* bytes */
    uint64_t templates;
};
MUST_CHECK int places_use(const struct places *p, struct state *s, const char *workspace,
                          struct workspace_use *ret, struct error *err);
/* Its templates alone. */
MUST_CHECK int places_templates_size(const struct places *p, const char *workspace, uint64_t *ret,
                                     struct error *err);

/* Lets a worker free what no revision of the workspace needs. */
MUST_CHECK int places_collect_later(struct state *s, const char *workspace, struct error *err);

/* What is to be done with a volume: the source of its build. */
enum volume_verb { VOLUME_CREATE, VOLUME_GROW };
struct volume_order {
    enum volume_verb verb;
    char template[TEMPLATE_NAME + 24]; /* "deps:3"; "-": an empty file system */
    uint64_t size_mb;
};
void volume_order_write(const struct volume_order *o, char ret[BUILD_SOURCE]);
MUST_CHECK int volume_order_read(const char *text, struct volume_order *ret, struct error *err);

/* The image of a volume that was made, "deps:3 2048"; false for another text, such as "". */
void volume_made_write(const struct volume_order *o, char ret[256]);
bool volume_made_read(const char *image, struct volume_order *ret);

#endif
