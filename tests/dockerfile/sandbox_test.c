/* What counts as having sandbox-api and as starting it, with what is known of the base image and of
 * the project's scripts. */
#include "tests/dockerfile/sample.h"

#include "dockerfile/source.h"

#define IMAGE      "ghcr.io/blaxel-ai/sandbox@sha256:" DIGEST
#define DIGEST     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COPY       "COPY --from=" IMAGE " /sandbox-api /usr/local/bin/sandbox-api\n"
#define ENTRYPOINT "ENTRYPOINT [\"/usr/local/bin/sandbox-api\"]\n"
#define SANDBOX    "FROM ghcr.io/blaxel-ai/sandbox:v1 AS sandbox\n"

struct find_case {
    const char *text;
    const char *config;  /* of the base image; NULL: not known */
    const char *carried; /* where the base image has it; NULL: not known */
    const char *lines;   /* that it lacks */
};

static void find(const char *text, const struct dockerfile_base_image *base,
                 const struct dockerfile_source *context, struct dockerfile_sandbox_findings *ret)
{
    const struct dockerfile_sandbox_request request = {
        .image = IMAGE, .base = base, .context = context};
    struct dockerfile *d = must_parse(text);
    struct error err = ERROR_INIT;

    if (dockerfile_find_sandbox_api(d, &request, ret, &err) < 0)
        fail_msg("%s\n%s", err.msg, text);
    dockerfile_free(d);
}

/* The old text with the lines is one more Dockerfile with as many stages. */
static void must_go_on(const char *text, const char *lines)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(1 << 20);
    struct dockerfile *before = must_parse(text), *after;
    size_t n, m;

    buf_addf(&all, "%s%s", text, lines);
    after = must_parse(buf_str(&all));
    (void)dockerfile_stages(before, &n);
    (void)dockerfile_stages(after, &m);
    assert_int_equal(n, m);
    dockerfile_free(before);
    dockerfile_free(after);
}

static void check_all(const struct find_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct find_case *c = &table[i];
        const struct dockerfile_base_image base = {.config = c->config, .sandbox_api = c->carried};
        struct dockerfile_sandbox_findings f;

        find(c->text, &base, NULL, &f);
        if (strcmp(buf_str(&f.lines), c->lines) != 0)
            fail_msg("case %zu: %s\nlacks: %s\nwanted: %s\n%s", i, c->text, buf_str(&f.lines),
                     c->lines, buf_str(&f.notes));
        assert_int_equal(f.lacks_copy, strstr(c->lines, "COPY ") != NULL);
        assert_int_equal(f.lacks_entrypoint, strstr(c->lines, "ENTRYPOINT ") != NULL);
        assert_int_equal(f.notes.data[f.notes.len - 1], '\n');
        must_go_on(c->text, c->lines);
        dockerfile_sandbox_findings_release(&f);
    }
}

#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

/* ---- where the binary comes from ---- */

