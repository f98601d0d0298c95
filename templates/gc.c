/* templates/gc — chunks that nobody needs go, beside those who pack and read.
 *
 * Nothing is taken from a pack; a pack goes as a whole, in three steps:
 *
 *   condemn  with the lock: a pack is marked when little of it is reachable from the revisions.
 *            Who begins to pack from now on does not see it.
 *   copy     without the lock, as any packer would: what is reachable in it goes to a new pack.
 *   remove   with the lock: a marked pack goes when no session has seen it and all that revisions
 *            need of it is in packs that stay.  A revision that was published meanwhile counts.
 *
 * What a session makes is left alone until it has ended: its revision comes after its packs.
 * Whoever began before the mark has the pack in its session, so it stays until that session has
 * ended, and what it published is looked at.  Two collectors at once do each other no harm. */
#include <string.h>

#include "templates/reach.h"
#include "templates/writer.h"

/* A pack is condemned when less than this share of it, in hundredths, is needed. */
#define WORTH_KEEPING 70

struct survey {
    const struct template_progress *progress;
    struct view view; /* all packs, condemned ones too */
    struct reader reader;
    bool has_reader;
    struct address_set reach; /* a: number of the pack that it is taken from, plus 1 */
    struct argv condemned;    /* names */
    struct argv sessions;
};

static void survey_release(struct survey *s)
{
    if (s->has_reader)
        reader_release(&s->reader);
    view_release(&s->view);
    address_set_release(&s->reach);
    argv_release(&s->condemned);
    argv_release(&s->sessions);
}

/* Each reachable chunk is taken from one pack: from one that is not condemned, if there is. */
static void assign(struct survey *s, bool condemned)
{
    for (size_t i = 0; i < s->view.n_packs; i++) {
        if (argv_contains(&s->condemned, s->view.packs[i].name) != condemned)
            continue;
        for (uint32_t k = 0; k < s->view.packs[i].n_chunks; k++) {
            struct address_row *row =
                address_set_find(&s->reach, pack_chunk(&s->view.packs[i], k).address);

            if (row && row->a == 0)
                row->a = (uint32_t)i + 1;
        }
    }
}

/* With the lock. */
static int look(struct template_store *store, struct survey *s, struct error *err)
{
    if (storage_list(store->storage, AREA_CONDEMNED, &s->condemned, err) < 0 ||
        storage_sessions(store->storage, &s->sessions, err) < 0 ||
        view_open(store, true, &s->view, err) < 0)
        return -1;
    if (reader_init(&s->reader, &s->view, err) < 0)
        return -1;
    s->has_reader = true;
    for (size_t i = 0; i < s->view.n_packs; i++)
        if (pack_check_tables(&store->hasher, &s->view.packs[i], err) < 0)
            return -1;
    if (reach_all(store, &s->reader, s->progress, &s->reach, err) < 0)
        return -1;
    assign(s, false);
    assign(s, true);
    return 0;
}

/* Raw bytes of a pack, and of those that are taken from it. */
static void weigh(const struct survey *s, size_t pack, uint64_t *ret_all, uint64_t *ret_needed)
{
    const struct pack *p = &s->view.packs[pack];

    *ret_all = *ret_needed = 0;
    for (uint32_t k = 0; k < p->n_chunks; k++) {
        struct pack_chunk c = pack_chunk(p, k);
        const struct address_row *row = address_set_find(&s->reach, c.address);

        *ret_all += c.len;
        *ret_needed += row && row->a == pack + 1 ? c.len : 0;
    }
}

/* Whether a session that lives has made it: no revision may need it yet. */
static bool is_fresh(const struct survey *s, const char *pack)
{
    char family[PACK_FAMILY + 1];

    (void)snprintf(family, sizeof(family), "%.*s", PACK_FAMILY, pack);
    return argv_contains(&s->sessions, family);
}

/* ---- condemn ---- */

static int condemn(struct template_store *store, struct survey *s, struct argv *to_copy,
                   struct error *err)
{
    for (size_t i = 0; i < s->view.n_packs; i++) {
        const char *name = s->view.packs[i].name;
        bool marked = argv_contains(&s->condemned, name);
        uint64_t all, needed;
        int result = 0;

        if (is_fresh(s, name))
            continue;
        weigh(s, i, &all, &needed);
        if (needed * 100 >= all * WORTH_KEEPING && needed > 0) {
            if (marked)
                result = storage_remove(store->storage, AREA_CONDEMNED, name, err);
        } else {
            if (!marked)
                result = storage_put(store->storage, AREA_CONDEMNED, name, "", 0, err);
            if (needed > 0)
                argv_push1(to_copy, name);
        }
        if (result < 0)
            return -1;
    }
    return to_copy->failed ? error_set(err, ERR_SYSTEM, "gc: out of memory") : 0;
}

/* ---- copy ---- */

/* *done: raw bytes so far, of total. */
static int copy_pack(struct survey *s, size_t pack, struct writer *w, struct writer_hand *hand,
                     uint64_t *done, uint64_t total, struct error *err)
{
    const struct pack *p = &s->view.packs[pack];

    for (uint32_t k = 0; k < p->n_chunks; k++) {
        struct pack_chunk c = pack_chunk(p, k);
        const struct address_row *row = address_set_find(&s->reach, c.address);
        const unsigned char *data = NULL;

        if (!row || row->a != pack + 1)
            continue;
        if (reader_chunk(&s->reader, p, &c, &data, err) < 0 ||
            writer_keep(w, hand, c.address, data, c.len, err) < 0)
            return -1;
        *done += c.len;
        if (s->progress)
            s->progress->report(s->progress->self, TEMPLATE_WRITING, *done, total);
    }
    return 0;
}

