/* blaxel.toml: what a build needs of it, and the line of whatever is wrong with it. */
#include <fcntl.h>
#include <stdlib.h>

#include "tests/dockerfile/sample.h"

#include "base/fs.h"
#include "base/text.h"
#include "dockerfile/settings.h"

static void read_settings(const char *text, struct dockerfile_settings *ret)
{
    struct error err = ERROR_INIT;

    dockerfile_settings_init(ret);
    if (dockerfile_settings_read(text, strlen(text), ret, &err) < 0)
        fail_msg("%s\n%s", err.msg, text);
}

static void assert_string(const char *is, const char *want)
{
    if (!is || !want)
        assert_ptr_equal(is, want);
    else
        assert_string_equal(is, want);
}

/* ---- what is read ---- */

static void test_every_field_of_a_build_is_read(void **state)
{
    struct dockerfile_settings s;

    (void)state;
    read_settings("type = \"agent\"\nname = \"my agent\"\nimage = \"docker.io/a/b:1\"\n"
                  "directory = \"data/in\"\ndefaultSize = 2048\n"
                  "[build]\nslim = false\ndockerfile = \"docker/Dockerfile\"\n"
                  "args = { B = \"2=3\", A = \"\" }\n"
                  "[entrypoint]\nprod = \"python main.py\"\ndev = \"python main.py --dev\"\n",
                  &s);
    assert_string(s.type, "agent");
    assert_string(s.name, "my agent");
    assert_string(s.image, "docker.io/a/b:1");
    assert_string(s.directory, "data/in");
    assert_int_equal(s.default_size_mb, 2048);
    assert_false(s.build_slim);
    assert_string(s.build_dockerfile, "docker/Dockerfile");
    assert_int_equal(s.build_args.n, 2);
    assert_string(s.build_args.v[0], "A=");
    assert_string(s.build_args.v[1], "B=2=3");
    assert_string(s.entrypoint_prod, "python main.py");
    assert_int_equal(s.entrypoint_line, 11);
    assert_string(s.entrypoint_dev, "python main.py --dev");
    assert_int_equal(s.warnings.n, 0);
    dockerfile_settings_release(&s);
}

static void test_what_is_not_set_has_its_default(void **state)
{
    static const char *const table[] = {
        "",
        "# nothing\n",
        "[build]\n[entrypoint]\n[env]\n[runtime]\n[labels]\n[build.args]\n",
        /* as for the client, an empty string is none */
        "type = \"\"\nname = \"\"\nimage = \"\"\ndirectory = \"\"\n[entrypoint]\nprod = \"\"\ndev "
        "= \"\"\n"
        "[build]\ndockerfile = \"\"\n",
        /* only the client knows what stands for these */
        "type = \"${TYPE:agent}\"\nname = \"$NAME\"\nimage = \"${IMAGE}\"\ndirectory = \"$D\"\n",
    };
    struct dockerfile_settings s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        read_settings(table[i], &s);
        assert_null(s.type);
        assert_null(s.name);
        assert_null(s.image);
        assert_null(s.entrypoint_prod);
        assert_int_equal(s.entrypoint_line, 0);
        assert_null(s.entrypoint_dev);
        assert_true(s.build_slim);
        assert_null(s.build_dockerfile);
        assert_int_equal(s.build_args.n, 0);
        assert_null(s.directory);
        assert_int_equal(s.default_size_mb, 0);
        assert_int_equal(s.warnings.n, 0);
        dockerfile_settings_release(&s);
    }
}

static void test_a_volume_template_has_three_names(void **state)
{
    static const char *const table[][2] = {
        {"type = \"volume-template\"", "volume-template"},
        {"type = \"volumetemplate\"", "volume-template"},
        {"type = \"vt\"", "volume-template"},
        {"type = \"sandbox\"", "sandbox"},
    };
    struct dockerfile_settings s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        read_settings(table[i][0], &s);
        assert_string(s.type, table[i][1]);
        dockerfile_settings_release(&s);
    }
}

/* ---- files as people have them ---- */

