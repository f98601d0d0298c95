/* COPY and ADD: what each of their options makes of files, in the image. */
#include "feature.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void test_heredocs_become_files_with_and_without_variables(void **state)
{
    struct seen seen;
    struct attempt a = {.dockerfile = "FROM scratch\n"
                                      "ENV NAME=world\n"
                                      "COPY <<greeting <<'plain' <<-tabs /etc/\n"
                                      "hello \"$NAME\" \\$NAME\n"
                                      "greeting\n"
                                      "hello $NAME\n"
                                      "plain\n"
                                      "\t\tno ${NAME}\n"
                                      "\ttabs\n"
                                      "COPY --chmod=755 --chown=3:4 <<EOF /run.sh\n"
                                      "#!/bin/sh\n"
                                      "EOF\n"
                                      "ADD <<EOF /empty\n"
                                      "EOF\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 644 0:0 empty \"\"\n"
                 "d 755 0:0 etc\n"
                 "f 644 0:0 etc/greeting \"hello \"world\" $NAME\\n\"\n"
                 "f 644 0:0 etc/plain \"hello $NAME\\n\"\n"
                 "f 644 0:0 etc/tabs \"no world\\n\"\n"
                 "f 755 3:4 run.sh \"#!/bin/sh\\n\"\n");
    features_release(&a, &seen);
}

static void test_a_destination_is_a_directory_by_its_slash_or_by_what_is_there(void **state)
{
    static const char *const files[] = {"f", "1", "g", "2", "d/x", "3", "d/sub/y", "4", NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile = "FROM scratch\n"
                                      "COPY f /file\n"
                                      "COPY f /slash/\n"
                                      "COPY f g /two/\n"
                                      "COPY d /dir\n"
                                      "COPY f /dir\n"
                                      "COPY d /slashed/\n"
                                      "WORKDIR /work\n"
                                      "COPY f .\n"
                                      "COPY g deeper/g\n"
                                      "COPY f ../up\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 dir\n"
                 "f 644 0:0 dir/f \"1\"\n"
                 "d 755 0:0 dir/sub\n"
                 "f 644 0:0 dir/sub/y \"4\"\n"
                 "f 644 0:0 dir/x \"3\"\n"
                 "f 644 0:0 file \"1\"\n"
                 "d 755 0:0 slash\n"
                 "f 644 0:0 slash/f \"1\"\n"
                 "d 755 0:0 slashed\n"
                 "d 755 0:0 slashed/sub\n"
                 "f 644 0:0 slashed/sub/y \"4\"\n"
                 "f 644 0:0 slashed/x \"3\"\n"
                 "d 755 0:0 two\n"
                 "f 644 0:0 two/f \"1\"\n"
                 "f 644 0:0 two/g \"2\"\n"
                 "f 644 0:0 up \"1\"\n"
                 "d 755 0:0 work\n"
                 "d 755 0:0 work/deeper\n"
                 "f 644 0:0 work/deeper/g \"2\"\n"
                 "f 644 0:0 work/f \"1\"\n");
    features_release(&a, &seen);
}

static void test_wildcards_take_what_matches_and_may_match_nothing(void **state)
{
    static const char *const files[] = {"a1.txt", "1",        "a2.txt", "2", "b.txt",
                                        "3",      "s/a3.txt", "4",      NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile = "FROM scratch\n"
                                      "COPY a?.txt /some/\n"
                                      "COPY none*.lock b.txt /other/\n"
                                      "COPY no-*-such /nothing/\n"
                                      "COPY */a*.txt /deep/\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 deep\n"
                 "f 644 0:0 deep/a3.txt \"4\"\n"
                 "d 755 0:0 other\n"
                 "f 644 0:0 other/b.txt \"3\"\n"
                 "d 755 0:0 some\n"
                 "f 644 0:0 some/a1.txt \"1\"\n"
                 "f 644 0:0 some/a2.txt \"2\"\n");
    features_release(&a, &seen);
}

