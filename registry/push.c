/* registry — an image is pushed: its blobs by several threads, and then its manifest. */
#include <pthread.h>
#include <string.h>

#include "base/digest.h"
#include "base/fs.h"
#include "registry/registry.h"

#define AT_ONCE     4
#define AT_ONCE_MAX 16

struct push {
    const struct registry *r;
    const struct registry_image *image;
    struct registry_layer config;

    pthread_mutex_t lock;
    size_t next; /* blob: the layers, then the config */
    bool failed; /* err says why; nothing new is begun */
    struct error err;
    uint64_t sent, skipped;
};

/* ---- one blob ---- */

static int open_config(void *self, int *ret_fd, struct error *err)
{
    const struct registry_image *image = self;

    return fs_memory_file("config", image->config, image->config_len, ret_fd, err);
}

static int send_blob(const struct push *p, const struct registry_layer *l, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (l->open(l->self, &fd, err) < 0)
        return error_wrap(err, "open %s", l->digest);
    return registry_put_blob(p->r, p->image->repository, l->digest, fd, l->size, err);
}

/* *ret_sent false: the registry had it. */
static int push_blob(const struct push *p, const struct registry_layer *l, bool *ret_sent,
                     struct error *err)
{
    enum registry_presence presence = REGISTRY_ABSENT;
    bool mounted = false;

    if (registry_has_blob(p->r, p->image->repository, l->digest, &presence, err) < 0)
        return -1;
    *ret_sent = false;
    if (presence == REGISTRY_PRESENT)
        return 0;
    if (l->mount_from && strcmp(l->mount_from, p->image->repository) != 0 &&
        registry_mount_blob(p->r, p->image->repository, l->digest, l->mount_from, &mounted, err) <
            0)
        return -1;
    *ret_sent = !mounted;
    return mounted ? 0 : send_blob(p, l, err);
}

/* ---- all of them ---- */

/* The same layer twice in one image is sent once. */
static bool is_repeated(const struct registry_image *image, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(image->layers[k].digest, image->layers[i].digest) == 0)
            return true;
    return false;
}

/* NULL when nothing is left to be begun. */
static const struct registry_layer *take(struct push *p)
{
    const struct registry_layer *l = NULL;

    pthread_mutex_lock(&p->lock);
    while (p->next < p->image->n_layers && is_repeated(p->image, p->next))
        p->next++;
    if (!p->failed && p->next <= p->image->n_layers) {
        l = p->next < p->image->n_layers ? &p->image->layers[p->next] : &p->config;
        p->next++;
    }
    pthread_mutex_unlock(&p->lock);
    return l;
}

static void *push_blobs(void *self)
{
    struct push *p = self;

    for (const struct registry_layer *l = take(p); l; l = take(p)) {
        struct error err = ERROR_INIT;
        bool sent = false;
        int result = push_blob(p, l, &sent, &err);

        pthread_mutex_lock(&p->lock);
        if (result < 0 && !p->failed)
            p->err = err;
        p->failed = p->failed || result < 0;
        *(sent ? &p->sent : &p->skipped) += l->size;
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* The calling thread is one of them, so it works even where no other can be had. */
static void run(struct push *p)
{
    pthread_t threads[AT_ONCE_MAX - 1];
    size_t want = p->image->at_once > 0 ? (size_t)p->image->at_once : AT_ONCE;
    size_t n = 0;

    want = want > AT_ONCE_MAX ? AT_ONCE_MAX : want;
    want = want > p->image->n_layers + 1 ? p->image->n_layers + 1 : want;
    while (n + 1 < want && pthread_create(&threads[n], NULL, push_blobs, p) == 0)
        n++;
    (void)push_blobs(p);
    while (n > 0)
        pthread_join(threads[--n], NULL);
}

int registry_push(const struct registry *r, const struct registry_image *image,
                  struct registry_pushed *ret, struct error *err)
{
    char config[REGISTRY_DIGEST] = "sha256:";
    struct push p = {.r = r,
                     .image = image,
                     .config = {.digest = config,
                                .size = image->config_len,
                                .open = open_config,
                                .self = (void *)image}};
    char digest[REGISTRY_DIGEST];

    digest_sha256_hex(image->config, image->config_len, config + strlen(config));
    pthread_mutex_init(&p.lock, NULL);
    run(&p);
    pthread_mutex_destroy(&p.lock);
    if (p.failed) {
        *err = p.err;
        return -1;
    }
    if (registry_put_manifest(r, image->repository, image->tag, image->media_type, image->manifest,
                              image->manifest_len, digest, err) < 0)
        return -1;
    *ret = (struct registry_pushed){.sent = p.sent, .skipped = p.skipped};
    memcpy(ret->digest, digest, sizeof(digest));
    return 0;
}
