/* api/attestations — what Kiln says of an image: how it was made, and what is in it. */
#include "api/call.h"
#include "api/image_ref.h"

static int answer(struct api_call *c, enum attestation kind, const char *what, const char *type,
                  struct error *err)
{
    enum presence presence = ABSENT;
    struct image_ref ref;

    if (image_ref_parse(c->args[1], &ref)) {
        const struct target t = {c->key.workspace, c->args[0], ref.name};

        if (state_attestation_get(c->config->state, &t, ref.tag ? ref.tag : "latest", kind,
                                  &presence, &c->resp->body, err) < 0)
            return -1;
    }
    if (presence == ABSENT) {
        api_refuse(c->resp, 404, "attestation not found",
                   "There is no %s of %.32s %.64s: no such image or tag, or it was built without "
                   "one (the key attest of Kiln's configuration).",
                   what, c->args[0], c->args[1]);
        return 0;
    }
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", type);
    return 0;
}

int api_get_image_provenance(struct api_call *c, struct error *err)
{
    return answer(c, ATTESTATION_PROVENANCE, "provenance", "application/vnd.in-toto+json", err);
}

int api_get_image_sbom(struct api_call *c, struct error *err)
{
    return answer(c, ATTESTATION_SBOM, "SBOM", "application/spdx+json", err);
}
