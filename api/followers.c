/* api/followers — see the header. */
#include "api/followers.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

struct followers {
    pthread_mutex_t lock;
    unsigned max, max_each, max_held;
    unsigned n, n_held;
    char (*of)[NAME_SIZE]; /* the workspaces of the first n */
};

struct followers *followers_new(unsigned max, unsigned max_each, unsigned max_held)
{
    struct followers *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->of = calloc(max, sizeof(*f->of));
    if (!f->of) {
        free(f);
        return NULL;
    }
    f->max = max;
    f->max_each = max_each;
    f->max_held = max_held;
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

void followers_free(struct followers *f)
{
    if (!f)
        return;
    pthread_mutex_destroy(&f->lock);
    free(f->of);
    free(f);
}

unsigned followers_that_fit(unsigned max, unsigned others)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= others + max)
        return max;
    return files.rlim_cur > others ? (unsigned)files.rlim_cur - others : 1;
}

bool followers_enter(struct followers *f, const char *workspace, bool held)
{
    unsigned others = 0;
    bool may;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->n; i++)
        others += strcmp(f->of[i], workspace) == 0;
    may = f->n < f->max && others < f->max_each && (!held || f->n_held < f->max_held);
    if (may)
        f->n_held += held;
    if (may)
        (void)snprintf(f->of[f->n++], NAME_SIZE, "%s", workspace);
    pthread_mutex_unlock(&f->lock);
    return may;
}

void followers_leave(struct followers *f, const char *workspace, bool held)
{
    unsigned i = 0;

    pthread_mutex_lock(&f->lock);
    while (i < f->n && strcmp(f->of[i], workspace) != 0)
        i++;
    f->n_held -= held;
    if (i < f->n)
        memcpy(f->of[i], f->of[--f->n], NAME_SIZE);
    pthread_mutex_unlock(&f->lock);
}
