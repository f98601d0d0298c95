/* programs/config — what an operator can set, and where a value came from.
 *
 * One table of keys (config.c) serves the options (--data-dir X), the environment (KILN_DATA_DIR),
 * the configuration file (data_dir = "X"), `kiln config`, --help and docs/configuration.md.  An
 * option wins over the environment, that over the file, that over the default.  An empty variable
 * counts as none. */
#ifndef PROGRAMS_CONFIG_H
#define PROGRAMS_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "base/argv.h"
#include "base/buf.h"

#define CONFIG_KEYS 71

enum config_origin {
    CONFIG_DEFAULT,
    CONFIG_FILE,
    CONFIG_ENVIRONMENT,
    CONFIG_OPTION,
};

struct config_source {
    enum config_origin origin;
    int line; /* of the file */
};

/* Strings are never NULL; "" stands for none.  Sizes are bytes, durations seconds. */
struct config {
    char *data_dir; /* absolute */
    char *database; /* a PostgreSQL database's URL; "": a file in data_dir */
    char *listen;
    char *operator_listen;
    char *public_url;
    char *tls_certificate; /* PEM files; both or neither */
    char *tls_key;
    struct argv proxies; /* networks */
    int64_t connections_max;
    int64_t address_connections_max; /* 0: not limited; so for the four below */
    int64_t key_rate;                /* a second; so for the two below */
    int64_t workspace_rate;
    int64_t address_rate;
    int64_t failed_logins_max; /* a minute */
    char *log_format;          /* "text" or "json" */
    int64_t audit_retention;   /* 0: for ever */
    int64_t workers;
    char *registry_listen;
    char *registry_url;
    char *registry_program;
    char *registry_auth; /* "token" or "none" */
    char *registry_key;
    char *buildah_program;
    char *sandbox_image;
    char *ca_certificates; /* the path of a file or directory */
    struct argv mirrors;   /* "prefix=location" or "prefix=location,insecure" */
    char *egress;          /* "nat", "list" or "none" */
    struct argv egress_allow;
    int64_t uid_base;
    int64_t build_timeout;
    int64_t build_memory;
    int64_t build_pids;
    int64_t build_cpus; /* 0: all */
    int64_t build_disk;
    int64_t upload_max;
    int64_t upload_expiry;
    char *uploads;     /* "s3://bucket/prefix"; "": in the data directory */
    char *templates;   /* the same for template stores */
    char *s3_endpoint; /* "": AWS's for the region */
    char *s3_region;
    char *s3_credentials; /* a file; "": the environment */
    char *s3_style;       /* "path" or "host" */
    int64_t s3_cache_max;
    int64_t unpack_max;
    int64_t unpack_entries;
    int64_t git_max;
    struct argv git_hosts; /* "host" or "host:port" */
    char *attest;          /* "on" or "off" */
    int64_t push_chunk;    /* 0: not limited */
    int64_t lease;
    int64_t attempts;
    int64_t cache_max;
    char *cache_export; /* "auto", "off", "min" or "max" */
    int64_t cache_export_max;
    int64_t cache_mounts_max; /* 0: none */
    int64_t bases_max;
    int64_t caches_max;
    int64_t log_max;
    int64_t log_retention;   /* 0: for ever */
    int64_t event_retention; /* 0: for ever */
    int64_t gc_interval;     /* 0: never */
    int64_t template_revisions;
    int64_t volume_max;
    int64_t builds_max; /* 0: not limited; so for the two below */
    int64_t images_max;
    int64_t templates_max;
    char *probe; /* "on" or "off" */
    int64_t probe_timeout;
    struct argv webhooks; /* URLs */
    char *webhook_secrets;
    int64_t webhook_timeout;

    char *file;                                /* that was read; NULL: none */
    struct config_source sources[CONFIG_KEYS]; /* of each key, in the table's order */
};

/* Empty, and fit for config_release. */
void config_init(struct config *c);
void config_release(struct config *c);

/* Initialises ret and fills it from all four places; ret is to be released on -1 too.  argv[0] is
 * left alone; from the words after it, up to a "--", the options of the table and --config are
 * taken out, so that the subcommand's own remain.  ERR_INPUT names the key, where its value came
 * from, and what is allowed. */
MUST_CHECK int config_load(int *argc, char **argv, struct config *ret, struct error *err);

/* Every key, its value and where that is from. */
void config_print_table(const struct config *c, FILE *to);

/* Every option with its default, for --help. */
void config_print_help(FILE *to);

/* The table's rows, for the test of docs/configuration.md. */
struct config_row {
    const char *name;          /* "data_dir" */
    const char *default_value; /* "" for none */
    const char *help;
};
struct config_row config_row(size_t i); /* i < CONFIG_KEYS */
/* Appends what a key may be: "an integer from 0 to 256". */
void config_row_allowed(size_t i, struct buf *out);

#endif
