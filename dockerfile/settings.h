/* dockerfile/settings — blaxel.toml, the project's own configuration. */
#ifndef DOCKERFILE_SETTINGS_H
#define DOCKERFILE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"

/* What a build needs of it.  Strings are owned; NULL where the file does not set the key. */
struct dockerfile_settings {
    char *type; /* "agent", "function", "job", "sandbox", "volume-template" (also for "vt" …) */
    char *name;
    char *image;           /* a ready image instead of a build */
    char *entrypoint_prod; /* [entrypoint] prod: a command line */
    int entrypoint_line;   /* of prod in the file; 0 without */
    char *entrypoint_dev;
    bool build_slim;         /* default true */
    struct argv build_args;  /* [build.args], "K=V" */
    char *directory;         /* volume templates: whose content is the template */
    int64_t default_size_mb; /* volume templates; 0: not set */
    struct argv warnings;    /* unknown keys: "blaxel.toml line 7: unknown key …", for the log */
};

void dockerfile_settings_init(struct dockerfile_settings *s);
void dockerfile_settings_release(struct dockerfile_settings *s);

/* Reads a blaxel.toml into an initialised ret, which stays releasable on -1.  An unknown key is a
 * warning with its line and the key that was probably meant; ERR_INPUT, with the line: text that is
 * no TOML, a value of the wrong type or out of its range. */
MUST_CHECK int dockerfile_settings_read(const char *text, size_t len,
                                        struct dockerfile_settings *ret, struct error *err);

#endif
