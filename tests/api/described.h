/* What GET /v0/openapi.json says against what is answered. */
#ifndef TESTS_API_DESCRIBED_H
#define TESTS_API_DESCRIBED_H

#include "api/call.h"

/* What the object's "$ref" leads to, the object itself without one.  It fails the test when that is
 * nothing. */
const json_t *described_reference(const json_t *document, const json_t *object);

/* Fails the test unless status, headers and body are among those that the document has for the
 * request, and so are the parameters of a request that was not refused.  It is stricter than JSON
 * Schema: a member that is not described is a failure wherever there are "properties" without
 * "additionalProperties", and so is a word of JSON Schema that is not checked here. */
void assert_described(const json_t *document, const struct api_request *req,
                      const struct api_response *resp);

#endif
