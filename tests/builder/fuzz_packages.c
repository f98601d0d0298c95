/* The first line says what is read, the rest is its content. */
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *name;
    enum packages_file kind;
} kinds[] = {
    {"dpkg\n", PACKAGES_FILE_DPKG}, {"apk\n", PACKAGES_FILE_APK},
    {"os\n", PACKAGES_FILE_OS},     {"python\n", PACKAGES_FILE_PYTHON},
    {"npm\n", PACKAGES_FILE_NPM},   {"go\n", PACKAGES_FILE_PROGRAM},
    {"rpm\n", PACKAGES_FILE_RPM},
};

/* Whatever is read is a word or a text of bounded length. */
static void check(const json_t *said)
{
    const json_t *packages = json_object_get(said, "packages");
    const json_t *package, *value;
    const char *key;
    size_t i;

    json_array_foreach (packages, i, package) {
        if (!json_object_get(package, "name") || !json_object_get(package, "version"))
            abort();
        json_object_foreach ((json_t *)package, key, value)
            if (!json_is_string(value) || json_string_length(value) == 0 ||
                json_string_length(value) > PACKAGES_TEXT_MAX ||
                text_has_control(json_string_value(value), json_string_length(value)))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const size_t n = strlen(kinds[i].name);
        struct error err = ERROR_INIT;
        json_auto_t *said = NULL;
        CLEANUP_CLOSE int fd = -1;

        if (size < n || memcmp(data, kinds[i].name, n) != 0)
            continue;
        fd = memfd_create("file", MFD_CLOEXEC);
        if (fd < 0 || fs_write_all(fd, data + n, size - n, &err) < 0 || lseek(fd, 0, SEEK_SET) < 0)
            abort();
        said = packages_read_file(kinds[i].kind, fd);
        check(said);
    }
    return 0;
}
