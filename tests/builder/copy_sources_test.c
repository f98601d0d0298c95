/* Which files COPY's sources mean: wildcards, --exclude, --parents, and what is not there. */
#include <fcntl.h>
#include <string.h>

#include "copy_scene.h"

static void exclude(struct scene *s, const char *pattern)
{
    argv_push1(&s->exclude, pattern);
}

static void make_letters(struct scene *s)
{
    scene_clear(s);
    scene_make(s->source, "a.txt = 1");
    scene_make(s->source, "b.md = 2");
    scene_make(s->source, "c.txt = 3");
    scene_make(s->source, "d/a.txt = 4");
    scene_make(s->source, "d/deep/er/a.txt = 5");
    scene_make(s->source, "e/b.md = 6");
}

static void test_a_source_that_is_not_there_is_named_as_buildkit_does(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_make(s->source, "broken -> nowhere");
    scene_refuses(s, "x", "/", ERR_INPUT, "\"/x\": not found");
    scene_refuses(s, "./d/../x/y", "/", ERR_INPUT, "\"/x/y\": not found");
    scene_refuses(s, "a.txt/b", "/", ERR_INPUT, "\"/a.txt/b\": not found");
    scene_refuses(s, "broken", "/", ERR_INPUT, "\"/broken\": not found");
    scene_refuses(s, "a.txt nope", "/d/", ERR_INPUT, "\"/nope\": not found");
    scene_holds(s, "");
}

static void test_dots_do_not_lead_out_of_the_context(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_refuses(s, "../outside", "/", ERR_INPUT, "\"/outside\": not found");
    scene_refuses(s, "d/../../outside", "/", ERR_INPUT, "\"/outside\": not found");
    scene_copies(s, "../../a.txt", "/");
    scene_copies(s, "/b.md", "/");
    scene_copies(s, "../*/b.md", "/x/");
    scene_holds(s, "a.txt=1 b.md=2 x/ x/b.md=6");
}

static void test_links_in_the_context_lead_nowhere_else(void **state)
{
    struct scene *s = *state;
    char line[128];

    make_letters(s);
    (void)snprintf(line, sizeof(line), "evil -> %s/outside", s->path);
    scene_make(s->source, line);
    scene_make(s->source, "up -> ../outside");
    scene_make(s->source, "passwd -> /etc/passwd");
    scene_make(s->source, "etc -> /../etc");
    scene_make(s->source, "lib -> /usr/lib");
    scene_make(s->source, "l -> /d/a.txt");
    scene_make(s->source, "dir -> ../d");
    scene_make(s->source, "round -> round");
    scene_refuses(s, "evil", "/", ERR_INPUT, "not found");
    scene_refuses(s, "up", "/", ERR_INPUT, "not found");
    scene_refuses(s, "passwd", "/", ERR_INPUT, "too many links"); /* /etc is a link to itself */
    scene_refuses(s, "etc/passwd", "/", ERR_INPUT, "too many links");
    scene_refuses(s, "round", "/", ERR_INPUT, "too many links");
    scene_refuses(s, "lib/os-release", "/", ERR_INPUT, "not found");
    scene_copies(s, "etc/*", "/");
    scene_copies(s, "lib/*", "/");
    scene_copies(s, "l", "/");
    scene_copies(s, "dir/a.txt", "/");
    scene_copies(s, "dir", "/whole");
    scene_holds(s, "a.txt=4 l=4 whole/ whole/a.txt=4 whole/deep/ whole/deep/er/ "
                   "whole/deep/er/a.txt=5");
}

static void test_a_link_inside_a_directory_is_copied_as_a_link(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d/passwd -> /etc/passwd");
    scene_make(s->source, "d/up -> ../../../outside");
    scene_make(s->source, "d/etc -> /etc");
    scene_age(s->source);
    scene_copies(s, "d", "/d");
    scene_holds(s, "d/ d/etc->/etc d/passwd->/etc/passwd d/up->../../../outside");
    assert_int_equal(scene_stat(s->diff, "d/up").st_mtim.tv_sec, SCENE_MTIME);
}