static void test_files_of_real_projects_are_read_without_a_word(void **state)
{
    static const char *const table[] = {
        "type = \"agent\"\nname = \"template-blank-py\"\n\n[entrypoint]\n"
        "prod = \".venv/bin/python3 -m src\"\ndev = \".venv/bin/python3 -m src\"\n\n"
        "[[triggers]]\nid = \"trigger-async-blank\"\ntype = \"http-async\"\n"
        "[triggers.configuration]\npath = \"agents/blank/async\"\nretry = 1\n\n"
        "[[triggers]]\nid = \"trigger-blank\"\ntype = \"http\"\n"
        "[triggers.configuration]\npath = \"agents/blank/sync\"\nretry = 1\n"
        "authenticationType = \"public\"\n",
        /* the old templates */
        "type = \"agent\"\nworkspace = \"main\"\nfunctions = [\"blaxel-search\"]\n"
        "models = [\"sandbox-openai\"]\nagents = []\n[function.explorer-mcp]\n"
        "path = \"explorer-mcp\"\nport = 1338\n[entrypoint]\nprod = \".venv/bin/python3 -m src\"\n",
        "type = \"function\"\nname = \"mcp-hello\"\ndescription = \"says hello\"\n[entrypoint]\n"
        "prod = \".venv/bin/python3 src/server.py\"\n[runtime]\ntransport = \"http-stream\"\n"
        "memory = 512\nminScale = 0\nmaxScale = 10\n",
        "type = \"job\"\n[runtime]\nmemory = 4096\nmaxConcurrentTasks = 10\ntimeout = 900\n"
        "maxRetries = 0\ndiskPercent = 50\n[[triggers]]\nid = \"s\"\ntype = \"schedule\"\n"
        "[[triggers.configuration]]\nschedule = \"0 * * * *\"\n",
        "type = \"job\"\n[runtime]\ntimeout = \"1h30m\"\n[[triggers]]\ntype = \"schedule\"\n"
        "schedule = \"0 * * * *\"\ntimeout = \"900\"\n[[volumes]]\nname = \"scratch\"\n"
        "type = \"ephemeral\"\nsizeMb = 10240\nmountPath = \"/\"\n",
        "type = \"sandbox\"\nname = \"hello-sandbox\"\nregion = \"us-pdx-1\"\n[build]\nslim = "
        "false\n"
        "experimental = true\nmemoryMb = 16384\nvolumeMb = 0\nregion = \"${REGION:us-pdx-1}\"\n"
        "cacheDrive = \"cache\"\n[runtime]\nmemory = 2048\ngeneration = \"mk3\"\n"
        "[[runtime.ports]]\nname = \"web\"\ntarget = 3000\nprotocol = \"tcp\"\n"
        "[[runtime.ports]]\ntarget = 65535\nprotocol = \"HTTP\"\n"
        "[[volumes]]\nname = \"v1\"\nmountPath = \"/data\"\n[env]\nAPP = \"1\"\n\"odd key\" = "
        "\"x\"\n"
        "SECRET = \"${secrets.KEY:x}\"\n[labels]\n\"x-team\" = \"a\"\n",
        "type = \"vt\"\nname = \"mytemplate\"\ndirectory = \".\"\ndefaultSize = 1024\n",
        "name = \"root\"\nskipRoot = true\npublic = true\npolicies = [\"p\"]\nprotocol = \"http\"\n"
        "memory = 4096\nport = 8080\n"
        "[agent.one]\npath = \"one\"\nport = 1338\n[job.\"two words\"]\npath = \"two\"\ntype = "
        "\"job\"\n"
        "[githubRunner]\nlabels = [\"a\", { b = 1.5 }]\n[githubRunner.deep.er]\nx = 1979-05-27\n",
    };
    struct dockerfile_settings s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        read_settings(table[i], &s);
        if (s.warnings.n)
            fail_msg("%s\n%s", s.warnings.v[0], table[i]);
        dockerfile_settings_release(&s);
    }
}

