/* programs/templates_cli — what `kiln template` and `kiln volume` share: their words, and the store
 * of a workspace. */
#ifndef PROGRAMS_TEMPLATES_CLI_H
#define PROGRAMS_TEMPLATES_CLI_H

#include <jansson.h>

#include "programs/commands.h"
#include "programs/progress_line.h"
#include "templates/templates.h"

struct template_words {
    const char *command; /* "template ls", for messages */
    const char *plain[3];
    int n_plain;
    bool json, images, quiet;
    const char *workspace; /* "local" where not said */
    const char *directory, *template, *out;
    const char *overlay, *socket, *format; /* of kiln volume */
    uint64_t default_size, size;           /* MB */
};

/* Words after the verb.  False, having said why, when there is one too many or none that is known;
 * plain: how many names there must be, and may be; names: what they are, for people. */
bool template_read_words(int argc, char **argv, const char *command, const char *names,
                         int plain_min, int plain_max, struct template_words *ret);

/* To stdout; takes the object. */
void template_print_json(json_t *object);

/* The store in DATA/templates/WORKSPACE, or in the bucket that the configuration names. */
MUST_CHECK int template_open_workspace(const struct config *config, const char *workspace,
                                       struct template_store **ret, struct error *err);
MUST_CHECK IN_WHOLE int template_open_in_bucket(const struct config *config, const char *workspace,
                                                const struct template_options *options,
                                                struct template_store **ret, struct error *err);
/* Of these the store is made; the caller's. */
MUST_CHECK IN_WHOLE int template_open_objects(const struct config *config, const char *workspace,
                                              struct objects **ret, struct object_cache **ret_cache,
                                              struct error *err);
/* Whether this program can: else COMMAND_OF_WHOLE. */
bool template_can_open(const struct config *config);

IN_WHOLE int template_pack_command(struct template_store *s, const struct template_words *w,
                                   struct error *err);
int template_ls_command(struct template_store *s, const struct template_words *w,
                        struct error *err);
int template_show_command(struct template_store *s, const struct template_words *w,
                          struct error *err);
int template_tree_command(struct template_store *s, const struct template_words *w,
                          struct error *err);
int template_diff_command(struct template_store *s, const struct template_words *w,
                          struct error *err);

#endif
