/* programs/volume_words — see the header. */
#include "programs/volume_words.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

static int choose_named(const struct config *config, const struct template_words *w,
                        struct volume_choice *c, struct error *err)
{
    const char *name = w->plain[0];
    char dir[PATH_MAX];
    struct template_ref checked;

    if (w->overlay)
        return error_set(err, ERR_INPUT, "say a name or --overlay, not both");
    if (strchr(name, ':') || template_ref_parse(name, &checked, err) < 0)
        return error_set(err, ERR_INPUT,
                         "a volume's name is of lower-case letters, digits and hyphens, not "
                         "\"%s\"%s",
                         name, strchr(name, ':') ? "; for a template say --template" : "");
    if (snprintf(dir, sizeof(dir), "%s/volumes/%s", config->data_dir, w->workspace) >=
            (int)sizeof(dir) ||
        snprintf(c->overlay, sizeof(c->overlay), "%s/%s.overlay", dir, name) >=
            (int)sizeof(c->overlay))
        return error_set(err, ERR_INPUT, "data_dir: the path is too long");
    c->req.overlay = c->overlay;
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    return fs_mkdirs(dir, 0700, err);
}

int volume_choose(const struct config *config, const struct template_words *w,
                  struct volume_choice *ret, struct error *err)
{
    memset(ret, 0, sizeof(*ret));
    ret->req.cache_max = TEMPLATE_DISK_CACHE;
    (void)snprintf(ret->name, sizeof(ret->name), "volume");
    if (w->template && template_ref_parse(w->template, &ret->req.ref, err) < 0)
        return -1;
    if (w->template)
        (void)snprintf(ret->name, sizeof(ret->name), "%s", ret->req.ref.name);
    if (w->n_plain > 0)
        return choose_named(config, w, ret, err);
    ret->req.overlay = w->overlay;
    return w->template || w->overlay
               ? 0
               : error_set(err, ERR_INPUT,
                           "say a volume's name, --template NAME:REVISION, or "
                           "--overlay FILE");
}

int volume_check_there(const struct volume_choice *c, struct error *err)
{
    if (!c->req.overlay || access(c->req.overlay, F_OK) == 0)
        return 0;
    return errno == ENOENT
               ? error_set(err, ERR_INPUT,
                           "there is no volume %s that is served (%s); one that was created is a "
                           "plain file",
                           c->name, c->req.overlay)
               : error_errno(err, errno, "open the volume %s", c->req.overlay);
}
