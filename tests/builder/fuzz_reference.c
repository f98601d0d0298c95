/* Any text as an image's name, and as the host in one. */
#include <string.h>

#include "base/text.h"
#include "builder/address.h"
#include "builder/location.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A full name is one of its own, and of this machine or elsewhere as it was. */
static void check(const struct reference *ref)
{
    static const struct builder_mirror mirror = {"docker.io", "mirror.test:5000/m", true};
    const struct builder_config config = {
        .mirrors = &mirror, .n_mirrors = 1, .push_registry = "registry.test:5000"};
    struct builder_base_place place;
    struct reference again;
    struct error err = ERROR_INIT;

    must(ref->host[0] && text_starts(ref->full, ref->host) && ref->full[strlen(ref->host)] == '/');
    must(reference_parse(ref->full, &again, &err) == 0);
    must(strcmp(ref->full, again.full) == 0 && strcmp(ref->host, again.host) == 0);
    must(reference_name_length(ref->full) <= strlen(ref->full));
    (void)reference_is_below(ref->full, "docker.io/library");
    if (address_host_is_forbidden(ref->host))
        must(reference_where(ref, &config, "acme", NULL) == REFERENCE_FORBIDDEN);
    (void)location_find(&config, ref, &place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    char name[ADDRESS_NAME];
    struct error err = ERROR_INIT;
    struct reference ref;

    must(text != NULL);
    if (reference_parse(text, &ref, &err) == 0)
        check(&ref);
    else
        must(err.kind == ERR_INPUT && err.msg[0]);
    address_name(text, name);
    must(memchr(name, '\0', sizeof(name)) != NULL);
    (void)address_host_is_forbidden(text);
    return 0;
}
