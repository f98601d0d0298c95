/* feature — one Dockerfile, and what its image holds: the judge of the features' tests. */
#ifndef TESTS_BUILDER_FEATURE_H
#define TESTS_BUILDER_FEATURE_H

#include "machine.h"

struct seen {
    struct buf config; /* JSON */
    struct buf files;  /* of the layers that the build made, one over the other; a line each, sorted
                          by path:
                            d 755 0:0 app
                            f 644 1000:1000 app/file "its content\n"
                            l app/link -> file
                            h app/name = app/file      (a hard link, in the layer it was made in)
                          whiteouts stand there by their names, .wh.… */
    size_t n_layers;   /* of the build's own */
};

/* Builds a and pushes it to its push_to (NULL: a repository of its workspace), and looks at the
 * image.  The test fails if it is not built. */
void features_build(const struct machine *m, struct attempt *a, struct seen *ret);
/* The same on a job of the caller's, whose context holds more. */
void features_build_on(const struct machine *m, struct builder_job *job, struct attempt *a,
                       struct seen *ret);
void features_release(struct attempt *a, struct seen *s);

/* These lines are all that the build's layers hold. */
void assert_files(const struct attempt *a, const struct seen *s, const char *lines);
/* The configuration's member, as JSON: "config.Cmd" is ["/x"]; "null": there is none. */
void assert_config(const struct seen *s, const char *member, const char *json);

/* Builds a, which must fail in the user's part with a reason that holds these words. */
void assert_refused(const struct machine *m, struct attempt *a, const char *words);

/* Runs argv… (ended by NULL) and expects success. */
void features_command(const char *program, ...);

#endif
