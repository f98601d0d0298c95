/* templates/source — what the kinds have in common. */
#include "templates/source.h"

#include <string.h>

#define TICK 1024 /* entries */

void source_free(struct source *s)
{
    if (s)
        s->kind->release(s);
}

int source_scan(struct source *s, struct tree *t, struct error *err)
{
    if (s->kind->scan(s, t, err) < 0)
        return -1;
    if (*s->sub && !s->sub_seen)
        return error_set(err, ERR_INPUT,
                         "there is no folder \"%.200s\" in it: say the directory as it stands in "
                         "the archive",
                         s->sub);
    return 0;
}

int source_open(struct source *s, const struct tree *t, uint32_t node, struct error *err)
{
    return s->kind->open(s, t, node, err);
}

int source_read(struct source *s, uint64_t offset, void *data, size_t len, struct error *err)
{
    return s->kind->read(s, offset, data, len, err);
}

int source_hand_new(const struct source *s, void **ret, struct error *err)
{
    *ret = NULL;
    return s->kind->hand_new ? s->kind->hand_new(s, ret, err) : 0;
}

void source_hand_free(const struct source *s, void *hand)
{
    if (hand)
        s->kind->hand_free(hand);
}

bool source_can_fetch(const struct source *s, const struct tree *t, uint32_t node)
{
    const struct node *n = &t->nodes[node];

    return n->size <= FETCH_MAX && !(n->extra && t->extras[n->extra].sparse) &&
           (!s->kind->can_fetch || s->kind->can_fetch(s, n));
}

int source_fetch(const struct source *s, void *hand, const struct tree *t, uint32_t node,
                 unsigned char *data, struct error *err)
{
    return s->kind->fetch(s, hand, t, node, data, err);
}

int source_path(struct source *s, const char *name, const struct template_limits *limits,
                char path[PATH_MAX], bool *ret_wanted, struct error *err)
{
    const size_t n = strlen(s->sub);

    if (entry_path(name, limits, path, err) < 0)
        return -1;
    *ret_wanted = n == 0 || (strncmp(path, s->sub, n) == 0 && (path[n] == '/' || path[n] == '\0'));
    if (n == 0 || !*ret_wanted)
        return 0;
    s->sub_seen = true;
    memmove(path, path + n + (path[n] == '/'), strlen(path + n) + (path[n] != '/'));
    return 0;
}

void source_tick(struct source *s)
{
    if (++s->scanned % TICK == 0 && s->progress)
        s->progress->report(s->progress->self, TEMPLATE_SCANNING, s->scanned, 0);
}
