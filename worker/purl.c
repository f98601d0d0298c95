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

static bool is_of_os(const struct purl_package *p)
{
    static const char *const types[] = {"deb", "apk", "rpm", NULL};

    return text_is_among(p->type, types);
}

/* As those who publish the packages have it: Red Hat's are not of "rhel". */
static const char *vendor_of(const struct purl_package *p)
{
    const bool rhel = strcmp(p->type, "rpm") == 0 && strcmp(p->os, "rhel") == 0;

    return rhel ? "redhat" : p->os;
}

/* How long the epoch is that rpm's version begins with; it is a qualifier there. */
static size_t epoch_of(const struct purl_package *p)
{
    const size_t digits = strspn(p->version, "0123456789");

    return strcmp(p->type, "rpm") == 0 && digits && p->version[digits] == ':' ? digits : 0;
}

static void add_name(const struct purl_package *p, struct buf *out)
{
    if (is_of_os(p) && *p->os) {
        add_encoded(vendor_of(p), "", out);
        buf_addc(out, '/');
    }
    if (strcmp(p->type, "pypi") == 0)
        add_python_name(p->name, out);
    else /* a slash parts the namespace: a module's path, or npm's scope */
        add_encoded(p->name, "/", out);
}

static void add_qualifiers(const struct purl_package *p, struct buf *out)
{
    const size_t epoch = epoch_of(p);
    const char *mark = "?";

    if (*p->architecture) {
        buf_addf(out, "%sarch=", mark);
        add_encoded(p->architecture, "", out);
        mark = "&";
    }
    if (is_of_os(p) && *p->os && *p->os_version) {
        buf_addf(out, "%sdistro=", mark);
        add_encoded(p->os, "", out);
        buf_addc(out, '-');
        add_encoded(p->os_version, "", out);
        mark = "&";
    }
    if (epoch)
        buf_addf(out, "%sepoch=%.*s", mark, (int)epoch, p->version);
}

void purl_add_package(const struct purl_package *p, struct buf *out)
{
    const size_t epoch = epoch_of(p);

    buf_addf(out, "pkg:%s/", p->type);
    add_name(p, out);
    buf_addc(out, '@');
    add_encoded(p->version + (epoch ? epoch + 1 : 0), "", out);
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
