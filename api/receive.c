/* api/receive — see the header.
 *
 * Two PUTs to one URL may run side by side: each writes an archive of its own, the database lets
 * the first whole one count, and the other is removed. */
#include "api/receive.h"

#include <string.h>

#include "api/route.h"
#include "base/text.h"

struct receipt {
    const struct api_config *config;
    struct upload_sink *sink;
    char workspace[NAME_SIZE];
    char id[BUILD_ID];
    bool empty;
};

void receive_free(struct receipt *r)
{
    if (!r)
        return;
    upload_sink_free(r->sink);
    free(r);
}

static void refuse_failure(const struct api_config *config, const char *id, const struct error *err,
                           struct api_response *resp)
{
    api_refuse_error(resp, err);
    if (resp->status >= 500)
        api_log(config, "error: upload %s: %s", id, err->msg);
}

static void refuse_expired(struct api_response *resp)
{
    api_refuse(resp, 403, "upload_url_expired",
               "This upload URL has expired. Ask for a new upload URL by repeating the POST or PUT "
               "that made this one.");
}

static void refuse_too_large(const struct api_config *config, struct api_response *resp)
{
    char limit[TEXT_SIZE];

    text_size(config->upload_max, limit);
    api_refuse(resp, 413, "upload_too_large",
               "The archive is larger than the %s that this server takes. Leave out what the build "
               "does not need, such as node_modules, .git and caches (.blaxelignore).",
               limit);
}

static void refuse_outcome(enum upload_outcome outcome, struct api_response *resp)
{
    switch (outcome) {
    case UPLOAD_ACCEPTED:
        break;
    case UPLOAD_USED:
        api_refuse(resp, 409, "upload_url_used",
                   "This upload URL was used already, and its archive is being built. To build "
                   "another one, ask for a new upload URL by repeating the POST or PUT.");
        break;
    case UPLOAD_SUPERSEDED:
        api_refuse(resp, 409, "upload_superseded",
                   "A newer upload URL was asked for, or the resource was deleted. Use the newest "
                   "URL, or ask for one by repeating the POST or PUT.");
        break;
    case UPLOAD_EXPIRED:
        refuse_expired(resp);
        break;
    case UPLOAD_UNKNOWN:
        api_refuse(
            resp, 404, "upload_not_found",
            "Nothing waits for an upload here any more. Ask for a new upload URL by repeating "
            "the POST or PUT.");
        break;
    }
}

/* By the key that is, or the one before it while that is accepted. */
static int judge_ticket(const struct api_config *config, const struct upload_ticket *t,
                        const char *signature, enum upload_ticket_verdict *ret, struct error *err)
{
    const int64_t now = clock_now(config->clock);
    struct state_upload_keys keys;

    if (state_upload_keys(config->state, &keys, err) < 0)
        return -1;
    *ret = upload_ticket_check(keys.current, t, signature, now / NS_PER_SEC);
    if (*ret == UPLOAD_TICKET_FORGED && keys.old_until > now)
        *ret = upload_ticket_check(keys.old, t, signature, now / NS_PER_SEC);
    return 0;
}

/* The URL's own authority: its signature, then its time, as the header promises for the two. */
static bool check_ticket(const struct api_config *config, const struct api_request *req,
                         const char *workspace, const char *object, struct api_response *resp)
{
    const char *expires = api_request_param(req, "expires");
    const char *signature = api_request_param(req, "signature");
    enum upload_ticket_verdict verdict = UPLOAD_TICKET_FORGED;
    struct error err = ERROR_INIT;
    uint64_t seconds;

    if (expires && text_to_u64(expires, INT64_MAX, &seconds)) {
        struct upload_ticket t = {"PUT", workspace, object, (int64_t)seconds};

        if (judge_ticket(config, &t, signature, &verdict, &err) < 0) {
            refuse_failure(config, object, &err, resp);
            return false;
        }
    }
    if (verdict == UPLOAD_TICKET_EXPIRED)
        refuse_expired(resp);
    if (verdict == UPLOAD_TICKET_FORGED)
        api_refuse(resp, 403, "upload_url_invalid",
                   "This is not an upload URL that was handed out here, or it was changed on its "
                   "way. Use X-Blaxel-Upload-Url exactly as it came.");
    return verdict == UPLOAD_TICKET_VALID;
}

