/* templates/verify — reads everything once, and says of all that is wrong where it is. */
#include <string.h>

#include "templates/reach.h"
#include "templates/record.h"

struct verification {
    struct template_store *store;
    struct view view;
    struct reader reader;
    bool has_reader;
    const struct template_progress *progress;
    uint64_t total; /* stored bytes of packs, and bytes of images if those are read */
    uint64_t done;
    struct template_verify_report *report;
};

void template_verify_report_release(struct template_verify_report *r)
{
    argv_release(&r->damage);
}

static void note(struct verification *v, const char *what, const struct error *err)
{
    argv_pushf(&v->report->damage, "%s%s%s", what, *what ? ": " : "", err->msg);
}

/* ---- packs ---- */

static int compare_places(const void *a, const void *b)
{
    const struct pack_chunk *x = a;
    const struct pack_chunk *y = b;

    if (x->frame != y->frame)
        return x->frame < y->frame ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void advance(struct verification *v, uint64_t bytes)
{
    v->done += bytes;
    if (v->progress)
        v->progress->report(v->progress->self, TEMPLATE_WRITING, v->done, v->total);
}

/* Every chunk in the order of the file, so that each frame is read once. */
static int verify_chunks(struct verification *v, const struct pack *p, struct error *err)
{
    CLEANUP_FREE struct pack_chunk *rows = calloc((size_t)p->n_chunks + 1, sizeof(*rows));
    uint32_t bad_frame = UINT32_MAX, frame = UINT32_MAX;

    if (!rows)
        return error_set(err, ERR_SYSTEM, "verify: out of memory");
    for (uint32_t i = 0; i < p->n_chunks; i++)
        rows[i] = pack_chunk(p, i);
    qsort(rows, p->n_chunks, sizeof(*rows), compare_places);
    for (uint32_t i = 0; i < p->n_chunks; i++) {
        struct error problem = ERROR_INIT;
        const unsigned char *data = NULL;

        if (rows[i].frame == bad_frame)
            continue; /* it was named once */
        if (rows[i].frame != frame)
            advance(v, pack_frame(p, rows[i].frame).stored);
        frame = rows[i].frame;
        if (reader_chunk(&v->reader, p, &rows[i], &data, &problem) < 0) {
            note(v, "", &problem);
            bad_frame = frame;
        }
        v->report->chunks++;
        v->report->bytes += rows[i].len;
    }
    return 0;
}

static int verify_pack(struct verification *v, const struct pack *p, struct error *err)
{
    struct error problem = ERROR_INIT;

    v->report->packs++;
    if (pack_check_tables(&v->store->hasher, p, &problem) < 0) {
        note(v, "", &problem);
        return 0;
    }
    return verify_chunks(v, p, err);
}

/* As view_open, but a pack that cannot be opened is noted, and the others are looked at. */
static int open_packs(struct verification *v, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (storage_list(v->store->storage, AREA_PACKS, &names, err) < 0)
        return -1;
    v->view.hasher = &v->store->hasher;
    v->view.packs = calloc(names.n + 1, sizeof(*v->view.packs));
    if (!v->view.packs)
        return error_set(err, ERR_SYSTEM, "verify: out of memory");
    for (size_t i = 0; i < names.n; i++) {
        struct error problem = ERROR_INIT;
        struct pack_origin origin;
        int fd = -1;

        if (storage_open_pack(v->store->storage, names.v[i], &fd, &origin, err) < 0)
            return -1;
        if (fd < 0)
            continue;
        if (pack_open(&v->store->hasher, names.v[i], fd, origin, &v->view.packs[v->view.n_packs],
                      &problem) < 0) {
            note(v, "", &problem);
            continue;
        }
        v->total += v->view.packs[v->view.n_packs++].size;
    }
    return 0;
}

/* ---- revisions ---- */

static int check_entry(void *self, struct address a, const struct entry *e, struct error *err)
{
    struct verification *v = self;
    struct pack_chunk c;

    if (!view_find(&v->view, a, &v->reader.near, &c))
        return error_set(err, ERR_SYSTEM, "chunk %016llx%016llx is in no pack",
                         (unsigned long long)a.high, (unsigned long long)a.low);
    if (e && c.len != e->len)
        return error_set(err, ERR_SYSTEM, "chunk %016llx%016llx has %u bytes instead of %llu",
                         (unsigned long long)a.high, (unsigned long long)a.low, c.len,
                         (unsigned long long)e->len);
    return 0;
}

static int check_digest(struct verification *v, const struct template_ref *ref,
                        const char *expected, struct error *err)
{
    enum { STEP = 1 << 20 };
    struct template_revision *r = NULL;
    CLEANUP_FREE unsigned char *data = malloc(STEP);
    CLEANUP(sha256_freep) struct sha256 *sha = NULL;
    unsigned char digest[SHA256_SIZE];
    char hex[SHA256_HEX];
    uint64_t size;
    int result = 0;

    if (!data || sha256_new(&sha, err) < 0 || template_revision_open(v->store, ref, &r, err) < 0)
        return data ? -1 : error_set(err, ERR_SYSTEM, "verify: out of memory");
    size = template_revision_info(r)->image_size;
    for (uint64_t at = 0; at < size && result == 0; at += STEP) {
        size_t n = size - at < STEP ? (size_t)(size - at) : STEP;

        result = template_revision_read(r, at, data, n, err);
        if (result == 0)
            sha256_add(sha, data, n);
        advance(v, n);
    }
    template_revision_free(r);
    if (result < 0)
        return -1;
    sha256_end(sha, digest);
    digest_hex(digest, sizeof(digest), hex);
    return strcmp(hex, expected) == 0
               ? 0
               : error_set(err, ERR_SYSTEM, "its image has the SHA-256 %s instead of %s", hex,
                           expected);
}

/* A whole image that volumes are cloned from, if there is one. */
static int check_raw(struct template_store *s, const char *name, const char *expected,
                     struct error *err)
{
    enum { STEP = 1 << 20 };
    CLEANUP_FREE unsigned char *data = malloc(STEP);
    CLEANUP(sha256_freep) struct sha256 *sha = NULL;
    CLEANUP_CLOSE int fd = -1;
    unsigned char digest[SHA256_SIZE];
    char hex[SHA256_HEX];
    ssize_t n;

    if (!data)
        return error_set(err, ERR_SYSTEM, "verify: out of memory");
    if (storage_open(s->storage, AREA_RAW, name, &fd, err) < 0)
        return -1;
    if (fd < 0)
        return 0;
    if (sha256_new(&sha, err) < 0)
        return -1;
    while ((n = read(fd, data, STEP)) > 0)
        sha256_add(sha, data, (size_t)n);
    sha256_end(sha, digest);
    digest_hex(digest, sizeof(digest), hex);
    if (n == 0 && strcmp(hex, expected) == 0)
        return 0;
    return error_set(err, ERR_SYSTEM,
                     "the file raw/%s is damaged: delete it, and the next volume makes it again",
                     name);
}

static void verify_revision(struct verification *v, const char *name, bool images)
{
    const struct reach_visitor visitor = {.each = check_entry, .self = v};
    struct revision_root root = {.n_nodes = 0};
    struct error problem = ERROR_INIT;
    struct template_ref ref;
    char what[REVISION_NAME + 16];

    (void)snprintf(what, sizeof(what), "revision %s", name);
    if (!catalog_parse(name, &ref))
        return;
    v->report->revisions++;
    if (catalog_load(v->store, &ref, &root, &problem) < 0)
        note(v, "", &problem);
    else if (reach_revision(&v->reader, &root, &visitor, &problem) < 0)
        note(v, what, &problem);
    else if (images && check_digest(v, &ref, root.info.digest, &problem) < 0)
        note(v, what, &problem);
    else if (images && check_raw(v->store, name, root.info.digest, &problem) < 0)
        note(v, what, &problem);
    free(root.nodes);
}

/* For progress alone: what cannot be read is told later. */
static void count_images(struct verification *v, const struct argv *names)
{
    for (size_t i = 0; i < names->n; i++) {
        struct revision_root root = {.n_nodes = 0};
        struct error ignored = ERROR_INIT;
        struct template_ref ref;

        if (catalog_parse(names->v[i], &ref) && catalog_load(v->store, &ref, &root, &ignored) == 0)
            v->total += root.info.image_size;
        free(root.nodes);
    }
}

/* ---- templates ---- */

static int verify_records(struct verification *v, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (storage_list(v->store->storage, AREA_TEMPLATES, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        struct error problem = ERROR_INIT;
        struct record record;

        if (record_read(v->store, names.v[i], &record, &problem) < 0)
            note(v, "", &problem);
    }
    return 0;
}

static int verify_all(struct verification *v, bool images, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    /* Revisions before packs: what is published while this runs is not looked at. */
    if (catalog_roots(v->store, &names, err) < 0 || open_packs(v, err) < 0 ||
        reader_init(&v->reader, &v->view, err) < 0)
        return -1;
    v->has_reader = true;
    if (images && v->progress)
        count_images(v, &names);
    for (size_t i = 0; i < v->view.n_packs; i++)
        if (verify_pack(v, &v->view.packs[i], err) < 0)
            return -1;
    for (size_t i = 0; i < names.n; i++)
        verify_revision(v, names.v[i], images);
    if (verify_records(v, err) < 0)
        return -1;
    return v->report->damage.failed ? error_set(err, ERR_SYSTEM, "verify: out of memory") : 0;
}

int template_verify(struct template_store *s, bool images, const struct template_progress *progress,
                    struct template_verify_report *ret, struct error *err)
{
    struct verification v = {.store = s, .progress = progress, .report = ret};
    int result;

    *ret = (struct template_verify_report){.damage = ARGV_INIT};
    result = verify_all(&v, images, err);
    if (v.has_reader)
        reader_release(&v.reader);
    view_release(&v.view);
    if (result < 0)
        template_verify_report_release(ret);
    return result;
}
