/* Layers written and unpacked again: what stays, what does not, and that the bytes are always the
 * same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/text.h"
#include "tests/builder/layer_making.h"

static void put_attribute(int dir, const char *path, const char *name, const void *value,
                          size_t len)
{
    CLEANUP_CLOSE int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    assert_true(fd >= 0);
    if (fsetxattr(fd, name, value, len, 0) < 0) {
        print_message("%s: %s\n", name, strerrordesc_np(errno));
        skip();
    }
}

/* The members' names as GNU tar tells them, each line ended. */
static void names_in(const struct layer_scratch *s, const struct layer *l, struct buf *out)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv lines = ARGV_INIT;

    argv_push(&argv, "tar", "--gzip", "--list", "--quoting-style=literal", "--file", NULL);
    argv_pushf(&argv, "%s/blobs/%s", s->path, l->digest + 7);
    layer_scratch_run(&argv, &lines);
    for (size_t i = 0; i < lines.n; i++)
        buf_addf(out, "%s\n", lines.v[i]);
}

static void check_names(const struct layer_scratch *s, const struct layer *l, const char *expected)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(1 << 20);

    names_in(s, l, &names);
    assert_string_equal(buf_str(&names), expected);
}

static void make_everything(struct layer_scratch *s)
{
    layer_put(s->diff, "file", "hello");
    layer_put(s->diff, "empty", "");
    layer_put_large(s->diff, "large", 3 * 1024 * 1024 + 17);
    layer_put_dir(s->diff, "dir");
    layer_put(s->diff, "dir/inside", "x");
    assert_int_equal(fchmodat(s->diff, "dir/inside", 04711, 0), 0);
    assert_int_equal(symlinkat("../no/where", s->diff, "dir/link"), 0);
    assert_int_equal(mkfifoat(s->diff, "fifo", 0600), 0);
    layer_put_dir(s->diff, "sticky");
    assert_int_equal(fchmodat(s->diff, "sticky", 01777, 0), 0);
    layer_set_time(s->diff, "sticky", 86400);
    layer_set_time(s->diff, "dir", 1600000000);
    layer_set_time(s->diff, "dir/link", 1500000000);
    layer_set_time(s->diff, "empty", -1000);
}

static void test_what_is_written_is_unpacked_the_same(void **state)
{
    struct layer_scratch *s = *state;
    struct layer l;

    make_everything(s);
    l = layer_check_round_trip(s);
    assert_int_equal(l.entries, 8);
    assert_int_equal(l.tar_size % 512, 0);
    check_names(s, &l, "dir/\ndir/inside\ndir/link\nempty\nfifo\nfile\nlarge\nsticky/\n");
}

