/* Where COPY puts things: in a tree that is there, with links in it. */
#include <fcntl.h>
#include <string.h>

#include "copy_scene.h"

static void test_a_directory_s_content_goes_into_the_destination(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d/a = 1");
    scene_make(s->source, "d/e/b = 2");
    scene_make(s->source, "d/l -> /etc/passwd");
    scene_copies(s, "d", "/x/y");
    scene_holds(s, "x/ x/y/ x/y/a=1 x/y/e/ x/y/e/b=2 x/y/l->/etc/passwd");
    assert_int_equal(s->result.files, 2);
    assert_int_equal(s->result.bytes, 2);
}

static void test_the_whole_context_goes_to_the_root(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "a = 1");
    scene_make(s->source, "d/b = 2");
    scene_copies(s, ".", "/");
    scene_holds(s, "a=1 d/ d/b=2");
}

static void test_a_file_is_named_by_the_destination_unless_that_is_a_directory(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_copies(s, "f", "/new");
    scene_copies(s, "f", "/sub/new");
    scene_copies(s, "f", "/dir/");
    scene_copies(s, "f", "/dot/.");
    scene_make(s->view, "there/");
    scene_copies(s, "f", "/there");
    scene_copies(s, "f", "/");
    scene_holds(s, "dir/ dir/f=1 dot/ dot/f=1 f=1 new=1 sub/ sub/new=1 there/ there/f=1");
}

static void test_several_sources_go_into_a_directory_and_the_last_wins(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "a/f = 1");
    scene_make(s->source, "b/f = 2");
    scene_make(s->source, "g = 3");
    scene_copies(s, "a b g", "/x");
    scene_holds(s, "x/ x/f=2 x/g=3");
    scene_clear(s);
    scene_make(s->source, "a/f = 1");
    scene_make(s->source, "b/f = 2");
    scene_copies(s, "a/f b/f", "/x/");
    scene_holds(s, "x/ x/f=2");
}

static void test_directories_of_the_view_are_made_in_the_diff_as_they_are(void **state)
{
    struct scene *s = *state;
    struct stat st;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->view, "01777 tmp/deep/");
    scene_make(s->view, "0700 tmp/deep/");
    scene_make(s->view, "01777 tmp/");
    scene_make(s->view, "tmp/deep/other = not copied");
    scene_age(s->view);
    scene_copies(s, "f", "/tmp/deep/f");
    scene_copies(s, "f", "/tmp/deep/g");
    scene_holds(s, "tmp/ tmp/deep/ tmp/deep/f=1 tmp/deep/g=1");
    assert_int_equal(scene_mode(s->diff, "tmp"), 01777);
    assert_int_equal(scene_mode(s->diff, "tmp/deep"), 0700);
    st = scene_stat(s->diff, "tmp");
    assert_int_equal(st.st_mtim.tv_sec, SCENE_MTIME);
    st = scene_stat(s->diff, "tmp/deep");
    assert_int_equal(st.st_mtim.tv_sec, SCENE_MTIME);
}

static void test_links_in_the_view_are_followed_on_the_way(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->view, "usr/lib/");
    scene_make(s->view, "lib -> usr/lib");
    scene_make(s->view, "abs -> /usr");
    scene_make(s->view, "usr/up -> ../usr/./lib/..");
    scene_make(s->view, "usr/share -> /srv/share");
    scene_copies(s, "f", "/lib/a/f");
    scene_copies(s, "f", "/abs/lib/f");
    scene_copies(s, "f", "/usr/up/up/h");
    scene_copies(s, "f", "/lib");
    scene_copies(s, "f", "/usr/share/f");
    scene_holds(
        s,
        "srv/ srv/share/ srv/share/f=1 usr/ usr/h=1 usr/lib/ usr/lib/a/ usr/lib/a/f=1 usr/lib/f=1");
}

static void test_links_in_the_diff_are_followed_too(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "l -> real");
    scene_make(s->source, "real/f = 1");
    scene_make(s->source, "g = 2");
    scene_make(s->view, "real/");
    scene_copies(s, ".", "/");
    scene_copies(s, "g", "/l/g");
    scene_copies(s, "g", "/l/new/");
    scene_holds(s, "g=2 l->real real/ real/f=1 real/g=2 real/new/ real/new/g=2");
}

static void test_a_link_at_the_end_is_followed_even_where_nothing_is(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->view, "file = old");
    scene_make(s->view, "to-file -> file");
    scene_make(s->view, "to-nothing -> a/b");
    scene_copies(s, "f", "/to-file");
    scene_copies(s, "f", "/to-nothing");
    scene_holds(s, "a/ a/b=1 file=1");
}

