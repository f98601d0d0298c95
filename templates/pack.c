/* templates/pack — an archive becomes a revision:
 *
 *   scan       all names into a tree            (source, tree)
 *   build      an ext4 image's metadata         (image)
 *   pipeline   contents and metadata to chunks  (pipeline, writer)
 *   publish    packs first, then the revision   (writer, catalog)
 */
#include <string.h>

#include "templates/catalog.h"
#include "templates/pipeline.h"

#define THREADS_MAX 64

struct packing {
    struct template_store *store;
    const struct template_pack_request *req;
    struct writer *writer;
    struct source *source;
    struct tree tree;
    struct image image;
    struct storage_file spool, metadata;
    struct cuts cuts;
    struct pipeline_result result;
};

static void packing_release(struct packing *p)
{
    writer_free(p->writer);
    source_free(p->source);
    nodes_release(&p->tree);
    image_release(&p->image);
    storage_discard(p->store->storage, &p->spool);
    storage_discard(p->store->storage, &p->metadata);
    free(p->result.nodes);
    cuts_release(&p->cuts);
}

/* The folder that ext4 wants for what e2fsck finds. */
static int add_lost_and_found(struct tree *t, struct error *err)
{
    struct tree_entry e = {
        .type = NODE_DIRECTORY, .name = "lost+found", .path = "lost+found", .mode = 0700};
    uint32_t node = nodes_child(t, 0, e.path, strlen(e.path));

    if (node == TREE_NONE)
        return nodes_add(t, &e, &node, err);
    if (t->nodes[node].type == NODE_DIRECTORY)
        return 0;
    return entry_refuse(err, ERR_INPUT, e.name,
                        "in ext4 the name lost+found at the top is kept for a folder; rename it");
}

static int open_source(struct packing *p, struct error *err)
{
    const struct template_pack_request *req = p->req;
    char sub[PATH_MAX] = "";

    if (req->sub && entry_path(req->sub, &template_limits_default, sub, err) < 0)
        return -1;
    if (req->directory)
        return source_open_directory(req->directory, sub, &p->source, err);
    if (storage_create(p->store->storage, &p->spool, err) < 0)
        return -1;
    return source_open_archive(req->archive_fd, p->spool.fd, &p->source, err);
}

static int scan(struct packing *p, struct error *err)
{
    const struct template_pack_request *req = p->req;
    char sub[PATH_MAX] = "";

    if (!req->directory && req->sub && entry_path(req->sub, &template_limits_default, sub, err) < 0)
        return -1;
    if (nodes_init(&p->tree, req->limits ? req->limits : &template_limits_default, err) < 0)
        return -1;
    p->source->sub = sub;
    p->source->progress = req->progress;
    if (source_scan(p->source, &p->tree, err) < 0 || add_lost_and_found(&p->tree, err) < 0)
        return -1;
    p->source->sub = "";
    return nodes_finish(&p->tree, err);
}

static int store_image(struct packing *p, struct error *err)
{
    struct pipeline_input input = {.tree = &p->tree,
                                   .cuts = &p->cuts,
                                   .image = &p->image,
                                   .source = p->source,
                                   .threads = store_threads(p->store, THREADS_MAX),
                                   .progress = p->req->progress,
                                   .cancel = p->req->cancel};
    struct writer_hand *hand = NULL;
    int result;

    if (storage_create(p->store->storage, &p->metadata, err) < 0 ||
        image_build(&p->tree, p->metadata.fd, &p->image, err) < 0 ||
        writer_open(p->store, &p->writer, err) < 0)
        return -1;
    cuts_load(p->store, writer_view(p->writer), p->req->name, &p->cuts);
    input.writer = p->writer;
    if (image_store(&input, &p->result, err) < 0 || writer_hand_new(p->writer, &hand, err) < 0)
        return -1;
    result = writer_commit(p->writer, hand, err);
    writer_hand_free(hand);
    return result;
}

static void count(const struct tree *t, struct template_pack_report *ret)
{
    ret->content_size = t->bytes;
    ret->entries = t->n_nodes - 1;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        ret->files += t->nodes[i].type == NODE_FILE;
        ret->directories += t->nodes[i].type == NODE_DIRECTORY;
        ret->symlinks += t->nodes[i].type == NODE_SYMLINK;
        ret->hardlinks += t->nodes[i].type == NODE_HARDLINK;
    }
}

static void fill_report(const struct packing *p, struct template_pack_report *ret)
{
    struct writer_counts counts = writer_counts(p->writer);

    *ret = (struct template_pack_report){.image_size = p->image.n_blocks * IMAGE_BLOCK,
                                         .chunks = p->result.chunks,
                                         .bytes_added = counts.bytes_stored,
                                         .bytes_new = counts.bytes_new,
                                         .bytes_shared = counts.bytes_shared,
                                         .bytes_zero = p->result.bytes_zero};
    count(&p->tree, ret);
    memcpy(ret->digest, p->result.digest, sizeof(ret->digest));
    (void)snprintf(ret->ref.name, sizeof(ret->ref.name), "%s", p->req->name);
}

static int publish(struct packing *p, struct template_pack_report *r, struct error *err)
{
    struct revision_root root = {.nodes = p->result.nodes,
                                 .n_nodes = p->result.n_nodes,
                                 .info = {.ref = r->ref,
                                          .created = p->req->now,
                                          .image_size = r->image_size,
                                          .min_size = r->image_size,
                                          .content_size = r->content_size,
                                          .files = r->files,
                                          .directories = r->directories,
                                          .symlinks = r->symlinks,
                                          .bytes_added = r->bytes_added,
                                          .bytes_new = r->bytes_new,
                                          .bytes_shared = r->bytes_shared,
                                          .bytes_zero = r->bytes_zero,
                                          .chunks = r->chunks}};

    const struct catalog_publication publication = {.default_size_mb = p->req->default_size_mb,
                                                    .holder = p->req->holder};

    memcpy(root.info.digest, r->digest, sizeof(r->digest));
    if (catalog_publish(p->store, &root, &publication, &r->dropped, err) < 0)
        return -1;
    r->ref = root.info.ref;
    return 0;
}

int template_pack(struct template_store *s, const struct template_pack_request *req,
                  struct template_pack_report *ret, struct error *err)
{
    CLEANUP(packing_release)
    struct packing p = {
        .store = s, .req = req, .spool = STORAGE_FILE_INIT, .metadata = STORAGE_FILE_INIT};
    struct template_pack_report report;
    struct template_ref ref;

    if (template_ref_parse(req->name, &ref, err) < 0)
        return -1;
    if (strchr(req->name, ':'))
        return error_set(err, ERR_INPUT,
                         "a pack makes the next revision by itself: say the name alone, %s",
                         ref.name);
    if (open_source(&p, err) < 0 || scan(&p, err) < 0 || store_image(&p, err) < 0)
        return -1;
    fill_report(&p, &report);
    if (publish(&p, &report, err) < 0)
        return -1;
    *ret = report;
    return 0;
}