static void test_owners_and_capabilities_stay(void **state)
{
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
    struct layer_scratch *s = *state;

    if (geteuid() != 0)
        skip();
    layer_put(s->diff, "small", "1");
    assert_int_equal(fchownat(s->diff, "small", 1000, 33, 0), 0);
    layer_put(s->diff, "large", "2");
    assert_int_equal(fchownat(s->diff, "large", 3000000, 4000000000u, 0), 0);
    layer_put(s->diff, "able", "3");
    put_attribute(s->diff, "able", "security.capability", capability, sizeof(capability));
    assert_int_equal(mknodat(s->diff, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
    assert_int_equal(mknodat(s->diff, "disk", S_IFBLK | 0600, makedev(259, 70000)), 0);
    (void)layer_check_round_trip(s);
}

static void test_attributes_stay_but_overlays_and_this_machines(void **state)
{
    CLEANUP(buf_release) struct buf listing = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct layer l;

    layer_put(s->diff, "f", "1");
    layer_set_time(s->diff, "f", 5);
    put_attribute(s->diff, "f", "user.zero", "a\0\nb=c", 6);
    put_attribute(s->diff, "f", "user.empty", "", 0);
    put_attribute(s->diff, "f", "user.overlay.origin", "xyz", 3);
    put_attribute(s->diff, "f", "user.a=b", "never", 5);
    if (geteuid() == 0)
        put_attribute(s->diff, "f", "trusted.secret", "xyz", 3);
    l = layer_write_with(s, 1, -1);
    layer_unpack_back(s, &l);
    layer_scratch_list(s->back, &listing);
    assert_non_null(strstr(buf_str(&listing), " 5 f \"1\""));
    assert_non_null(strstr(buf_str(&listing), "[user.zero=61000a623d63]"));
    assert_non_null(strstr(buf_str(&listing), "[user.empty=]"));
    assert_null(strstr(buf_str(&listing), "overlay"));
    assert_null(strstr(buf_str(&listing), "trusted"));
    assert_null(strstr(buf_str(&listing), "user.a"));
}

static void test_a_diff_that_leans_on_what_is_below_is_refused(void **state)
{
    const struct layer_options options = {.threads = 1, .epoch = -1};
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;
    struct layer l;

    layer_put_dir(s->diff, "moved");
    put_attribute(s->diff, "moved", "user.overlay.redirect", "/was", 4);
    assert_int_equal(layer_write(s->diff, s->blobs, &options, &l, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "moved: it has the attribute user.overlay.redirect"));
}

/* ---- the same bytes ---- */

static void make_many(struct layer_scratch *s, int from, int to, int step)
{
    for (int i = from; i != to; i += step) {
        char path[64];

        (void)snprintf(path, sizeof(path), "d%d", i % 7);
        (void)mkdirat(s->diff, path, 0755);
        (void)snprintf(path, sizeof(path), "d%d/file-%d", i % 7, i);
        layer_put_large(s->diff, path, 150000 + (size_t)i * 1000);
    }
    for (int i = 0; i < 7; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "d%d", i);
        layer_set_time(s->diff, path, 1700000000 + i);
    }
}

static void test_the_bytes_depend_on_neither_threads_nor_the_order_of_making(void **state)
{
    struct layer_scratch *s = *state;
    struct layer first, again;

    make_many(s, 0, 100, 1);
    first = layer_write_with(s, 1, -1);
    for (int threads = 2; threads <= 8; threads += 3) {
        again = layer_write_with(s, threads, -1);
        assert_memory_equal(&again, &first, sizeof(first));
    }
    layer_scratch_clear(s, "diff");
    layer_scratch_clear(s, "blobs");
    make_many(s, 99, -1, -1);
    again = layer_write_with(s, 3, -1);
    assert_string_equal(again.diff_id, first.diff_id);
    assert_string_equal(again.digest, first.digest);
    assert_true(first.tar_size > 18 << 20);
    assert_true(first.size < first.tar_size);
}

static void test_no_time_is_later_than_the_epoch(void **state)
{
    CLEANUP(buf_release) struct buf listing = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct layer l;

    layer_put(s->diff, "new", "1");
    layer_put(s->diff, "old", "2");
    layer_set_time(s->diff, "old", 900);
    l = layer_write_with(s, 1, 1000);
    layer_unpack_back(s, &l);
    layer_scratch_list(s->back, &listing);
    assert_non_null(strstr(buf_str(&listing), " 1000 new"));
    assert_non_null(strstr(buf_str(&listing), " 900 old"));
}

static void test_the_digests_are_of_the_tar_and_of_the_blob(void **state)
{
    CLEANUP(buf_release) struct buf blob = BUF_INIT(64 << 20);
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv lines = ARGV_INIT;
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;
    char hex[SHA256_HEX];
    struct layer l;

    make_everything(s);
    l = layer_write_with(s, 2, -1);
    assert_int_equal(fs_read_file(s->blobs, l.digest + 7, &blob, &err), 0);
    digest_sha256_hex(buf_str(&blob), blob.len, hex);
    assert_string_equal(hex, l.digest + 7);
    assert_int_equal(blob.len, l.size);
    argv_push(&argv, "sh", "-c", "gzip -dc <\"$1\" | sha256sum", "sh", NULL);
    argv_pushf(&argv, "%s/blobs/%s", s->path, l.digest + 7);
    layer_scratch_run(&argv, &lines);
    assert_int_equal(lines.n, 1);
    assert_memory_equal(lines.v[0], l.diff_id + 7, 64);
}

/* ---- what is removed ---- */

static void test_whiteouts_and_opaque_directories_have_their_marks(void **state)
{
    struct layer_scratch *s = *state;
    struct layer l;

    layer_put_whiteout(s->diff, "gone");
    layer_put_dir(s->diff, "dir");
    put_attribute(s->diff, "dir", "user.overlay.opaque", "y", 1);
    layer_put(s->diff, "dir/a", "1");
    layer_put_whiteout(s->diff, "dir/b");
    layer_put_dir(s->diff, "plain");
    put_attribute(s->diff, "plain", "user.overlay.opaque", "x", 1);
    assert_int_equal(linkat(s->diff, "gone", s->diff, "gone too", 0), 0);
    l = layer_write_with(s, 1, -1);
    check_names(s, &l,
                "dir/\ndir/.wh..wh..opq\ndir/a\ndir/.wh.b\n.wh.gone\n.wh.gone too\nplain/\n");
    layer_scratch_clear(s, "back");
    assert_int_equal(unlinkat(s->diff, "plain", AT_REMOVEDIR), 0);
    (void)layer_check_round_trip(s);
}

static void test_a_root_that_hides_all_says_so(void **state)
{
    struct layer_scratch *s = *state;
    char value = 0;
    struct layer l;

    put_attribute(s->diff, ".", "user.overlay.opaque", "y", 1);
    l = layer_write_with(s, 1, -1);
    assert_int_equal(l.entries, 1);
    check_names(s, &l, ".wh..wh..opq\n");
    layer_unpack_back(s, &l);
    assert_int_equal(fgetxattr(s->back, "user.overlay.opaque", &value, 1), 1);
    assert_int_equal(value, 'y');
}

static void test_a_name_that_would_be_a_whiteout_is_refused(void **state)
{
    const struct layer_options options = {.threads = 1, .epoch = -1};
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;
    struct layer l = {.entries = 77};

    layer_put_dir(s->diff, "d");
    layer_put(s->diff, "d/.wh.x", "1");
    assert_int_equal(layer_write(s->diff, s->blobs, &options, &l, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_true(text_starts(err.msg, "write a layer: d/.wh.x: "));
    assert_int_equal(l.entries, 77);
}

static void test_an_empty_diff_has_no_blob(void **state)
{
    struct layer_scratch *s = *state;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct layer l;

    for (int with_socket = 0; with_socket <= 1; with_socket++) {
        l = layer_write_with(s, 1, -1);
        assert_int_equal(l.entries, 0);
        assert_int_equal(l.size, 0);
        assert_string_equal(l.digest, "");
        assert_int_equal(layer_count(s->blobs), 0);
        /* The second time there is a socket, which is nothing too. */
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/diff/socket", s->path);
        if (!with_socket)
            assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    }
}

/* ---- others read it ---- */

static void list_by_tar(const struct layer_scratch *s, const char *blob, struct argv *ret)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;

    argv_push(&argv, "tar", "--list", "--verbose", "--numeric-owner", "--full-time", "--file",
              NULL);
    argv_pushf(&argv, "%s/blobs/%s", s->path, blob);
    layer_scratch_run(&argv, ret);
    argv_sort(ret);
}

static void test_gnu_tar_tells_the_same_of_it_as_of_its_own(void **state)
{
    CLEANUP(argv_release) struct argv make = ARGV_INIT;
    CLEANUP(argv_release) struct argv theirs = ARGV_INIT;
    CLEANUP(argv_release) struct argv ours = ARGV_INIT;
    struct layer_scratch *s = *state;
    struct layer l;

    make_everything(s);
    layer_put(s->diff, NAME_250, "1");
    assert_int_equal(linkat(s->diff, "file", s->diff, "z-link", 0), 0);
    l = layer_write_with(s, 2, -1);
    argv_push(&make, "tar", "--create", "--sort=name", "--directory", NULL);
    argv_pushf(&make, "%s/diff", s->path);
    argv_push1(&make, "--file");
    argv_pushf(&make, "%s/blobs/theirs.tar", s->path);
    argv_push(&make, NAME_250, "dir", "empty", "fifo", "file", "large", "sticky", "z-link", NULL);
    layer_scratch_run(&make, &theirs);
    list_by_tar(s, "theirs.tar", &theirs);
    list_by_tar(s, l.digest + 7, &ours);
    assert_int_equal(theirs.n, 10);
    assert_int_equal(ours.n, 10);
    for (size_t i = 0; i < theirs.n; i++)
        assert_string_equal(ours.v[i], theirs.v[i]);
}

/* A kernel that overlays the layer again shows what it showed when the layer was made.  Runs in a
 * mount namespace of its own; 77: none is to be had. */
static int overlay_again(struct layer_scratch *s)
{
    CLEANUP(buf_release) struct buf before = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf after = BUF_INIT(1 << 20);
    char options[400];
    struct error err = ERROR_INIT;
    struct layer l;
    int merged;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 77;
    if (chdir(s->path) < 0 || mkdir("upper", 0755) < 0 || mkdir("work", 0755) < 0 ||
        mkdir("merged", 0755) < 0)
        return 1;
    (void)snprintf(options, sizeof(options),
                   "lowerdir=diff,upperdir=upper,workdir=work,redirect_dir=off,metacopy=off");
    if (mount("overlay", "merged", "overlay", 0, options) < 0)
        return 77;
    merged = open("merged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unlinkat(merged, "file", 0) < 0 || unlinkat(merged, "dir/inside", 0) < 0 ||
        unlinkat(merged, "dir/link", 0) < 0 || unlinkat(merged, "dir", AT_REMOVEDIR) < 0 ||
        mkdirat(merged, "dir", 0700) < 0 || fchmodat(merged, "large", 0600, 0) < 0)
        return 1;
    layer_put(merged, "dir/new", "in place of what was there");
    layer_scratch_list(merged, &before);
    close(merged);
    if (umount("merged") < 0)
        return 1;
    merged = open("upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layer_write(merged, s->blobs, &(struct layer_options){.threads = 1, .epoch = -1}, &l,
                    &err) < 0 ||
        layer_unpack(s->blobs, &l, false, s->back, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    close(merged);
    if (mount("overlay", "merged", "overlay", 0, "lowerdir=back:diff") < 0)
        return 1;
    merged = open("merged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    layer_scratch_list(merged, &after);
    close(merged);
    if (strcmp(buf_str(&before), buf_str(&after)) != 0) {
        fprintf(stderr, "before:\n%safter:\n%s", buf_str(&before), buf_str(&after));
        return 1;
    }
    return strstr(buf_str(&after), "dir/new") && !strstr(buf_str(&after), "inside") ? 0 : 1;
}

static void test_the_kernel_makes_of_it_what_it_was(void **state)
{
    struct layer_scratch *s = *state;
    int status = 0;
    pid_t pid;

    make_everything(s);
    pid = fork();
    if (pid == 0)
        _exit(overlay_again(s));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, layer_scratch_setup, layer_scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_written_is_unpacked_the_same),
        TEST(test_owners_and_capabilities_stay),
        TEST(test_attributes_stay_but_overlays_and_this_machines),
        TEST(test_a_diff_that_leans_on_what_is_below_is_refused),
        TEST(test_the_bytes_depend_on_neither_threads_nor_the_order_of_making),
        TEST(test_no_time_is_later_than_the_epoch),
        TEST(test_the_digests_are_of_the_tar_and_of_the_blob),
        TEST(test_whiteouts_and_opaque_directories_have_their_marks),
        TEST(test_a_root_that_hides_all_says_so),
        TEST(test_a_name_that_would_be_a_whiteout_is_refused),
        TEST(test_an_empty_diff_has_no_blob),
        TEST(test_gnu_tar_tells_the_same_of_it_as_of_its_own),
        TEST(test_the_kernel_makes_of_it_what_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