static void test_a_link_never_leads_out_of_the_tree(void **state)
{
    struct scene *s = *state;
    char line[128];

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->source, "d/outside = evil");
    (void)snprintf(line, sizeof(line), "abs -> %s", s->path);
    scene_make(s->view, line);
    scene_make(s->view, "rel -> ../../../../../..");
    scene_make(s->view, "up/one -> ../../outside");
    scene_copies(s, "f", "/abs/outside");
    scene_copies(s, "d", "/rel");
    scene_copies(s, "f", "/up/one");
    scene_copies(s, "f", "/../../up/../../g");
    (void)snprintf(line, sizeof(line), "g=1 outside=1 tmp/ tmp/%s/ tmp/%s/outside=1",
                   strrchr(s->path, '/') + 1, strrchr(s->path, '/') + 1);
    scene_holds(s, line);
}

static void test_a_link_in_the_destination_is_replaced_by_a_file_not_written_through(void **state)
{
    struct scene *s = *state;
    char line[128];

    scene_clear(s);
    (void)snprintf(line, sizeof(line), "to/outside -> %s/outside", s->path);
    scene_make(s->diff, line);
    scene_make(s->view, "to/other -> ../target");
    scene_make(s->source, "d/outside = 1");
    scene_make(s->source, "d/other = 2");
    scene_copies(s, "d", "/to");
    scene_holds(s, "to/ to/other=2 to/outside=1");
    scene_copies(s, "d/outside", "/to/");
    scene_holds(s, "to/ to/other=2 to/outside=1");
}

static void test_links_that_go_round_are_refused(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->view, "a -> b");
    scene_make(s->view, "b -> a");
    scene_make(s->view, "c -> c/c");
    scene_refuses(s, "f", "/a/f", ERR_INPUT, "too many links");
    scene_refuses(s, "f", "/c", ERR_INPUT, "too many links");
    scene_holds(s, "");
}

static void test_files_are_replaced_wherever_they_are(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "0755 f = new");
    scene_make(s->view, "0600 f = old");
    scene_make(s->diff, "0600 g = old");
    scene_copies(s, "f", "/f");
    scene_copies(s, "f", "/g");
    scene_holds(s, "f=new g=new");
    assert_int_equal(scene_mode(s->diff, "f"), 0755);
    assert_int_equal(scene_mode(s->diff, "g"), 0755);
}

static void test_a_directory_does_not_go_over_a_file(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d/sub/f = 1");
    scene_make(s->view, "x = file");
    scene_make(s->view, "y/sub = file");
    scene_make(s->view, "z/sub -> /y");
    scene_make(s->diff, "w/sub -> /y");
    scene_refuses(s, "d", "/x", ERR_INPUT, "cannot copy to non-directory: /x");
    scene_refuses(s, "d", "/x/y", ERR_INPUT, "mkdir /x: not a directory");
    scene_refuses(s, "d", "/y", ERR_INPUT, "cannot copy to non-directory: /y/sub");
    scene_refuses(s, "d", "/z", ERR_INPUT, "cannot copy to non-directory: /z/sub");
    scene_refuses(s, "d", "/w/", ERR_INPUT, "cannot copy to non-directory: /w/sub");
    scene_refuses(s, "d/sub/f", "/x/", ERR_INPUT, "mkdir /x: not a directory");
}

static void test_a_file_does_not_go_over_a_directory(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d/f = 1");
    scene_make(s->source, "d/l -> f");
    scene_make(s->view, "x/f/");
    scene_make(s->view, "y/l/");
    scene_make(s->diff, "z/f/");
    scene_refuses(s, "d", "/x", ERR_INPUT, "cannot replace to directory /x/f with file");
    scene_refuses(s, "d/f", "/x", ERR_INPUT, "cannot replace to directory /x/f with file");
    scene_refuses(s, "d", "/y", ERR_INPUT, "cannot replace to directory /y/l with file");
    scene_refuses(s, "d", "/z", ERR_INPUT, "cannot replace to directory /z/f with file");
}

static void test_directories_below_the_destination_become_as_in_the_source(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "0750 d/sub/");
    scene_make(s->source, "d/sub/f = 1");
    scene_make(s->source, "0711 d/");
    scene_age(s->source);
    scene_make(s->view, "0700 x/sub/");
    scene_make(s->view, "x/sub/old = 0");
    scene_make(s->view, "0701 x/");
    scene_copies(s, "d", "/x");
    scene_holds(s, "x/ x/sub/ x/sub/f=1");
    assert_int_equal(scene_mode(s->diff, "x"), 0701);
    assert_int_equal(scene_mode(s->diff, "x/sub"), 0750);
    assert_int_equal(scene_stat(s->diff, "x").st_mtim.tv_sec, SCENE_MTIME);
    assert_int_equal(scene_stat(s->diff, "x/sub").st_mtim.tv_sec, SCENE_MTIME);
    scene_make(s->diff, "0700 x/sub/");
    scene_copies(s, "d", "/x");
    assert_int_equal(scene_mode(s->diff, "x/sub"), 0750);
}

