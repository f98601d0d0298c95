/* builder/web — a file from the web, for ADD, fetched from where this process is: in the jail of
 * a build it reaches what the build's commands reach and nothing else. */
#ifndef BUILDER_WEB_H
#define BUILDER_WEB_H

#include <limits.h>

#include "base/http.h"

#define WEB_SIZE_MAX      (UINT64_C(2) << 30) /* bytes of a file */
#define WEB_REDIRECTS_MAX 10
#define WEB_TIME_MAX_MS   (30 * 60 * 1000) /* of one try */
#define WEB_STALL_MS      60000
#define WEB_TRIES         3

struct web_request { /* all borrowed */
    const struct http *http;
    const char *url;
    const char *ca_file;  /* certificates to trust beside the system's; NULL: none */
    const char *checksum; /* "sha256:…" that the content must have; "": any */
    uint64_t size_max;    /* 0: WEB_SIZE_MAX */
    int64_t pause_ms;     /* before another try, twice that before the next */
    const struct cancel *cancel;
};

/* The name of the file: the last one of the URL's path, its escapes resolved, and "__unnamed__"
 * where that is none (BuildKit: dockerfile2llb's dispatchCopy). */
void web_name(const char *url, char ret[NAME_MAX + 1]);

/* Writes the file into the directory `to`, under web_name, mode 0600, its time that of
 * Last-Modified, else 1970.  ERR_INPUT: the URL and why it could not be had, without user, password
 * and query; ERR_LIMIT: it is too large; ERR_SYSTEM also when it was cancelled. */
MUST_CHECK int web_fetch(const struct web_request *req, int to, struct error *err);

#endif
