/* programs/transfer_line — a line of progress for what copies many bytes: "templates: 1.2 GB,
 * 210 MB/s", on a terminal. */
#ifndef PROGRAMS_TRANSFER_LINE_H
#define PROGRAMS_TRANSFER_LINE_H

#include <stdbool.h>
#include <stdint.h>

struct transfer_line {
    const char *what; /* is being copied now */
    uint64_t bytes, rows;
    int64_t started, shown; /* monotonic */
    bool quiet, visible;
};

void transfer_line_init(struct transfer_line *t, bool quiet);
void transfer_line_begin(struct transfer_line *t, const char *what);
/* self is the line: for struct backup_progress, and for copies of databases. */
void transfer_line_bytes(void *self, uint64_t bytes);
void transfer_line_rows(void *self, const char *table, uint64_t rows);
/* Takes the line away. */
void transfer_line_end(struct transfer_line *t);

/* "1.2 GB in 6 s, 210 MB/s" since init. */
#define TRANSFER_TEXT 100
void transfer_line_sum(const struct transfer_line *t, char text[TRANSFER_TEXT]);

#endif
