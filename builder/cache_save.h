/* builder/cache_save — after a build, in a jail of its own: makes what other workers shall have of
 * it that the build itself did not need, layers of steps and of cache mounts.
 *
 * On standard input, JSON:
 *   {"steps": [keys of records without a layer], "epoch": …, "threads": …,
 *    "mounts": [{"name": …, "mark": as it is known to the registry or ""}], "mounts_max": bytes}
 * and on standard output:
 *   {"steps": {key: layer}, "mounts": {name: as cache_mount_json}, "notes": [texts]}
 * with what could be made.  Layers are in the cache's blobs; nothing else names those of mounts. */
#ifndef BUILDER_CACHE_SAVE_H
#define BUILDER_CACHE_SAVE_H

/* The word behind BUILDER_EXECUTE and the job by which it is run. */
#define CACHE_SAVE "save"

/* An inner main: cache is its path, job a name in its tmp. */
int cache_save_main(const char *cache, const char *job);

#endif
