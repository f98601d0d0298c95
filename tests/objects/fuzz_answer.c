/* Any bytes as what an object store answers. */
#include <string.h>

#include "objects/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_object(void *self, const struct answer_object *object, struct error *err)
{
    (void)self;
    (void)err;
    if (!object->key[0] || !memchr(object->key, '\0', sizeof(object->key)))
        abort();
    return 0;
}

static int check_upload(void *self, const struct answer_upload *upload, struct error *err)
{
    (void)self;
    (void)err;
    if (!upload->key[0] || !upload->id[0])
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct answer_page page = {.each = check_object};
    struct answer_uploads uploads = {.each = check_upload};
    char value[ANSWER_VALUE];
    struct answer_error e;
    struct error err = ERROR_INIT;

    if (size == 0)
        return 0;
    if (answer_read_page(text, size, &page, &err) < 0 && err.kind != ERR_REMOTE)
        abort();
    err = (struct error)ERROR_INIT;
    if (answer_read_uploads(text, size, &uploads, &err) < 0 && err.kind != ERR_REMOTE)
        abort();
    err = (struct error)ERROR_INIT;
    if (answer_read_value(text, size, "InitiateMultipartUploadResult", "UploadId", value, &err) ==
            0 &&
        !value[0])
        abort();
    answer_read_error(text, size, &e);
    return 0;
}