static void test_a_source_that_is_not_there_is_named(void **state)
{
    struct attempt a = {.dockerfile = "FROM scratch\nCOPY not-there.txt /x\n"};

    assert_refused(*state, &a, "\"/not-there.txt\": not found");
    attempt_release(&a);
}

static void test_parents_keeps_paths_from_the_pivot_on(void **state)
{
    static const char *const files[] = {"x/a/1.js", "1",      "x/b/2.js", "2", "x/b/2.css",
                                        "3",        "y/c.js", "4",        NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile = "FROM scratch\n"
                                      "COPY --parents x/a y/c.js /all/\n"
                                      "COPY --parents x/./*/*.js /pivot/\n"
                                      "COPY --parents **/*.js /deep/\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 all\n"
                 "d 755 0:0 all/x\n"
                 "d 755 0:0 all/x/a\n"
                 "f 644 0:0 all/x/a/1.js \"1\"\n"
                 "d 755 0:0 all/y\n"
                 "f 644 0:0 all/y/c.js \"4\"\n"
                 "d 755 0:0 deep\n"
                 "d 755 0:0 deep/x\n"
                 "d 755 0:0 deep/x/a\n"
                 "f 644 0:0 deep/x/a/1.js \"1\"\n"
                 "d 755 0:0 deep/x/b\n"
                 "f 644 0:0 deep/x/b/2.js \"2\"\n"
                 "d 755 0:0 deep/y\n"
                 "f 644 0:0 deep/y/c.js \"4\"\n"
                 "d 755 0:0 pivot\n"
                 "d 755 0:0 pivot/a\n"
                 "f 644 0:0 pivot/a/1.js \"1\"\n"
                 "d 755 0:0 pivot/b\n"
                 "f 644 0:0 pivot/b/2.js \"2\"\n");
    features_release(&a, &seen);
}

static void test_exclude_leaves_out_what_its_patterns_name(void **state)
{
    static const char *const files[] = {"d/a.txt", "1", "d/b.md",    "2", "d/s/c.md", "3",
                                        "d/s/d",   "4", "d/keep.md", "5", NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile = "FROM scratch\n"
                                      "COPY --exclude=*.md d /one\n"
                                      "COPY --exclude=**/*.md --exclude=!keep.md --exclude=a.* d "
                                      "/more\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 more\n"
                 "f 644 0:0 more/keep.md \"5\"\n"
                 "d 755 0:0 more/s\n"
                 "f 644 0:0 more/s/d \"4\"\n"
                 "d 755 0:0 one\n"
                 "f 644 0:0 one/a.txt \"1\"\n"
                 "d 755 0:0 one/s\n"
                 "f 644 0:0 one/s/c.md \"3\"\n"
                 "f 644 0:0 one/s/d \"4\"\n");
    features_release(&a, &seen);
}

static void test_modes_are_octal_or_symbolic(void **state)
{
    static const char *const files[] = {"f", "1", "d/x", "2", NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile = "FROM scratch\n"
                                      "ARG M=0600\n"
                                      "COPY --chmod=4755 f /setuid\n"
                                      "COPY --chmod=$M f /arg\n"
                                      "COPY --chmod=u=rwX,go=rX d /d\n"
                                      "COPY --chmod=a+x f /plus\n"
                                      "COPY --chmod=go-r f /minus\n"
                                      "ADD --chmod=700 d /e\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 600 0:0 arg \"1\"\n"
                 "d 755 0:0 d\n"
                 "f 644 0:0 d/x \"2\"\n"
                 "d 755 0:0 e\n"
                 "f 700 0:0 e/x \"2\"\n"
                 "f 600 0:0 minus \"1\"\n"
                 "f 755 0:0 plus \"1\"\n"
                 "f 4755 0:0 setuid \"1\"\n");
    features_release(&a, &seen);
}