static int copy(struct template_store *store, struct survey *s, const struct argv *names,
                struct error *err)
{
    struct writer *w = NULL;
    struct writer_hand *hand = NULL;
    uint64_t done = 0, total = 0, all, needed;
    int result = writer_open(store, &w, err);

    if (result == 0)
        result = writer_hand_new(w, &hand, err);
    for (size_t i = 0; i < s->view.n_packs; i++)
        if (argv_contains(names, s->view.packs[i].name)) {
            weigh(s, i, &all, &needed);
            total += needed;
        }
    for (size_t i = 0; result == 0 && i < s->view.n_packs; i++)
        if (argv_contains(names, s->view.packs[i].name))
            result = copy_pack(s, i, w, hand, &done, total, err);
    if (result == 0)
        result = writer_commit(w, hand, err);
    writer_hand_free(hand);
    writer_free(w);
    return result;
}

/* ---- remove ---- */

static int remove_pack(struct template_store *store, const struct pack *p,
                       struct template_gc_report *report, struct error *err)
{
    if (storage_remove(store->storage, AREA_PACKS, p->name, err) < 0 ||
        storage_remove(store->storage, AREA_CONDEMNED, p->name, err) < 0)
        return -1;
    report->packs_removed++;
    report->bytes_freed += p->size;
    return 0;
}

static int remove_condemned(struct template_store *store, struct survey *s,
                            struct template_gc_report *report, struct error *err)
{
    for (size_t i = 0; i < s->view.n_packs; i++) {
        const struct pack *p = &s->view.packs[i];
        uint64_t all, needed;
        bool may;

        if (!argv_contains(&s->condemned, p->name)) {
            report->bytes_live += p->size;
            continue;
        }
        weigh(s, i, &all, &needed);
        if (storage_may_remove(store->storage, p->name, &may, err) < 0)
            return -1;
        if (may && needed == 0 && !argv_contains(&s->sessions, p->name) && !is_fresh(s, p->name)) {
            if (remove_pack(store, p, report, err) < 0)
                return -1;
            continue;
        }
        report->packs_waiting++;
        report->bytes_waiting += p->size;
    }
    return 0;
}

/* ---- the whole ---- */

static int first_look(struct template_store *store, struct survey *s, struct argv *to_copy,
                      struct error *err)
{
    int lock = -1;
    int result;

    if (storage_lock(store->storage, true, &lock, err) < 0)
        return -1;
    result = storage_sweep(store->storage, err);
    if (result == 0)
        result = look(store, s, err);
    if (result == 0)
        result = condemn(store, s, to_copy, err);
    storage_unlock(store->storage, &lock);
    return result;
}

static int last_look(struct template_store *store, const struct template_progress *progress,
                     struct template_gc_report *report, struct error *err)
{
    CLEANUP(survey_release) struct survey s = {.progress = progress};
    int lock = -1;
    int result;

    if (storage_lock(store->storage, true, &lock, err) < 0)
        return -1;
    result = look(store, &s, err);
    if (result == 0)
        result = remove_condemned(store, &s, report, err);
    storage_unlock(store->storage, &lock);
    return result;
}

int template_gc(struct template_store *store, const struct template_progress *progress,
                struct template_gc_report *ret, struct error *err)
{
    CLEANUP(survey_release) struct survey s = {.progress = progress};
    CLEANUP(argv_release) struct argv to_copy = ARGV_INIT;
    struct template_gc_report report = {.packs_removed = 0};

    if (first_look(store, &s, &to_copy, err) < 0)
        return error_wrap(err, "collect what is not needed");
    if (to_copy.n > 0 && copy(store, &s, &to_copy, err) < 0)
        return error_wrap(err, "collect what is not needed");
    report.packs_rewritten = to_copy.n;
    if (last_look(store, progress, &report, err) < 0)
        return error_wrap(err, "collect what is not needed");
    *ret = report;
    return 0;
}

static void weigh_all(const struct survey *s, struct template_gc_report *report)
{
    for (size_t i = 0; i < s->view.n_packs; i++) {
        const struct pack *p = &s->view.packs[i];
        uint64_t all, needed;

        weigh(s, i, &all, &needed);
        if (is_fresh(s, p->name) || (needed > 0 && needed * 100 >= all * WORTH_KEEPING)) {
            report->bytes_live += p->size;
            continue;
        }
        /* As much of it is copied as is needed. */
        report->packs_waiting++;
        report->bytes_waiting +=
            all ? p->size - (uint64_t)((double)needed / (double)all * (double)p->size) : p->size;
    }
}

int template_gc_look(struct template_store *store, struct template_gc_report *ret,
                     struct error *err)
{
    CLEANUP(survey_release) struct survey s = {.has_reader = false};
    struct template_gc_report report = {.packs_removed = 0};
    int lock = -1;
    int result;

    if (storage_lock(store->storage, false, &lock, err) < 0)
        return error_wrap(err, "look for what is not needed");
    result = look(store, &s, err);
    if (result == 0)
        weigh_all(&s, &report);
    storage_unlock(store->storage, &lock);
    if (result < 0)
        return error_wrap(err, "look for what is not needed");
    *ret = report;
    return 0;
}
