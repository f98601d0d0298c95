/* worker/sbom — see the header. */
#include "worker/sbom.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "worker/purl.h"

#define PURL_MAX 4096
#define IMAGE    "SPDXRef-Image"

struct document {
    const struct sbom_subject *subject;
    const json_t *found; /* the builder's list */
    json_t *packages, *relationships;
    json_t *ids; /* that are given */
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* ---- packages ---- */

static json_t *purl_reference(const struct buf *purl)
{
    return json_pack("[{s:s, s:s, s:s}]", "referenceCategory", "PACKAGE-MANAGER", "referenceType",
                     "purl", "referenceLocator", buf_str(purl));
}

static void relate(struct document *d, const char *from, const char *how, const char *to)
{
    json_array_append_new(d->relationships,
                          json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType",
                                    how, "relatedSpdxElement", to));
}

static void add_image(struct document *d)
{
    const struct sbom_subject *s = d->subject;
    CLEANUP(buf_release) struct buf purl = BUF_INIT(PURL_MAX);

    purl_add_image(s->name, "", s->digest, &purl);
    json_array_append_new(d->packages,
                          json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:[{s:s, s:s}], s:o}", "SPDXID",
                                    IMAGE, "name", s->name, "versionInfo", s->digest,
                                    "downloadLocation", "NOASSERTION", "filesAnalyzed", 0,
                                    "primaryPackagePurpose", "CONTAINER", "checksums", "algorithm",
                                    "SHA256", "checksumValue", s->digest + strlen("sha256:"),
                                    "externalRefs", purl_reference(&purl)));
    relate(d, "SPDXRef-DOCUMENT", "DESCRIBES", IMAGE);
}

/* The same for the same package at the same place in every document. */
static void make_id(const json_t *package, char ret[64])
{
    static const char *const keys[] = {"type", "name", "version", "architecture", "path"};
    CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
    char hex[SHA256_HEX];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        buf_adds(&text, text_of(package, keys[i]));
        buf_addc(&text, '\n');
    }
    digest_sha256_hex(buf_str(&text), text.len, hex);
    (void)snprintf(ret, 64, "SPDXRef-Package-%.8s-%.24s", text_of(package, "type"), hex);
}

/* What the package says of itself, where it does. */
static void add_said(const json_t *package, const char *key, const char *before, json_t *o,
                     const char *as)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(PURL_MAX);

    if (!*text_of(package, key))
        return;
    buf_addf(&text, "%s%s", before, text_of(package, key));
    json_object_set_new(o, as, json_string(buf_str(&text)));
}

static void describe(const json_t *found, const json_t *package, const char *id, json_t **ret)
{
    const json_t *os = json_object_get(found, "os");
    const struct purl_package of = {.type = text_of(package, "type"),
                                    .name = text_of(package, "name"),
                                    .version = text_of(package, "version"),
                                    .architecture = text_of(package, "architecture"),
                                    .os = text_of(os, "id"),
                                    .os_version = text_of(os, "version")};
    CLEANUP(buf_release) struct buf purl = BUF_INIT(PURL_MAX);
    CLEANUP(buf_release) struct buf text = BUF_INIT(PURL_MAX + 64);

    purl_add_package(&of, &purl);
    buf_addf(&text, "named by /%s", text_of(package, "path"));
    *ret = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:o}", "SPDXID", id, "name", of.name,
                     "versionInfo", of.version, "downloadLocation", "NOASSERTION", "filesAnalyzed",
                     0, "sourceInfo", buf_str(&text), "externalRefs", purl_reference(&purl));
    add_said(package, "license", "the package says: ", *ret, "licenseComments");
    add_said(package, "vendor", "Organization: ", *ret, "supplier");
}

static void add_package(struct document *d, const json_t *package)
{
    json_t *described = NULL;
    char id[64];

    make_id(package, id);
    if (json_object_get(d->ids, id))
        return;
    json_object_set_new(d->ids, id, json_true());
    describe(d->found, package, id, &described);
    json_array_append_new(d->packages, described);
    relate(d, IMAGE, "CONTAINS", id);
}

/* ---- the document ---- */

/* Of the image's digest and the program's version, which decide the rest: a UUID of RFC 9562's
 * version 8. */
static void make_namespace(const struct sbom_subject *s, char ret[64])
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    char h[SHA256_HEX];

    buf_addf(&text, "spdx %s %s %s", s->name, s->digest, s->program);
    digest_sha256_hex(buf_str(&text), text.len, h);
    (void)snprintf(ret, 64, "urn:uuid:%.8s-%.4s-8%.3s-a%.3s-%.12s", h, h + 8, h + 12, h + 15,
                   h + 18);
}

/* "Tool: kiln-0.1.0" */
static void make_creator(const struct sbom_subject *s, char ret[128])
{
    (void)snprintf(ret, 128, "Tool: %s", s->program);
    for (char *p = ret + strlen("Tool: "); *p; p++)
        if (*p == ' ')
            *p = '-';
}

static const char *comment_of(const json_t *found)
{
    const bool cut = json_is_true(json_object_get(found, "cut"));

    return cut ? "Not all packages are listed: there are more than are counted, or databases that "
                 "could not be read."
               : NULL;
}

static json_t *make_document(const struct document *d)
{
    char namespace[64], creator[128], created[CLOCK_TEXT];
    CLEANUP(buf_release) struct buf name = BUF_INIT(4096);
    json_t *o;

    make_namespace(d->subject, namespace);
    make_creator(d->subject, creator);
    (void)clock_format_seconds(d->subject->moment, created);
    buf_addf(&name, "%s@%s", d->subject->name, d->subject->digest);
    o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}}", "spdxVersion", "SPDX-2.3",
                  "dataLicense", "CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT", "name", buf_str(&name),
                  "documentNamespace", namespace, "creationInfo", "created", created, "creators",
                  creator);
    if (comment_of(d->found))
        json_object_set_new(o, "comment", json_string(comment_of(d->found)));
    json_object_set(o, "packages", d->packages);
    json_object_set(o, "relationships", d->relationships);
    return o;
}

int sbom_write(const struct sbom_subject *subject, const struct buf *packages, struct buf *out,
               size_t *ret_packages, struct error *err)
{
    json_auto_t *found = json_loadb(buf_str(packages), packages->len, 0, NULL);
    json_auto_t *list = json_array(), *relationships = json_array(), *ids = json_object();
    struct document d = {subject, found, list, relationships, ids};
    json_auto_t *document = NULL;
    CLEANUP_FREE char *text = NULL;
    const json_t *package;
    size_t i;

    if (!json_is_array(json_object_get(found, "packages")))
        return error_set(err, ERR_SYSTEM, "write the SBOM: the list of packages is none");
    add_image(&d);
    json_array_foreach (json_object_get(found, "packages"), i, package)
        add_package(&d, package);
    document = make_document(&d);
    text = json_dumps(document, JSON_COMPACT);
    if (!text)
        return error_set(err, ERR_SYSTEM, "write the SBOM: out of memory");
    buf_adds(out, text);
    *ret_packages = json_array_size(list) - 1;
    return buf_check(out, "the SBOM", err);
}