static void test_the_examples_are_read_without_a_word(void **state)
{
    static const char *const types[][2] = {
        {"blank-agent-py", "agent"},  {"blank-agent-ts", "agent"}, {"mcp-hello-py", "function"},
        {"mcp-hello-ts", "function"}, {"job-py", "job"},           {"job-ts", "job"},
        {"hello-sandbox", "sandbox"},
    };
    struct dockerfile_settings s;

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
        CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 16);
        struct error err = ERROR_INIT;

        buf_addf(&path, "%s/examples/%s/blaxel.toml", getenv("KILN_SOURCE"), types[i][0]);
        if (fs_read_file(AT_FDCWD, buf_str(&path), &text, &err) < 0)
            fail_msg("%s", err.msg);
        read_settings(buf_str(&text), &s);
        assert_int_equal(s.warnings.n, 0);
        assert_string_equal(s.type, types[i][1]);
        assert_string_equal(s.name, types[i][0]);
        dockerfile_settings_release(&s);
    }
}

/* ---- unknown keys ---- */

static void test_an_unknown_key_is_told_with_its_line_and_the_nearest(void **state)
{
    static const char *const table[][2] = {
        {"nam = \"x\"", "line 1: unknown key nam (did you mean name?) is ignored"},
        {"\n[build]\nslm = true", "line 3: unknown key build.slm (did you mean slim?) is ignored"},
        {"[biuld]\nslim = false\nargs = {A = 1}",
         "line 1: unknown key biuld (did you mean build?) is ignored"},
        {"[runtime]\nmax_concurrent_tasks = 1",
         "line 2: unknown key runtime.max_concurrent_tasks (did you mean maxConcurrentTasks?) is "
         "ignored"},
        {"defaultsize = 1",
         "line 1: unknown key defaultsize (did you mean defaultSize?) is ignored"},
        {"[[runtime.ports]]\ntarge = 1",
         "line 2: unknown key runtime.ports[0].targe (did you mean target?) is ignored"},
        {"[[volumes]]\n[[volumes]]\nmount_path = \"/\"",
         "line 3: unknown key volumes[1].mount_path (did you mean mountPath?) is ignored"},
        {"[agent.a]\npathh = \"x\"",
         "line 2: unknown key agent.a.pathh (did you mean path?) is ignored"},
        /* of another table */
        {"slim = false", "line 1: unknown key slim (did you mean build.slim?) is ignored"},
        {"prod = \"x\"", "line 1: unknown key prod (did you mean entrypoint.prod?) is ignored"},
        {"[build]\nprod = \"x\"",
         "line 2: unknown key build.prod (did you mean entrypoint.prod?) is ignored"},
        /* near to nothing */
        {"path = \"x\"", "line 1: unknown key path is ignored"},
        {"\"a b\" = 1", "line 1: unknown key \"a b\" is ignored"},
        {"x-y = [1, 2, {a = 1}]", "line 1: unknown key x-y is ignored"},
        {"[tool.other]\nname = \"x\"", "line 1: unknown key tool is ignored"},
    };
    struct dockerfile_settings s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(buf_release) struct buf want = BUF_INIT(1000);

        read_settings(table[i][0], &s);
        assert_int_equal(s.warnings.n, 1);
        buf_addf(&want, "blaxel.toml %s", table[i][1]);
        assert_string_equal(s.warnings.v[0], buf_str(&want));
        dockerfile_settings_release(&s);
    }
}

static void test_unknown_keys_come_in_the_order_of_their_lines(void **state)
{
    struct dockerfile_settings s;

    (void)state;
    read_settings("zz1 = 1\nyy2 = 2\nxx3 = 3\nname = \"a\"\n", &s);
    assert_int_equal(s.warnings.n, 3);
    assert_string_equal(s.warnings.v[0], "blaxel.toml line 1: unknown key zz1 is ignored");
    assert_string_equal(s.warnings.v[2], "blaxel.toml line 3: unknown key xx3 is ignored");
    assert_string(s.name, "a");
    dockerfile_settings_release(&s);
}

static void test_a_flood_of_unknown_keys_is_cut_short(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct dockerfile_settings s;

    (void)state;
    for (int i = 0; i < 52; i++)
        buf_addf(&text, "key%d = 1\n", i);
    read_settings(buf_str(&text), &s);
    assert_int_equal(s.warnings.n, 51);
    assert_string_equal(s.warnings.v[50], "blaxel.toml: 2 more unknown keys are ignored");
    dockerfile_settings_release(&s);
}

