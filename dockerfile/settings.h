/* dockerfile/settings — blaxel.toml, the project's own configuration. */
#ifndef DOCKERFILE_SETTINGS_H
#define DOCKERFILE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"

/* What a build needs of it.  Strings are owned and never empty; NULL where the file does not set
 * the key, sets it to "", or leaves it to the client's environment ("${NAME:default}": the client
 * has put the value into its request, but the file travels as written). */
struct dockerfile_settings {
    /* "agent", "application", "function", "job", "sandbox", "volume-template" (also for "vt" …) */
    char *type;
    char *name;
    char *image;           /* a ready image instead of a build */
    char *entrypoint_prod; /* [entrypoint] prod: a command line */
    int entrypoint_line;   /* of prod in the file; 0 without */
    char *entrypoint_dev;
    bool build_slim;         /* default true */
    struct argv build_args;  /* [build.args], "K=V" */
    char *build_dockerfile;  /* [build] dockerfile: its path inside the project */
    char *directory;         /* volume templates: whose content is the template */
    int64_t default_size_mb; /* volume templates; 0: not set */
    struct argv warnings;    /* unknown keys: "blaxel.toml line 7: unknown key …", for the log, in
                                the order of their lines; a large number is cut short */
};

void dockerfile_settings_init(struct dockerfile_settings *s);
void dockerfile_settings_release(struct dockerfile_settings *s);

/* Reads a blaxel.toml into an initialised ret, which stays releasable on -1.  An unknown key is a
 * warning with its line and the key that was probably meant; ERR_INPUT, with the line: text that is
 * no TOML, a value of the wrong type or out of its range (the first of them in the file), such as
 * `blaxel.toml line 4: build.slim must be true or false, not the string "no"`.  Values of [env] and
 * [build.args] may be secrets and stand in no message.  ERR_LIMIT: too long or too deep. */
MUST_CHECK int dockerfile_settings_read(const char *text, size_t len,
                                        struct dockerfile_settings *ret, struct error *err);

#endif
