/* dockerfile/csv — one line of comma-separated fields (RFC 4180), as in RUN --mount=a=b,"c=d". */
#ifndef DOCKERFILE_CSV_H
#define DOCKERFILE_CSV_H

#include "base/argv.h"

/* ERR_INPUT: a quote where none may stand, or nothing at all. */
MUST_CHECK int csv_read(const char *text, struct argv *ret_fields, struct error *err);

#endif
