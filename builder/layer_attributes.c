/* builder/layer_attributes — see the header.
 *
 * What is left out: overlay's own attributes, as they describe the diff and not the file; trusted.*
 * and security.*, as they are this machine's word (labels of SELinux, hashes of IMA) and a reader
 * without privileges could not set them.  Capabilities are the exception: a program in an image
 * may need its own. */
#include "builder/layer_attributes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/text.h"

#define LIST_MAX  65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel */
#define VALUE_MAX 65536

void attributes_release(struct attributes *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].name);
        free(a->v[i].value);
    }
    free(a->v);
    *a = (struct attributes){.v = NULL};
}

/* "opaque" of "user.overlay.opaque" and "trusted.overlay.opaque"; NULL for any other name. */
static const char *overlay_name(const char *name)
{
    if (text_starts(name, "user.overlay."))
        return name + strlen("user.overlay.");
    if (text_starts(name, "trusted.overlay."))
        return name + strlen("trusted.overlay.");
    return NULL;
}

bool attribute_is_carried(const char *name)
{
    static const char *const others[] = {"security.capability", "system.posix_acl_access",
                                         "system.posix_acl_default", NULL};

    if (strchr(name, '=') || overlay_name(name))
        return false; /* a record of the tar would end its name at the equals sign */
    return text_starts(name, "user.") || text_is_among(name, others);
}

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read extended attributes: out of memory");
}

static int read_value(int fd, const char *name, char **ret, size_t *ret_len, struct error *err)
{
    CLEANUP_FREE char *value = malloc(VALUE_MAX);
    ssize_t len;

    if (!value)
        return out_of_memory(err);
    len = fgetxattr(fd, name, value, VALUE_MAX);
    if (len < 0)
        return error_errno(err, errno, "read the attribute %.255s", name);
    *ret = TAKE(value);
    *ret_len = (size_t)len;
    return 0;
}

/* A capability set in a user namespace (version 3 of the attribute, linux/capability.h) names
 * where on this machine that namespace's root is.  In the image it is root's own, version 2. */
static void forget_namespace(struct tar_attribute *a)
{
    if (strcmp(a->name, "security.capability") == 0 && a->len == 24 && a->value[3] == 3) {
        a->value[3] = 2;
        a->len = 20;
    }
}

static int add(int fd, const char *name, struct attributes *a, struct error *err)
{
    struct tar_attribute *v = reallocarray(a->v, a->n + 1, sizeof(*v));
    struct tar_attribute fresh = {.name = NULL};

    if (!v)
        return out_of_memory(err);
    a->v = v;
    if (read_value(fd, name, &fresh.value, &fresh.len, err) < 0)
        return -1;
    fresh.name = strdup(name);
    if (!fresh.name) {
        free(fresh.value);
        return out_of_memory(err);
    }
    forget_namespace(&fresh);
    a->v[a->n++] = fresh;
    return 0;
}

static int read_overlay(int fd, const char *name, const char *what, struct attributes *a,
                        struct error *err)
{
    CLEANUP_FREE char *value = NULL;
    size_t len = 0;

    if (strcmp(what, "redirect") == 0 || strcmp(what, "metacopy") == 0)
        return error_set(err, ERR_SYSTEM,
                         "it has the attribute %s: the overlay must be mounted with "
                         "redirect_dir=off,metacopy=off",
                         name);
    if (strcmp(what, "opaque") != 0)
        return 0;
    if (read_value(fd, name, &value, &len, err) < 0)
        return -1;
    a->opaque = a->opaque || (len == 1 && value[0] == 'y');
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tar_attribute *)a)->name, ((const struct tar_attribute *)b)->name);
}

static int read_all(int fd, const char *names, size_t len, struct attributes *a, struct error *err)
{
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        const char *what = overlay_name(name);

        if (what ? read_overlay(fd, name, what, a, err) < 0
                 : attribute_is_carried(name) && add(fd, name, a, err) < 0)
            return -1;
    }
    if (a->n > 1)
        qsort(a->v, a->n, sizeof(a->v[0]), by_name);
    return 0;
}

int attributes_read(int fd, struct attributes *ret, struct error *err)
{
    CLEANUP(attributes_release) struct attributes a = {.v = NULL};
    CLEANUP_FREE char *names = NULL;
    ssize_t len = flistxattr(fd, NULL, 0);

    if (len > 0) {
        names = malloc(LIST_MAX + 1);
        if (!names)
            return out_of_memory(err);
        len = flistxattr(fd, names, LIST_MAX);
    }
    if (len < 0 && errno != ENOTSUP)
        return error_errno(err, errno, "list its extended attributes");
    if (len > 0) {
        names[len] = '\0';
        if (read_all(fd, names, (size_t)len, &a, err) < 0)
            return -1;
    }
    *ret = a;
    a = (struct attributes){.v = NULL};
    return 0;
}

int attributes_set_opaque(int fd, bool userxattr, struct error *err)
{
    const char *name = userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";

    if (fsetxattr(fd, name, "y", 1, 0) < 0)
        return error_errno(err, errno, "set the attribute %s", name);
    return 0;
}
