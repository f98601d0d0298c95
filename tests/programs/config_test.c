/* Four places for every key: which wins, what is refused, and how that is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/text.h"
#include "programs/config_keys.h"

#define WORDS_MAX 16

/* A configuration file in a directory of its own, and the words of a command line. */
struct world {
    char dir[64];
    char file[100];
    char line[300];
    int argc;
    char *argv[WORDS_MAX + 1];
    struct config config;
    struct error err;
};

static const char *const variables[] = {"KILN_CONFIG",  "KILN_LISTEN",   "KILN_WORKERS",
                                        "KILN_MIRRORS", "KILN_DATA_DIR", "KILN_UPLOAD_MAX"};

static void write_config(struct world *w, const char *text)
{
    if (fs_write_file(AT_FDCWD, w->file, text, strlen(text), 0644, &w->err) < 0)
        fail_msg("%s", w->err.msg);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        return -1;
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/kiln-config-XXXXXX");
    if (!mkdtemp(w->dir) || chdir(w->dir) < 0)
        return -1;
    (void)snprintf(w->file, sizeof(w->file), "%s/kiln.toml", w->dir);
    write_config(w, "");
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    setenv("KILN_CONFIG", w->file, 1); /* never this machine's own */
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    int result;

    config_release(&w->config);
    result = chdir("/") < 0 || fs_remove_tree(AT_FDCWD, w->dir, &w->err) < 0 ? -1 : 0;
    free(w);
    return result;
}

