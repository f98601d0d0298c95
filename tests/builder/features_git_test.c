/* ADD of git repositories: from a server on another machine, by the way that the build's commands
 * have.
 *
 * Run by in_a_network_of_its_own.  The server is git's own http-backend in the network of the other
 * machine (serve_git.py), 198.51.100.2 and 10.77.0.2, port 8000. */
#include "feature.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

#define SERVER   "http://198.51.100.2:8000"
#define DEMO     SERVER "/demo.git"
#define BY_TLS   "https://another.example:8443"
#define READY_MS 60000

static struct {
    struct process process;
    char dir[128];
} server;

static int start_server(const struct machine *m)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    CLEANUP_CLOSE int log = -1;
    struct error err = ERROR_INIT;
    char path[160];

    (void)snprintf(server.dir, sizeof(server.dir), "%s/git", m->dir);
    (void)snprintf(path, sizeof(path), "%s/git.log", m->dir);
    log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    argv_push(&argv, "nsenter", "--net", "--target", getenv("OTHER_MACHINE"), "python3", "-B",
              NULL);
    argv_pushf(&argv, "%s/tests/builder/serve_git.py", getenv("KILN_SOURCE"));
    argv_push(&argv, server.dir, "0.0.0.0", "8000", NULL);
    argv_pushf(&env, "PATH=%s", getenv("PATH"));
    (void)snprintf(path, sizeof(path), "%s/ready", server.dir);
    if (process_start(&argv, &env, NULL, 0, log, &server.process, &err) < 0)
        return -1;
    for (int waited = 0; access(path, F_OK) < 0; waited += 20) {
        if (waited > READY_MS || !process_is_alive(&server.process))
            return -1;
        (void)poll(NULL, 0, 20);
    }
    return 0;
}

static int start(void **state)
{
    struct machine *m;
    struct error err = ERROR_INIT;

    if (!getenv("OTHER_MACHINE") || machine_start(state) < 0)
        return -1;
    m = *state;
    builder_free(m->b);
    m->config.egress = BUILDER_EGRESS_NAT;
    if (builder_open(&m->config, &m->b, &err) < 0)
        return -1;
    return start_server(m);
}

static int stop(void **state)
{
    process_stop(&server.process, 0);
    return machine_stop(state);
}

/* ---- the repository ---- */

/* Runs git in the working tree, and pushes. */
static void change(const char *script)
{
    char tree[160];

    (void)snprintf(tree, sizeof(tree), "%s/trees/demo", server.dir);
    features_command("sh", "-ec",
                     "cd \"$0\"; export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a "
                     "GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; "
                     "eval \"$1\"; git push --quiet --force --all origin",
                     tree, script, NULL);
}

static void read_commit(const char *ref, char ret[41])
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64);
    struct error err = ERROR_INIT;
    char path[160];

    features_command("sh", "-ec", "git -C \"$0/trees/demo\" rev-parse \"$1^{commit}\" >\"$0/id\"",
                     server.dir, ref, NULL);
    (void)snprintf(path, sizeof(path), "%s/id", server.dir);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    (void)snprintf(ret, 41, "%s", buf_str(&text));
}

static size_t count_requests(void)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char path[160];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/requests", server.dir);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    for (const char *c = buf_str(&text); *c; c++)
        n += *c == '\n';
    return n;
}

/* ---- the tests ---- */

#define ALL_OF(dir)                                                                                \
    "d 755 0:0 " dir "\n"                                                                          \
    "d 755 0:0 " dir "/.docker\n"                                                                  \
    "f 644 0:0 " dir "/.docker/config.json \"{}\\n\"\n"                                            \
    "f 644 0:0 " dir "/.env.build \"A=1\\n\"\n"                                                    \
    "f 644 0:0 " dir "/file \"one\\n\"\n"                                                          \
    "l " dir "/link -> sub/in\n"                                                                   \
    "f 755 0:0 " dir "/run.sh \"#!/bin/sh\\n\"\n"                                                  \
    "d 755 0:0 " dir "/sub\n"                                                                      \
    "f 644 0:0 " dir "/sub/in \"inside\\n\"\n"

