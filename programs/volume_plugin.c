/* programs/volume_plugin — kiln-volume, a plugin of nbdkit: a volume of a template as a block
 * device.
 *
 *   nbdkit ./nbdkit-kiln-volume-plugin.so store=DIR [template=NAME:REV] [overlay=FILE] [size=SIZE]
 *
 * Here is what nbdkit asks, in its words; templates/disk answers.  `kiln volume serve` starts it.
 */
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <nbdkit-plugin.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "templates/templates.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define GRACE        3000 /* ms for clients to go, once a signal asked for the end */

/* nbdkit gives a plugin no place of its own for what it was told and has opened. */
static struct {
    char *store_dir, *overlay, *cache_dir, *socket;
    const char *template; /* nbdkit's, which keeps it */
    int64_t size, cache;
    struct template_store *store;
    struct template_disk *disk;
    /* of the watcher */
    struct sigaction nbdkit_action[NSIG];
    int signalled, unloaded; /* eventfds */
    pthread_t watcher;
    bool watched;
} plugin = {.cache = -1, .signalled = -1, .unloaded = -1};

static int complain(const struct error *err)
{
    nbdkit_error("%s", err->msg);
    return -1;
}

static int take_path(char **to, const char *value)
{
    free(*to);
    *to = nbdkit_absolute_path(value);
    return *to ? 0 : -1;
}

static int take_size(int64_t *to, const char *value)
{
    *to = nbdkit_parse_size(value);
    return *to < 0 ? -1 : 0;
}

static int on_config(const char *key, const char *value)
{
    if (strcmp(key, "store") == 0)
        return take_path(&plugin.store_dir, value);
    if (strcmp(key, "overlay") == 0)
        return take_path(&plugin.overlay, value);
    if (strcmp(key, "cache-dir") == 0)
        return take_path(&plugin.cache_dir, value);
    if (strcmp(key, "socket") == 0)
        return take_path(&plugin.socket, value);
    if (strcmp(key, "size") == 0)
        return take_size(&plugin.size, value);
    if (strcmp(key, "cache") == 0)
        return take_size(&plugin.cache, value);
    if (strcmp(key, "template") == 0) {
        plugin.template = value;
        return 0;
    }
    nbdkit_error("there is no parameter \"%s\"; see nbdkit --help for this plugin", key);
    return -1;
}

static int on_config_complete(void)
{
    if (!plugin.store_dir || (!plugin.template && !plugin.overlay)) {
        nbdkit_error("say store=DIR, and template=NAME:REVISION or an overlay=FILE that is there");
        return -1;
    }
    if (access(plugin.store_dir, F_OK) == 0) /* opening would make it */
        return 0;
    nbdkit_error("store: %s: %m", plugin.store_dir);
    return -1;
}

static int open_disk(struct error *err)
{
    struct template_disk_request req = {.overlay = plugin.overlay,
                                        .size = (uint64_t)plugin.size,
                                        .cache_max = plugin.cache < 0 ? TEMPLATE_DISK_CACHE
                                                                      : (uint64_t)plugin.cache,
                                        .cache_dir = plugin.cache_dir};

    if (plugin.template && template_ref_parse(plugin.template, &req.ref, err) < 0)
        return -1;
    if (template_store_open(plugin.store_dir, NULL, &plugin.store, err) < 0)
        return -1;
    return template_disk_open(plugin.store, &req, &plugin.disk, err);
}

/* Before nbdkit goes to the background, so that errors are seen. */
static int on_get_ready(void)
{
    struct error err = ERROR_INIT;

    return open_disk(&err) < 0 ? complain(&err) : 0;
}

/* ---- the end ----
 *
 * nbdkit asked to end waits for its clients to go, and a mounted volume does not go by itself.  So
 * a thread waits a moment with it, and then saves what was written and ends the process. */

static void tell(int fd)
{
    const uint64_t one = 1;

    (void)!write(fd, &one, sizeof(one));
}

static void on_signal(int number)
{
    tell(plugin.signalled);
    plugin.nbdkit_action[number].sa_handler(number);
}

static void *watch(void *self)
{
    struct pollfd fds[] = {{.fd = plugin.signalled, .events = POLLIN},
                           {.fd = plugin.unloaded, .events = POLLIN}};
    struct error err = ERROR_INIT;
    int result;

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    while ((result = poll(&fds[1], 1, GRACE)) < 0 && errno == EINTR)
        continue;
    if (result != 0)
        return self;
    result = template_disk_flush(plugin.disk, &err);
    if (result < 0)
        (void)complain(&err);
    if (plugin.socket)
        (void)unlink(plugin.socket);
    _exit(result < 0 ? 1 : 0);
}

static void take_signal(int number)
{
    struct sigaction mine = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    if (sigaction(number, NULL, &plugin.nbdkit_action[number]) == 0 &&
        !(plugin.nbdkit_action[number].sa_flags & SA_SIGINFO) &&
        plugin.nbdkit_action[number].sa_handler != SIG_DFL &&
        plugin.nbdkit_action[number].sa_handler != SIG_IGN)
        (void)sigaction(number, &mine, NULL);
}

