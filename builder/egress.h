/* builder/egress — where the user's commands may connect to, from the configuration's words. */
#ifndef BUILDER_EGRESS_H
#define BUILDER_EGRESS_H

#include "builder/builder.h"
#include "builder/jail.h"
#include "builder/progress.h"

/* The jail's network for a step that runs the user's code. */
enum jail_net egress_net(const struct builder_config *config);

/* The same for a pull from a registry that a user has named: whatever the configuration says of
 * commands, it reaches the internet, and of private networks what egress_allow names; not this
 * machine, wherever the registry sends it.  The machine's own /etc/hosts counts. */
void egress_describe_pull(const struct builder_config *config, const struct progress *p,
                          struct jail_spec *s);

/* Sets net, routes and hosts of s: to be called before jail_spec_add_base.  Names are asked for
 * now, so this may take as long as the machine's resolver does; one without an address is said on
 * p and left out. */
void egress_describe(const struct builder_config *config, const struct progress *p,
                     struct jail_spec *s);

#endif
