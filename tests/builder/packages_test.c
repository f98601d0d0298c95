/* What package managers' files and Go's binaries say, and which files those are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/packages.h"

static int open_text(const char *text, size_t len)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("file", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, len, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* "type name version architecture (license); " of each. */
static void check_said(const json_t *said, const char *expected)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(1 << 20);
    static const char *const keys[] = {"type", "name", "version", "architecture", "license"};
    const json_t *one;
    size_t i;

    json_array_foreach (json_object_get(said, "packages"), i, one) {
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            const char *value = json_string_value(json_object_get(one, keys[k]));

            if (value)
                buf_addf(&all, "%s%s", k ? " " : "", value);
        }
        buf_adds(&all, "; ");
    }
    assert_string_equal(buf_str(&all), expected);
}

static void check(enum packages_file kind, const char *text, const char *expected)
{
    CLEANUP_CLOSE int fd = open_text(text, strlen(text));
    json_auto_t *said = packages_read_file(kind, fd);

    check_said(said, expected);
}

static void test_dpkg_names_what_is_installed(void **state)
{
    (void)state;
    check(PACKAGES_FILE_DPKG,
          "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\n"
          "Description: shell\n Version: 9\n\nPackage: gone\nStatus: deinstall ok config-files\n"
          "Version: 1\n\nPackage: half\nStatus: install ok half-installed\nVersion: 2\n\n"
          "Package: last\nVersion: 1:3~rc1+b2\r\n",
          "deb bash 5.2-1 amd64; deb last 1:3~rc1+b2; ");
}

static void test_apk_and_python_are_read_alike(void **state)
{
    (void)state;
    check(PACKAGES_FILE_APK, "C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\n\nP:no version\n\n",
          "apk musl 1.2.5-r0 x86_64 MIT; ");
    check(
        PACKAGES_FILE_PYTHON,
        "Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\nLicense: MIT\n\nVersion: 7\nName: x\n",
        "pypi PyYAML 6.0 MIT; ");
}

static void test_npm_names_itself(void **state)
{
    (void)state;
    check(PACKAGES_FILE_NPM, "{\"name\":\"@s/x\",\"version\":\"1.0.0\",\"license\":\"MIT\"}",
          "npm @s/x 1.0.0 MIT; ");
    check(PACKAGES_FILE_NPM, "{\"name\":\"x\",\"version\":\"1\",\"license\":{\"type\":\"ISC\"}}",
          "npm x 1 ISC; ");
    check(PACKAGES_FILE_NPM, "{\"name\":\"x\"}", "");
    check(PACKAGES_FILE_NPM, "{\"name\":7,\"version\":\"1\"}", "");
    check(PACKAGES_FILE_NPM, "[", "");
}

static void test_what_is_no_word_is_left_out(void **state)
{
    char long_name[PACKAGES_WORD_MAX + 64] = "P:";

    (void)state;
    memset(long_name + 2, 'x', PACKAGES_WORD_MAX + 1);
    memcpy(long_name + strlen(long_name), "\nV:1\n", sizeof("\nV:1\n"));
    check(PACKAGES_FILE_APK, long_name, "");
    check(PACKAGES_FILE_APK, "P:a b\nV:1\n\nP:a\nV:1 2\n\nP:\xff\nV:1\n\nP:a\"b\nV:1\n", "");
    check(PACKAGES_FILE_APK, "P:a\nV:1\nL:\x01\n", "apk a 1; ");
}

static void test_the_list_has_an_end_and_says_so(void **state)
{
    CLEANUP(packages_release) struct packages p = {.list = NULL};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(packages_init(&p, 2, &err), 0);
    packages_read_control(PACKAGES_FILE_APK, "P:a\nV:1\n\nP:b\nV:1\n", 18, &p);
    assert_false(p.cut);
    packages_read_control(PACKAGES_FILE_APK, "P:c\nV:1\n", 8, &p);
    assert_true(p.cut);
    assert_int_equal(json_array_size(p.list), 2);
}

static void read_corpus(const char *name, struct buf *text)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
    const char *source = getenv("KILN_SOURCE");
    struct error err = ERROR_INIT;

    assert_non_null(source);
    buf_addf(&path, "%s/tests/builder/corpus_packages/%s", source, name);
    assert_int_equal(fs_read_file(AT_FDCWD, buf_str(&path), text, &err), 0);
}

static void test_a_go_binary_names_its_modules_and_what_replaces_them(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    json_auto_t *said = NULL;
    CLEANUP_CLOSE int fd = -1;

    (void)state;
    read_corpus("go", &text);
    fd = open_text(buf_str(&text) + 3, text.len - 3);
    said = packages_read_file(PACKAGES_FILE_PROGRAM, fd);
    check_said(said, "golang stdlib 1.22.3; golang example.com/app v1.2.3; "
                     "golang example.com/fork v0.4.0; golang github.com/a/b v2.0.0; ");
}

