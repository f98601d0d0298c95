/* programs/prune — `kiln prune`: makes room on the disk, of what builds left for later ones. */
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "programs/commands.h"
#include "programs/config_keys.h"
#include "programs/installation.h"

struct pruning {
    const char *workspace; /* NULL: all */
    int64_t keep;          /* bytes, for each workspace */
    bool bases;
    bool busy;      /* somewhere a build runs */
    uint64_t freed; /* bytes */
};

static const struct key keep_key = {
    .name = "keep", .kind = SIZE, .min = 0, .max = INT64_C(1) << 50};

static int read_words(int argc, char **argv, struct pruning *ret)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bases") == 0) {
            ret->bases = true;
        } else if (strcmp(argv[i], "--workspace") == 0 && i + 1 < argc) {
            ret->workspace = argv[++i];
        } else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc) {
            if (key_parse_number(&keep_key, argv[++i], &ret->keep))
                continue;
            fprintf(stderr, "kiln prune: --keep \"%s\" is no size such as 500MB or 5GiB\n",
                    argv[i]);
            return -1;
        } else {
            fprintf(stderr, "kiln prune: unexpected word \"%s\"; see kiln prune --help\n", argv[i]);
            return -1;
        }
    }
    return 0;
}

static int prune_workspace(struct pruning *p, const struct builder *b, const char *workspace,
                           struct error *err)
{
    char size[TEXT_SIZE];
    uint64_t freed;
    bool busy;

    if (builder_prune(b, workspace, (uint64_t)p->keep, p->bases, &busy, &freed, err) < 0)
        return error_wrap(err, "workspace %s", workspace);
    text_size(freed, size);
    if (busy)
        printf("%-24s left as it is: a build of it runs\n", workspace);
    else
        printf("%-24s %s freed\n", workspace, size);
    p->busy = p->busy || busy;
    p->freed += freed;
    return 0;
}

/* Of the service, or of `kiln build`, which has its own. */
static int prune_dir(struct pruning *p, const struct config *c, const char *dir, struct error *err)
{
    CLEANUP(installation_release) struct installation i = {.config = c};
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[4096 + 16];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/builder", dir);
    if (stat(path, &st) < 0)
        return 0;
    if (installation_open(c, dir, ":memory:", &i, err) < 0 ||
        builder_list_caches(i.builder, &names, err) < 0)
        return -1;
    for (size_t n = 0; n < names.n; n++)
        if ((!p->workspace || strcmp(names.v[n], p->workspace) == 0) &&
            prune_workspace(p, i.builder, names.v[n], err) < 0)
            return -1;
    return 0;
}

int command_prune(const struct config *c, int argc, char **argv)
{
    struct pruning p = {.keep = 0};
    struct error err = ERROR_INIT;
    char local[4096], size[TEXT_SIZE];

    if (read_words(argc, argv, &p) < 0)
        return 2;
    (void)snprintf(local, sizeof(local), "%s/local", c->data_dir);
    if (prune_dir(&p, c, c->data_dir, &err) < 0 || prune_dir(&p, c, local, &err) < 0) {
        fprintf(stderr, "kiln prune: %s\n", err.msg);
        return 1;
    }
    text_size(p.freed, size);
    printf("%s freed in all%s\n", size, p.busy ? "; try again when no build runs" : "");
    return 0;
}
