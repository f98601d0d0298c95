/* JavaScript projects that are made to break what reads them: text that would be lines, nesting and
 * trees without end, work without end. */
#include "tests/dockerfile/node_case.h"

static void test_text_of_the_project_never_becomes_a_line_of_its_own(void **state)
{
    static const struct node_case table[] = {
        {{STARTS("node a.js\\nRUN evil", "}")}, {"-\nRUN evil"}},
        {{{"package.json", "{\"main\": \"a\\nRUN evil\", \"scripts\": {\"build\": \"x\"}}"}},
         {"-\nRUN evil"}},
        {{WITH(", \"name\": \"x\\nRUN evil\", \"dependencies\": {\"next\": \"15\"}, \"scripts\": "
               "{\"build\": \"x\"}")},
         {"-\nRUN evil", "+id=next-x-RUN-evil,"}},
        {{WITH(", \"workspaces\": [\"*\"]" ONE), {"x\nRUN evil/package.json", "{}"}},
         {"-\nRUN evil"}},
        {{WITH(", \"engines\": {\"node\": \"22\\nRUN evil\"}")}, {"-\nRUN evil"}},
        {{WITH(""), {"yarn.lock", ""}, {".yarnrc.yml", "yarnPath: \"x\\\nRUN evil\""}},
         {"-\nRUN evil"}},
    };

    CHECK(table);
}

static void add_times(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_adds(out, text);
}

static void test_nesting_beyond_the_limit_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct node_case c = {.want = {"!more than 200 levels"}};

    (void)state;
    buf_adds(&text, "{\"x\": ");
    add_times(&text, "[", 100000);
    c.files[0] = (struct dockerfile_source_file){"package.json", buf_str(&text)};
    check(&c);
}

static void test_a_tree_of_workspaces_without_end_is_copied_as_a_whole(void **state)
{
    enum { N = 150 };
    static char paths[N][40];
    struct dockerfile_source_file files[N + 2] = {
        {"package.json", "{\"workspaces\": [\"p/*\"], \"dependencies\": {\"x\": \"1\"}}"},
        {"index.js", ""}};
    struct dockerfile_source_files all = {.v = files, .n = N + 2};
    struct dockerfile_source source = dockerfile_source_memory(&all);
    struct dockerfile_settings settings = {.type = NULL};
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < N; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "p/%d/package.json", i);
        files[i + 2] = (struct dockerfile_source_file){paths[i], "{}"};
    }
    dockerfile_generation_init(&g);
    assert_int_equal(dockerfile_generate(&source, &settings, "agent", &g, &err), 0);
    assert_non_null(strstr(buf_str(&g.text), "# there are too many workspaces"));
    assert_null(strstr(buf_str(&g.text), "COPY p/"));
}

static void test_names_that_match_slowly_are_given_up(void **state)
{
    enum { N = 60 };
    static char paths[N][300], pattern[240];
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct dockerfile_source_file files[N + 2] = {{"index.js", ""}};
    struct dockerfile_source_files all = {.v = files, .n = N + 2};
    struct dockerfile_source source = dockerfile_source_memory(&all);
    struct dockerfile_settings settings = {.type = NULL};
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;
    struct error err = ERROR_INIT;

    (void)state;
    memset(pattern, 'a', sizeof(pattern) - 1);
    pattern[0] = '*';
    pattern[120] = 'b';
    pattern[121] = '\0';
    buf_adds(&text, "{\"dependencies\": {\"x\": \"1\"}, \"workspaces\": [\"x\"");
    for (int i = 0; i < 60; i++)
        buf_addf(&text, ", \"%s\"", pattern);
    buf_adds(&text, "]}");
    files[1] = (struct dockerfile_source_file){"package.json", buf_str(&text)};
    for (int i = 0; i < N; i++) {
        memset(paths[i], 'a', 240);
        (void)snprintf(paths[i] + 240, 60, "%d/package.json", i);
        files[i + 2] = (struct dockerfile_source_file){paths[i], "{}"};
    }
    dockerfile_generation_init(&g);
    assert_int_equal(dockerfile_generate(&source, &settings, "agent", &g, &err), 0);
    assert_non_null(strstr(buf_str(&g.text), "# there are too many directories"));
}

static void test_scripts_that_call_each_other_end(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct node_case c = {.want = {"+CMD [\"npm\", \"run\", \"a0\"]"}};

    (void)state;
    buf_adds(&text, "{\"scripts\": {\"start\": \"npm run a0\"");
    for (int i = 0; i < 2000; i++)
        buf_addf(&text, ", \"a%d\": \"npm run a%d a%d start\"", i, (i + 1) % 2000, i / 2);
    buf_adds(&text, "}, \"devDependencies\": {\"zz\": \"1\"}}");
    c.files[0] = (struct dockerfile_source_file){"package.json", buf_str(&text)};
    check(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_the_project_never_becomes_a_line_of_its_own),
        cmocka_unit_test(test_nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(test_a_tree_of_workspaces_without_end_is_copied_as_a_whole),
        cmocka_unit_test(test_names_that_match_slowly_are_given_up),
        cmocka_unit_test(test_scripts_that_call_each_other_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