static void test_a_long_key_is_cut_at_a_character(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct dockerfile_settings s;

    (void)state;
    for (int shift = 0; shift < 2; shift++) {
        buf_clear(&text);
        buf_adds(&text, shift ? "\"a" : "\"");
        for (int i = 0; i < 1000; i++)
            buf_adds(&text, "\xc3\xa9");
        buf_adds(&text, "\" = 1\n");
        read_settings(buf_str(&text), &s);
        assert_int_equal(s.warnings.n, 1);
        assert_true(text_is_utf8(s.warnings.v[0], strlen(s.warnings.v[0])));
        dockerfile_settings_release(&s);
    }
}

/* ---- what is refused ---- */

static void must_refuse_settings(const char *text, size_t len, const char *want)
{
    CLEANUP(buf_release) struct buf full = BUF_INIT(2000);
    struct dockerfile_settings s;
    struct error err = ERROR_INIT;

    dockerfile_settings_init(&s);
    if (dockerfile_settings_read(text, len, &s, &err) == 0)
        fail_msg("taken: %s", text);
    assert_int_equal(err.kind, ERR_INPUT);
    buf_addf(&full, "blaxel.toml %s", want);
    assert_string_equal(err.msg, buf_str(&full));
    dockerfile_settings_release(&s);
}