static void test_it_is_followed_through_copies_of_all_kinds(void **state)
{
    static const struct find_case table[] = {
        {SANDBOX "FROM node\nCOPY --from=sandbox / /\n", NULL, NULL,
         "ENTRYPOINT [\"/sandbox-api\"]\n"},
        {SANDBOX "FROM node\nCOPY --from=sandbox /sandbox-api /usr/local/bin/\n", NULL, NULL,
         ENTRYPOINT},
        {SANDBOX "FROM node\nCOPY --from=sandbox /sand* /usr/local/bin/\n", NULL, NULL, ENTRYPOINT},
        {SANDBOX "FROM node\nWORKDIR /app\nCOPY --from=sandbox /sandbox-api /app\n", NULL, NULL,
         "ENTRYPOINT [\"/app/sandbox-api\"]\n"},
        /* through several stages, by name and index, of directories and globs that match one */
        {SANDBOX "FROM alpine AS a\nCOPY --from=0 /sandbox-api /opt/tools/api\n"
                 "FROM alpine AS b\nCOPY --from=a /opt /srv\n"
                 "FROM scratch\nCOPY --from=b /srv/tool* /x/\n",
         NULL, NULL, "ENTRYPOINT [\"/x/api\"]\n"},
        {SANDBOX "FROM alpine AS a\nCOPY --from=sandbox /sandbox-api /usr/local/bin/\n"
                 "FROM a AS b\nFROM node\nCOPY --from=b /usr/local/bin /usr/local/bin\n",
         NULL, NULL, ENTRYPOINT},
        /* the glob stops at another name */
        {SANDBOX "FROM node\nCOPY --from=sandbox /sandbox-api? /usr/local/bin/\n", NULL, NULL,
         COPY ENTRYPOINT},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_a_run_may_copy_it_out_of_a_mount(void **state)
{
#define MOUNTED SANDBOX "FROM node\nRUN --mount=type=bind,from=sandbox,"
    static const struct find_case table[] = {
        {MOUNTED "source=/sandbox-api,target=/mnt/api cp /mnt/api /usr/local/bin/sandbox-api\n",
         NULL, NULL, ENTRYPOINT},
        {MOUNTED "target=/mnt set -e; mkdir -p /x && cp -a '/mnt/sandbox-api' /usr/local/bin/ \\\n"
                 " && rm -rf /x\n",
         NULL, NULL, ENTRYPOINT},
        {MOUNTED "dst=/mnt install -m 755 /mnt/sandbox-* /usr/local/bin\n", NULL, NULL, ENTRYPOINT},
        {MOUNTED "target=/mnt install -m 755 /mnt/sandbox-api /s\n", NULL, NULL,
         "ENTRYPOINT [\"/s\"]\n"},
        {MOUNTED "target=/mnt cp -r /mnt/. /opt\n", NULL, NULL,
         "ENTRYPOINT [\"/opt/sandbox-api\"]\n"},
        {MOUNTED "target=/mnt if test ! -e /s; then cp /mnt/sandbox-api /s 2>/dev/null; fi\n", NULL,
         NULL, "ENTRYPOINT [\"/s\"]\n"},
        {MOUNTED "target=/mnt [\"cp\", \"/mnt/sandbox-api\", \"/s\"]\n", NULL, NULL,
         "ENTRYPOINT [\"/s\"]\n"},
        {MOUNTED "target=/mnt <<E\ncp /mnt/sandbox-api /s\nE\n", NULL, NULL,
         "ENTRYPOINT [\"/s\"]\n"},
        {"FROM node\nRUN --mount=from=ghcr.io/blaxel-ai/sandbox,target=/m cp /m/sandbox-api /s\n",
         NULL, NULL, "ENTRYPOINT [\"/s\"]\n"},
        /* only looked at, or by words that cannot be told */
        {MOUNTED "target=/mnt ls /mnt\n", NULL, NULL, COPY ENTRYPOINT},
        {MOUNTED "target=/mnt cp /mnt/LICENSE /s\n", NULL, NULL, COPY ENTRYPOINT},
        {MOUNTED "target=/mnt cp $SRC/sandbox-api /s\n", NULL, NULL, COPY ENTRYPOINT},
        {MOUNTED "target=/mnt cp /mnt/sandbox-api $DIR/s\n", NULL, NULL, COPY ENTRYPOINT},
        {MOUNTED "target=/mnt cp -r /mnt /s\n", NULL, NULL, COPY ENTRYPOINT},
        {MOUNTED "target=/mnt echo cp /mnt/sandbox-api /s\n", NULL, NULL, COPY ENTRYPOINT},
        {"FROM node AS sandbox\nFROM node\nRUN --mount=from=sandbox,target=/mnt "
         "cp /mnt/sandbox-api /s\n",
         NULL, NULL, COPY ENTRYPOINT},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_build_arguments_count_in_from(void **state)
{
    static const char text[] = "ARG BASE=node\nARG TAG=latest\nFROM ${BASE}:${TAG}\n";
    char *pair = "BASE=ghcr.io/blaxel-ai/sandbox";
    const struct argv args = {.v = &pair, .n = 1};
    struct dockerfile_sandbox_request request = {.image = IMAGE};
    struct dockerfile_sandbox_findings f;
    struct dockerfile *d = must_parse(text);
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(dockerfile_find_sandbox_api(d, &request, &f, &err), 0);
    assert_true(f.lacks_copy);
    assert_string_equal(f.base, "node:latest");
    assert_null(f.path);
    dockerfile_sandbox_findings_release(&f);
    request.build_args = &args;
    assert_int_equal(dockerfile_find_sandbox_api(d, &request, &f, &err), 0);
    assert_false(f.lacks_copy);
    assert_string_equal(f.base, "ghcr.io/blaxel-ai/sandbox:latest");
    assert_string_equal(f.path, "/sandbox-api");
    dockerfile_sandbox_findings_release(&f);
    dockerfile_free(d);
}

/* ---- the base image ---- */

#define CONFIG(text) "{\"architecture\":\"amd64\",\"config\":{" text "}}"

static void test_a_base_that_carries_it_is_left_alone(void **state)
{
    static const struct find_case table[] = {
        {"FROM me/base\n", CONFIG("\"Entrypoint\":[\"/usr/local/bin/sandbox-api\"]"), NULL, ""},
        {"FROM me/base\nCMD [\"x\"]\n", CONFIG("\"Entrypoint\":[\"sandbox-api\"]"), NULL, ""},
        {"FROM me/base AS a\nFROM a\n", CONFIG("\"Cmd\":[\"/opt/sandbox-api\"]"), NULL, ""},
        {"FROM me/base\n", CONFIG("\"Cmd\":[\"/bin/sh\",\"-c\",\"/opt/sandbox-api & wait\"]"), NULL,
         ""},
        /* a script of a base that has the binary is trusted to start it */
        {"FROM me/base\n", CONFIG("\"Entrypoint\":[\"/entrypoint.sh\"]"), "/opt/sandbox-api", ""},
        {"FROM me/base\n", CONFIG("\"Cmd\":[\"/start.sh\"]"), "/opt/sandbox-api", ""},
        {"FROM me/base\nENTRYPOINT [\"/e.sh\"]\n", NULL, "/opt/sandbox-api", ""},
        {"FROM me/base\n", CONFIG("\"Cmd\":[\"node\",\"x\"]"), "/opt/sandbox-api",
         "ENTRYPOINT [\"/opt/sandbox-api\"]\nCMD [\"node\", \"x\"]\n"},
        /* nothing starts it any more */
        {"FROM me/base\nCMD [\"node\", \"x\"]\n", CONFIG("\"Cmd\":[\"/opt/sandbox-api\"]"), NULL,
         "ENTRYPOINT [\"/opt/sandbox-api\"]\n"},
        {"FROM me/base\nCMD [\"node\", \"x\"]\n", CONFIG("\"Cmd\":[\"sandbox-api\"]"), NULL,
         "ENTRYPOINT [\"sandbox-api\"]\n"},
        {"FROM me/base\nENTRYPOINT []\n", CONFIG("\"Entrypoint\":[\"/opt/sandbox-api\"]"), NULL,
         "ENTRYPOINT [\"/opt/sandbox-api\"]\n"},
        {"FROM me/base\n", NULL, "/opt/sandbox-api", "ENTRYPOINT [\"/opt/sandbox-api\"]\n"},
        {"FROM me/base\n", CONFIG(""), "/opt/sandbox-api", "ENTRYPOINT [\"/opt/sandbox-api\"]\n"},
        /* another stage's base counts where it is copied */
        {"FROM me/base AS a\nFROM me/base\nCOPY --from=a /opt /opt\n", CONFIG(""),
         "/opt/sandbox-api", "ENTRYPOINT [\"/opt/sandbox-api\"]\n"},
        /* words that say nothing */
        {"FROM node\n", CONFIG("\"Labels\":{\"a\":\"sandbox-api\"},\"Env\":[\"A=sandbox-api\"]"),
         NULL, COPY ENTRYPOINT},
        {"FROM node AS a\nFROM debian\n", CONFIG(""), NULL, COPY ENTRYPOINT},
        /* the sandbox image itself */
        {"FROM ghcr.io/blaxel-ai/sandbox\n", CONFIG("\"Entrypoint\":[\"/sandbox-api\"]"), NULL, ""},
        {"FROM ghcr.io/blaxel-ai/sandbox\n", CONFIG(""), NULL, "ENTRYPOINT [\"/sandbox-api\"]\n"},
        {"FROM ghcr.io/blaxel-ai/sandbox\n", CONFIG("\"Cmd\":[\"sh\"]"), NULL,
         "ENTRYPOINT [\"/sandbox-api\"]\nCMD [\"sh\"]\n"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_the_command_of_the_base_is_said_again(void **state)
{
#define NODE CONFIG("\"Entrypoint\":[\"docker-entrypoint.sh\"],\"Cmd\":[\"node\"]")
#define BARE CONFIG("\"Entrypoint\":null,\"Cmd\":[\"python3\"]")
    static const struct find_case table[] = {
        {"FROM python\n", BARE, NULL, COPY ENTRYPOINT "CMD [\"python3\"]\n"},
        {"FROM python\nCMD [\"a\"]\n", BARE, NULL, COPY ENTRYPOINT},
        {"FROM python\nCMD a b\n", BARE, NULL, COPY ENTRYPOINT},
        {"FROM python\nCMD []\n", BARE, NULL, COPY ENTRYPOINT},
        {"FROM python AS a\nCMD a b\nFROM a\n", BARE, NULL, COPY ENTRYPOINT "CMD a b\n"},
        {"FROM python AS a\nCMD [\"a\"]\nFROM a\n", BARE, NULL, COPY ENTRYPOINT "CMD [\"a\"]\n"},
        {"FROM python AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT []\n", BARE, NULL, COPY ENTRYPOINT},
        {"FROM python AS a\nENTRYPOINT [\"e\"]\nFROM a\nENTRYPOINT []\n", BARE, NULL,
         COPY ENTRYPOINT},
        /* its ENTRYPOINT would have run the CMD */
        {"FROM node\n", NODE, NULL, COPY ENTRYPOINT "CMD [\"docker-entrypoint.sh\", \"node\"]\n"},
        {"FROM node\nCMD [\"npm\", \"start\"]\n", NODE, NULL,
         COPY ENTRYPOINT "CMD [\"docker-entrypoint.sh\", \"npm\", \"start\"]\n"},
        {"FROM node\nCMD npm start\n", NODE, NULL,
         COPY ENTRYPOINT "CMD [\"docker-entrypoint.sh\", \"/bin/sh\", \"-c\", \"npm start\"]\n"},
        {"FROM node\nSHELL [\"/bin/bash\", \"-ec\"]\nCMD npm start\n", NODE, NULL,
         COPY ENTRYPOINT "CMD [\"docker-entrypoint.sh\", \"/bin/bash\", \"-ec\", \"npm start\"]\n"},
        {"FROM node AS a\nCMD [\"x\"]\nFROM a\n", NODE, NULL,
         COPY ENTRYPOINT "CMD [\"docker-entrypoint.sh\", \"x\"]\n"},
        {"FROM node\nENTRYPOINT []\n", NODE, NULL, COPY ENTRYPOINT},
        {"FROM node\nENTRYPOINT []\nCMD [\"x\"]\n", NODE, NULL, COPY ENTRYPOINT},
        /* the Dockerfile's own stays */
        {"FROM node\nENTRYPOINT [\"/e\"]\n", NODE, NULL, COPY},
        {"FROM node\nENTRYPOINT /e\nCMD [\"x\"]\n", NODE, NULL, COPY},
        {"FROM node AS a\nENTRYPOINT [\"/e\"]\nFROM a\nCMD [\"x\"]\n", NODE, NULL, COPY},
        /* a user and a shell that make no difference */
        {"FROM python\nUSER app\nWORKDIR /w\nSHELL [\"x\"]\nCMD [\"a\"]\n", BARE, NULL,
         COPY ENTRYPOINT},
        {"FROM scratch\nCOPY x /\nCMD [\"/x\"]\n", NULL, NULL, COPY ENTRYPOINT},
        /* a command that is quoted */
        {"FROM q\n", CONFIG("\"Cmd\":[\"a\\\"b\\\\\",\"\\n\"]"), NULL,
         COPY ENTRYPOINT "CMD [\"a\\\"b\\\\\", \"\\u000a\"]\n"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_a_cmd_that_starts_it_needs_no_entrypoint(void **state)
{
    static const struct find_case table[] = {
        {"FROM python\nCMD [\"/usr/local/bin/sandbox-api\"]\n", NULL, NULL, COPY},
        {"FROM python\nCMD sandbox-api & exec node x\n", NULL, NULL, COPY},
        {"FROM python\nCOPY <<E /start.sh\nsandbox-api &\nE\nCMD [\"/start.sh\"]\n", NULL, NULL,
         COPY},
        {"FROM node\nCMD [\"sandbox-api\"]\n", NODE, NULL, COPY},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_it_is_put_where_the_dockerfile_starts_it(void **state)
{
#define AT(path) "COPY --from=" IMAGE " [\"/sandbox-api\", \"" path "\"]\n"
    static const struct find_case table[] = {
        {"FROM alpine\nENTRYPOINT [\"/opt/sandbox-api\"]\n", NULL, NULL, AT("/opt/sandbox-api")},
        {"FROM alpine\nENTRYPOINT [\"/a b/$x/sandbox-api\", \"-p\", \"80\"]\n", NULL, NULL, COPY},
        {"FROM alpine\nENTRYPOINT [\"/a b/sandbox-api\", \"-p\", \"80\"]\n", NULL, NULL,
         AT("/a b/sandbox-api")},
        {"FROM alpine\nENTRYPOINT [\"tini\", \"--\", \"/sandbox-api\"]\n", NULL, NULL,
         AT("/sandbox-api")},
        {"FROM alpine\nCMD /sandbox-api\n", NULL, NULL, AT("/sandbox-api")},
        {"FROM alpine\nENTRYPOINT [\"sandbox-api\"]\n", NULL, NULL, COPY},
        {"FROM alpine\nENTRYPOINT [\"./sandbox-api\"]\n", NULL, NULL, COPY},
        /* it is brought there some other way */
        {"FROM alpine\nRUN curl -o /sandbox-api x\nENTRYPOINT [\"/sandbox-api\"]\n", NULL, NULL,
         COPY},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_a_config_that_is_none_is_an_error(void **state)
{
    static const char *const table[][2] = {
        {"x", "failed to parse image config of the base"},
        {"[]", "failed to parse image config of the base"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct dockerfile_base_image base = {.config = table[i][0]};
        const struct dockerfile_sandbox_request request = {.image = IMAGE, .base = &base};
        struct dockerfile_sandbox_findings f;
        struct dockerfile *d = must_parse("FROM a\n");
        struct error err = ERROR_INIT;

        assert_int_equal(dockerfile_find_sandbox_api(d, &request, &f, &err), -1);
        assert_string_equal(err.msg, table[i][1]);
        dockerfile_sandbox_findings_release(&f);
        dockerfile_free(d);
    }
}

/* ---- does anything start it? ---- */

static const struct dockerfile_source_file files[] = {
    {"entrypoint.sh", "#!/bin/sh\n/usr/local/bin/sandbox-api &\nwait\n"},
    {"scripts/run.sh", "#!/bin/sh\nexec node server.js\n"},
    {"scripts/chain.sh", "#!/bin/sh\n. /lib/other.sh\n"},
    {"scripts/wrap.sh", "#!/bin/sh\nexec \"$@\"\n"},
    {"scripts/api.sh", "#!/bin/sh\n/opt/api -p 80\n"},
    {"start", "#!/bin/sh\nsandbox-api & node x\n"},
    {"server.js", "require('http').createServer().listen(80)\n"},
    {"spawn.js", "require('child_process').spawn('/usr/local/bin/sandbox-api')\n"},
};

enum says { SAYS_STARTS, SAYS_NOTHING, SAYS_WARNING };

static void test_a_warning_comes_on_evidence_alone(void **state)
{
    static const struct {
        const char *text;
        enum says says;
    } table[] = {
        /* named */
        {"ENTRYPOINT [\"/usr/local/bin/sandbox-api\"]", SAYS_STARTS},
        {"ENTRYPOINT sandbox-api & node x", SAYS_STARTS},
        {"ENTRYPOINT [\"sh\", \"-c\", \"sandbox-api & node x\"]", SAYS_STARTS},
        {"ENTRYPOINT [\"tini\", \"--\"]\nCMD [\"sandbox-api\"]", SAYS_STARTS},
        {"CMD [\"sandbox-api\"]\nENTRYPOINT [\"tini\", \"--\"]", SAYS_STARTS},
        /* in a script of the project */
        {"COPY entrypoint.sh /entrypoint.sh\nENTRYPOINT [\"/entrypoint.sh\"]", SAYS_STARTS},
        {"COPY entrypoint.sh /usr/local/bin/\nENTRYPOINT [\"entrypoint.sh\"]", SAYS_STARTS},
        {"COPY *.sh /usr/local/bin/\nENTRYPOINT [\"entrypoint.sh\"]", SAYS_STARTS},
        {"WORKDIR /app\nCOPY . .\nENTRYPOINT [\"./entrypoint.sh\"]", SAYS_STARTS},
        {"WORKDIR /app\nCOPY . .\nENTRYPOINT [\"bash\", \"-e\", \"entrypoint.sh\"]", SAYS_STARTS},
        {"COPY . /app\nENTRYPOINT /app/start", SAYS_STARTS},
        {"COPY . /app\nENTRYPOINT [\"tini\", \"/app/entrypoint.sh\"]", SAYS_STARTS},
        {"COPY . /app\nENTRYPOINT [\"node\", \"/app/spawn.js\"]", SAYS_STARTS},
        {"ADD --chmod=755 entrypoint.sh /e\nENTRYPOINT [\"/e\"]", SAYS_STARTS},
        {"COPY <<E /e.sh\nsandbox-api &\nE\nENTRYPOINT [\"/e.sh\"]", SAYS_STARTS},
        {"COPY scripts/wrap.sh /w.sh\nCOPY start /s\nENTRYPOINT [\"/w.sh\"]\nCMD [\"/s\"]",
         SAYS_STARTS},
        {"COPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api /opt/api\nCOPY scripts/api.sh /\n"
         "ENTRYPOINT [\"/api.sh\"]",
         SAYS_STARTS},
        {"COPY scripts/run.sh /r.sh\nCOPY entrypoint.sh /r.sh\nENTRYPOINT [\"/r.sh\"]",
         SAYS_STARTS},
        /* cannot be known */
        {"ENTRYPOINT [\"/start.sh\"]", SAYS_NOTHING},
        {"ENTRYPOINT [\"/app/server\"]", SAYS_NOTHING},
        {"ENTRYPOINT [\"npm\", \"start\"]", SAYS_NOTHING},
        {"ENTRYPOINT [\"sh\", \"-c\", \"node x\"]", SAYS_NOTHING},
        {"ENTRYPOINT node x && y", SAYS_NOTHING},
        {"ENTRYPOINT [\"node\", \"x\", \"/run.sh\"]", SAYS_NOTHING},
        {"RUN echo sandbox-api > /e\nENTRYPOINT [\"node\", \"/e\"]", SAYS_NOTHING},
        {"COPY --from=x entrypoint.sh /e\nENTRYPOINT [\"/e\"]", SAYS_NOTHING},
        {"COPY scripts/chain.sh /c\nENTRYPOINT [\"/c\"]", SAYS_NOTHING},
        {"COPY scripts/wrap.sh /w\nENTRYPOINT [\"/w\"]\nCMD [\"node\"]", SAYS_NOTHING},
        {"COPY server.js /s.js\nENTRYPOINT [\"own-runner\", \"/s.js\"]", SAYS_NOTHING},
        {"COPY $X /r.sh\nENTRYPOINT [\"/r.sh\"]", SAYS_NOTHING},
        /* never */
        {"ENTRYPOINT [\"node\", \"server.js\"]", SAYS_WARNING},
        {"ENTRYPOINT [\"/usr/bin/python3.12\", \"-m\", \"app\"]", SAYS_WARNING},
        {"ENTRYPOINT [\"tini\", \"--\", \"node\", \"x\"]", SAYS_WARNING},
        {"ENTRYPOINT [\"env\", \"A=B\", \"node\", \"x\"]", SAYS_WARNING},
        {"ENTRYPOINT [\"gosu\", \"me\", \"node\", \"x\"]", SAYS_WARNING},
        {"ENTRYPOINT [\"tini\", \"--\"]\nCMD [\"node\", \"x\"]", SAYS_WARNING},
        {"ENTRYPOINT node server.js", SAYS_WARNING},
        {"ENTRYPOINT [\"sleep\", \"infinity\"]", SAYS_WARNING},
        {"ENTRYPOINT [\"bash\"]", SAYS_WARNING},
        {"COPY scripts/run.sh /r.sh\nENTRYPOINT [\"/r.sh\"]", SAYS_WARNING},
        {"COPY scripts/ /s\nENTRYPOINT [\"sh\", \"/s/run.sh\"]", SAYS_WARNING},
        {"COPY <<E /e\nnode x\nE\nENTRYPOINT [\"/e\"]", SAYS_WARNING},
        {"COPY entrypoint.sh /r.sh\nCOPY scripts/run.sh /r.sh\nENTRYPOINT [\"/r.sh\"]",
         SAYS_WARNING},
    };
    const struct dockerfile_source_files in_memory = {.v = files,
                                                      .n = sizeof(files) / sizeof(files[0])};
    const struct dockerfile_source source = dockerfile_source_memory(&in_memory);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(10000);
        struct dockerfile_sandbox_findings f;
        bool starts;

        buf_addf(&text, "FROM alpine\n%s\n", table[i].text);
        find(buf_str(&text), NULL, &source, &f);
        starts = strstr(buf_str(&f.notes), "it starts sandbox-api") != NULL;
        if (starts != (table[i].says == SAYS_STARTS) ||
            f.warnings.n != (table[i].says == SAYS_WARNING ? 1 : 0))
            fail_msg("%s\n%s%s", table[i].text, buf_str(&f.notes),
                     f.warnings.n ? f.warnings.v[0] : "no warning");
        assert_false(f.lacks_entrypoint);
        dockerfile_sandbox_findings_release(&f);
    }
}

static void test_the_note_names_the_one_that_starts_it(void **state)
{
    static const struct dockerfile_base_image node = {.config = NODE};
    static const struct dockerfile_base_image own = {
        .config = CONFIG("\"Entrypoint\":[\"/opt/sandbox-api\"],\"Cmd\":[\"-p\",\"80\"]")};
    struct dockerfile_sandbox_findings f;

    (void)state;
    find("FROM node\nCMD [\"sandbox-api\"]\n", &node, NULL, &f);
    assert_non_null(
        strstr(buf_str(&f.notes), "Left the CMD on line 2 as it is: it starts sandbox-api.\n"));
    dockerfile_sandbox_findings_release(&f);
    find("FROM me/base\n", &own, NULL, &f);
    assert_non_null(strstr(buf_str(&f.notes),
                           "Left the base image's ENTRYPOINT as it is: it starts "
                           "sandbox-api.\n"));
    dockerfile_sandbox_findings_release(&f);
}

static void test_the_warning_says_what_was_read_and_what_to_do(void **state)
{
    const struct dockerfile_source_files in_memory = {.v = files,
                                                      .n = sizeof(files) / sizeof(files[0])};
    const struct dockerfile_source source = dockerfile_source_memory(&in_memory);
    struct dockerfile_sandbox_findings f;

    (void)state;
    find("FROM alpine\nCOPY scripts/run.sh /r.sh\nENTRYPOINT [\"/r.sh\"]\n", NULL, &source, &f);
    assert_string_equal(
        f.warnings.v[0],
        "nothing starts sandbox-api: the ENTRYPOINT on line 3 does not name it, nor "
        "does scripts/run.sh (from the project), so the sandbox will not answer; "
        "start it there in the background, or leave the ENTRYPOINT out");
    dockerfile_sandbox_findings_release(&f);
    find("FROM alpine\nCOPY . /\nENTRYPOINT [\"/start\"]\n", NULL, &source, &f);
    assert_non_null(strstr(buf_str(&f.notes),
                           "Left the ENTRYPOINT on line 3 as it is: it starts sandbox-api (start "
                           "names it).\n"));
    dockerfile_sandbox_findings_release(&f);
}

static void test_a_base_made_to_be_a_sandbox_is_trusted(void **state)
{
    const struct dockerfile_base_image base = {.config = CONFIG("\"Entrypoint\":[\"node\",\"x\"]"),
                                               .sandbox_api = "/opt/sandbox-api"};
    struct dockerfile_sandbox_findings f;

    (void)state;
    find("FROM me/base\n", &base, NULL, &f);
    assert_int_equal(f.lines.len, 0);
    assert_int_equal(f.warnings.n, 0);
    assert_non_null(strstr(buf_str(&f.notes),
                           "Left the base image's ENTRYPOINT as it is: it has to "
                           "start sandbox-api itself.\n"));
    dockerfile_sandbox_findings_release(&f);
}

static void test_a_path_where_it_is_not_is_warned_of(void **state)
{
#define COPIED(to) "FROM alpine\nCOPY --from=ghcr.io/blaxel-ai/sandbox /sandbox-api " to "\n"
#define STARTED    "ENTRYPOINT [\"/usr/local/bin/sandbox-api\"]\n"
    static const struct dockerfile_source_file own = {.path = "bin/sandbox-api", .text = "x"};
    static const struct {
        const char *text;
        bool warns;
    } table[] = {
        {COPIED("/opt/api") STARTED, true},
        {COPIED("/opt/api") "ENTRYPOINT [\"tini\", \"/usr/local/bin/sandbox-api\"]\n", true},
        {COPIED("/opt/api") "CMD [\"/usr/local/bin/sandbox-api\"]\n", true},
        {COPIED("/usr/local/bin/") STARTED, false},
        {COPIED("/usr/bin/sandbox-api") "ENTRYPOINT [\"/bin/sandbox-api\"]\n", false},
        {COPIED("/usr/local/bin/") "COPY --from=ghcr.io/blaxel-ai/sandbox / /opt\n" STARTED, false},
        {COPIED("/opt/api") "COPY bin /usr/local/bin\n" STARTED, false},
        {COPIED("/opt/api") "RUN ln -s /opt/api /usr/local/bin/sandbox-api\n" STARTED, false},
        {COPIED("/opt/api") "ENTRYPOINT [\"sandbox-api\"]\n", false},
        {"FROM alpine\nENTRYPOINT [\"/opt/sandbox-api\"]\n", false},
    };
    const struct dockerfile_source_files in_memory = {.v = &own, .n = 1};
    const struct dockerfile_source source = dockerfile_source_memory(&in_memory);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dockerfile_sandbox_findings f;

        find(table[i].text, NULL, &source, &f);
        if (f.warnings.n != (table[i].warns ? 1 : 0))
            fail_msg("%s\n%s", table[i].text, f.warnings.n ? f.warnings.v[0] : "no warning");
        if (table[i].warns)
            assert_string_equal(f.warnings.v[0],
                                "the container starts /usr/local/bin/sandbox-api, but sandbox-api "
                                "is at /opt/api: make the two the same");
        dockerfile_sandbox_findings_release(&f);
    }
}

static void test_scratch_is_told_of_the_shell_it_lacks(void **state)
{
    static const char *const texts[] = {"FROM alpine\n", "FROM scratch\n"};
    struct dockerfile_sandbox_findings f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        find(texts[i], NULL, NULL, &f);
        assert_int_equal(strstr(buf_str(&f.notes), "find no shell") != NULL, i == 1);
        assert_int_equal(strstr(buf_str(&f.notes), "no longer apply") != NULL, i == 0);
        dockerfile_sandbox_findings_release(&f);
    }
}

static void test_a_cmd_of_options_is_warned_of(void **state)
{
    const struct dockerfile_base_image python = {.config = CONFIG("\"Entrypoint\":[\"python\"]")};
    struct dockerfile_sandbox_findings f;

    (void)state;
    find("FROM me/python\nCMD [\"-m\", \"app\"]\n", NULL, NULL, &f);
    assert_int_equal(f.warnings.n, 1);
    assert_non_null(strstr(f.warnings.v[0], "CMD begins with \"-m\""));
    dockerfile_sandbox_findings_release(&f);
    find("FROM me/python\nCMD [\"-m\", \"app\"]\n", &python, NULL, &f);
    assert_int_equal(f.warnings.n, 0);
    assert_string_equal(buf_str(&f.lines), COPY ENTRYPOINT "CMD [\"python\", \"-m\", \"app\"]\n");
    dockerfile_sandbox_findings_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_followed_through_copies_of_all_kinds),
        cmocka_unit_test(test_a_run_may_copy_it_out_of_a_mount),
        cmocka_unit_test(test_build_arguments_count_in_from),
        cmocka_unit_test(test_a_base_that_carries_it_is_left_alone),
        cmocka_unit_test(test_the_command_of_the_base_is_said_again),
        cmocka_unit_test(test_a_cmd_that_starts_it_needs_no_entrypoint),
        cmocka_unit_test(test_it_is_put_where_the_dockerfile_starts_it),
        cmocka_unit_test(test_a_config_that_is_none_is_an_error),
        cmocka_unit_test(test_a_warning_comes_on_evidence_alone),
        cmocka_unit_test(test_the_note_names_the_one_that_starts_it),
        cmocka_unit_test(test_the_warning_says_what_was_read_and_what_to_do),
        cmocka_unit_test(test_a_base_made_to_be_a_sandbox_is_trusted),
        cmocka_unit_test(test_a_path_where_it_is_not_is_warned_of),
        cmocka_unit_test(test_scratch_is_told_of_the_shell_it_lacks),
        cmocka_unit_test(test_a_cmd_of_options_is_warned_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
