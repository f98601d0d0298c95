/* tests/dockerfile/stand_in — the base image that the corpus' answers were made with: it stands for
 * all of them. */
#ifndef TESTS_DOCKERFILE_STAND_IN_H
#define TESTS_DOCKERFILE_STAND_IN_H

#include "dockerfile/dockerfile.h"

static inline int give_stand_in(void *self, const char *image, const char *platform,
                                struct buf *out, bool *ret_found, struct error *err)
{
    (void)self;
    (void)image;
    (void)platform;
    buf_adds(out, "{\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                  "/sbin:/bin\"],\"Cmd\":[\"/bin/sh\"]},\"history\":[{\"created_by\":\"base\"}]}");
    *ret_found = true;
    return buf_check(out, "a configuration", err);
}

static const struct dockerfile_bases stand_ins = {.config = give_stand_in};

#endif
