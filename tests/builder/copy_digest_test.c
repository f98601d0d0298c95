/* The digest of a copy: the same for the same copy, another for any other. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "copy_scene.h"

static void take(struct scene *s, const char *sources, unsigned char digest[SHA256_SIZE],
                 struct argv *matched)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    char text[256];
    char *rest = text;

    (void)snprintf(text, sizeof(text), "%s", sources);
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
        if (*word)
            argv_push1(&words, word);
    s->req.sources = &words;
    s->req.dest = "/";
    if (copy_digest(&s->req, digest, matched, &s->err) < 0)
        fail_msg("digest of %s: %s", sources, s->err.msg);
    s->req.sources = &s->sources;
}

static void expect(struct scene *s, const char *sources, const unsigned char before[SHA256_SIZE],
                   bool same, const char *what)
{
    unsigned char digest[SHA256_SIZE];

    take(s, sources, digest, NULL);
    if ((memcmp(digest, before, SHA256_SIZE) == 0) != same)
        fail_msg("%s: the digest %s", what, same ? "is another" : "stays");
}

static void make_tree(struct scene *s)
{
    scene_clear(s);
    scene_make(s->source, "d/a = 1");
    scene_make(s->source, "d/e/b = 2");
    scene_make(s->source, "d/l -> a");
    scene_make(s->source, "other = 3");
}

static void test_what_is_copied_changes_it_and_what_is_not_does_not(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];

    make_tree(s);
    take(s, "d", before, NULL);
    scene_make(s->source, "other = 4");
    scene_age(s->source);
    scene_make(s->source, "0700 d/");
    expect(s, "d", before, true, "another file, a time, the directory's own mode");
    scene_make(s->source, "d/a = 2");
    expect(s, "d", before, false, "a content");
    scene_make(s->source, "0600 d/a = 1");
    expect(s, "d", before, false, "a mode");
    scene_make(s->source, "d/a = 1");
    expect(s, "d", before, true, "all as it was");
    scene_make(s->source, "0700 d/e/");
    expect(s, "d", before, false, "a directory's mode");
    scene_make(s->source, "0755 d/e/");
    scene_make(s->source, "d/empty/");
    expect(s, "d", before, false, "an empty directory");
    (void)unlinkat(s->source, "d/empty", AT_REMOVEDIR);
    (void)unlinkat(s->source, "d/l", 0);
    scene_make(s->source, "d/l -> e");
    expect(s, "d", before, false, "where a link leads");
    (void)unlinkat(s->source, "d/l", 0);
    scene_make(s->source, "d/l = a");
    expect(s, "d", before, false, "a link that is a file");
}

static void test_names_and_contents_are_told_apart(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];

    scene_clear(s);
    scene_make(s->source, "d/ab = c");
    take(s, "d", before, NULL);
    scene_clear(s);
    scene_make(s->source, "d/a = bc");
    expect(s, "d", before, false, "a = bc for ab = c");
    scene_clear(s);
    scene_make(s->source, "d/x/");
    scene_make(s->source, "d/y = 1");
    take(s, "d", before, NULL);
    scene_clear(s);
    scene_make(s->source, "d/x/y = 1");
    expect(s, "d", before, false, "a file in a directory and beside it");
}

static void test_the_order_of_the_filesystem_does_not_count(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];
    char line[32];

    scene_clear(s);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(line, sizeof(line), "d/f%d = %d", i, i);
        scene_make(s->source, line);
    }
    take(s, "d d/f1*", before, NULL);
    scene_clear(s);
    for (int i = 199; i >= 0; i--) {
        (void)snprintf(line, sizeof(line), "d/f%d = %d", i, i);
        scene_make(s->source, line);
    }
    expect(s, "d d/f1*", before, true, "files made the other way round");
}

static void test_names_are_relative_to_what_was_matched(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];

    make_tree(s);
    scene_make(s->source, "copy/of/d/a = 1");
    scene_make(s->source, "copy/of/d/e/b = 2");
    scene_make(s->source, "copy/of/d/l -> a");
    take(s, "d", before, NULL);
    expect(s, "copy/of/d", before, true, "the same directory elsewhere");
    expect(s, "[d]", before, true, "the same directory by a wildcard");
    expect(s, "d d", before, false, "the same twice");
    take(s, "d/a other", before, NULL);
    expect(s, "other d/a", before, false, "another order");
    take(s, "d/a", before, NULL);
    scene_make(s->source, "e/a2 = 1");
    expect(s, "e/a2", before, false, "a file of another name");
}

static void test_each_option_that_changes_the_copy_changes_it(void **state)
{
    static const struct copy_file file = {"EOF", "text", 4};
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];
    struct copy_request plain;

    make_tree(s);
    plain = s->req;
    take(s, "d", before, NULL);
    s->req.uid++;
    expect(s, "d", before, false, "uid");
    s->req = plain;
    s->req.chmod = "u+x";
    expect(s, "d", before, false, "chmod");
    s->req = plain;
    s->req.add = true;
    expect(s, "d", before, false, "add");
    s->req = plain;
    s->req.parents = true;
    expect(s, "d", before, false, "parents");
    s->req = plain;
    s->req.epoch = 5;
    expect(s, "d", before, false, "epoch");
    s->req = plain;
    s->req.files = &file;
    s->req.n_files = 1;
    expect(s, "d", before, false, "a here-document");
    s->req = plain;
    s->req.may_link = true;
    s->req.view = -1;
    expect(s, "d", before, true, "may_link and the view");
    s->req = plain;
    argv_push1(&s->exclude, "xy");
    argv_push1(&s->exclude, "z");
    expect(s, "d", before, false, "exclude");
    take(s, "d", before, NULL);
    argv_release(&s->exclude);
    s->exclude = (struct argv)ARGV_INIT;
    argv_push1(&s->exclude, "x");
    argv_push1(&s->exclude, "yz");
    expect(s, "d", before, false, "exclude, parted elsewhere");
}

static void test_owners_count_where_they_are_kept(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];

    if (geteuid() != 0)
        skip();
    make_tree(s);
    take(s, "d", before, NULL);
    assert_int_equal(fchownat(s->source, "d/a", 5, 5, 0), 0);
    expect(s, "d", before, true, "an owner");
    s->req.keep_owner = true;
    take(s, "d", before, NULL);
    assert_int_equal(fchownat(s->source, "d/a", 6, 5, 0), 0);
    expect(s, "d", before, false, "an owner that is kept");
}

static void test_what_is_excluded_does_not_count(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];

    make_tree(s);
    argv_push1(&s->exclude, "**/b");
    take(s, "d", before, NULL);
    scene_make(s->source, "d/e/b = changed");
    expect(s, "d", before, true, "an excluded file");
}

