/* api/route — see the header. */
#include "api/route.h"

#include <string.h>

#define API_PLAN_MAX (8 << 20) /* bytes of an archive that is only looked at */

const struct route api_routes[] = {
    {"GET", "/", api_get_page, .open = true, .help = "shows the page for people"},
    {"GET", "/page/{file}", api_get_page, .open = true, .help = "is a file of that page"},
    {"GET", "/healthz", api_get_health, .open = true, .help = "says whether Kiln lives"},
    {"GET", "/readyz", api_get_ready, .open = true,
     .help = "says whether Kiln can work: its registry answers, too"},
    {"PUT", "/uploads/{workspace}/{object}", api_put_upload, .open = true, .streams = true,
     .action = "build.upload", .help = "takes an archive at a presigned URL"},
    {"GET", "/v0/openapi.json", api_get_openapi, .open = true,
     .help = "describes all of this for machines (OpenAPI 3.1)"},
    {"GET", "/v0/audit", api_list_audit, .admin = true, .account = true,
     .help = "lists who changed what, newest first, and which keys were refused"},
    {"GET", "/v0/builds", api_list_builds, .help = "lists the workspace's builds, newest first"},
    {"GET", "/v0/builds/{build}", api_get_build, .help = "shows a build"},
    {"GET", "/v0/images", api_list_images, .help = "lists the workspace's images"},
    {"POST", "/v0/images", api_post_image, .action = "image.build",
     .help = "asks for the build of an image"},
    {"DELETE", "/v0/images", api_clean_images, .action = "image.clean",
     .help = "deletes the images and tags that no resource uses"},
    {"GET", "/v0/images/{type}/{image}", api_get_image, .help = "shows an image and its status"},
    {"GET", "/v0/images/{type}/{image}/tags", api_list_image_tags,
     .help = "lists the tags of an image, by pages"},
    {"GET", "/v0/images/{type}/{image}/dockerfile", api_get_image_dockerfile,
     .help = "shows the Dockerfile that the image was built with"},
    {"GET", "/v0/images/{type}/{image}/share", api_list_shares,
     .help = "lists the workspaces that an image is shared with"},
    {"POST", "/v0/images/{type}/{image}/share", api_post_share, .admin = true,
     .action = "image.share", .object = "targetWorkspace",
     .help = "shares an image, with all its tags, with another workspace, or offers it"},
    {"DELETE", "/v0/images/{type}/{image}/share/{target}", api_delete_share, .admin = true,
     .action = "image.unshare",
     .help = "ends a share at once, at the registry too; the target named leaves it"},
    {"GET", "/v0/pending-image-shares", api_list_pending_shares,
     .help = "lists images that other accounts offer, or are offered"},
    {"POST", "/v0/pending-image-shares/{id}/accept", api_accept_share, .admin = true,
     .action = "image.accept", .help = "accepts an image that another account offers"},
    {"POST", "/v0/pending-image-shares/{id}/decline", api_decline_share, .admin = true,
     .action = "image.decline", .help = "declines it"},
    {"GET", "/v0/images/{type}/{image}/provenance", api_get_image_provenance,
     .help = "shows how the image, or name:tag of it, was made (SLSA)"},
    {"GET", "/v0/images/{type}/{image}/sbom", api_get_image_sbom,
     .help = "shows what packages are in the image, or in name:tag of it (SPDX)"},
    {"DELETE", "/v0/images/{type}/{image}", api_delete_image, .action = "image.delete",
     .help = "deletes an image, or one tag of it as name:tag"},
    {"DELETE", "/v0/images/{type}/{image}/tags/{tag}", api_delete_image_tag,
     .action = "image.untag", .help = "deletes one tag of an image"},
    {"GET", "/v0/models", api_list_models, .help = "lists nothing: Kiln has no models"},
    {"GET", "/v0/observability/logs", api_get_logs, .help = "shows the log of the current build"},
    {"POST", "/v0/oauth/token", api_post_token, .open = true, .action = "token.create",
     .help = "gives a service account an access token for its client id and secret"},
    {"POST", "/v0/plan", api_post_plan, .body_max = API_PLAN_MAX,
     .help = "tells what a build of the archive in the body would be"},
    {"GET", "/v0/registry/token", api_get_registry_token, .open = true,
     .help = "gives docker and its like a token for the registry"},
    {"GET", "/v0/workspaces", api_list_workspaces, .account = true,
     .help = "lists the workspaces that the key opens"},
    {"POST", "/v0/workspaces", api_post_workspace, .admin = true, .account = true,
     .action = "workspace.create", .help = "makes a workspace in the key's account"},
    {"GET", "/v0/workspaces/{workspace}", api_get_workspace, .account = true,
     .help = "shows a workspace that the key opens"},
    {"DELETE", "/v0/workspaces/{workspace}", api_delete_workspace, .admin = true, .account = true,
     .action = "workspace.delete", .help = "deletes an empty workspace, and revokes its keys"},
    {"GET", "/v0/api_keys", api_list_keys, .admin = true, .account = true,
     .help = "lists API keys, without their text"},
    {"POST", "/v0/api_keys", api_post_key, .admin = true, .account = true, .action = "key.create",
     .help = "makes an API key, and shows its text this once"},
    {"DELETE", "/v0/api_keys/{id}", api_delete_key, .admin = true, .account = true,
     .action = "key.revoke", .help = "revokes an API key"},
    {"GET", "/v0/service_accounts", api_list_service_accounts, .admin = true, .account = true,
     .help = "lists service accounts"},
    {"POST", "/v0/service_accounts", api_post_service_account, .admin = true, .account = true,
     .action = "service_account.create",
     .help = "makes a service account, and shows its client secret this once"},
    {"DELETE", "/v0/service_accounts/{id}", api_delete_service_account, .admin = true,
     .account = true, .action = "service_account.revoke",
     .help = "revokes a service account and its access tokens"},
    {"DELETE", "/v0/volume_templates/{name}", api_delete_template,
     .action = "volume-template.delete",
     .help = "deletes a volume template with all versions; volumes made of it stay"},
    {"GET", "/v0/volume_templates/{name}/sharing", api_get_template_sharing,
     .help = "tells how much the versions of a volume template have in common"},
    {"DELETE", "/v0/volume_templates/{name}/versions/{version}", api_delete_template_version,
     .action = "volume-template.delete", .help = "deletes one version of a volume template"},
    {"POST", "/v0/volumes", api_post_volume, .action = "volume.create",
     .help = "makes a volume, of a volume template or empty"},
    {"PUT", "/v0/volumes/{name}", api_put_volume, .action = "volume.update",
     .help = "changes a volume, or lets it grow"},
    {"DELETE", "/v0/volumes/{name}", api_delete_volume, .action = "volume.delete",
     .help = "deletes a volume with its file"},
    {"GET", "/v0/{kind}", api_list_resources, .help = "lists the workspace's resources of a kind"},
    {"POST", "/v0/{kind}", api_post_resource, .action = "create", .help = "creates a resource"},
    {"GET", "/v0/{kind}/{name}", api_get_resource, .help = "shows a resource and its status"},
    {"PUT", "/v0/{kind}/{name}", api_put_resource, .action = "update",
     .help = "replaces a resource"},
    {"DELETE", "/v0/{kind}/{name}", api_delete_resource, .action = "delete",
     .help = "deletes a resource"},
    {"GET", "/v0/{kind}/by-external-id/{externalId}", api_get_by_external_id,
     .help = "shows the resource with that metadata.externalId"},
    {"GET", "/v0/{kind}/{name}/revisions", api_list_revisions,
     .help = "lists what a resource was, newest first"},
    {"GET", "/v0/{kind}/{name}/build-logs", api_get_build_logs,
     .help = "shows the log of the current build as text, and follows it"},
};
const size_t api_routes_count = sizeof(api_routes) / sizeof(api_routes[0]);

