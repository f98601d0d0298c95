/* builder/copy_links — where files that have several names were copied to, so that the second name
 * becomes a link. */
#ifndef BUILDER_COPY_LINKS_H
#define BUILDER_COPY_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define COPY_LINKS_MAX (1U << 20) /* files kept in mind; what is beyond becomes a copy */

struct copy_link; /* an inode, and where it is now */

struct copy_links {
    struct copy_link *v;
    size_t n, cap; /* cap: a power of two, or 0 */
};

/* Forgets all. */
void copy_links_release(struct copy_links *l);

/* The path that was given for that file; NULL: none. */
const char *copy_links_find(const struct copy_links *l, const struct stat *st);

/* Keeps a copy of path for it, if there is memory and room. */
void copy_links_add(struct copy_links *l, const struct stat *st, const char *path);

#endif
