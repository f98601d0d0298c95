/* programs/gc — `kiln gc`: garbage is collected now, or it is said what there is, or what was done
 * when. */
#include <string.h>

#include "base/text.h"
#include "programs/commands.h"
#include "programs/installation.h"

struct gc_words {
    bool dry, status;
    const char *only;
};

/* ---- what was done ---- */

static void print_run(void *self, const struct gc_run *r)
{
    const int64_t now = *(const int64_t *)self;
    char began[CLOCK_TEXT], size[TEXT_SIZE];
    const char *how = r->message[0]          ? r->message
                      : r->ended             ? "done"
                      : r->lease_until > now ? "at work"
                                             : "was given up";

    text_size((uint64_t)r->bytes, size);
    printf("%-10s %-20s %8.1f s %10lld %10s  %s (%s)\n", r->task,
           r->began ? clock_format_seconds(r->began, began) : "-",
           r->ended ? (double)(r->ended - r->began) / (double)NS_PER_SEC : 0.0, (long long)r->items,
           size, how, r->holder);
}

static int print_status(const struct config *c, struct state *s, struct error *err)
{
    int64_t now = clock_now(state_clock(s));

    printf("%-10s %-20s %10s %10s %10s  %s\n", "TASK", "BEGAN", "TOOK", "ITEMS", "BYTES", "HOW");
    if (state_gc_list(s, print_run, &now, err) < 0)
        return -1;
    if (c->gc_interval)
        printf("kiln serve does each every %lld s (gc_interval)\n", (long long)c->gc_interval);
    else
        printf("kiln serve does none of it by itself: gc_interval is 0\n");
    return 0;
}

/* ---- doing it ---- */

static void print_found(const char *name, const struct gc_found *f, const char *verb,
                        const char *what)
{
    char size[TEXT_SIZE];

    text_size((uint64_t)f->bytes, size);
    printf("%-10s %8lld %s, %10s  %s\n", name, (long long)f->items, verb, size, what);
}

static int work(const struct gc_config *g, const struct gc_task *t, bool dry, struct error *err)
{
    struct gc_found found;
    bool done = true;

    if ((dry ? t->look(g, &found, err) : gc_run_task(g, t, 0, &done, &found, err)) < 0)
        return error_wrap(err, "%s", t->name);
    if (!done)
        printf("%-10s is being done by somebody else\n", t->name);
    else
        print_found(t->name, &found, dry ? "would go" : "went", t->what);
    return 0;
}

static void print_blobs(const struct config *c)
{
    if (!c->registry_url[0])
        printf("registry   what was deleted of images: kiln registry collect, while kiln serve is "
               "stopped\n");
    printf("caches     are kept below their bounds as builds end; kiln prune empties them\n");
}

static int collect(const struct installation *i, const struct gc_words *w, struct error *err)
{
    const struct gc_config g = installation_gc(i, NULL);

    for (const struct gc_task *t = gc_tasks; t->name; t++)
        if ((!w->only || strcmp(w->only, t->name) == 0) && work(&g, t, w->dry, err) < 0)
            return -1;
    if (!w->only)
        print_blobs(i->config);
    return 0;
}

static int run(const struct config *c, const struct gc_words *w, struct error *err)
{
    CLEANUP(installation_release) struct installation i = {.config = c};

    if (w->status) {
        if (installation_open_state(c, NULL, &i.state, err) < 0)
            return -1;
        return print_status(c, i.state, err);
    }
    if (installation_open(c, c->data_dir, NULL, &i, err) < 0)
        return -1;
    return collect(&i, w, err);
}

static bool is_task(const char *word)
{
    for (const struct gc_task *t = gc_tasks; t->name; t++)
        if (strcmp(t->name, word) == 0)
            return true;
    return false;
}

int command_gc(const struct config *c, int argc, char **argv)
{
    struct gc_words words = {.only = NULL};
    struct error err = ERROR_INIT;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--dry-run") == 0)
            words.dry = true;
        else if (strcmp(argv[i], "--status") == 0)
            words.status = true;
        else if (!words.only && is_task(argv[i]))
            words.only = argv[i];
        else {
            fprintf(stderr, "kiln gc: unexpected word \"%s\"; see kiln gc --help\n", argv[i]);
            return 2;
        }
    }
    if (run(c, &words, &err) == 0)
        return 0;
    fprintf(stderr, "kiln gc: %s\n", err.msg);
    return 1;
}
