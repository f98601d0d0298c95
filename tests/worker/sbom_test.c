/* Package URLs, and the SPDX document of a list of packages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "worker/purl.h"
#include "worker/sbom.h"

#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

static void test_package_urls_are_as_their_types_want_them(void **state)
{
    static const struct {
        struct purl_package p;
        const char *url;
    } rows[] = {
        {{"deb", "libc6", "1:2.36-9+b1", "amd64", "debian", "12"},
         "pkg:deb/debian/libc6@1%3A2.36-9%2Bb1?arch=amd64&distro=debian-12"},
        {{"deb", "x", "1~rc1", "", "", ""}, "pkg:deb/x@1~rc1"},
        {{"apk", "musl", "1.2-r0", "x86_64", "alpine", ""},
         "pkg:apk/alpine/musl@1.2-r0?arch=x86_64"},
        {{"rpm", "curl", "7.76.1-26.el9", "x86_64", "rhel", "9.3"},
         "pkg:rpm/redhat/curl@7.76.1-26.el9?arch=x86_64&distro=rhel-9.3"},
        {{"rpm", "vim", "2:9.1^git-1.fc40", "noarch", "fedora", "40"},
         "pkg:rpm/fedora/vim@9.1%5Egit-1.fc40?arch=noarch&distro=fedora-40&epoch=2"},
        {{"rpm", "x", "2:1-1", "", "", ""}, "pkg:rpm/x@1-1?epoch=2"},
        {{"pypi", "Foo_Bar", "1.0", "", "debian", "12"}, "pkg:pypi/foo-bar@1.0"},
        {{"npm", "@s/x", "1.0.0", "", "", ""}, "pkg:npm/%40s/x@1.0.0"},
        {{"golang", "example.com/A/b", "v1.2.3", "", "", ""}, "pkg:golang/example.com/A/b@v1.2.3"},
        {{"npm", "a?b#c%", "1", "", "", ""}, "pkg:npm/a%3Fb%23c%25@1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(buf_release) struct buf out = BUF_INIT(4096);

        purl_add_package(&rows[i].p, &out);
        assert_string_equal(buf_str(&out), rows[i].url);
    }
}

static json_t *document(const char *packages, size_t *ret_n)
{
    const struct sbom_subject subject = {"reg:5000/ws/sandbox/app", DIGEST, "kiln 1",
                                         INT64_C(1700000000) * NS_PER_SEC};
    CLEANUP(buf_release) struct buf list = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    json_t *o;

    buf_adds(&list, packages);
    if (sbom_write(&subject, &list, &out, ret_n, &err) < 0)
        return NULL;
    o = json_loads(buf_str(&out), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    return o;
}

static const char *text_at(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

#define ONE "{\"type\":\"npm\",\"name\":\"a\",\"version\":\"1\",\"path\":\"x/package.json\"}"

static void test_a_package_stands_there_once_and_the_image_contains_it(void **state)
{
    size_t n = 0;
    json_auto_t *o = document("{\"packages\":[" ONE "," ONE "]}", &n);
    const json_t *packages = json_object_get(o, "packages");
    const json_t *relations = json_object_get(o, "relationships");

    (void)state;
    assert_int_equal(n, 1);
    assert_int_equal(json_array_size(packages), 2);
    assert_int_equal(json_array_size(relations), 2);
    assert_string_equal(text_at(o, "spdxVersion"), "SPDX-2.3");
    assert_string_equal(text_at(json_object_get(o, "creationInfo"), "created"),
                        "2023-11-14T22:13:20Z");
    assert_string_equal(text_at(json_array_get(packages, 1), "sourceInfo"),
                        "named by /x/package.json");
    assert_string_equal(text_at(json_array_get(relations, 1), "relatedSpdxElement"),
                        text_at(json_array_get(packages, 1), "SPDXID"));
    assert_null(json_object_get(o, "comment"));
}

#define RPM                                                                                        \
    "{\"type\":\"rpm\",\"name\":\"a\",\"version\":\"1-1\",\"path\":\"var/lib/rpm/Packages\","      \
    "\"license\":\"MIT\",\"vendor\":\"Fedora Project\"}"

static void test_what_the_package_says_of_itself_is_told(void **state)
{
    size_t n = 0;
    json_auto_t *o = document("{\"packages\":[" RPM "]}", &n);
    const json_t *package = json_array_get(json_object_get(o, "packages"), 1);

    (void)state;
    assert_string_equal(text_at(package, "licenseComments"), "the package says: MIT");
    assert_string_equal(text_at(package, "supplier"), "Organization: Fedora Project");
}

static void test_a_list_that_is_not_whole_says_so(void **state)
{
    size_t n = 0;
    json_auto_t *cut = document("{\"packages\":[],\"cut\":true}", &n);

    (void)state;
    assert_non_null(strstr(text_at(cut, "comment"), "Not all"));
}

static void test_what_is_no_list_is_refused(void **state)
{
    size_t n = 0;

    (void)state;
    assert_null(document("", &n));
    assert_null(document("[]", &n));
    assert_null(document("{\"packages\":7}", &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_package_urls_are_as_their_types_want_them),
        cmocka_unit_test(test_a_package_stands_there_once_and_the_image_contains_it),
        cmocka_unit_test(test_what_the_package_says_of_itself_is_told),
        cmocka_unit_test(test_a_list_that_is_not_whole_says_so),
        cmocka_unit_test(test_what_is_no_list_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
