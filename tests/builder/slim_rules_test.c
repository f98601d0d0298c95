/* The rules of slimming: which paths they mean, and what keeps those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/fs.h"
#include "builder/slim_pins.h"

/* ---- the table ---- */

static void test_no_rule_takes_what_another_ones_place_is_in(void **state)
{
    struct slim_places p;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(slim_places_init("/srv/app", &p, &err), 0);
    for (size_t i = 0; i < p.n; i++) {
        const struct slim_rule *rule = NULL;
        size_t len = 0;

        assert_int_equal(slim_places_find(&p, p.v[i].pattern, &rule, &len), SLIM_AT);
        assert_int_equal(len, strlen(p.v[i].pattern));
        assert_ptr_equal(rule, p.v[i].rule);
        assert_true(*rule->group && *rule->reason);
        assert_true(rule->path[0] != '/' && rule->path[strlen(rule->path) - 1] != '/');
    }
    slim_places_release(&p);
}

static void test_the_manual_has_every_rule(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    char path[4096], wanted[256];
    const char *source = getenv("KILN_SOURCE");
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(source);
    (void)snprintf(path, sizeof(path), "%s/docs/slim.md", source);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    for (size_t i = 0; i < slim_n_rules; i++) {
        const struct slim_rule *r = &slim_rules[i];

        (void)snprintf(wanted, sizeof(wanted), "| %s |", r->group);
        if (!strstr(buf_str(&text), wanted))
            fail_msg("docs/slim.md lacks %s", wanted);
        (void)snprintf(wanted, sizeof(wanted), "`%s%s`", *r->path == '~' ? "" : "/", r->path);
        if (!strstr(buf_str(&text), wanted))
            fail_msg("docs/slim.md lacks %s", wanted);
    }
}

static void test_a_path_is_above_at_or_below_a_place(void **state)
{
    static const struct {
        const char *path;
        enum slim_relation relation;
        const char *place;
    } cases[] = {
        {"", SLIM_ABOVE, NULL},
        {"var", SLIM_ABOVE, NULL},
        {"var/lib/apt", SLIM_ABOVE, NULL},
        {"var/lib/apt/lists", SLIM_AT, "var/lib/apt/lists"},
        {"var/lib/apt/lists/partial/x", SLIM_BELOW, "var/lib/apt/lists"},
        {"var/lib/apt/lists2", SLIM_ELSEWHERE, NULL},
        {"var/lib/apt/extended_states", SLIM_ELSEWHERE, NULL},
        {"var/lib/dpkg", SLIM_AT, "var/lib/dpkg"},
        {"var/lib/dpkg/status-old", SLIM_BELOW, "var/lib/dpkg"},
        {"var/lib/dpkg/status", SLIM_ELSEWHERE, NULL},
        {"var/lib/dpkg/info/x-old", SLIM_ELSEWHERE, NULL},
        {"var/log/dpkg.log", SLIM_BELOW, "var/log"},
        {"var/log/nginx", SLIM_ELSEWHERE, NULL},
        {"var/log/apt", SLIM_AT, "var/log/apt"},
        {"var/log/apt/history.log", SLIM_BELOW, "var/log/apt"},
        {"root/.cache", SLIM_ABOVE, NULL},
        {"root/.cache/pip", SLIM_AT, "root/.cache/pip"},
        {"root/.cache/huggingface", SLIM_ELSEWHERE, NULL},
        {"root/.cache/pypoetry/virtualenvs/x", SLIM_ELSEWHERE, NULL},
        {"root/.npm/_npx/x", SLIM_ELSEWHERE, NULL},
        {"root/.yarn/berry/cache/x.zip", SLIM_ELSEWHERE, NULL},
        {"home/node/.npm/_cacache/x", SLIM_BELOW, "home/node/.npm/_cacache"},
        {"home/a/b/.npm/_cacache", SLIM_ELSEWHERE, NULL},
        {"srv/app/.cache/uv/x", SLIM_BELOW, "srv/app/.cache/uv"},
        {"root/.cache/pnpm/metadata-v1.3/x", SLIM_BELOW, "root/.cache/pnpm/metadata-v1.3"},
        {"root/.cache/pnpm/dlx", SLIM_ELSEWHERE, NULL},
        {"go/pkg/mod/cache", SLIM_ELSEWHERE, NULL},
        {"tmp/x", SLIM_ELSEWHERE, NULL},
        {"usr/share/doc/x", SLIM_ELSEWHERE, NULL},
        {"app/__pycache__/x.pyc", SLIM_ELSEWHERE, NULL},
    };
    struct slim_places p;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(slim_places_init("/srv/app", &p, &err), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct slim_rule *rule = NULL;
        size_t len = 0;

        if (slim_places_find(&p, cases[i].path, &rule, &len) != cases[i].relation)
            fail_msg("%s is not so", cases[i].path);
        if (cases[i].place)
            assert_int_equal(len, strlen(cases[i].place));
    }
    slim_places_release(&p);
}

static void test_a_home_that_is_the_root_or_a_pattern_is_none(void **state)
{
    static const char *const homes[] = {"", "/", "/*", "/a[b]", "/a/../.."};
    struct error err = ERROR_INIT;
    struct slim_places with, without;

    (void)state;
    assert_int_equal(slim_places_init("", &without, &err), 0);
    for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
        assert_int_equal(slim_places_init(homes[i], &with, &err), 0);
        assert_int_equal(with.n, without.n);
        slim_places_release(&with);
    }
    slim_places_release(&without);
}

