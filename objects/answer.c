/* objects/answer — see the header. */
#include "objects/answer.h"

#include <expat.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define DEPTH_MAX   16
#define ELEMENT_MAX 64

/* Calls for each element when it ends, with its path ("ListBucketResult/Contents/Key") and its own
 * text. */
struct reader {
    XML_Parser parser;
    char path[DEPTH_MAX * ELEMENT_MAX];
    size_t at[DEPTH_MAX]; /* where the names begin in path */
    int depth;
    char text[ANSWER_VALUE];
    size_t len;
    bool cut; /* text is longer than that */
    const char *why;
    int (*element)(void *self, const char *path, const char *text, struct error *err);
    void *self;
    struct error *err;
    bool failed; /* by element, which has set err */
};

static void stop(struct reader *r, const char *why)
{
    r->why = why;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_start(void *self, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = self;
    size_t end = strlen(r->path);

    (void)attributes;
    r->len = 0;
    r->cut = false;
    if (r->depth >= DEPTH_MAX || strlen(name) + 2 > ELEMENT_MAX) {
        stop(r, "it is too deep, or has too long a name");
        return;
    }
    r->at[r->depth++] = end;
    (void)snprintf(r->path + end, sizeof(r->path) - end, "%s%s", end ? "/" : "", name);
}

static void XMLCALL on_end(void *self, const XML_Char *name)
{
    struct reader *r = self;

    (void)name;
    r->text[r->len] = '\0';
    if (r->failed || r->why)
        return;
    if (r->cut) {
        stop(r, "it has too long a value");
        return;
    }
    if (r->element(r->self, r->path, r->text, r->err) < 0) {
        r->failed = true;
        (void)XML_StopParser(r->parser, XML_FALSE);
        return;
    }
    r->path[r->at[--r->depth]] = '\0';
    r->len = 0;
}

static void XMLCALL on_text(void *self, const XML_Char *text, int len)
{
    struct reader *r = self;

    if (r->len + (size_t)len >= sizeof(r->text)) {
        r->cut = true;
        return;
    }
    memcpy(r->text + r->len, text, (size_t)len);
    r->len += (size_t)len;
}

static void XMLCALL on_doctype(void *self, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    stop(self, "it has a document type");
}

static int read_document(const char *text, size_t len, struct reader *r, struct error *err)
{
    enum XML_Status status;

    r->err = err;
    r->parser = XML_ParserCreate(NULL);
    if (!r->parser)
        return error_set(err, ERR_SYSTEM, "read an answer: out of memory");
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    status = len <= INT32_MAX ? XML_Parse(r->parser, text, (int)len, 1) : XML_STATUS_ERROR;
    if (status != XML_STATUS_OK && !r->failed && !r->why)
        r->why = XML_ErrorString(XML_GetErrorCode(r->parser));
    XML_ParserFree(TAKE(r->parser));
    if (r->failed)
        return -1;
    if (status != XML_STATUS_OK || r->why)
        return error_set(err, ERR_REMOTE, "the answer is not the XML that S3 has: %s",
                         r->why ? r->why : "it is too large");
    return 0;
}

/* ---- an error ---- */

static int on_error_element(void *self, const char *path, const char *text, struct error *err)
{
    struct answer_error *e = self;

    (void)err;
    if (strcmp(path, "Error/Code") == 0)
        (void)snprintf(e->code, sizeof(e->code), "%.60s", text);
    if (strcmp(path, "Error/Message") == 0)
        (void)snprintf(e->message, sizeof(e->message), "%.250s", text);
    return 0;
}

void answer_read_error(const char *text, size_t len, struct answer_error *ret)
{
    struct reader r = {.element = on_error_element, .self = ret};
    struct error ignored = ERROR_INIT;

    *ret = (struct answer_error){.code = ""};
    if (len == 0 || read_document(text, len, &r, &ignored) < 0 ||
        text_has_control(ret->code, strlen(ret->code)) ||
        text_has_control(ret->message, strlen(ret->message)))
        *ret = (struct answer_error){.code = ""};
}

/* ---- one value ---- */

struct value {
    char path[2 * ELEMENT_MAX];
    char *ret;
    bool found;
};

static int on_value_element(void *self, const char *path, const char *text, struct error *err)
{
    struct value *v = self;

    (void)err;
    if (strcmp(path, v->path) == 0) {
        (void)snprintf(v->ret, ANSWER_VALUE, "%s", text);
        v->found = *text != '\0';
    }
    return 0;
}

int answer_read_value(const char *text, size_t len, const char *root, const char *name,
                      char ret[ANSWER_VALUE], struct error *err)
{
    struct value v = {.ret = ret};
    struct reader r = {.element = on_value_element, .self = &v};

    (void)snprintf(v.path, sizeof(v.path), "%s/%s", root, name);
    if (read_document(text, len, &r, err) < 0)
        return -1;
    if (!v.found)
        return error_set(err, ERR_REMOTE, "the answer has no %s", name);
    return 0;
}

/* ---- a page ---- */

#define ROOT "ListBucketResult"

struct listing {
    struct answer_page *page;
    struct answer_object object;
    bool has_key, has_size;
    bool is_list, truncated;
};

/* "2009-10-12T17:50:30.000Z" */
static int64_t read_moment(const char *text)
{
    struct tm tm = {.tm_sec = 0};

    return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

static int on_object(struct listing *l, struct error *err)
{
    if (!l->has_key || !l->has_size)
        return error_set(err, ERR_REMOTE, "a list of objects has one without key or size");
    if (l->page->each(l->page->self, &l->object, err) < 0)
        return -1;
    l->object = (struct answer_object){.size = 0};
    l->has_key = l->has_size = false;
    return 0;
}

static int on_list_element(void *self, const char *path, const char *text, struct error *err)
{
    struct listing *l = self;

    if (strcmp(path, ROOT "/Contents/Key") == 0) {
        (void)snprintf(l->object.key, sizeof(l->object.key), "%s", text);
        l->has_key = *text != '\0';
    } else if (strcmp(path, ROOT "/Contents/Size") == 0) {
        l->has_size = text_to_u64(text, INT64_MAX, &l->object.size);
    } else if (strcmp(path, ROOT "/Contents/LastModified") == 0) {
        l->object.modified = read_moment(text);
    } else if (strcmp(path, ROOT "/Contents") == 0) {
        return on_object(l, err);
    } else if (strcmp(path, ROOT "/IsTruncated") == 0) {
        l->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(path, ROOT "/NextContinuationToken") == 0) {
        (void)snprintf(l->page->next, sizeof(l->page->next), "%s", text);
    } else if (strcmp(path, ROOT) == 0) {
        l->is_list = true;
    }
    return 0;
}

int answer_read_page(const char *text, size_t len, struct answer_page *page, struct error *err)
{
    struct listing l = {.page = page};
    struct reader r = {.element = on_list_element, .self = &l};

    page->next[0] = '\0';
    if (read_document(text, len, &r, err) < 0)
        return -1;
    if (!l.is_list)
        return error_set(err, ERR_REMOTE, "the answer is no list of objects");
    if (!l.truncated)
        page->next[0] = '\0';
    else if (!page->next[0])
        return error_set(err, ERR_REMOTE, "a list of objects goes on, and does not say where");
    return 0;
}

/* ---- puts in parts ---- */

#define UPLOADS "ListMultipartUploadsResult"

struct uploads {
    struct answer_uploads *page;
    struct answer_upload upload;
    bool is_list, truncated;
};

static int on_upload(struct uploads *u, struct error *err)
{
    if (!u->upload.key[0] || !u->upload.id[0])
        return error_set(err, ERR_REMOTE, "a list of puts in parts has one without key or id");
    if (u->page->each(u->page->self, &u->upload, err) < 0)
        return -1;
    u->upload = (struct answer_upload){.begun = 0};
    return 0;
}

static int on_uploads_element(void *self, const char *path, const char *text, struct error *err)
{
    struct uploads *u = self;

    if (strcmp(path, UPLOADS "/Upload/Key") == 0)
        (void)snprintf(u->upload.key, sizeof(u->upload.key), "%s", text);
    else if (strcmp(path, UPLOADS "/Upload/UploadId") == 0)
        (void)snprintf(u->upload.id, sizeof(u->upload.id), "%s", text);
    else if (strcmp(path, UPLOADS "/Upload/Initiated") == 0)
        u->upload.begun = read_moment(text);
    else if (strcmp(path, UPLOADS "/Upload") == 0)
        return on_upload(u, err);
    else if (strcmp(path, UPLOADS "/IsTruncated") == 0)
        u->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, UPLOADS "/NextKeyMarker") == 0)
        (void)snprintf(u->page->next_key, sizeof(u->page->next_key), "%s", text);
    else if (strcmp(path, UPLOADS "/NextUploadIdMarker") == 0)
        (void)snprintf(u->page->next_id, sizeof(u->page->next_id), "%s", text);
    else if (strcmp(path, UPLOADS) == 0)
        u->is_list = true;
    return 0;
}

int answer_read_uploads(const char *text, size_t len, struct answer_uploads *page,
                        struct error *err)
{
    struct uploads u = {.page = page};
    struct reader r = {.element = on_uploads_element, .self = &u};

    page->next_key[0] = page->next_id[0] = '\0';
    if (read_document(text, len, &r, err) < 0)
        return -1;
    if (!u.is_list)
        return error_set(err, ERR_REMOTE, "the answer is no list of puts in parts");
    if (u.truncated && !page->next_key[0])
        return error_set(err, ERR_REMOTE,
                         "a list of puts in parts goes on, and does not say where");
    if (!u.truncated)
        page->next_key[0] = page->next_id[0] = '\0';
    return 0;
}