/* Threads do not outlive nbdkit's fork, so after it. */
static int on_after_fork(void)
{
    plugin.signalled = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    plugin.unloaded = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (plugin.signalled < 0 || plugin.unloaded < 0 ||
        pthread_create(&plugin.watcher, NULL, watch, NULL) != 0) {
        nbdkit_error("start a thread: %m");
        return -1;
    }
    plugin.watched = true;
    take_signal(SIGTERM);
    take_signal(SIGINT);
    return 0;
}

static void on_unload(void)
{
    if (plugin.watched) {
        tell(plugin.unloaded);
        (void)pthread_join(plugin.watcher, NULL);
    }
    if (plugin.disk && plugin.socket)
        (void)unlink(plugin.socket);
    template_disk_free(plugin.disk);
    template_store_free(plugin.store);
    free(plugin.socket);
    free(plugin.store_dir);
    free(plugin.overlay);
    free(plugin.cache_dir);
}

static void *on_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t on_get_size(void *handle)
{
    (void)handle;
    return (int64_t)template_disk_info(plugin.disk)->size;
}

static int on_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    (void)handle;
    *minimum = 1;
    *preferred = 4096;
    *maximum = 0xffffffff;
    return 0;
}

static int on_can_write(void *handle)
{
    (void)handle;
    return template_disk_info(plugin.disk)->writable;
}

/* A flush on one connection is one for all. */
static int on_yes(void *handle)
{
    (void)handle;
    return 1;
}

static int refuse(const struct error *err)
{
    nbdkit_set_error(errno == ENOSPC || errno == EFBIG ? ENOSPC : EIO);
    return complain(err);
}

static int on_pread(void *handle, void *data, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct error err = ERROR_INIT;

    (void)handle, (void)flags;
    errno = 0;
    return template_disk_read(plugin.disk, offset, data, count, &err) < 0 ? refuse(&err) : 0;
}

static int flush_if(bool asked)
{
    struct error err = ERROR_INIT;

    return asked && template_disk_flush(plugin.disk, &err) < 0 ? refuse(&err) : 0;
}

static int on_pwrite(void *handle, const void *data, uint32_t count, uint64_t offset,
                     uint32_t flags)
{
    struct error err = ERROR_INIT;

    (void)handle;
    errno = 0;
    if (template_disk_write(plugin.disk, offset, data, count, &err) < 0)
        return refuse(&err);
    return flush_if(flags & NBDKIT_FLAG_FUA);
}

/* Also of a trim: what was trimmed reads as zeros, and takes no room in the overlay. */
static int on_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct error err = ERROR_INIT;

    (void)handle;
    errno = 0;
    if (template_disk_zero(plugin.disk, offset, count, &err) < 0)
        return refuse(&err);
    return flush_if(flags & NBDKIT_FLAG_FUA);
}

static int on_flush(void *handle, uint32_t flags)
{
    (void)handle, (void)flags;
    errno = 0;
    return flush_if(true);
}

static int on_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int on_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                      struct nbdkit_extents *extents)
{
    struct error err = ERROR_INIT;
    const uint64_t end = offset + count;

    (void)handle;
    errno = 0;
    while (offset < end) {
        uint64_t len = 0;
        bool zero = false;

        if (template_disk_extent(plugin.disk, offset, end - offset, &len, &zero, &err) < 0)
            return refuse(&err);
        if (nbdkit_add_extent(extents, offset, len,
                              zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0) < 0)
            return -1;
        if (flags & NBDKIT_FLAG_REQ_ONE)
            break;
        offset += len;
    }
    return 0;
}

static struct nbdkit_plugin registered = {
    .name = "kiln-volume",
    .version = KILN_VERSION,
    .longname = "volumes of Kiln's templates",
    .description = "A revision of a template, fetched and verified as it is read, and an overlay.",
    .config = on_config,
    .config_complete = on_config_complete,
    .config_help = "store=DIR            (required) a workspace's store of templates\n"
                   "template=NAME:REV    the revision; may be left out with an overlay\n"
                   "overlay=FILE         where writes go; made when it is not there\n"
                   "size=SIZE            of the volume, where it is to be longer\n"
                   "cache=SIZE           most bytes kept of what was read (4G; 0: none)\n"
                   "cache-dir=DIR        where: beside the overlay, else /var/tmp\n"
                   "socket=FILE          removed at the end; nbdkit leaves its own",
    .magic_config_key = "store",
    .get_ready = on_get_ready,
    .after_fork = on_after_fork,
    .unload = on_unload,
    .open = on_open,
    .get_size = on_get_size,
    .block_size = on_block_size,
    .can_write = on_can_write,
    .can_flush = on_yes,
    .can_trim = on_yes,
    .can_zero = on_yes,
    .can_fua = on_can_fua,
    .can_multi_conn = on_yes,
    .can_extents = on_yes,
    .pread = on_pread,
    .pwrite = on_pwrite,
    .zero = on_zero,
    .trim = on_zero,
    .flush = on_flush,
    .extents = on_extents,
};

NBDKIT_REGISTER_PLUGIN(registered)
