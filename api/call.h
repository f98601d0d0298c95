/* api/call — what a handler works on: the request, who sent it, and where the answer goes.
 *
 * A handler returns 0 when resp holds an answer, be it a refusal, and -1 when something failed that
 * the client cannot mend; the dispatcher then answers 500 and logs the error. */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"
#include "api/kind.h"
#include "api/request.h"
#include "api/response.h"

#define API_ARGS_MAX 4

struct route;

struct api_call {
    const struct api_config *config;
    const struct api_request *req;
    struct api_response *resp;
    const struct route *route;
    const struct kind *kind; /* of {kind}; NULL: the route has none */
    const char
        *args[API_ARGS_MAX]; /* the other {words} of the route's pattern, in their order; they
                                live as long as the call, which is noted by them (audit.c) */
    struct api_key key;      /* key.workspace is the workspace of the call, "" for none */
    bool whole_account;      /* the key is of an account, not of one workspace */
    bool enveloped;          /* lists are {data,meta}: Blaxel-Version 2026-04-28 */
    bool catalog;            /* images are summaries, in pages: since 2026-09-22 */
    int64_t now;             /* ns: one moment for the whole call */
    bool login_refused;      /* key, password or client are not known */
};

typedef int api_handler(struct api_call *c, struct error *err);

/* One request, whole, to its answer.  The server gives uploads to receive.h instead, so that their
 * bodies need not be in memory. */
void api_handle(const struct api_config *config, const struct api_request *req,
                struct api_response *resp);

/* One line to the operator's log. */
void api_log(const struct api_config *config, const char *fmt, ...) PRINTF(2, 3);

/* auth.c: sets key.  False: resp holds the refusal. */
MUST_CHECK int api_authorize(struct api_call *c, bool *ret_allowed, struct error *err);

/* rates.c: whether a request without a key, or one more with this key, is answered; otherwise resp
 * holds the refusal. */
bool api_rate_address(struct api_call *c);
bool api_rate_key(struct api_call *c);
/* rates.c: whether the secret may be tried; otherwise resp holds the refusal.  Then what came of
 * it.
 */
bool api_login_may_try(struct api_call *c, const char *secret);
void api_login_passed(struct api_call *c, const char *secret);
void api_login_refused(struct api_call *c);

/* audit.c: notes what the answer says was done, or denied; nothing for what changes nothing. */
void api_audit(struct api_call *c);

/* version.c: sets enveloped and catalog.  False: resp holds the refusal. */
bool api_negotiate(struct api_call *c);

/* body.c: the request's body as a JSON object, NULL when resp holds the refusal. */
json_t *api_body(struct api_call *c);

/* body.c: a name that name_is_valid takes; otherwise resp holds the refusal. */
bool api_check_name(struct api_call *c, const char *what, const char *name);

/* envelope.c: a list, as the client's version wants it.  Steals data. */
MUST_CHECK int api_answer_list(struct api_call *c, json_t *data, const char *next, int64_t total,
                               struct error *err);
/* envelope.c: a moment as text, null for 0 (never). */
json_t *api_json_time(int64_t ns);
/* envelope.c: a number as text, as versions are named. */
json_t *api_json_number_text(uint64_t n);

/* kind.c: 400, in the form that the route's kind has for it: who asks for a sandbox reads errors of
 * their own (PROTOCOL.md 5, SandboxError).  image: that was asked for; NULL: it is not about one.
 */
MUST_CHECK int api_refuse_of_kind(struct api_call *c, const char *code, const char *image,
                                  const char *message, struct error *err);

/* quota.c: whether the workspace may have another build of the type; otherwise resp holds the
 * refusal. */
MUST_CHECK int api_check_quota(struct api_call *c, const char *type, bool *ret_allowed,
                               struct error *err);

/* links.c: URLs in answers are made from public_url or the Host header.  False: there is neither,
 * and resp holds the refusal; to be asked before anything is changed, and before the other two. */