/* One part of a pattern against one segment; *n_args counts the arguments seen. */
static bool match_part(struct api_call *c, const char *part, size_t len, const char *segment,
                       size_t *n_args)
{
    if (part[0] != '{')
        return strlen(segment) == len && memcmp(part, segment, len) == 0;
    if (strncmp(part, "{kind}", len) == 0) {
        c->kind = api_kind_of_plural(segment);
        return c->kind != NULL;
    }
    if (*n_args < API_ARGS_MAX)
        c->args[(*n_args)++] = segment;
    return segment[0] != '\0';
}

static bool match(struct api_call *c, const char *pattern)
{
    size_t n_args = 0;
    size_t i = 0;

    c->kind = NULL;
    memset(c->args, 0, sizeof(c->args));
    if (strcmp(pattern, "/") == 0)
        return c->req->n_segments == 0;
    while (*pattern == '/' && i < c->req->n_segments) {
        size_t len = strcspn(++pattern, "/");

        if (!match_part(c, pattern, len, c->req->segments[i++], &n_args))
            return false;
        pattern += len;
    }
    return *pattern == '\0' && i == c->req->n_segments;
}

static bool method_is(const struct route *r, const char *method)
{
    return strcmp(r->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void refuse_method(struct api_call *c, const char *allowed)
{
    api_refuse(c->resp, 405, "method_not_allowed", "This URL answers %s only.", allowed);
    api_response_header(c->resp, "Allow", allowed);
}

static const struct route operator_routes[] = {
    {"GET", "/healthz", api_get_health, .open = true},
    {"GET", "/readyz", api_get_ready, .open = true},
    {"GET", "/metrics", api_get_metrics, .open = true},
};

const struct route *api_route_find(struct api_call *c)
{
    CLEANUP(buf_release) struct buf allowed = BUF_INIT(64);
    const bool operators = c->config->operators;
    const size_t n =
        operators ? sizeof(operator_routes) / sizeof(operator_routes[0]) : api_routes_count;

    for (size_t i = 0; i < n; i++) {
        const struct route *r = operators ? &operator_routes[i] : &api_routes[i];

        if (!match(c, r->pattern))
            continue;
        if (method_is(r, c->req->method))
            return c->route = r;
        buf_addf(&allowed, "%s%s%s", allowed.len ? ", " : "", r->method,
                 strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
    }
    if (allowed.len)
        refuse_method(c, buf_str(&allowed));
    else
        api_refuse(c->resp, 404, "not_found",
                   "There is nothing at this URL. The paths that Kiln answers are in docs/api.md.");
    return NULL;
}