static bool check_build(const struct api_config *config, const char *workspace, const char *id,
                        struct api_response *resp)
{
    struct error err = ERROR_INIT;
    enum upload_outcome outcome;

    if (state_upload_check(config->state, workspace, id, &outcome, &err) < 0) {
        refuse_failure(config, id, &err, resp);
        return false;
    }
    refuse_outcome(outcome, resp);
    return outcome == UPLOAD_ACCEPTED;
}

static struct receipt *open_receipt(const struct api_config *config, const char *workspace,
                                    const char *id, struct error *err)
{
    struct receipt *r = calloc(1, sizeof(*r));

    if (!r) {
        (void)error_set(err, ERR_SYSTEM, "receive an upload: out of memory");
        return NULL;
    }
    r->config = config;
    r->empty = true;
    (void)snprintf(r->workspace, sizeof(r->workspace), "%s", workspace);
    (void)snprintf(r->id, sizeof(r->id), "%s", id);
    if (upload_store_begin(config->uploads, id, &r->sink, err) == 0)
        return r;
    free(r);
    return NULL;
}

struct receipt *receive_begin(const struct api_config *config, const struct api_request *req,
                              const uint64_t *length, struct api_response *resp)
{
    const char *workspace = req->segments[1];
    const char *id = req->segments[2];
    struct error err = ERROR_INIT;
    struct receipt *r;

    if (!check_ticket(config, req, workspace, id, resp))
        return NULL;
    (void)snprintf(resp->workspace, sizeof(resp->workspace), "%s", workspace);
    if (!check_build(config, workspace, id, resp))
        return NULL;
    if (length && *length > config->upload_max) {
        refuse_too_large(config, resp);
        return NULL;
    }
    r = open_receipt(config, workspace, id, &err);
    if (!r)
        refuse_failure(config, id, &err, resp);
    return r;
}

bool receive_data(struct receipt *r, const void *data, size_t len, struct api_response *resp)
{
    struct error err = ERROR_INIT;

    r->empty = r->empty && len == 0;
    if (upload_sink_write(r->sink, data, len, &err) == 0)
        return true;
    if (err.kind == ERR_LIMIT)
        refuse_too_large(r->config, resp);
    else
        refuse_failure(r->config, r->id, &err, resp);
    upload_sink_free(TAKE(r->sink)); /* the disk is free again before the client is done */
    return false;
}

/* The archive that lost.  If it cannot be removed now, the sweep will. */
static void discard(const struct receipt *r, const char *key)
{
    struct error err = ERROR_INIT;

    if (upload_store_remove(r->config->uploads, key, &err) < 0)
        api_log(r->config, "error: remove archive %s: %s", key, err.msg);
}

static int settle(struct receipt *r, enum upload_outcome *ret_outcome, struct error *err)
{
    char key[UPLOAD_KEY_TEXT];
    uint64_t size;

    if (upload_sink_commit(r->sink, key, &size, err) < 0)
        return -1;
    /* On failure the archive stays: should the database have kept it after all, it is needed, and
     * if not, the sweep takes it. */
    if (state_upload_accept(r->config->state, r->workspace, r->id, key, size, ret_outcome, err) < 0)
        return -1;
    if (*ret_outcome != UPLOAD_ACCEPTED)
        discard(r, key);
    return 0;
}

void receive_end(struct receipt *r, struct api_response *resp)
{
    struct error err = ERROR_INIT;
    enum upload_outcome outcome;

    if (r->empty) {
        api_refuse(resp, 400, "upload_empty",
                   "The upload had no body. Send the archive as the body of the PUT; the URL is "
                   "still good.");
        return;
    }
    if (settle(r, &outcome, &err) < 0)
        refuse_failure(r->config, r->id, &err, resp);
    else if (outcome != UPLOAD_ACCEPTED)
        refuse_outcome(outcome, resp);
    else
        resp->status = 200;
}

/* The same for a body that is in memory: what api_handle does with this route. */
int api_put_upload(struct api_call *c, struct error *err)
{
    uint64_t length = c->req->body_len;
    struct receipt *r = receive_begin(c->config, c->req, &length, c->resp);

    (void)err;
    if (r && receive_data(r, c->req->body ? c->req->body : "", c->req->body_len, c->resp))
        receive_end(r, c->resp);
    receive_free(r);
    return 0;
}
