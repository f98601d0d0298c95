/* run_fixture — commands run by builder/run in a real jail, on an overlay over a small tree with
 * busybox in it.
 *
 * A trial is told in words, which the inner main "run" reads in order:
 *
 *   sh=COMMAND | arg=WORD …    what is run (arg: word by word)
 *   env=K=V  cwd=DIR  user=WHO  no-network  script=NAME:TEXT
 *   bind=SOURCE:TARGET[:ro]  tmpfs=TARGET[:BYTES]  file=TARGET:MODE:UID:GID:TEXT
 *   put=PATH:MODE:TEXT  copy=FROM:PATH:MODE  link=PATH:TARGET  dir=PATH[:MODE]
 *                              made in the image before
 *   room=NAME                  makes /work/NAME, to be a bind's source
 *   cancel-at=TEXT             cancels when the command prints that line
 *   again                      runs what was asked for so far, once more at the end
 *   beside                     runs it once more at the same time, on a tree of its own
 *   lower                      runs on a plain directory instead of an overlay
 *
 * It prints "1 line" for the command's output, "2 line" for its errors when it has ended, then how
 * it ended: "exited N", "signalled N", "cancelled", or "KIND error: text"; then "diff PATH" for all
 * that the overlay holds ("diff PATH as before" for a directory that was only copied up), "bundle
 * N" for what is left in the bundle, and "processes N" for those that are left. */
#ifndef TESTS_BUILDER_RUN_FIXTURE_H
#define TESTS_BUILDER_RUN_FIXTURE_H

#include "machine.h"

extern const struct builder_inner run_fixture_inner[];

struct ran {
    struct buf said;
};

/* words ends with NULL. */
void ran_run(void **state, struct ran *r, const char *const *words);
#define RAN(state, r, ...) ran_run((state), (r), (const char *const[]){__VA_ARGS__, NULL})
void ran_release(struct ran *r);

/* The text as a whole line, or not. */
void assert_line(const struct ran *r, const char *line);
void assert_no_line(const struct ran *r, const char *line);
/* The text anywhere. */
void assert_said(const struct ran *r, const char *text);
void assert_not_said(const struct ran *r, const char *text);
/* Nothing of the container is left, and nothing but the paths given is in the diff. */
void assert_clean(const struct ran *r, const char *const *paths);
#define ASSERT_CLEAN(r, ...)                                                                       \
    assert_clean((r), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

#endif
