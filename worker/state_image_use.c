/* worker/state_image_use — which images resources use: the one that a resource's last build made,
 * or that its description names.
 *
 * A description may name an image of the workspace as "type/name", with or without the workspace
 * and the registry's host before it, with a tag or a digest behind; without either, latest is
 * meant.  In doubt an image is used: what is deleted does not come back. */
#include <string.h>
#include <strings.h>

#include "worker/state_internal.h"

struct mention {
    char image[256]; /* "type/name" */
    char tag[129];
    char digest[DIGEST_SIZE]; /* "": the tag counts */
    bool relative;            /* neither host nor workspace was named */
};

/* Takes the tag and the digest off the end of text; what is left is ret->image. */
static void cut_tail(const char *text, struct mention *ret)
{
    size_t len = strcspn(text, "@");
    const char *slash;
    char *colon;

    COPY_TEXT(ret->digest, text[len] ? text + len + 1 : "");
    (void)snprintf(ret->image, sizeof(ret->image), "%.*s", (int)len, text);
    slash = strrchr(ret->image, '/');
    colon = slash ? strchr(slash, ':') : NULL;
    COPY_TEXT(ret->tag, colon ? colon + 1 : "latest");
    if (colon)
        *colon = '\0';
}

/* False: text names no image that the workspace could have. */
static bool read_mention(const char *text, const char *workspace, const char *registry,
                         struct mention *ret)
{
    size_t host = strlen(registry);
    size_t owner = strlen(workspace);
    const char *rest = text;
    const char *slash;

    if (strncasecmp(rest, registry, host) == 0 && rest[host] == '/')
        rest += host + 1;
    if (strncmp(rest, workspace, owner) == 0 && rest[owner] == '/' && strchr(rest + owner + 1, '/'))
        rest += owner + 1;
    cut_tail(rest, ret);
    ret->relative = rest == text;
    slash = strchr(ret->image, '/');
    return slash && !strchr(slash + 1, '/');
}

/* ---- one image ---- */

/* ?1, ?2, ?3: the target.  Resources of another workspace mean their own image by a relative name,
 * if they have one of that name. */
#define POSSIBLE_USERS                                                                             \
    "select r.workspace, r.type, r.name, r.image,"                                                 \
    " ifnull(json_extract(r.spec, '$.runtime.image'), ''),"                                        \
    " r.workspace <> ?1 and exists (select 1 from images o where o.workspace = r.workspace"        \
    "  and o.type = ?2 and o.name = ?3)"                                                           \
    " from resources r where r.workspace = ?1 or r.workspace in"                                   \
    " (select target from image_shares where workspace = ?1 and type = ?2 and name = ?3)"          \
    " order by r.workspace <> ?1, r.workspace, r.type, r.name"

struct wanted {
    const struct target *t;
    const char *tag; /* NULL: any */
    const struct argv *digests;
    const char *registry;
};

static bool is_meant(const struct wanted *w, const char *text, bool hidden)
{
    struct mention m;
    char image[2 * NAME_SIZE];

    if (!read_mention(text, w->t->workspace, w->registry, &m) || (m.relative && hidden))
        return false;
    (void)snprintf(image, sizeof(image), "%s/%s", w->t->type, w->t->name);
    if (strcmp(m.image, image) != 0)
        return false;
    if (!w->tag)
        return true;
    return m.digest[0] ? argv_contains(w->digests, m.digest) : strcmp(m.tag, w->tag) == 0;
}

int image_find_user(struct state *s, const struct target *t, const char *tag,
                    const struct argv *digests, const char *registry, bool *ret_found,
                    struct image_user *ret, struct error *err)
{
    const struct wanted w = {t, tag, digests, registry};
    int rc = 0;

    *ret_found = false;
    QUERY(q, s->db, POSSIBLE_USERS);
    bind_target(&q, t);
    while (!*ret_found && query_row(&q, &rc, err)) {
        bool hidden = query_get_int(&q, 5);

        *ret_found = is_meant(&w, query_get_text(&q, 3), hidden) ||
                     is_meant(&w, query_get_text(&q, 4), hidden);
        COPY_TEXT(ret->workspace, query_get_text(&q, 0));
        COPY_TEXT(ret->type, query_get_text(&q, 1));
        COPY_TEXT(ret->name, query_get_text(&q, 2));
    }
    return rc;
}

/* ---- all images ---- */

static void add_use(const char *text, const char *workspace, const char *registry, struct argv *ret)
{
    struct mention m;

    if (!read_mention(text, workspace, registry, &m))
        return;
    argv_push1(ret, m.image);
    if (m.digest[0])
        argv_pushf(ret, "%s@%s", m.image, m.digest);
    else
        argv_pushf(ret, "%s:%s", m.image, m.tag);
}

int image_uses(struct state *s, const char *workspace, const char *registry, struct argv *ret,
               struct error *err)
{
    int rc = 0;

    QUERY(q, s->db,
          "select image from resources where workspace = ?1 and image <> '' union"
          " select json_extract(spec, '$.runtime.image') from resources where workspace = ?1");
    query_text(&q, workspace);
    while (query_row(&q, &rc, err)) {
        add_use(query_get_text(&q, 0), workspace, registry, ret);
    }
    if (rc < 0)
        return -1;
    if (ret->failed)
        return error_set(err, ERR_SYSTEM, "list what resources use: out of memory");
    argv_sort(ret);
    return 0;
}