static void test_the_files_of_the_ref_land_at_the_destination(void **state)
{
    struct seen seen;
    struct attempt a = {.dockerfile = "FROM scratch\n"
                                      "ADD " DEMO " /a\n"
                                      "ADD " DEMO "#v1:sub /b/\n"
                                      "ADD " DEMO "?branch=main&subdir=sub /c\n"
                                      "ADD --chown=7:8 --chmod=600 --exclude=.* --exclude=sub "
                                      "--exclude=link " DEMO "?ref=refs/tags/light /d\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 ALL_OF("a") "d 755 0:0 b\n"
                             "f 644 0:0 b/in \"inside\\n\"\n"
                             "d 755 0:0 c\n"
                             "f 644 0:0 c/in \"inside\\n\"\n"
                             "d 755 7:8 d\n"
                             "f 600 7:8 d/file \"one\\n\"\n"
                             "f 600 7:8 d/run.sh \"#!/bin/sh\\n\"\n");
    features_release(&a, &seen);
}

static void test_a_repository_may_stand_among_other_sources(void **state)
{
    static const char *const files[] = {"local", "1", NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile =
                            "FROM scratch AS other\nCOPY local /x\n"
                            "FROM scratch\nADD local " DEMO "#v1:sub " DEMO "#v1:sub /d/\n"
                            "COPY --from=other /x /y\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 d\n"
                 "f 644 0:0 d/in \"inside\\n\"\n"
                 "f 644 0:0 d/local \"1\"\n"
                 "f 644 0:0 y \"1\"\n");
    features_release(&a, &seen);
}

static size_t build_cached(const struct machine *m, const char *dockerfile, const char *says)
{
    struct attempt a = {.workspace = "moving", .cached = true, .dockerfile = dockerfile};
    size_t cached;

    attempt_run(m, &a);
    assert_built(&a);
    assert_says(&a, says);
    cached = a.image.n_cached;
    attempt_release(&a);
    return cached;
}

static void test_a_moved_branch_is_noticed_and_nothing_is_fetched_twice(void **state)
{
    static const char branch[] = "FROM scratch\nADD " DEMO "#moving /\n";
    char by_id[256], id[41];
    size_t before;

    change("git checkout --quiet -b moving v1");
    read_commit("v1", id);
    (void)snprintf(by_id, sizeof(by_id), "FROM scratch\nADD " DEMO "#%s /\n", id);
    assert_int_equal(build_cached(*state, branch, id), 0);
    before = count_requests();
    assert_int_equal(build_cached(*state, branch, id), 1);
    assert_int_equal(count_requests(), before + 1); /* the refs */
    /* The same commit by its id: found without a word to the server. */
    assert_int_equal(build_cached(*state, by_id, id), 1);
    assert_int_equal(count_requests(), before + 1);
    change("echo two >file; git commit --quiet --all --message two");
    assert_int_equal(build_cached(*state, branch, "the commit of " DEMO "#moving changed"), 0);
    assert_int_equal(build_cached(*state, by_id, id), 1);
    change("git reset --quiet --hard v1");
    assert_int_equal(build_cached(*state, branch, id), 1);
}

static void test_git_finds_a_whole_repository_where_it_is_kept(void **state)
{
    const struct machine *m = *state;
    char path[PATH_MAX];
    struct attempt a = {.workspace = "kept",
                        .dockerfile = "FROM scratch\n"
                                      "ADD --keep-git-dir=true " DEMO "#v1 /a\n"
                                      "ADD " DEMO "?ref=main&keep-git-dir=1 /b\n"
                                      "ADD --keep-git-dir " DEMO "#v1:sub /c\n"};

    attempt_run(m, &a);
    assert_built(&a);
    (void)snprintf(path, sizeof(path), "%s/cache/kept/blobs", m->config.dir);
    features_command(
        "sh", "-ec",
        "d=$(mktemp -d); cd $d; trap 'rm -rf $d' EXIT; "
        "for layer in \"$0\"/*; do tar -xzf $layer; done; [ -e c/in ]; [ ! -e c/.git ]; "
        "[ \"$(git -C a describe --exact-match)\" = v1 ]; [ -e a/.git/refs/tags/v1 ]; "
        "for r in a b; do [ -z \"$(git -C $r status --porcelain)\" ]; "
        "git -C $r fsck --strict --no-progress; [ \"$(git -C $r log --oneline | wc -l)\" = 1 ]; "
        "[ \"$(git -C $r remote get-url origin)\" = \"" DEMO "\" ]; done",
        path, NULL);
    attempt_release(&a);
}