static void must_refuse_each(const char *const table[][2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        must_refuse_settings(table[i][0], strlen(table[i][0]), table[i][1]);
}

#define REFUSE_ALL(table) must_refuse_each(table, sizeof(table) / sizeof((table)[0]))

static void test_a_wrong_type_is_told_with_what_is_wanted(void **state)
{
    static const char *const table[][2] = {
        {"\n\n[build]\nslim = \"no\"",
         "line 4: build.slim must be true or false, not the string \"no\""},
        {"[build]\nslim = 0", "line 2: build.slim must be true or false, not 0"},
        {"public = \"true\"", "line 1: public must be true or false, not the string \"true\""},
        {"name = 3", "line 1: name must be a string, not 3"},
        {"name = true", "line 1: name must be a string, not true"},
        {"name = 1.5", "line 1: name must be a string, not the fraction 1.5"},
        {"name = 1979-05-27", "line 1: name must be a string, not the date 1979-05-27"},
        {"name = \"a\\u0000b\"", "line 1: name must be a string, not the string \"a\\u0000b\""},
        {"[runtime]\nmemory = \"2048\"",
         "line 2: runtime.memory must be a whole number from 1 to 2147483647, not the string "
         "\"2048\""},
        {"[runtime]\nmemory = 2048.0",
         "line 2: runtime.memory must be a whole number from 1 to 2147483647, not the fraction "
         "2048"},
        {"functions = [1]", "line 1: functions[0] must be a string, not 1"},
        {"[agent.x]\nport = \"1\"",
         "line 2: agent.x.port must be a whole number from 1 to 65535, not the string \"1\""},
        {"[runtime]\ntimeout = \"15 min\"",
         "line 2: runtime.timeout must be a number of seconds, or a string like \"15m\", not the "
         "string \"15 min\""},
        {"[runtime]\ntimeout = \"1000000000\"",
         "line 2: runtime.timeout must be a number of seconds, or a string like \"15m\", not the "
         "string \"1000000000\""},
        {"[runtime]\ntimeout = \"\"",
         "line 2: runtime.timeout must be a number of seconds, or a string like \"15m\", not the "
         "string \"\""},
    };

    (void)state;
    REFUSE_ALL(table);
}

static void test_a_secret_value_is_not_shown(void **state)
{
    static const char *const table[][2] = {
        {"[env]\nPIN = 1234", "line 2: env.PIN must be a string, not a whole number"},
        {"[build.args]\nPIN = 12.5", "line 2: build.args.PIN must be a string, not a fraction"},
        {"[build.args]\nPIN = \"a\\u0000b\"",
         "line 2: build.args.PIN must be a string, not a string with a NUL byte"},
        {"[build]\nargs = { PIN = true }",
         "line 2: build.args.PIN must be a string, not a boolean"},
    };

    (void)state;
    REFUSE_ALL(table);
}

static void test_a_bad_value_is_told_with_the_good_ones(void **state)
{
    static const char *const table[][2] = {
        {"type = \"agnet\"",
         "line 1: type must be \"agent\", \"application\", \"function\", \"job\", \"sandbox\", "
         "\"volume-template\", \"volumetemplate\" or \"vt\", not the string \"agnet\" (did you "
         "mean "
         "agent?)"},
        {"[runtime]\ngeneration = \"mk4\"",
         "line 2: runtime.generation must be \"mk2\" or \"mk3\", not the string \"mk4\" (did you "
         "mean mk2?)"},
        {"[[runtime.ports]]\nprotocol = \"tpc\"",
         "line 2: runtime.ports[0].protocol must be \"http\", \"tcp\", \"udp\" or \"tls\", not the "
         "string \"tpc\" (did you mean tcp?)"},
        {"[[triggers]]\ntype = \"hourly\"",
         "line 2: triggers[0].type must be \"schedule\", \"http\", \"http-async\" or \"cron\", not "
         "the string \"hourly\""},
        {"[[runtime.ports]]\ntarget = 0",
         "line 2: runtime.ports[0].target must be a whole number from 1 to 65535, not 0"},
        {"[[runtime.ports]]\ntarget = 65536",
         "line 2: runtime.ports[0].target must be a whole number from 1 to 65535, not 65536"},
        {"[runtime]\ndiskPercent = 101",
         "line 2: runtime.diskPercent must be a whole number from 0 to 100, not 101"},
        {"[runtime]\nmaxRetries = -1",
         "line 2: runtime.maxRetries must be a whole number from 0 to 2147483647, not -1"},
        {"[build]\nmemoryMb = 32769",
         "line 2: build.memoryMb must be a whole number from 1 to 32768, not 32769"},
        {"defaultSize = 0",
         "line 1: defaultSize must be a whole number from 1 to 2147483647, not 0"},
        {"[build]\ndockerfile = \"../Dockerfile\"",
         "line 2: build.dockerfile must be a path inside the project, not the string "
         "\"../Dockerfile\""},
        {"[build]\ndockerfile = \"/Dockerfile\"",
         "line 2: build.dockerfile must be a path inside the project, not the string "
         "\"/Dockerfile\""},
        {"directory = \"a/..\"",
         "line 1: directory must be a path inside the project, not the string \"a/..\""},
    };

    (void)state;
    REFUSE_ALL(table);
}

static void test_a_build_argument_has_a_name_that_arg_takes(void **state)
{
    static const char *const table[][2] = {
        {"[build.args]\n\"A B\" = \"x\"",
         "line 2: build.args.\"A B\": the name of a build argument is letters, digits and _, and "
         "begins with no digit"},
        {"[build.args]\n\"a.b\" = \"x\"",
         "line 2: build.args.\"a.b\": the name of a build argument is letters, digits and _, and "
         "begins with no digit"},
        {"[build.args]\n1A = \"x\"",
         "line 2: build.args.1A: the name of a build argument is letters, digits and _, and begins "
         "with no digit"},
        {"[build.args]\na-b = \"x\"", "line 2: build.args.a-b: the name of a build argument is "
                                      "letters, digits and _, and begins "
                                      "with no digit"},
    };

    (void)state;
    REFUSE_ALL(table);
}

static void test_tables_and_arrays_are_told_from_values(void **state)
{
    static const char *const table[][2] = {
        {"build = 3", "line 1: build must be a table ([build]), not 3"},
        {"entrypoint = \"python main.py\"",
         "line 1: entrypoint must be a table ([entrypoint]), not the string \"python main.py\""},
        {"build = []", "line 1: build must be a table ([build]), not an array"},
        {"[[build]]\nslim = true", "line 1: build must be a table ([build]), not an array"},
        {"[build]\nargs = \"A=1\"",
         "line 2: build.args must be a table ([build.args]), not the string \"A=1\""},
        {"[type]", "line 1: type must be \"agent\", \"application\", \"function\", \"job\", "
                   "\"sandbox\", \"volume-template\", \"volumetemplate\" or \"vt\", not a table"},
        {"\n[name]\nfirst = \"x\"", "line 2: name must be a string, not a table"},
        {"name = []", "line 1: name must be a string, not an array"},
        {"env = { A = { B = \"c\" } }", "line 1: env.A must be a string, not a table"},
        {"[build]\nslim = {}", "line 2: build.slim must be true or false, not a table"},
        {"[runtime.ports]\ntarget = 1",
         "line 1: runtime.ports must be an array of tables ([[runtime.ports]]), not a table"},
        {"[runtime]\nports = 80",
         "line 2: runtime.ports must be an array of tables ([[runtime.ports]]), not 80"},
        {"[runtime]\nports = [80]", "line 2: runtime.ports[0] must be a table, not 80"},
        {"[runtime]\nports = [[]]", "line 2: runtime.ports[0] must be a table, not an array"},
        {"functions = \"all\"",
         "line 1: functions must be an array of strings, not the string \"all\""},
        {"functions = [[]]", "line 1: functions[0] must be a string, not an array"},
        {"triggers = {}",
         "line 1: triggers must be an array of tables ([[triggers]]), not a table"},
        {"agent = \"x\"", "line 1: agent must be a table ([agent]), not the string \"x\""},
        {"agent.x = \"dir\"",
         "line 1: agent.x must be a table ([agent.x]), not the string \"dir\""},
    };

    (void)state;
    REFUSE_ALL(table);
}

static void test_the_first_fault_of_the_file_is_told(void **state)
{
    static const char *const table[][2] = {
        {"type = 1\nname = 2\n", "line 1: type must be \"agent\", \"application\", \"function\", "
                                 "\"job\", \"sandbox\", \"volume-template\", \"volumetemplate\" or "
                                 "\"vt\", not 1"},
        {"unknown = 1\nname = 2\ndescription = 3", "line 2: name must be a string, not 2"},
        {"[env]\nB = 1\n[build]\nslim = 1\n", "line 2: env.B must be a string, not a whole number"},
    };

    (void)state;
    REFUSE_ALL(table);
}

static void test_text_that_is_no_toml_is_told_with_its_line(void **state)
{
    struct dockerfile_settings s;
    struct error err = ERROR_INIT;

    (void)state;
    dockerfile_settings_init(&s);
    assert_int_equal(dockerfile_settings_read("name = \"a\"\nb = ", 15, &s, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_true(text_starts(err.msg, "blaxel.toml line 2, column 5: "));
    assert_int_equal(dockerfile_settings_read(
                         "a = \"${X\"\nb = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 46, &s, &err),
                     -1);
    assert_true(text_starts(err.msg, "blaxel.toml line 2, column "));
    dockerfile_settings_release(&s);
}

static void test_a_long_value_is_cut_at_a_character(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1000);
    struct dockerfile_settings s;
    struct error err = ERROR_INIT;

    (void)state;
    dockerfile_settings_init(&s);
    buf_adds(&text, "type = \"a");
    for (int i = 0; i < 100; i++)
        buf_adds(&text, "\xc3\xa9");
    buf_adds(&text, "\"");
    assert_int_equal(dockerfile_settings_read(buf_str(&text), text.len, &s, &err), -1);
    assert_true(text_is_utf8(err.msg, strlen(err.msg)));
    assert_true(text_ends(err.msg, "\xc3\xa9…\""));
    dockerfile_settings_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_of_a_build_is_read),
        cmocka_unit_test(test_what_is_not_set_has_its_default),
        cmocka_unit_test(test_a_volume_template_has_three_names),
        cmocka_unit_test(test_files_of_real_projects_are_read_without_a_word),
        cmocka_unit_test(test_the_examples_are_read_without_a_word),
        cmocka_unit_test(test_an_unknown_key_is_told_with_its_line_and_the_nearest),
        cmocka_unit_test(test_unknown_keys_come_in_the_order_of_their_lines),
        cmocka_unit_test(test_a_flood_of_unknown_keys_is_cut_short),
        cmocka_unit_test(test_a_long_key_is_cut_at_a_character),
        cmocka_unit_test(test_a_wrong_type_is_told_with_what_is_wanted),
        cmocka_unit_test(test_a_secret_value_is_not_shown),
        cmocka_unit_test(test_a_bad_value_is_told_with_the_good_ones),
        cmocka_unit_test(test_a_build_argument_has_a_name_that_arg_takes),
        cmocka_unit_test(test_tables_and_arrays_are_told_from_values),
        cmocka_unit_test(test_the_first_fault_of_the_file_is_told),
        cmocka_unit_test(test_text_that_is_no_toml_is_told_with_its_line),
        cmocka_unit_test(test_a_long_value_is_cut_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