#define ALPHA "rpm alpha 2:1.2.3-4 x86_64 MIT; "
#define TWO   "rpm alpha-two 2:9-4 noarch BSD; "

/* Two packages; corpus_packages/rpm_ndb was written by lib/backend/ndb/rpmpkg.c of rpm 4.18 itself.
 */
static void test_small_rpm_databases_are_read(void **state)
{
    static const char *const names[] = {"rpm_sqlite", "rpm_ndb", "rpm_bdb", "rpm_bdb_big"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
        CLEANUP_CLOSE int fd = -1;
        json_auto_t *said = NULL;

        read_corpus(names[i], &text);
        fd = open_text(buf_str(&text) + 4, text.len - 4);
        said = packages_read_file(PACKAGES_FILE_RPM, fd);
        check_said(said, i < 2 ? ALPHA TWO : TWO ALPHA);
        assert_null(json_object_get(said, "cut"));
    }
}

/* buildah, which is of Go and stands in all who run these tests. */
static void test_a_real_go_binary_tells_its_go(void **state)
{
    CLEANUP_CLOSE int fd = open("/usr/bin/buildah", O_RDONLY | O_CLOEXEC);
    json_auto_t *said = NULL;
    const json_t *first;

    (void)state;
    if (fd < 0)
        skip();
    said = packages_read_file(PACKAGES_FILE_PROGRAM, fd);
    first = json_array_get(json_object_get(said, "packages"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "stdlib");
    assert_true(json_string_value(json_object_get(first, "version"))[0] == '1');
}

static void test_files_are_known_by_their_paths(void **state)
{
    static const struct {
        const char *path;
        enum packages_file kind;
    } cases[] = {
        {"var/lib/dpkg/status", PACKAGES_FILE_DPKG},
        {"srv/var/lib/dpkg/status", PACKAGES_FILE_NONE},
        {"var/lib/dpkg/status.d/tzdata", PACKAGES_FILE_DPKG},
        {"var/lib/dpkg/status.d/tzdata.md5sums", PACKAGES_FILE_NONE},
        {"lib/apk/db/installed", PACKAGES_FILE_APK},
        {"usr/lib/apk/db/installed", PACKAGES_FILE_APK},
        {"opt/v/lib/python3/site-packages/x-1.dist-info/METADATA", PACKAGES_FILE_PYTHON},
        {"x.egg-info/PKG-INFO", PACKAGES_FILE_PYTHON},
        {"usr/lib/x.egg-info", PACKAGES_FILE_PYTHON},
        {"x.dist-info/RECORD", PACKAGES_FILE_NONE},
        {"node_modules/x/package.json", PACKAGES_FILE_NPM},
        {"a/node_modules/@s/x/package.json", PACKAGES_FILE_NPM},
        {"node_modules/a/node_modules/b/package.json", PACKAGES_FILE_NPM},
        {"node_modules/a/lib/package.json", PACKAGES_FILE_NONE},
        {"node_modules/package.json", PACKAGES_FILE_NONE},
        {"my_node_modules/x/package.json", PACKAGES_FILE_NONE},
        {"package.json", PACKAGES_FILE_NONE},
        {"etc/os-release", PACKAGES_FILE_OS},
        {"var/lib/rpm/rpmdb.sqlite", PACKAGES_FILE_RPM},
        {"usr/lib/sysimage/rpm/Packages.db", PACKAGES_FILE_RPM},
        {"var/lib/rpm/Packages", PACKAGES_FILE_RPM},
        {"var/lib/rpm/Name", PACKAGES_FILE_NONE},
        {"bin/sh", PACKAGES_FILE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (packages_file_of(cases[i].path, false) != cases[i].kind)
            fail_msg("%s", cases[i].path);
    assert_int_equal(packages_file_of("bin/sh", true), PACKAGES_FILE_PROGRAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dpkg_names_what_is_installed),
        cmocka_unit_test(test_apk_and_python_are_read_alike),
        cmocka_unit_test(test_npm_names_itself),
        cmocka_unit_test(test_what_is_no_word_is_left_out),
        cmocka_unit_test(test_the_list_has_an_end_and_says_so),
        cmocka_unit_test(test_a_go_binary_names_its_modules_and_what_replaces_them),
        cmocka_unit_test(test_small_rpm_databases_are_read),
        cmocka_unit_test(test_a_real_go_binary_tells_its_go),
        cmocka_unit_test(test_files_are_known_by_their_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