static void test_a_checksum_is_the_commit_or_its_beginning(void **state)
{
    char id[41], text[512];
    struct attempt wrong = {.dockerfile = "FROM scratch\nADD --checksum=0123456 " DEMO "#v1 /x\n"};
    struct attempt by_query = {.dockerfile = "FROM scratch\nADD " DEMO "?commit=0123456 /x\n"};

    read_commit("v1", id);
    for (int digits = 40; digits > 0; digits -= 30) {
        struct attempt a = {.dockerfile = text};

        (void)snprintf(text, sizeof(text), "FROM scratch\nADD --checksum=%.*s " DEMO "#v1 /x\n",
                       digits, id);
        attempt_run(*state, &a);
        assert_built(&a);
        attempt_release(&a);
    }
    assert_refused(*state, &wrong, "expected checksum to match 0123456, got ");
    assert_refused(*state, &by_query, "expected checksum to match 0123456, got ");
    attempt_release(&wrong);
    attempt_release(&by_query);
}

static void test_a_submodule_is_said_to_be_missing(void **state)
{
    struct attempt a = {.dockerfile = "FROM scratch\nADD " DEMO "#with-module /\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "warning: \"module\" is a submodule and is left out: .gitmodules does not say");
    attempt_release(&a);
}

static void test_a_submodule_comes_along_if_the_builds_network_leads_there(void **state)
{
    struct attempt there = {.dockerfile =
                                "FROM scratch\nADD --exclude=.* --exclude=file --exclude=link "
                                "--exclude=run.sh --exclude=sub " DEMO "#with-lib /x\n"};
    struct seen seen;
    struct attempt without = {.dockerfile =
                                  "FROM scratch\nADD " DEMO "?ref=with-lib&submodules=false /x\n"};
    struct attempt here = {.dockerfile = "FROM scratch\nADD " DEMO "#with-here /x\n"};

    features_build(*state, &there, &seen);
    assert_files(&there, &seen,
                 "d 755 0:0 x\n"
                 "d 755 0:0 x/lib\n"
                 "f 644 0:0 x/lib/inside \"of a submodule\\n\"\n");
    features_release(&there, &seen);
    attempt_run(*state, &without);
    assert_built(&without);
    assert_says(&without, "is left out: the source says submodules=false");
    attempt_release(&without);
    assert_refused(*state, &here, "submodule here");
    attempt_release(&here);
}

static void test_what_cannot_be_had_says_why(void **state)
{
    static const char *const refused[][2] = {
        {DEMO "#nothing", "there is no branch, tag or commit \"nothing\"; it has main"},
        {DEMO "#main:nowhere",
         "there is no folder \"nowhere\"; at the top it has \".docker\", \"sub\""},
        {SERVER "/other.git", "there is no repository at this address"},
        {"git@198.51.100.2:demo.git", "line 2: git source: it asks for ssh"},
        {"https://user:s3cr3t@198.51.100.2/demo.git",
         "line 2: git source: a user name or password"},
        /* this machine, its neighbours, and what stands for it */
        {"http://127.0.0.1:8000/demo.git", "127.0.0.1"},
        {"http://198.51.100.1:8000/demo.git", "198.51.100.1"},
        {"http://10.0.2.2:8000/demo.git", "10.0.2.2"},
        {"http://10.77.0.2:8000/demo.git", "10.77.0.2"},
        {"http://169.254.169.254/demo.git", "169.254.169.254"},
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[256];
        struct attempt a = {.dockerfile = text};

        (void)snprintf(text, sizeof(text), "FROM scratch\nADD %s /x\n", refused[i][0]);
        assert_refused(*state, &a, refused[i][1]);
        assert_null(strstr(a.failure.reason, "s3cr3t"));
        attempt_release(&a);
    }
}

