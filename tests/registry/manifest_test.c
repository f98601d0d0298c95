/* A manifest's bytes are judged before anything in them is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "registry/manifest.h"
#include "tests/registry/fixture.h"

#define D1                    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DESC(size)            "{\"digest\":\"" D1 "\",\"size\":" size "}"
#define IMAGE(config, layers) "{\"schemaVersion\":2,\"config\":" config ",\"layers\":[" layers "]}"
#define INDEX(manifests)      "{\"schemaVersion\":2,\"manifests\":[" manifests "]}"

static void test_every_kind_of_manifest_is_accepted_with_its_size(void **state)
{
    static const struct {
        const char *type;
        const char *json;
        const char *media_type;
        uint64_t size;
    } table[] = {
        {OCI_MANIFEST, IMAGE(DESC("2"), DESC("100") "," DESC("40")), OCI_MANIFEST, 142},
        {DOCKER_MANIFEST, IMAGE(DESC("2"), DESC("100")), DOCKER_MANIFEST, 102},
        {OCI_MANIFEST, IMAGE(DESC("7"), ""), OCI_MANIFEST, 7},
        {OCI_INDEX, INDEX(DESC("500")), OCI_INDEX, 0},
        {DOCKER_LIST, INDEX(DESC("500") "," DESC("600")), DOCKER_LIST, 0},
        {OCI_MANIFEST "; charset=utf-8", IMAGE(DESC("1"), ""), OCI_MANIFEST, 1},
        {"Application/vnd.OCI.image.manifest.v1+json", IMAGE(DESC("1"), ""), OCI_MANIFEST, 1},
        {NULL, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[]}", OCI_INDEX,
         0},
        {OCI_MANIFEST, IMAGE(DESC("9223372036854775807"), DESC("9223372036854775807")),
         OCI_MANIFEST, UINT64_MAX - 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct registry_manifest m = {.size = 77};
        struct error err = ERROR_INIT;

        if (registry_manifest_read(table[i].json, strlen(table[i].json), table[i].type, &m, &err) <
            0)
            fail_msg("row %zu: %s", i, err.msg);
        assert_string_equal(m.media_type, table[i].media_type);
        assert_int_equal(m.size, table[i].size);
    }
}

static void test_the_digest_is_of_the_bytes_as_they_came(void **state)
{
    static const char json[] = " " INDEX("") "\n";
    struct registry_manifest m = {.size = 0};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(registry_manifest_read(json, sizeof(json) - 1, OCI_INDEX, &m, &err), 0);
    assert_string_equal(m.digest,
                        "sha256:8f0fe8bfbe21853726a5d5a5c240beba682c18f9a8de01b26acf0bc258bad04a");
}

static void test_what_is_no_manifest_is_refused(void **state)
{
    static const struct {
        const char *type;
        const char *json;
    } table[] = {
        {OCI_MANIFEST, ""},
        {OCI_MANIFEST, "null"},
        {OCI_MANIFEST, "[]"},
        {OCI_MANIFEST, "<html></html>"},
        {OCI_MANIFEST, "{"},
        {OCI_MANIFEST, "{}"},
        {OCI_MANIFEST, IMAGE(DESC("1"), "") "x"},
        {OCI_MANIFEST, "{\"schemaVersion\":1,\"config\":" DESC("1") ",\"layers\":[]}"},
        {OCI_MANIFEST, "{\"schemaVersion\":\"2\",\"config\":" DESC("1") ",\"layers\":[]}"},
        {"text/html", IMAGE(DESC("1"), "")},
        {"application/json", IMAGE(DESC("1"), "")},
        {"", IMAGE(DESC("1"), "")},
        {NULL, IMAGE(DESC("1"), "")},
        {NULL, "{\"schemaVersion\":2,\"mediaType\":3,\"manifests\":[]}"},
        /* two readings of one text */
        {OCI_INDEX, IMAGE(DESC("1"), "")},
        {OCI_MANIFEST, INDEX(DESC("1"))},
        {OCI_INDEX,
         "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[],\"config\":" DESC("1") "}"},
        {OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[],\"config\":" DESC("1") "}"},
        {OCI_MANIFEST,
         "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[],\"config\":" DESC("1") "}"},
        {OCI_MANIFEST, "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_MANIFEST
                       "\",\"layers\":[],\"config\":" DESC("1") "}"},
        {OCI_MANIFEST,
         "{\"schemaVersion\":2,\"layers\":[],\"layers\":[],\"config\":" DESC("1") "}"},
        /* descriptors */
        {OCI_MANIFEST, IMAGE("null", "")},
        {OCI_MANIFEST, IMAGE(DESC("1"), "null")},
        {OCI_MANIFEST, IMAGE(DESC("1"), "{}")},
        {OCI_MANIFEST, IMAGE(DESC("1"), DESC("-1"))},
        {OCI_MANIFEST, IMAGE(DESC("-1"), "")},
        {OCI_MANIFEST, IMAGE(DESC("1"), DESC("1.5"))},
        {OCI_MANIFEST, IMAGE(DESC("1"), DESC("\"1\""))},
        {OCI_MANIFEST, IMAGE(DESC("1"), DESC("99999999999999999999"))},
        {OCI_MANIFEST,
         IMAGE(DESC("9223372036854775807"), DESC("9223372036854775807") "," DESC("2"))},
        {OCI_MANIFEST, IMAGE(DESC("1"), "{\"digest\":\"sha256:zz\",\"size\":1}")},
        {OCI_INDEX, INDEX("{\"size\":1}")},
        {OCI_MANIFEST, "{\"schemaVersion\":2,\"config\":" DESC("1") ",\"layers\":{}}"},
        {OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":{}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct registry_manifest m = {.size = 77};
        struct error err = ERROR_INIT;

        if (registry_manifest_read(table[i].json, strlen(table[i].json), table[i].type, &m, &err) ==
            0)
            fail_msg("row %zu is taken", i);
        assert_int_equal(err.kind, ERR_REMOTE);
        assert_true(text_starts(err.msg, "not a manifest: "));
        assert_int_equal(m.size, 77);
    }
}

static void test_a_registrys_error_is_shown_only_when_it_is_plain_text(void **state)
{
    static const char *const table[][2] = {
        {"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no access\"}]}", "DENIED: no access"},
        {"{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED"},
        {"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"a\\u001b[31m\"}]}", "DENIED"},
        {"{\"errors\":[{\"code\":\"A\\nB\",\"message\":\"b\"}]}", ""},
        {"{\"errors\":[]}", ""},
        {"{\"errors\":{}}", ""},
        {"[]", ""},
        {"404 page not found", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf out = BUF_INIT(512);

        registry_error_read(table[i][0], strlen(table[i][0]), &out);
        assert_string_equal(buf_str(&out), table[i][1]);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_manifest_is_accepted_with_its_size),
        cmocka_unit_test(test_the_digest_is_of_the_bytes_as_they_came),
        cmocka_unit_test(test_what_is_no_manifest_is_refused),
        cmocka_unit_test(test_a_registrys_error_is_shown_only_when_it_is_plain_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
