/* worker/pack — the steps of builds that make no image: a revision of a volume template, a volume,
 * and the collection of what no revision needs.  Each is a jail of its own, as what is read there
 * came out of an archive at some time. */
#ifndef WORKER_PACK_H
#define WORKER_PACK_H

#include "worker/facts.h"
#include "worker/places.h"
#include "worker/run.h"

/* pack.c: the archive becomes the next revision of the template, once for this build however often
 * it is tried; sets r->made. */
MUST_CHECK int step_pack(struct run *r, struct error *err);
/* volume.c: writes the volume of the build's source, new or grown; then gives it its name and sets
 * r->made. */
MUST_CHECK int step_volume(struct run *r, struct error *err);
MUST_CHECK int step_name_volume(struct run *r, struct error *err);
/* pack.c: frees what no revision of the workspace needs. */
MUST_CHECK int step_collect(struct run *r, struct error *err);

/* pack.c, once the end is recorded: lets go what the build held, and takes back what was made by
 * one that was cancelled or failed after all. */
void pack_settled(struct run *r, enum lease_verdict verdict, enum build_phase phase);

/* volume.c: what jobs that keep says no to have left. */
MUST_CHECK int volume_sweep(const struct worker_config *c,
                            bool (*keep)(void *self, const char *job), void *self,
                            struct error *err);

/* pack.c: begins the job and runs the inner main in its jail; -1 also for what it says went wrong.
 * act: "packing the archive". */
struct pack_jail {
    const char *name, *act;
    const struct argv *words;
    const struct builder_share *shares;
    size_t n_shares;
    int stdin_fd;
};
MUST_CHECK int pack_run(struct run *r, const struct pack_jail *jail, struct facts *ret,
                        struct error *err);

/* pack.c: the workspace's store, for a jail of the job. */
MUST_CHECK int pack_lend_store(struct run *r, struct store_loan *ret, struct error *err);

#endif