static void test_a_repository_larger_than_allowed_is_refused(void **state)
{
    struct machine small = *(const struct machine *)*state;
    struct error err = ERROR_INIT;
    struct attempt a = {.dockerfile = "FROM scratch\nADD " DEMO "#large /x\n"};

    change("git checkout --quiet -b large v1; head -c 300000 /dev/urandom >large; git add large; "
           "git commit --quiet --message large");
    small.config.git_max = 100000;
    assert_int_equal(builder_open(&small.config, &small.b, &err), 0);
    attempt_run(&small, &a);
    assert_outcome(&a, "build", BUILDER_FAILED);
    assert_non_null(strstr(a.failure.reason, "with its history it is larger than"));
    attempt_release(&a);
    builder_free(small.b);
}

static void open_listed(const struct machine *m, const struct argv *allowed, const char *ca_file,
                        struct machine *ret)
{
    struct error err = ERROR_INIT;

    *ret = *m;
    ret->config.egress = BUILDER_EGRESS_LIST;
    ret->config.egress_allow = allowed;
    ret->config.ca_file = ca_file;
    assert_int_equal(builder_open(&ret->config, &ret->b, &err), 0);
}

/* Of repositories and files alike. */
static void test_the_operators_own_authorities_are_trusted(void **state)
{
    static const char *const texts[] = {"FROM scratch\nADD " BY_TLS "/demo.git#v1:sub /a\n",
                                        "FROM scratch\nADD " BY_TLS "/demo.git/HEAD /b\n"};
    CLEANUP(argv_release) struct argv allowed = ARGV_INIT;
    struct machine trusting, doubting;
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/ca.pem", server.dir);
    argv_push(&allowed, "another.example:8443", NULL);
    open_listed(*state, &allowed, path, &trusting);
    open_listed(*state, &allowed, NULL, &doubting);
    for (size_t i = 0; i < 2; i++) {
        struct attempt a = {.dockerfile = texts[i]}, b = {.dockerfile = texts[i]};

        attempt_run(&trusting, &a);
        assert_built(&a);
        assert_refused(&doubting, &b, "certificate");
        attempt_release(&a);
        attempt_release(&b);
    }
    builder_free(trusting.b);
    builder_free(doubting.b);
}

static void test_without_a_network_it_is_said(void **state)
{
    struct machine closed = *(const struct machine *)*state;
    struct error err = ERROR_INIT;
    struct attempt a = {.dockerfile = "FROM scratch\nADD " DEMO " /x\n"};

    closed.config.egress = BUILDER_EGRESS_NONE;
    assert_int_equal(builder_open(&closed.config, &closed.b, &err), 0);
    assert_refused(&closed, &a, "builds have no network here");
    attempt_release(&a);
    builder_free(closed.b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_files_of_the_ref_land_at_the_destination),
        cmocka_unit_test(test_a_repository_may_stand_among_other_sources),
        cmocka_unit_test(test_a_moved_branch_is_noticed_and_nothing_is_fetched_twice),
        cmocka_unit_test(test_git_finds_a_whole_repository_where_it_is_kept),
        cmocka_unit_test(test_a_checksum_is_the_commit_or_its_beginning),
        cmocka_unit_test(test_a_submodule_is_said_to_be_missing),
        cmocka_unit_test(test_a_submodule_comes_along_if_the_builds_network_leads_there),
        cmocka_unit_test(test_what_cannot_be_had_says_why),
        cmocka_unit_test(test_a_repository_larger_than_allowed_is_refused),
        cmocka_unit_test(test_the_operators_own_authorities_are_trusted),
        cmocka_unit_test(test_without_a_network_it_is_said),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, start, stop);
}