static void test_owners_are_numbers_or_names_of_the_stage(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "USER node\n"
                                      "COPY f /o/user-does-not-count\n"
                                      "COPY --chown=node f /o/name\n"
                                      "COPY --chown=node:nogroup f /o/names\n"
                                      "COPY --chown=12:34 f /o/numbers\n"
                                      "COPY --chown=1000 f /o/number\n"
                                      "COPY --chown=root:12 f /new/dir/f\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:12 new\n"
                 "d 755 0:12 new/dir\n"
                 "f 644 0:12 new/dir/f \"1\"\n"
                 "d 755 0:0 o\n"
                 "f 644 1000:1000 o/name \"1\"\n"
                 "f 644 1000:65534 o/names \"1\"\n"
                 "f 644 1000:1000 o/number \"1\"\n"
                 "f 644 12:34 o/numbers \"1\"\n"
                 "f 644 0:0 o/user-does-not-count \"1\"\n");
    features_release(&a, &seen);
}

static void test_an_owner_that_the_stage_does_not_know_is_root_and_that_is_said(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "COPY --chown=nemo f /f\n"
                                      "COPY --chown=node:nautilus f /g\n"
                                      "USER nemo\n"
                                      "WORKDIR /w\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen, "f 644 0:0 f \"1\"\nf 644 1000:1000 g \"1\"\nd 755 0:0 w\n");
    assert_says(&a, "warning: nemo is not in the image's /etc/passwd");
    assert_says(&a, "warning: node:nautilus is not in");
    features_release(&a, &seen);
}

static void test_on_scratch_an_owner_is_a_number(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .dockerfile = "FROM scratch AS work\n"
                                      "USER 7:8\n"
                                      "WORKDIR /w\n"
                                      "FROM scratch\n"
                                      "COPY --chown=5 f /f\n"
                                      "COPY --from=work /w /w/\n"
                                      "COPY --from=work / /\n"};
    struct attempt named = {.files = files, .dockerfile = "FROM scratch\nCOPY --chown=me f /f\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen, "f 644 5:5 f \"1\"\nd 755 7:8 w\n");
    assert_refused(*state, &named, "unable to find user me");
    features_release(&a, &seen);
    attempt_release(&named);
}

static void test_link_does_not_see_what_was_there(void **state)
{
    static const char *const files[] = {"f", "1", NULL};
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN mkdir -m 700 /real && ln -s real /via\n"
                                      "COPY f /via/followed\n"
                                      "COPY --link f /linked/f\n"
                                      "COPY --link=false f /real/\n"
                                      "COPY --link --chown=1:2 f /home/f\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 1:2 home\n"
                 "f 644 1:2 home/f \"1\"\n"
                 "d 755 0:0 linked\n"
                 "f 644 0:0 linked/f \"1\"\n"
                 "d 700 0:0 real\n"
                 "f 644 0:0 real/f \"1\"\n"
                 "f 644 0:0 real/followed \"1\"\n"
                 "l via -> real\n");
    features_release(&a, &seen);
}

static void test_files_come_from_stages_by_name_and_index_and_from_images(void **state)
{
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .dockerfile = "FROM alpine:3.20 AS Base\n"
                      "RUN echo 1 >/one && chown 1000:1000 /one && chmod 640 /one\n"
                      "FROM scratch AS second\n"
                      "COPY --from=base /one /two\n"
                      "FROM scratch\n"
                      "COPY --from=BASE /one /by-name\n"
                      "COPY --from=0 --chown=0:0 /one /by-index\n"
                      "COPY --from=second two /\n"
                      "COPY --from=alpine:3.20 /etc/alpine-release /etc/os-release /image/\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 640 0:0 by-index \"1\\n\"\n"
                 "f 640 1000:1000 by-name \"1\\n\"\n"
                 "d 755 0:0 image\n"
                 "f 644 0:0 image/alpine-release \"3.20.0\\n\"\n"
                 "f 644 0:0 image/os-release \"ID=alpine\\nVERSION_ID=3.20.0\\nPRETTY_NAME="
                 "\"stand-in for Alpine Linux\"\\n\"\n"
                 "f 640 1000:1000 two \"1\\n\"\n");
    features_release(&a, &seen);
}