static void test_without_a_view_everything_is_made_new(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->view, "0700 d/");
    scene_make(s->view, "l -> d");
    s->req.view = -1;
    s->req.epoch = 1000;
    scene_copies(s, "f", "/l/f");
    scene_copies(s, "f", "/d/f");
    scene_holds(s, "d/ d/f=1 l/ l/f=1");
    assert_int_equal(scene_mode(s->diff, "d"), 0755);
    assert_int_equal(scene_stat(s->diff, "d").st_mtim.tv_sec, 1000);
}

static void test_a_working_directory_is_made_with_its_parents_or_is_there(void **state)
{
    struct scene *s = *state;
    bool made = true;
    uint32_t uid = geteuid(), gid = getegid();

    scene_clear(s);
    scene_make(s->view, "0700 there/");
    scene_make(s->view, "l -> there");
    scene_make(s->view, "file = 1");
    assert_int_equal(copy_make_directory(s->view, s->diff, "/l/", uid, gid, -1, &made, &s->err), 0);
    assert_false(made);
    scene_holds(s, "");
    assert_int_equal(copy_make_directory(s->view, s->diff, "/l/a/b", uid, gid, 5, &made, &s->err),
                     0);
    assert_true(made);
    scene_holds(s, "there/ there/a/ there/a/b/");
    assert_int_equal(scene_mode(s->diff, "there"), 0700);
    assert_int_equal(scene_mode(s->diff, "there/a/b"), 0755);
    assert_int_equal(scene_stat(s->diff, "there/a").st_mtim.tv_sec, 5);
    assert_int_equal(copy_make_directory(s->view, s->diff, "/file", uid, gid, -1, &made, &s->err),
                     -1);
    assert_int_equal(s->err.kind, ERR_INPUT);
    assert_string_equal(s->err.msg, "mkdir /file: not a directory");
}

static void test_names_that_are_too_long_are_the_user_s_fault(void **state)
{
    struct scene *s = *state;
    CLEANUP(buf_release) struct buf dest = BUF_INIT(100000);

    scene_clear(s);
    scene_make(s->source, "f = 1");
    buf_adds(&dest, "/");
    for (int i = 0; i < 300; i++)
        buf_addc(&dest, 'x');
    scene_refuses(s, "f", buf_str(&dest), ERR_INPUT, "file name too long");
    buf_adds(&dest, "/y/");
    scene_refuses(s, "f", buf_str(&dest), ERR_INPUT, "file name too long");
    buf_clear(&dest);
    for (int i = 0; i < 9000; i++)
        buf_adds(&dest, "/x");
    scene_refuses(s, "f", buf_str(&dest), ERR_LIMIT, "file name too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_directory_s_content_goes_into_the_destination),
        cmocka_unit_test(test_the_whole_context_goes_to_the_root),
        cmocka_unit_test(test_a_file_is_named_by_the_destination_unless_that_is_a_directory),
        cmocka_unit_test(test_several_sources_go_into_a_directory_and_the_last_wins),
        cmocka_unit_test(test_directories_of_the_view_are_made_in_the_diff_as_they_are),
        cmocka_unit_test(test_links_in_the_view_are_followed_on_the_way),
        cmocka_unit_test(test_links_in_the_diff_are_followed_too),
        cmocka_unit_test(test_a_link_at_the_end_is_followed_even_where_nothing_is),
        cmocka_unit_test(test_a_link_never_leads_out_of_the_tree),
        cmocka_unit_test(test_a_link_in_the_destination_is_replaced_by_a_file_not_written_through),
        cmocka_unit_test(test_links_that_go_round_are_refused),
        cmocka_unit_test(test_files_are_replaced_wherever_they_are),
        cmocka_unit_test(test_a_directory_does_not_go_over_a_file),
        cmocka_unit_test(test_a_file_does_not_go_over_a_directory),
        cmocka_unit_test(test_directories_below_the_destination_become_as_in_the_source),
        cmocka_unit_test(test_without_a_view_everything_is_made_new),
        cmocka_unit_test(test_a_working_directory_is_made_with_its_parents_or_is_there),
        cmocka_unit_test(test_names_that_are_too_long_are_the_user_s_fault),
    };

    return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