static void test_wildcards_match_names_but_no_slash(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_copies(s, "*.txt", "/x/");
    scene_copies(s, "[ab].??*", "/y/");
    scene_copies(s, "*/a.txt", "/z/");
    scene_holds(s, "x/ x/a.txt=1 x/c.txt=3 y/ y/a.txt=1 y/b.md=2 z/ z/a.txt=4");
}

static void test_a_wildcard_that_matches_directories_copies_their_content(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_copies(s, "[de]", "/x");
    scene_holds(s, "x/ x/a.txt=4 x/b.md=6 x/deep/ x/deep/er/ x/deep/er/a.txt=5");
}

static void test_a_wildcard_that_matches_nothing_copies_nothing(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_copies(s, "*.none", "/x");
    scene_copies(s, "none/*", "/x");
    scene_copies(s, "a.txt/*", "/x");
    scene_copies(s, "a.tx[t] *.none", "/one");
    scene_holds(s, "one=1");
}

static void test_a_wildcard_that_matches_several_files_needs_a_directory(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_copies(s, "*.txt", "/x");
    scene_holds(s, "x/ x/a.txt=1 x/c.txt=3");
}

static void test_a_bad_pattern_is_refused(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_refuses(s, "[a", "/", ERR_INPUT, "\"[a\": syntax error in pattern");
    scene_refuses(s, "d/[]a]", "/", ERR_INPUT, "\"[]a]\": syntax error in pattern");
}

static void test_what_is_excluded_is_left_out_wherever_the_source_is(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    exclude(s, "**/*.txt");
    scene_copies(s, ".", "/");
    scene_holds(s, "b.md=2 d/ d/deep/ d/deep/er/ e/ e/b.md=6");
}

static void test_exclude_is_relative_to_each_source(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    exclude(s, "a.txt");
    scene_copies(s, "d e", "/x");
    scene_copies(s, "*.txt", "/y/");
    scene_copies(s, "d/a.txt", "/z/");
    scene_holds(s, "x/ x/b.md=6 x/deep/ x/deep/er/ x/deep/er/a.txt=5 y/ y/c.txt=3");
}

static void test_an_excluded_directory_is_made_only_for_what_comes_back(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_make(s->source, "0750 d/deep/");
    exclude(s, "d");
    exclude(s, "!d/deep/er/a.txt");
    exclude(s, "e");
    scene_copies(s, ".", "/");
    scene_holds(s, "a.txt=1 b.md=2 c.txt=3 d/ d/deep/ d/deep/er/ d/deep/er/a.txt=5");
    assert_int_equal(scene_mode(s->diff, "d/deep"), 0750);
    scene_clear(s);
    scene_make(s->source, "d/f = 1");
    exclude(s, "d");
    exclude(s, "!d/nothing");
    scene_copies(s, ".", "/");
    scene_holds(s, "");
}

static void test_a_bad_exclude_pattern_is_the_user_s_fault(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    exclude(s, "[a-");
    scene_refuses(s, ".", "/", ERR_INPUT, "");
}

static void test_parents_keeps_the_path_behind_the_pivot(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    s->req.parents = true;
    scene_copies(s, "d/a.txt", "/whole/");
    scene_copies(s, "./d/./deep/er/a.txt", "/part");
    scene_copies(s, "d/deep/./er", "/dir");
    scene_holds(s, "dir/ dir/er/ dir/er/a.txt=5 part/ part/deep/ part/deep/er/ "
                   "part/deep/er/a.txt=5 whole/ whole/d/ whole/d/a.txt=4");
}

static void test_parents_takes_stars_of_any_depth(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    s->req.parents = true;
    scene_copies(s, "**/a.txt", "/");
    scene_holds(s, "a.txt=1 d/ d/a.txt=4 d/deep/ d/deep/er/ d/deep/er/a.txt=5");
    make_letters(s);
    s->req.parents = true;
    scene_copies(s, "*/b.md d/*/er", "/x");
    scene_holds(s, "x/ x/d/ x/d/deep/ x/d/deep/er/ x/d/deep/er/a.txt=5 x/e/ x/e/b.md=6");
    make_letters(s);
    s->req.parents = true;
    scene_copies(s, "[de]/./**/*.txt", "/x");
    scene_holds(s, "x/ x/a.txt=4 x/deep/ x/deep/er/ x/deep/er/a.txt=5");
}

