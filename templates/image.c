/* templates/image — see the header. */
#include "templates/image.h"

#include <ext2fs/ext2fs.h>
#include <string.h>

#include "base/text.h"
#include "templates/ext2_channel.h"

static int set_xattr(struct build *b, struct ext2_xattr_handle *handle, const struct xattr *a,
                     struct error *err)
{
    const char *name = b->tree->names.data + a->name;
    errcode_t code = ext2fs_xattr_set(handle, name, b->tree->names.data + a->value, a->len);

    return code ? error_set(err, ERR_INPUT,
                            "the extended attribute %s of %llu bytes cannot be stored: %s; remove "
                            "it from the archive",
                            text_show(name).text, (unsigned long long)a->len, ext2_text(code))
                : 0;
}

static int write_xattrs(struct build *b, const struct node *n, struct error *err)
{
    const struct extra *x = &b->tree->extras[n->extra];
    struct ext2_xattr_handle *handle = NULL;
    errcode_t code = ext2fs_xattrs_open(b->fs, n->inode, &handle);
    int result = 0;

    if (code)
        return image_failed(err, code, "write extended attributes");
    for (uint32_t i = 0; i < x->n_xattrs && result == 0; i++)
        result = set_xattr(b, handle, &b->tree->xattrs[x->xattrs + i], err);
    code = ext2fs_xattrs_close(&handle);
    if (result == 0 && code)
        result = image_failed(err, code, "write extended attributes");
    return result;
}

static int write_all_xattrs(struct build *b, struct error *err)
{
    const struct tree *t = b->tree;

    (void)ext2fs_flush_icache(b->fs);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        const struct node *n = &t->nodes[t->preorder[i]];

        if (n->type != NODE_HARDLINK && n->extra && t->extras[n->extra].n_xattrs > 0 &&
            write_xattrs(b, n, err) < 0) {
            char path[PATH_MAX];

            nodes_path(t, t->preorder[i], path);
            return error_wrap(err, "entry %s", text_show(path).text);
        }
    }
    return 0;
}

/* Frees fs in any case. */
static int finish(struct build *b, struct error *err)
{
    errcode_t code;

    ext2fs_mark_super_dirty(b->fs);
    ext2fs_mark_bb_dirty(b->fs);
    code = ext2fs_set_gdt_csum(b->fs);
    if (code)
        return image_failed(err, code, "finish the image");
    code = ext2fs_close_free(&b->fs);
    return code ? image_failed(err, code, "finish the image") : 0;
}

int image_build(struct tree *t, int fd, struct image *ret, struct error *err)
{
    struct build b = {.tree = t, .image = ret};
    struct image_io io;
    int result;

    *ret = (struct image){.fd = fd};
    image_io_init(&io, ret);
    result = image_plan(&b, &io, err);
    if (result == 0)
        result = image_write_inodes(&b, err);
    if (result == 0)
        result = write_all_xattrs(&b, err);
    if (result == 0)
        result = finish(&b, err);
    if (b.fs)
        ext2fs_free(b.fs);
    free(b.gathered);
    if (result < 0)
        image_release(ret);
    return result;
}

void image_release(struct image *m)
{
    free(m->written);
    free(m->runs);
    m->written = NULL;
    m->runs = NULL;
}
