/* templates/disk — a served volume, from inside. */
#ifndef TEMPLATES_DISK_H
#define TEMPLATES_DISK_H

#include "templates/disk_cache.h"
#include "templates/overlay.h"

struct template_disk {
    struct template_disk_info info;
    struct template_revision *revision;
    struct disk_cache cache;
    struct overlay overlay; /* fd -1: none */
};

static inline bool disk_has_overlay(const struct template_disk *d)
{
    return d->overlay.fd >= 0;
}

#endif