/* words: separated by blanks. */
static int load(struct world *w, const char *words)
{
    config_release(&w->config);
    w->argc = 0;
    (void)snprintf(w->line, sizeof(w->line), "%s", words);
    for (char *rest = w->line, *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
        w->argv[w->argc++] = word;
    w->argv[w->argc] = NULL;
    return config_load(&w->argc, w->argv, &w->config, &w->err);
}

static void assert_loads(struct world *w, const char *words)
{
    if (load(w, words) < 0)
        fail_msg("%s", w->err.msg);
}

static void assert_refused(struct world *w, const char *words, const char *message)
{
    assert_int_equal(load(w, words), -1);
    assert_int_equal(w->err.kind, ERR_INPUT);
    assert_string_equal(w->err.msg, message);
}

/* The message after the file's name. */
static void assert_file_refused(struct world *w, const char *text, const char *message)
{
    char expected[1200];

    write_config(w, text);
    assert_int_equal(load(w, "serve"), -1);
    assert_int_equal(w->err.kind, ERR_INPUT);
    (void)snprintf(expected, sizeof(expected), "%s:%s", w->file, message);
    assert_string_equal(w->err.msg, expected);
}

static void test_without_anything_set_there_are_defaults(void **state)
{
    struct world *w = *state;
    const struct config *c = &w->config;

    assert_loads(w, "serve");
    assert_string_equal(c->listen, "127.0.0.1:8080");
    assert_string_equal(c->public_url, "");
    assert_true(c->workers >= 1);
    assert_string_equal(c->registry_listen, "127.0.0.1:5000");
    assert_string_equal(c->registry_url, "");
    assert_string_equal(c->registry_program, "docker-registry");
    assert_string_equal(c->buildah_program, "buildah");
    assert_string_equal(c->sandbox_image, "ghcr.io/blaxel-ai/sandbox:latest");
    assert_int_equal(c->mirrors.n, 0);
    assert_int_equal(c->git_hosts.n, 0);
    assert_int_equal(c->git_max, INT64_C(2) << 30);
    assert_string_equal(c->egress, "nat");
    assert_int_equal(c->egress_allow.n, 0);
    assert_int_equal(c->uid_base, 1000000000);
    assert_int_equal(c->build_timeout, 1800);
    assert_true(c->build_memory >= INT64_C(1) << 30);
    assert_int_equal(c->build_memory % (INT64_C(1) << 30), 0);
    assert_int_equal(c->build_pids, 4096);
    assert_int_equal(c->build_cpus, 0);
    assert_int_equal(c->build_disk, INT64_C(40) << 30);
    assert_int_equal(c->upload_max, INT64_C(5) << 30);
    assert_int_equal(c->upload_expiry, 3600);
    assert_int_equal(c->unpack_max, INT64_C(20) << 30);
    assert_int_equal(c->unpack_entries, 1000000);
    assert_int_equal(c->lease, 30);
    assert_int_equal(c->attempts, 3);
    assert_int_equal(c->cache_max, INT64_C(10) << 30);
    assert_int_equal(c->bases_max, INT64_C(10) << 30);
    assert_int_equal(c->caches_max, INT64_C(100) << 30);
    assert_int_equal(c->log_max, 64 << 20);
}

static void test_an_option_beats_the_environment_beats_the_file_beats_the_default(void **state)
{
    struct world *w = *state;

    write_config(w, "listen = \"127.0.0.1:1\"\n");
    assert_loads(w, "serve");
    assert_string_equal(w->config.listen, "127.0.0.1:1");
    setenv("KILN_LISTEN", "127.0.0.1:2", 1);
    assert_loads(w, "serve");
    assert_string_equal(w->config.listen, "127.0.0.1:2");
    assert_loads(w, "serve --listen 127.0.0.1:3");
    assert_string_equal(w->config.listen, "127.0.0.1:3");
    setenv("KILN_LISTEN", "", 1);
    assert_loads(w, "serve");
    assert_string_equal(w->config.listen, "127.0.0.1:1");
}

static void test_the_file_can_be_named_by_option_and_environment(void **state)
{
    struct world *w = *state;

    write_config(w, "workers = 7\n");
    assert_loads(w, "serve");
    assert_int_equal(w->config.workers, 7);
    setenv("KILN_CONFIG", "/nowhere/kiln.toml", 1);
    assert_refused(w, "serve",
                   "read the configuration: open /nowhere/kiln.toml: No such file or directory");
    assert_loads(w, "serve --config kiln.toml");
    assert_int_equal(w->config.workers, 7);
    assert_loads(w, "serve --config=kiln.toml");
    assert_int_equal(w->argc, 1);
}

static void test_options_leave_the_subcommands_own_words(void **state)
{
    struct world *w = *state;

    assert_loads(w,
                 "build --workers 2 --type sandbox dir --listen=127.0.0.1:9 --name x --workers=3");
    assert_int_equal(w->config.workers, 3);
    assert_string_equal(w->config.listen, "127.0.0.1:9");
    assert_int_equal(w->argc, 6);
    assert_string_equal(w->argv[0], "build");
    assert_string_equal(w->argv[1], "--type");
    assert_string_equal(w->argv[2], "sandbox");
    assert_string_equal(w->argv[3], "dir");
    assert_string_equal(w->argv[4], "--name");
    assert_string_equal(w->argv[5], "x");
    assert_null(w->argv[6]);
}

static void test_words_after_two_dashes_are_no_options(void **state)
{
    struct world *w = *state;

    assert_loads(w, "build --workers 2 -- --workers 3");
    assert_int_equal(w->config.workers, 2);
    assert_int_equal(w->argc, 4);
    assert_string_equal(w->argv[1], "--");
}

static void test_an_option_is_its_whole_name(void **state)
{
    struct world *w = *state;

    assert_loads(w, "build --workersx 3 --worker 4 -workers 5");
    assert_int_equal(w->config.sources[3].origin, CONFIG_DEFAULT);
    assert_int_equal(w->argc, 7);
}

static void test_an_option_without_a_value_is_refused(void **state)
{
    struct world *w = *state;

    assert_refused(w, "serve --workers", "--workers: its value is missing");
    assert_refused(w, "serve --config", "--config: its value is missing");
}

static void test_a_list_is_replaced_whole_by_a_stronger_place(void **state)
{
    struct world *w = *state;

    write_config(w, "mirrors = [\"a=1\", \"b=2,insecure\"]\n");
    assert_loads(w, "serve");
    assert_int_equal(w->config.mirrors.n, 2);
    assert_string_equal(w->config.mirrors.v[0], "a=1");
    assert_string_equal(w->config.mirrors.v[1], "b=2,insecure");
    setenv("KILN_MIRRORS", "  c=3   d=4 ", 1);
    assert_loads(w, "serve");
    assert_int_equal(w->config.mirrors.n, 2);
    assert_string_equal(w->config.mirrors.v[0], "c=3");
    assert_string_equal(w->config.mirrors.v[1], "d=4");
    assert_loads(w, "serve --mirrors e=5 --mirrors=f=6");
    assert_int_equal(w->config.mirrors.n, 2);
    assert_string_equal(w->config.mirrors.v[0], "e=5");
    assert_string_equal(w->config.mirrors.v[1], "f=6");
}

static void test_the_data_directory_is_absolute(void **state)
{
    struct world *w = *state;
    char expected[100];

    assert_loads(w, "serve --data-dir ./data");
    (void)snprintf(expected, sizeof(expected), "%s/data", w->dir);
    assert_string_equal(w->config.data_dir, expected);
    assert_loads(w, "serve --data-dir /srv/kiln");
    assert_string_equal(w->config.data_dir, "/srv/kiln");
    assert_refused(w, "serve --data-dir=",
                   "--data-dir: data_dir must be the path of a directory, and \"\" is not");
}

/* In a child, which may give up root. */
static int load_as_user(struct world *w)
{
    if (geteuid() == 0) {
        if (load(w, "serve") < 0 || strcmp(w->config.data_dir, "/var/lib/kiln") != 0)
            return 1;
        if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
            setresuid(65534, 65534, 65534) < 0)
            return 2;
    }
    unsetenv("KILN_CONFIG");
    setenv("HOME", "/home/x", 1);
    unsetenv("XDG_DATA_HOME");
    if (load(w, "serve") < 0 || strcmp(w->config.data_dir, "/home/x/.local/share/kiln") != 0)
        return 3;
    setenv("XDG_DATA_HOME", "/data", 1);
    if (load(w, "serve") < 0 || strcmp(w->config.data_dir, "/data/kiln") != 0)
        return 4;
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    if (load(w, "serve") == 0 || !text_starts(w->err.msg, "data_dir: set it"))
        return 5;
    setenv("KILN_DATA_DIR", "/given", 1);
    return load(w, "serve") < 0 || strcmp(w->config.data_dir, "/given") != 0 ? 6 : 0;
}

