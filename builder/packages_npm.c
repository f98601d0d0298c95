/* builder/packages_npm — package.json of a package that is installed (docs.npmjs.com, "Files"). */
#include "builder/packages.h"

/* "MIT", or the older {"type": "MIT"}. */
static const char *license_of(const json_t *root)
{
    const json_t *license = json_object_get(root, "license");

    if (json_is_object(license))
        license = json_object_get(license, "type");
    return json_string_value(license);
}

void packages_read_npm(const char *text, size_t len, struct packages *out)
{
    json_auto_t *root = json_loadb(text, len, 0, NULL);
    const struct package package = {
        .type = "npm",
        .name = json_string_value(json_object_get(root, "name")),
        .version = json_string_value(json_object_get(root, "version")),
        .license = license_of(root),
    };

    packages_add(out, &package);
}
