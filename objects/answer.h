/* objects/answer — the XML that S3 answers with, by expat, under limits.
 *
 * A document type is refused, so there are no entities to expand; depth and the length of a value
 * are bounded; what is not asked for is skipped.  ERR_REMOTE: that is no such document. */
#ifndef OBJECTS_ANSWER_H
#define OBJECTS_ANSWER_H

#include "objects/objects.h"

#define ANSWER_VALUE 2048 /* bytes of the longest value, and the NUL */

/* <Error><Code>…</Code><Message>…</Message></Error>; both are "" when the text is none. */
struct answer_error {
    char code[64];
    char message[256];
};
void answer_read_error(const char *text, size_t len, struct answer_error *ret);

/* The text of one element below the root, such as UploadId. */
MUST_CHECK int answer_read_value(const char *text, size_t len, const char *root, const char *name,
                                 char ret[ANSWER_VALUE], struct error *err);

/* One page of a ListObjectsV2.  modified: seconds since 1970, 0 when the answer does not say. */
struct answer_object {
    char key[ANSWER_VALUE];
    uint64_t size;
    int64_t modified;
};
struct answer_page {
    int (*each)(void *self, const struct answer_object *object, struct error *err);
    void *self;
    char next[ANSWER_VALUE]; /* the token of the next page; "": this is the last */
};
MUST_CHECK int answer_read_page(const char *text, size_t len, struct answer_page *page,
                                struct error *err);

/* One page of a ListMultipartUploads.  begun: seconds since 1970, 0 when the answer does not say.
 */
struct answer_upload {
    char key[ANSWER_VALUE];
    char id[ANSWER_VALUE];
    int64_t begun;
};
struct answer_uploads {
    int (*each)(void *self, const struct answer_upload *upload, struct error *err);
    void *self;
    char
        next_key[ANSWER_VALUE]; /* where the next page begins, with next_id; "": this is the last */
    char next_id[ANSWER_VALUE];
};
MUST_CHECK int answer_read_uploads(const char *text, size_t len, struct answer_uploads *page,
                                   struct error *err);

#endif