static void test_the_default_data_directory_depends_on_who_asks(void **state)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(load_as_user(*state));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_a_git_host_is_a_name_and_perhaps_a_port(void **state)
{
    static const char *const wrong[] = {"http://h", "h:port", "h:65536", "h/r", "u@h",     "[::1",
                                        "[::1]x",   "::1",    ":80",     "h:",  "h:80:80", "h,x"};
    struct world *w = *state;

    assert_loads(w,
                 "serve --git-hosts git.internal --git-hosts 127.0.0.1:3000 --git-hosts [::1]:3");
    assert_int_equal(w->config.git_hosts.n, 3);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char words[64], says[128];

        (void)snprintf(words, sizeof(words), "serve --git-hosts %s", wrong[i]);
        (void)snprintf(
            says, sizeof(says),
            "--git-hosts: git_hosts must be a list of host or host:port, and \"%s\" is not",
            wrong[i]);
        assert_refused(w, words, says);
    }
}

static void test_a_wrong_value_names_its_place_and_what_is_allowed(void **state)
{
    struct world *w = *state;

    assert_refused(w, "serve --tls-certificate /etc/kiln.pem",
                   "tls_key: set it too, for tls_certificate says nothing without it");
    assert_refused(w, "serve --workers many",
                   "--workers: workers must be an integer from 0 to 256, and \"many\" is not");
    assert_refused(w, "serve --egress=all",
                   "--egress: egress must be nat, list or none, and \"all\" is not");
    assert_refused(
        w, "serve --mirrors a",
        "--mirrors: mirrors must be a list of prefix=location or prefix=location,insecure, "
        "and \"a\" is not");
    assert_refused(
        w, "serve --listen 80",
        "--listen: listen must be an address and port such as 127.0.0.1:8080 or [::1]:8080, "
        "and \"80\" is not");
    setenv("KILN_UPLOAD_MAX", "5 potatoes", 1);
    assert_refused(
        w, "serve",
        "KILN_UPLOAD_MAX: upload_max must be a size from 1B to 1TiB such as 500MB or 5GiB, "
        "and \"5 potatoes\" is not");
}

static void test_a_password_in_the_databases_url_is_not_repeated(void **state)
{
    assert_refused(*state, "serve --database postgresql://kiln:hunter2@db/kiln",
                   "--database: database must be empty or a URL with postgres:// or postgresql://, "
                   "without a password, and what is there is not");
}

static void test_a_wrong_value_in_the_file_names_its_line(void **state)
{
    assert_file_refused(*state, "\n\nworkers = 1000\n",
                        "3: workers must be an integer from 0 to 256, and \"1000\" is not");
    assert_file_refused(*state, "workers = -1\n",
                        "1: workers must be an integer from 0 to 256, and \"-1\" is not");
    assert_file_refused(*state, "workers = true\n",
                        "1: workers must be an integer from 0 to 256, and a boolean is not");
    assert_file_refused(*state, "egress = 1\n",
                        "1: egress must be nat, list or none, and an integer is not");
    assert_file_refused(*state, "lease = 1979-05-27\n",
                        "1: lease must be a duration from 1s to 1h such as 30s, 15m or 1h, "
                        "and a date is not");
    assert_file_refused(*state, "upload_max = 1.5\n",
                        "1: upload_max must be a size from 1B to 1TiB such as 500MB or 5GiB, "
                        "and a float is not");
    assert_file_refused(*state, "egress = \"none\\u0000x\"\n",
                        "1: egress must be nat, list or none, and \"none\" is not");
}