/* ---- what keeps a place ---- */

static const struct slim_rule *rule_of(const struct slim_config *c, const char *path)
{
    const struct slim_rule *rule = NULL;
    size_t len;

    assert_true(slim_places_find(&c->places, path, &rule, &len) >= SLIM_AT);
    return rule;
}

static const char *pin_of(const struct slim_config *c, const char *path)
{
    return slim_pins_find(&c->pins, rule_of(c, path), path);
}

static void test_the_configuration_keeps_what_it_names(void **state)
{
    static const char text[] =
        "{\"Env\":[\"HOME=/srv/app\",\"PATH=/bin:/root/.cache/uv/bin\",\"X=a:/root/.npm/_cacache/"
        "\"],"
        "\"WorkingDir\":\"/root/.cache/pip/x\",\"Cmd\":[\"sh\",\"-c\",\"cd /x && /usr/bin/go run "
        ".\"],"
        "\"Entrypoint\":[\"/var/cache/apt/x\"],\"Volumes\":{\"/data/\":{},\"/v/./w\":{}}}";
    CLEANUP(slim_config_release) struct slim_config c;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(slim_config_read(text, &c, &err), 0);
    assert_string_equal(pin_of(&c, "root/.cache/uv"), "the variable PATH");
    assert_string_equal(pin_of(&c, "root/.npm/_cacache"), "the variable X");
    assert_string_equal(pin_of(&c, "root/.cache/pip"), "the working directory");
    assert_string_equal(pin_of(&c, "var/cache/apt"), "the image's command");
    assert_null(pin_of(&c, "srv/app/.cache/pip")); /* HOME itself keeps nothing */
    assert_null(pin_of(&c, "var/lib/apt/lists"));
    assert_string_equal(slim_config_runs(&c, rule_of(&c, "root/.cache/go-build")), "go");
    assert_null(slim_config_runs(&c, rule_of(&c, "root/.cache/uv")));
    assert_int_equal(c.volumes.n, 2);
    assert_string_equal(c.volumes.v[0], "data");
    assert_string_equal(c.volumes.v[1], "v/w");
}

static void test_a_configuration_that_is_none_keeps_nothing(void **state)
{
    static const char *const texts[] = {"", "[]", "{\"Env\":{},\"Cmd\":3,\"Volumes\":[1]}",
                                        "{\"Env\":[1,null,\"\"],\"Cmd\":[[]],\"WorkingDir\":\"\"}"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CLEANUP(slim_config_release) struct slim_config c;

        assert_int_equal(slim_config_read(texts[i], &c, &err), 0);
        assert_int_equal(c.pins.at.n, 0);
    }
}

static void test_a_link_keeps_the_place_that_it_leads_to_or_that_lies_below(void **state)
{
    static const struct {
        const char *link, *target;
        bool keeps; /* root/.cache/uv */
    } cases[] = {
        {"bin/x", "/root/.cache/uv/bin/x", true},
        {"bin/x", "../root/.cache/uv", true},
        {"x", "root//./.cache/uv/a", true},
        {"a/b/x", "../../../../../root/.cache/uv/a", true},
        {"cache", "/root/.cache", true},
        {"host", "/", true},
        {"x", "../root/.cache/uv2", false},
        {"x", "/root/.cache/pip", false},
        {"root/.cache/x", "pip", false},
        {"x", "uv", false},
    };
    CLEANUP(slim_config_release) struct slim_config c;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(slim_config_read("{}", &c, &err), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slim_pins pins = {.many = false};
        const char *by;

        slim_pins_add_link(&pins, &c.places, cases[i].link, cases[i].target);
        by = slim_pins_find(&pins, rule_of(&c, "root/.cache/uv"), "root/.cache/uv");
        if ((by != NULL) != cases[i].keeps)
            fail_msg("%s -> %s", cases[i].link, cases[i].target);
        slim_pins_release(&pins);
    }
}

static void test_more_links_than_are_counted_keep_everything(void **state)
{
    CLEANUP(slim_config_release) struct slim_config c;
    struct slim_pins pins = {.many = false};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(slim_config_read("{}", &c, &err), 0);
    for (int i = 0; i <= SLIM_PINS_MAX; i++) {
        char target[64];

        assert_false(pins.many);
        (void)snprintf(target, sizeof(target), "/home/%d/.cache/pip", i);
        slim_pins_add_link(&pins, &c.places, "x", target);
    }
    assert_true(pins.many);
    assert_non_null(slim_pins_find(&pins, rule_of(&c, "var/cache/apk"), "var/cache/apk"));
    slim_pins_release(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rule_takes_what_another_ones_place_is_in),
        cmocka_unit_test(test_the_manual_has_every_rule),
        cmocka_unit_test(test_a_path_is_above_at_or_below_a_place),
        cmocka_unit_test(test_a_home_that_is_the_root_or_a_pattern_is_none),
        cmocka_unit_test(test_the_configuration_keeps_what_it_names),
        cmocka_unit_test(test_a_configuration_that_is_none_keeps_nothing),
        cmocka_unit_test(test_a_link_keeps_the_place_that_it_leads_to_or_that_lies_below),
        cmocka_unit_test(test_more_links_than_are_counted_keep_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
