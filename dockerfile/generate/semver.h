/* dockerfile/generate/semver — versions and the ranges of npm ("^20.1 || >=22", "18.x", "1 - 3").
 *
 * A range is a list of intervals, one for each part between "||".  Prerelease and build parts are
 * read and left out of account: what is chosen with a range is the image of a released program. */
#ifndef DOCKERFILE_GENERATE_SEMVER_H
#define DOCKERFILE_GENERATE_SEMVER_H

#include <stdbool.h>
#include <stddef.h>

#define SEMVER_PART_MAX         999999                /* of what a text may hold */
#define SEMVER_NEWEST           (SEMVER_PART_MAX + 1) /* as a part: newer than all that is named */
#define SEMVER_TEXT_MAX         256
#define SEMVER_ALTERNATIVES_MAX 32

struct semver {
    unsigned v[3]; /* major, minor, patch */
};

struct semver_interval {
    struct semver low, high; /* low <= x < high */
};

struct semver_range {
    struct semver_interval v[SEMVER_ALTERNATIVES_MAX]; /* none of them empty */
    size_t n;                                          /* 0: nothing satisfies it */
};

int semver_compare(const struct semver *a, const struct semver *b);

/* "22", "v22.4", "22.4.1-rc.1+sha": the whole text.  *ret_parts: how many are given, 1 to 3; the
 * others are 0.  False, and nothing set, for anything else. */
bool semver_parse(const char *text, struct semver *ret, int *ret_parts);

/* False, and nothing set: no range as node-semver reads it, or larger than the limits. */
bool semver_range_parse(const char *text, struct semver_range *ret);

bool semver_range_allows(const struct semver_range *r, const struct semver *version);

#endif