bool api_check_host(struct api_call *c);
/* "https://host", no slash at the end. */
void api_base_url(struct api_call *c, struct buf *out);
/* Puts the header X-Blaxel-Upload-Url for the build into resp. */
MUST_CHECK int api_answer_upload_url(struct api_call *c, const struct build *b, struct error *err);

/* events.c: the target's events as a JSON array, without those whose build's end is not visible
 * yet; an image's view leaves out those about the resource. */
MUST_CHECK int api_events(struct api_call *c, const struct target *t, enum build_purpose view,
                          json_t **ret, struct error *err);

/* images.c: the image of the path's {type} as JSON, with all its tags or the one named; NULL in
 * *ret when resp holds the refusal. */
MUST_CHECK int api_load_image(struct api_call *c, const char *name, const char *tag, json_t **ret,
                              struct error *err);
/* images.c: 404, of the image of that name or of its tag. */
void api_refuse_image(struct api_call *c, const char *name, const char *tag);

/* image_delete.c: deletes the workspace's own image with all its tags, if there is one.  Not gone:
 * it is used or shared, and resp holds the refusal. */
MUST_CHECK int api_make_way(struct api_call *c, const struct target *t, bool *ret_gone,
                            struct error *err);
/* image_shares.c: refuses a share (but SHARE_MADE) of the image to that workspace. */
void api_refuse_share(struct api_call *c, enum share_outcome outcome, const struct target *t,
                      const char *target);
/* pending_shares.c: an offer, as its clients read it. */
json_t *api_pending_share_json(const struct pending_share *p);

/* volume_templates.c, volumes.c: what kind.c says of these two. */
bool api_check_template(struct api_call *c, const json_t *spec);
bool api_check_volume(struct api_call *c, const json_t *spec);
int api_describe_template(struct api_call *c, const struct resource *r, json_t *answer,
                          struct error *err);
int api_describe_volume(struct api_call *c, const struct resource *r, json_t *answer,
                        struct error *err);
/* volume_templates.c: a size in MB of a spec; 0 without.  False: resp holds the refusal. */
bool api_size_of_spec(struct api_call *c, const json_t *spec, const char *field, uint64_t *ret);

/* resources.c: what handlers of special kinds share with it.  ABSENT: resp holds the refusal, be it
 * that there is no such resource or that its answer's URLs could not be made (api_check_host). */
MUST_CHECK int api_load_resource(struct api_call *c, const char *name, enum presence *ret_presence,
                                 struct resource *ret, struct error *err);
MUST_CHECK int api_answer_resource(struct api_call *c, const struct resource *r, const char *status,
                                   struct error *err);
/* Both: 200 with it, or the refusal. */
MUST_CHECK int api_answer_named(struct api_call *c, const char *name, struct error *err);
void api_refuse_absent(struct api_call *c, const char *name);

/* Handlers. */
api_handler api_get_ready, api_get_metrics, api_list_images, api_list_image_tags, api_post_image,
    api_get_image, api_delete_image, api_delete_image_tag, api_clean_images,
    api_get_image_dockerfile, api_get_image_provenance, api_get_image_sbom, api_list_shares,
    api_post_share, api_delete_share, api_list_pending_shares, api_accept_share, api_decline_share;
api_handler api_list_resources, api_post_resource, api_get_resource, api_put_resource,
    api_delete_resource, api_list_revisions, api_get_by_external_id;
api_handler api_delete_template, api_delete_template_version, api_get_template_sharing;
api_handler api_post_volume, api_put_volume, api_delete_volume;
api_handler api_list_builds, api_get_build;
api_handler api_get_page;
api_handler api_get_logs, api_get_build_logs;
api_handler api_list_workspaces, api_post_workspace, api_get_workspace, api_delete_workspace;
api_handler api_list_service_accounts, api_post_service_account, api_delete_service_account;
api_handler api_list_keys, api_post_key, api_delete_key;
api_handler api_post_token, api_get_registry_token;
api_handler api_list_models, api_get_health, api_get_openapi;
api_handler api_put_upload;
api_handler api_post_plan;
api_handler api_list_audit;

#endif