static void test_parents_have_the_mode_of_the_source_s_and_exclude_counts(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    scene_make(s->source, "0710 d/");
    scene_age(s->source);
    s->req.parents = true;
    exclude(s, "**/deep");
    scene_copies(s, "d", "/");
    scene_holds(s, "d/ d/a.txt=4");
    assert_int_equal(scene_mode(s->diff, "d"), 0710);
    assert_int_equal(scene_stat(s->diff, "d").st_mtim.tv_sec, SCENE_MTIME);
}

static void test_parents_of_what_is_not_there_is_refused_but_not_of_a_wildcard(void **state)
{
    struct scene *s = *state;

    make_letters(s);
    s->req.parents = true;
    scene_refuses(s, "d/./nope", "/", ERR_INPUT, "\"/d/nope\": not found");
    scene_refuses(s, "../../nope", "/", ERR_INPUT, "\"/nope\": not found");
    scene_refuses(s, "nope/./a.txt", "/", ERR_INPUT, "\"/nope/a.txt\": not found");
    scene_copies(s, "d/./*.nope", "/");
    scene_copies(s, "../d/./../a.txt", "/");
    scene_holds(s, "a.txt=4");
}

/* dirfds go with it, so it is made and removed without a path that long. */
static int make_chain(int dirfd, int n)
{
    int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);

    for (int i = 0; i < n; i++) {
        static const char name[] = "a-name-that-is-long-enough-for-a-path-beyond-what-fits";
        int next;

        assert_int_equal(mkdirat(fd, name, 0755), 0);
        next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    return fd;
}

static void test_a_path_may_be_longer_than_the_kernel_takes_at_once(void **state)
{
    struct scene *s = *state;
    CLEANUP_CLOSE int deepest = -1;

    scene_clear(s);
    deepest = make_chain(s->source, 250);
    scene_make(deepest, "f = bottom");
    scene_copies(s, ".", "/x");
    assert_int_equal(s->result.files, 1);
    close(make_chain(deepest, 10));
    scene_refuses(s, ".", "/y", ERR_LIMIT, "directories in a row");
}

static void test_many_files_of_a_wildcard_are_copied_in_order(void **state)
{
    struct scene *s = *state;
    char line[32];

    scene_clear(s);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(line, sizeof(line), "f%03d = x", i);
        scene_make(s->source, line);
    }
    scene_copies(s, "f*", "/x/");
    assert_int_equal(s->result.files, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_source_that_is_not_there_is_named_as_buildkit_does),
        cmocka_unit_test(test_dots_do_not_lead_out_of_the_context),
        cmocka_unit_test(test_links_in_the_context_lead_nowhere_else),
        cmocka_unit_test(test_a_link_inside_a_directory_is_copied_as_a_link),
        cmocka_unit_test(test_wildcards_match_names_but_no_slash),
        cmocka_unit_test(test_a_wildcard_that_matches_directories_copies_their_content),
        cmocka_unit_test(test_a_wildcard_that_matches_nothing_copies_nothing),
        cmocka_unit_test(test_a_wildcard_that_matches_several_files_needs_a_directory),
        cmocka_unit_test(test_a_bad_pattern_is_refused),
        cmocka_unit_test(test_what_is_excluded_is_left_out_wherever_the_source_is),
        cmocka_unit_test(test_exclude_is_relative_to_each_source),
        cmocka_unit_test(test_an_excluded_directory_is_made_only_for_what_comes_back),
        cmocka_unit_test(test_a_bad_exclude_pattern_is_the_user_s_fault),
        cmocka_unit_test(test_parents_keeps_the_path_behind_the_pivot),
        cmocka_unit_test(test_parents_takes_stars_of_any_depth),
        cmocka_unit_test(test_parents_have_the_mode_of_the_source_s_and_exclude_counts),
        cmocka_unit_test(test_parents_of_what_is_not_there_is_refused_but_not_of_a_wildcard),
        cmocka_unit_test(test_a_path_may_be_longer_than_the_kernel_takes_at_once),
        cmocka_unit_test(test_many_files_of_a_wildcard_are_copied_in_order),
    };

    return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
