/* worker/purl — see the header. */
#include "worker/purl.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

/* All but letters, digits, ".-_~" and those in safe as %XX. */
static void add_encoded(const char *text, const char *safe, struct buf *out)
{
    for (const char *p = text; *p; p++) {
        if (isalnum((unsigned char)*p) || strchr(".-_~", *p) || strchr(safe, *p))
            buf_addc(out, *p);
        else
            buf_addf(out, "%%%02X", (unsigned char)*p);
    }
}

/* Lower case, and dashes for underscores. */
static void add_python_name(const char *name, struct buf *out)
{
    CLEANUP(buf_release) struct buf folded = BUF_INIT(1024);

    for (const char *p = name; *p; p++)
        buf_addc(&folded, *p == '_' ? '-' : (char)tolower((unsigned char)*p));
    add_encoded(buf_str(&folded), "", out);
}

static void add_name(const struct purl_package *p, struct buf *out)
{
    const bool of_os = strcmp(p->type, "deb") == 0 || strcmp(p->type, "apk") == 0;

    if (of_os && *p->os) {
        add_encoded(p->os, "", out);
        buf_addc(out, '/');
    }
    if (strcmp(p->type, "pypi") == 0)
        add_python_name(p->name, out);
    else /* a slash parts the namespace: a module's path, or npm's scope */
        add_encoded(p->name, "/", out);
}

static void add_qualifiers(const struct purl_package *p, struct buf *out)
{
    const bool of_os = strcmp(p->type, "deb") == 0 || strcmp(p->type, "apk") == 0;
    const char *mark = "?";

    if (*p->architecture) {
        buf_addf(out, "%sarch=", mark);
        add_encoded(p->architecture, "", out);
        mark = "&";
    }
    if (of_os && *p->os && *p->os_version) {
        buf_addf(out, "%sdistro=", mark);
        add_encoded(p->os, "", out);
        buf_addc(out, '-');
        add_encoded(p->os_version, "", out);
    }
}

void purl_add_package(const struct purl_package *p, struct buf *out)
{
    buf_addf(out, "pkg:%s/", p->type);
    add_name(p, out);
    buf_addc(out, '@');
    add_encoded(p->version, "", out);
    add_qualifiers(p, out);
}

void purl_add_image(const char *repository, const char *tag, const char *digest, struct buf *out)
{
    const char *slash = strrchr(repository, '/');

    buf_adds(out, "pkg:oci/");
    add_encoded(slash ? slash + 1 : repository, "", out);
    if (*digest) {
        buf_addc(out, '@');
        add_encoded(digest, "", out);
    }
    buf_adds(out, "?repository_url=");
    add_encoded(repository, "/", out);
    if (*tag) {
        buf_adds(out, "&tag=");
        add_encoded(tag, "", out);
    }
}