static void test_links_in_the_source_are_copied_and_those_on_the_way_followed(void **state)
{
    static const char *const files[] = {"real/f", "1", NULL};
    static const char *const links[] = {"way", "real", "real/self", "f", "abs", "/real/f", NULL};
    struct seen seen;
    struct attempt a = {.files = files,
                        .links = links,
                        .dockerfile = "FROM scratch\n"
                                      "COPY real /dir\n"
                                      "COPY way/f /file\n"
                                      "COPY abs /abs\n"
                                      "COPY way /way\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 644 0:0 abs \"1\"\n"
                 "d 755 0:0 dir\n"
                 "f 644 0:0 dir/f \"1\"\n"
                 "l dir/self -> f\n"
                 "f 644 0:0 file \"1\"\n"
                 "d 755 0:0 way\n"
                 "f 644 0:0 way/f \"1\"\n"
                 "l way/self -> f\n");
    features_release(&a, &seen);
}

/* A job whose context holds a.tar.gz with in/file, of 7:8 and mode 600. */
static struct builder_job *begin_with_archive(const struct machine *m)
{
    struct builder_job *job;
    struct error err = ERROR_INIT;
    char path[2 * PATH_MAX];

    if (builder_job_begin(m->b, "ws", "job", &job, &err) < 0)
        fail_msg("%s", err.msg);
    (void)snprintf(path, sizeof(path), "%s/a.tar.gz", job->context);
    features_command("sh", "-c",
                     "d=$(mktemp -d) && mkdir $d/in && echo 1 >$d/in/file && chmod 600 $d/in/file "
                     "&& tar -C $d -czf \"$0\" --owner=7 --group=8 in && rm -r $d",
                     path, NULL);
    return job;
}

static void test_add_unpacks_archives_of_the_context_unless_told_not_to(void **state)
{
    struct builder_job *job = begin_with_archive(*state);
    struct seen seen;
    struct attempt a = {.dockerfile = "FROM scratch\n"
                                      "ADD a.tar.gz /unpacked\n"
                                      "ADD --chown=1:2 a.tar.gz /owned/\n"
                                      "ADD --unpack=true a.tar.gz /told\n"
                                      "ADD --unpack=false a.tar.gz /kept/\n"
                                      "COPY a.tar.gz /copied.tgz\n"};

    features_build_on(*state, job, &a, &seen);
    builder_job_end(job);
    assert_true(buf_holds(&seen.files, "d 755 7:8 unpacked/in\n"
                                       "f 600 7:8 unpacked/in/file \"1\\n\"\n"));
    assert_true(buf_holds(&seen.files, "d 755 1:2 owned/in\n"
                                       "f 600 1:2 owned/in/file \"1\\n\"\n"));
    assert_true(buf_holds(&seen.files, "f 600 7:8 told/in/file \"1\\n\"\n"));
    assert_true(buf_holds(&seen.files, "f 644 0:0 kept/a.tar.gz \"\\x1f\\x8b"));
    assert_true(buf_holds(&seen.files, "f 644 0:0 copied.tgz \"\\x1f\\x8b"));
    features_release(&a, &seen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heredocs_become_files_with_and_without_variables),
        cmocka_unit_test(test_a_destination_is_a_directory_by_its_slash_or_by_what_is_there),
        cmocka_unit_test(test_wildcards_take_what_matches_and_may_match_nothing),
        cmocka_unit_test(test_a_source_that_is_not_there_is_named),
        cmocka_unit_test(test_parents_keeps_paths_from_the_pivot_on),
        cmocka_unit_test(test_exclude_leaves_out_what_its_patterns_name),
        cmocka_unit_test(test_modes_are_octal_or_symbolic),
        cmocka_unit_test(test_owners_are_numbers_or_names_of_the_stage),
        cmocka_unit_test(test_an_owner_that_the_stage_does_not_know_is_root_and_that_is_said),
        cmocka_unit_test(test_on_scratch_an_owner_is_a_number),
        cmocka_unit_test(test_link_does_not_see_what_was_there),
        cmocka_unit_test(test_files_come_from_stages_by_name_and_index_and_from_images),
        cmocka_unit_test(test_links_in_the_source_are_copied_and_those_on_the_way_followed),
        cmocka_unit_test(test_add_unpacks_archives_of_the_context_unless_told_not_to),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