static void test_a_key_that_is_none_is_refused_with_the_one_meant(void **state)
{
    assert_file_refused(*state, "wrokers = 1\n",
                        "1: there is no key \"wrokers\"; did you mean workers?");
    assert_file_refused(*state, "# x\ndata-dir = \"/x\"\n",
                        "2: there is no key \"data-dir\"; did you mean data_dir?");
    assert_file_refused(*state, "colour = 1\n",
                        "1: there is no key \"colour\"; kiln config lists them all");
    assert_file_refused(*state, "[server]\nlisten = \"127.0.0.1:1\"\n",
                        "2: there is no key \"server.listen\"; kiln config lists them all");
    assert_file_refused(*state, "workers = [4]\n",
                        "1: workers must be an integer from 0 to 256, and an array is not");
}

static void test_a_file_that_is_no_toml_is_refused_with_its_line(void **state)
{
    struct world *w = *state;

    write_config(w, "workers = 1\nlisten = \n");
    assert_int_equal(load(w, "serve"), -1);
    assert_non_null(strstr(w->err.msg, "kiln.toml: line 2, column "));
}

static void test_sizes_and_durations_may_be_numbers_in_the_file(void **state)
{
    struct world *w = *state;

    write_config(w, "upload_max = 1000\nbuild_timeout = 60\nlease = \"2m\"\n");
    assert_loads(w, "serve");
    assert_int_equal(w->config.upload_max, 1000);
    assert_int_equal(w->config.build_timeout, 60);
    assert_int_equal(w->config.lease, 120);
}

/* What print writes, for the caller to free. */
static char *printed(void (*print)(FILE *to, const struct config *c), const struct config *c)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    print(to, c);
    (void)fclose(to);
    return text;
}

static void print_table(FILE *to, const struct config *c)
{
    config_print_table(c, to);
}

static void print_help(FILE *to, const struct config *c)
{
    (void)c;
    config_print_help(to);
}

/* The line of text that begins with name, cut out. */
static void assert_line(const char *text, const char *name, const char *value, const char *source)
{
    const char *line = strstr(text, name);
    char found[400];

    assert_non_null(line);
    (void)snprintf(found, sizeof(found), "%.*s", (int)strcspn(line, "\n"), line);
    if (!strstr(found, value) || !text_ends(found, source))
        fail_msg("%s", found);
}

static void test_the_table_shows_values_and_where_they_come_from(void **state)
{
    struct world *w = *state;
    char from_file[120];
    char *text;

    write_config(w, "# one\nupload_max = 2097152\nmirrors = [\"a=1\", \"b=2\"]\n");
    setenv("KILN_LISTEN", "127.0.0.1:2", 1);
    assert_loads(w, "serve --build-timeout 90m");
    text = printed(print_table, &w->config);
    (void)snprintf(from_file, sizeof(from_file), "  %s:2", w->file);
    assert_line(text, "upload_max", "  2MiB  ", from_file);
    assert_line(text, "mirrors", "a=1 b=2", ":3");
    assert_line(text, "listen", "  127.0.0.1:2  ", "  KILN_LISTEN");
    assert_line(text, "build_timeout", "  90m  ", "  --build-timeout");
    assert_line(text, "egress", "  nat  ", "  default");
    assert_line(text, "public_url", "  \"\"  ", "  default");
    free(text);
}

static void test_the_help_has_every_option(void **state)
{
    struct world *w = *state;
    char *text = printed(print_help, &w->config);
    size_t lines = 0;

    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, CONFIG_KEYS + 1);
    assert_non_null(strstr(text, "  --data-dir DIR"));
    assert_non_null(strstr(text, "  --config FILE"));
    assert_non_null(strstr(text, "[5GiB]"));
    free(text);
}

/* ---- every key, in every place ---- */

/* Bad values of the key, at most `max`; none of them has a blank or a quote. */
static size_t list_bad_values(const struct key *k, char values[][64], size_t max)
{
    static const char *const numbers[] = {"-1", "x", "1.5", "1x", "99999999999999999999"};
    static const char *const texts[] = {"\x01", "::", "http://u:p@x/", "[", "..", "a\tb"};
    size_t n = 0;

    for (size_t i = 0; key_is_number(k) && i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)snprintf(values[n++], 64, "%s", numbers[i]);
    if (key_is_number(k)) {
        (void)snprintf(values[n++], 64, "%lld", (long long)k->max + 1);
        if (k->min > 0)
            (void)snprintf(values[n++], 64, "%lld", (long long)k->min - 1);
    }
    for (size_t i = 0; !key_is_number(k) && n < max && i < sizeof(texts) / sizeof(texts[0]); i++)
        if (text_has_control(texts[i], strlen(texts[i])) || (k->valid && !k->valid(texts[i])))
            (void)snprintf(values[n++], 64, "%s", texts[i]);
    return n;
}