static void test_parents_count_only_what_the_pattern_means(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];

    make_tree(s);
    s->req.parents = true;
    take(s, "d/./e/*", before, NULL);
    scene_make(s->source, "d/a = changed");
    expect(s, "d/./e/*", before, true, "a file beside");
    scene_make(s->source, "d/e/c = new");
    expect(s, "d/./e/*", before, false, "one more");
}

static void test_attributes_that_are_copied_count(void **state)
{
    struct scene *s = *state;
    unsigned char before[SHA256_SIZE];
    CLEANUP_CLOSE int fd = -1;

    make_tree(s);
    take(s, "d", before, NULL);
    fd = openat(s->source, "d/a", O_RDONLY | O_CLOEXEC);
    if (fsetxattr(fd, "user.overlay.x", "y", 1, 0) < 0)
        skip();
    expect(s, "d", before, true, "an attribute of overlay's");
    assert_int_equal(fsetxattr(fd, "user.kiln", "y", 1, 0), 0);
    expect(s, "d", before, false, "an attribute");
}

static void test_what_was_matched_is_told_in_order(void **state)
{
    struct scene *s = *state;
    unsigned char digest[SHA256_SIZE];
    CLEANUP(argv_release) struct argv matched = ARGV_INIT;

    make_tree(s);
    take(s, "other ../[dx] d/*", digest, &matched);
    assert_int_equal(matched.n, 5);
    assert_string_equal(matched.v[0], "/other");
    assert_string_equal(matched.v[1], "/d");
    assert_string_equal(matched.v[2], "/d/a");
    assert_string_equal(matched.v[3], "/d/e");
    assert_string_equal(matched.v[4], "/d/l");
}

static void test_a_missing_source_is_told_by_the_digest_already(void **state)
{
    struct scene *s = *state;
    unsigned char digest[SHA256_SIZE];
    CLEANUP(argv_release) struct argv words = ARGV_INIT;

    make_tree(s);
    argv_push1(&words, "nope");
    s->req.sources = &words;
    assert_int_equal(copy_digest(&s->req, digest, NULL, &s->err), -1);
    assert_int_equal(s->err.kind, ERR_INPUT);
    assert_string_equal(s->err.msg, "\"/nope\": not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_copied_changes_it_and_what_is_not_does_not),
        cmocka_unit_test(test_names_and_contents_are_told_apart),
        cmocka_unit_test(test_the_order_of_the_filesystem_does_not_count),
        cmocka_unit_test(test_names_are_relative_to_what_was_matched),
        cmocka_unit_test(test_each_option_that_changes_the_copy_changes_it),
        cmocka_unit_test(test_owners_count_where_they_are_kept),
        cmocka_unit_test(test_what_is_excluded_does_not_count),
        cmocka_unit_test(test_parents_count_only_what_the_pattern_means),
        cmocka_unit_test(test_attributes_that_are_copied_count),
        cmocka_unit_test(test_what_was_matched_is_told_in_order),
        cmocka_unit_test(test_a_missing_source_is_told_by_the_digest_already),
    };

    return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
