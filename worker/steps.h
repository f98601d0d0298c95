/* worker/steps — what the files of the pipeline's steps share. */
#ifndef WORKER_STEPS_H
#define WORKER_STEPS_H

#include "worker/run.h"

/* Tells log and event of a failure in BuildKit's way (PROTOCOL.md 6.3): the reason, the lines of
 * the Dockerfile it is about (first 0: none), the reason again. */
void step_tell(struct run *r, const char *reason, int first, int last);

/* What an outcome other than DONE and FAILED means for the build; -1 unless it is DONE. */
MUST_CHECK int step_judge(struct run *r, enum builder_outcome outcome, const char *act,
                          struct error *err);

/* git_source.c: fetches the git source of the build, sets r->source and r->revision, and tells the
 * log.  *ret_fd: an archive of the files, the caller's to close. */
MUST_CHECK int git_source_fetch(struct run *r, int *ret_fd, struct error *err);

/* import_source.c: whether the build's source is an image (BUILD_IMPORT), and the archive of its
 * build, the caller's to close. */
bool import_is_source(const char *source);
MUST_CHECK int import_source_open(struct run *r, int *ret_fd, struct error *err);

/* bases.c: fetches the images that the Dockerfile names, and, for a sandbox, looks at its base and
 * adds what that lacks. */
MUST_CHECK int step_pull(struct run *r, struct error *err);

/* pull_credentials.c: the docker config (JSON) that came with the build, with what a pull may show
 * to registries and nothing else; and that for the pull of one image. */
MUST_CHECK int pull_credentials(struct run *r, struct buf *ret, struct error *err);
MUST_CHECK int pull_credentials_for(struct run *r, const char *image, const char *users,
                                    struct buf *ret, struct error *err);

/* pull_credentials.c: whether the image lies in Kiln's own registry, and where. */
bool pull_is_own(const struct run *r, const char *image, char ret_repository[REGISTRY_REPOSITORY]);

/* current.c: whether the base store has the image as its registry does now; false also when that
 * cannot be told in a moment. */
bool base_is_current(struct run *r, const char *image);

/* reuse.c: finds the image of an identical build, and tags it for this one. */
MUST_CHECK int step_reuse(struct run *r, struct error *err);

/* push.c: sends the image to the registry. */
MUST_CHECK int step_push(struct run *r, struct error *err);

/* deploy.c: sees that the image is there and, where that is asked for, that it starts. */
MUST_CHECK int step_deploy(struct run *r, struct error *err);

/* probe.c: whether the image of the build is started once when it is deployed, and which port it
 * then has to answer on; 0: it is not. */
uint16_t probe_port(const struct run *r);
/* Starts it.  ERR_INPUT: it does not come up; log and event are told why. */
MUST_CHECK int probe_image(struct run *r, uint16_t port, struct error *err);

#endif