static void assert_names_key(struct world *w, const struct key *k, const char *place,
                             const char *value)
{
    char named[KEY_NAME + 16];

    (void)snprintf(named, sizeof(named), "%s must be ", k->name);
    if (w->err.kind != ERR_INPUT || !strstr(w->err.msg, named) ||
        strncmp(w->err.msg, place, strlen(place)) != 0)
        fail_msg("%s = \"%s\": %s", k->name, value, w->err.msg);
}

static void assert_refused_everywhere(struct world *w, const struct key *k, const char *value)
{
    char option[KEY_NAME], variable[KEY_NAME], text[300], place[300];
    const bool control = text_has_control(value, strlen(value));

    key_option(k, option);
    key_variable(k, variable);
    write_config(w, "");
    (void)snprintf(text, sizeof(text), "serve %s=%s", option, value);
    if (load(w, text) == 0)
        fail_msg("%s takes \"%s\"", text, value);
    assert_names_key(w, k, option, value);

    setenv(variable, value, 1);
    if (load(w, "serve") == 0)
        fail_msg("%s takes \"%s\"", variable, value);
    unsetenv(variable);
    assert_names_key(w, k, variable, value);

    if (control) /* no TOML */
        return;
    (void)snprintf(text, sizeof(text), k->kind == LIST ? "\n%s = [\"%s\"]\n" : "\n%s = \"%s\"\n",
                   k->name, value);
    write_config(w, text);
    if (load(w, "serve") == 0)
        fail_msg("the file takes %s", text);
    (void)snprintf(place, sizeof(place), "%s:2: ", w->file);
    assert_names_key(w, k, place, value);
}

static void test_every_bad_value_of_every_key_names_key_and_place(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        char values[16][64];
        const size_t n = list_bad_values(&config_keys[i], values, 16);

        if (n == 0)
            fail_msg("%s: no value is bad", config_keys[i].name);
        for (size_t v = 0; v < n; v++)
            assert_refused_everywhere(w, &config_keys[i], values[v]);
    }
}

/* A table, a list, a number or a truth value where something else belongs. */
static void test_a_value_of_another_kind_in_the_file_names_its_key(void **state)
{
    static const char *const values[] = {"{ a = 1 }", "[[1]]", "[{}]", "true", "1.5", "1979-05-27"};
    struct world *w = *state;

    for (size_t i = 0; i < CONFIG_KEYS; i++)
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            char text[200];

            (void)snprintf(text, sizeof(text), "%s = %s\n", config_keys[i].name, values[v]);
            write_config(w, text);
            if (load(w, "serve") == 0)
                fail_msg("the file takes %s", text);
            if (w->err.kind != ERR_INPUT || !strstr(w->err.msg, config_keys[i].name) ||
                !strstr(w->err.msg, ":1:"))
                fail_msg("%s is answered with: %s", text, w->err.msg);
        }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_anything_set_there_are_defaults),
        TEST(test_an_option_beats_the_environment_beats_the_file_beats_the_default),
        TEST(test_the_file_can_be_named_by_option_and_environment),
        TEST(test_options_leave_the_subcommands_own_words),
        TEST(test_words_after_two_dashes_are_no_options),
        TEST(test_an_option_is_its_whole_name),
        TEST(test_an_option_without_a_value_is_refused),
        TEST(test_a_list_is_replaced_whole_by_a_stronger_place),
        TEST(test_the_data_directory_is_absolute),
        TEST(test_the_default_data_directory_depends_on_who_asks),
        TEST(test_a_git_host_is_a_name_and_perhaps_a_port),
        TEST(test_a_wrong_value_names_its_place_and_what_is_allowed),
        TEST(test_a_password_in_the_databases_url_is_not_repeated),
        TEST(test_a_wrong_value_in_the_file_names_its_line),
        TEST(test_every_bad_value_of_every_key_names_key_and_place),
        TEST(test_a_value_of_another_kind_in_the_file_names_its_key),
        TEST(test_a_key_that_is_none_is_refused_with_the_one_meant),
        TEST(test_a_file_that_is_no_toml_is_refused_with_its_line),
        TEST(test_sizes_and_durations_may_be_numbers_in_the_file),
        TEST(test_the_table_shows_values_and_where_they_come_from),
        TEST(test_the_help_has_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
