/* ADD of a local archive. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "copy_scene.h"

/* ---- archives, made by libarchive ---- */

struct tar {
    struct archive *a;
    int fd;
};

static struct tar tar_begin(struct scene *s, const char *name, int (*filter)(struct archive *))
{
    struct tar t = {.a = archive_write_new(),
                    .fd = openat(s->source, name, O_WRONLY | O_CREAT | O_TRUNC, 0644)};

    assert_true(t.a && t.fd >= 0);
    assert_int_equal(archive_write_set_format_pax_restricted(t.a), ARCHIVE_OK);
    assert_int_equal(filter(t.a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_fd(t.a, t.fd), ARCHIVE_OK);
    return t;
}

static void tar_end(struct tar *t)
{
    assert_int_equal(archive_write_free(t->a), ARCHIVE_OK);
    close(t->fd);
}

struct member {
    const char *name;
    mode_t mode;          /* with the kind; 0: a hard link */
    const char *content;  /* of a file, or where a link leads */
    unsigned uid, device; /* device: its minor number, of major 1 */
};

static void tar_add(struct tar *t, const struct member *m)
{
    struct archive_entry *e = archive_entry_new();
    const char *content = m->content ? m->content : "";

    archive_entry_set_pathname(e, m->name);
    archive_entry_set_mode(e, m->mode ? m->mode : S_IFREG | 0644);
    archive_entry_set_uid(e, geteuid() == 0 ? m->uid : geteuid());
    archive_entry_set_gid(e, geteuid() == 0 ? m->uid : getegid());
    archive_entry_set_mtime(e, SCENE_MTIME, 0);
    if (m->mode == 0)
        archive_entry_set_hardlink(e, content);
    else if (S_ISLNK(m->mode))
        archive_entry_set_symlink(e, content);
    else if (S_ISREG(m->mode))
        archive_entry_set_size(e, (la_int64_t)strlen(content));
    archive_entry_set_rdevmajor(e, S_ISCHR(m->mode) ? 1 : 0);
    archive_entry_set_rdevminor(e, m->device);
    if (S_ISREG(m->mode) && strstr(m->name, "xattr")) {
        archive_entry_xattr_add_entry(e, "user.kiln", "kept", 4);
        archive_entry_xattr_add_entry(e, "user.overlay.opaque", "y", 1);
        archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
    }
    assert_true(archive_write_header(t->a, e) >= ARCHIVE_WARN);
    if (S_ISREG(m->mode))
        assert_int_equal(archive_write_data(t->a, content, strlen(content)), strlen(content));
    archive_entry_free(e);
}

/* Makes x.tar in the source of members up to one without a name. */
static void make_tar(struct scene *s, const struct member *members)
{
    struct tar t = tar_begin(s, "x.tar", archive_write_add_filter_none);

    for (; members->name; members++)
        tar_add(&t, members);
    tar_end(&t);
}

static void begin(struct scene *s)
{
    scene_clear(s);
    s->req.add = true;
    s->req.keep_owner = false;
    if (geteuid() == 0)
        s->req.uid = s->req.gid = 0;
}

static void cut(struct scene *s, const char *name, off_t by)
{
    CLEANUP_CLOSE int fd = openat(s->source, name, O_RDWR | O_CLOEXEC);
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - by), 0);
}

/* ---- what is an archive ---- */

static void test_tars_in_every_compression_are_unpacked(void **state)
{
    static const struct {
        const char *name;
        int (*filter)(struct archive *);
    } kinds[] = {{"plain", archive_write_add_filter_none},
                 {"gzip", archive_write_add_filter_gzip},
                 {"bzip2.txt", archive_write_add_filter_bzip2},
                 {"xz", archive_write_add_filter_xz},
                 {"zstd", archive_write_add_filter_zstd}};
    static const struct member members[] = {{"d/", S_IFDIR | 0750, NULL, 0, 0},
                                            {"d/f", S_IFREG | 0640, "text", 0, 0}};
    struct scene *s = *state;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct tar t;

        begin(s);
        t = tar_begin(s, kinds[i].name, kinds[i].filter);
        tar_add(&t, &members[0]);
        tar_add(&t, &members[1]);
        tar_end(&t);
        scene_copies(s, kinds[i].name, "/to");
        scene_holds(s, "to/ to/d/ to/d/f=text");
        assert_int_equal(scene_mode(s->diff, "to/d"), 0750);
        assert_int_equal(scene_mode(s->diff, "to/d/f"), 0640);
        assert_int_equal(scene_stat(s->diff, "to/d").st_mtim.tv_sec, SCENE_MTIME);
        assert_int_equal(s->result.files, 1);
        assert_int_equal(s->result.bytes, 4);
    }
}

static void test_what_is_no_archive_is_copied(void **state)
{
    struct scene *s = *state;
    struct tar t;

    begin(s);
    scene_make(s->source, "x.tar = text");
    scene_make(s->source, "empty.tar = ");
    scene_make(s->source, "zip = PK\003\004");
    scene_make(s->source, "gz = \037\213\010");
    scene_make(s->source, "d/f = 1");
    scene_copies(s, "x.tar empty.tar zip gz d", "/");
    assert_int_equal(s->result.files, 5);
    begin(s);
    t = tar_begin(s, "x.tar", archive_write_add_filter_none);
    tar_end(&t);
    scene_copies(s, "x.tar", "/empty"); /* an archive of nothing is none, as with Docker */
    assert_true(S_ISREG(scene_stat(s->diff, "empty").st_mode));
}

static void test_copy_does_not_unpack_and_directories_are_not_searched(void **state)
{
    static const struct member members[] = {{"f", S_IFREG | 0644, "1", 0, 0}, {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    scene_copies(s, ".", "/dir");
    s->req.add = false;
    scene_copies(s, "x.tar", "/file");
    assert_true(S_ISREG(scene_stat(s->diff, "dir/x.tar").st_mode));
    assert_true(S_ISREG(scene_stat(s->diff, "file").st_mode));
}

static void test_a_broken_archive_is_the_user_s_fault(void **state)
{
    static char large[200000];
    struct member members[] = {
        {"a", S_IFREG | 0644, "1", 0, 0}, {"f", S_IFREG | 0644, large, 0, 0}, {0}};
    struct scene *s = *state;

    memset(large, 'x', sizeof(large) - 1);
    begin(s);
    make_tar(s, members);
    cut(s, "x.tar", 100000);
    scene_refuses(s, "x.tar", "/", ERR_INPUT, "damaged or was cut off");
    assert_non_null(strstr(s->err.msg, "unpack /x.tar"));
}

/* ---- where it goes ---- */

static void test_the_destination_is_a_directory_always(void **state)
{
    static const struct member members[] = {{"./f", S_IFREG | 0644, "1", 0, 0}, {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    scene_make(s->view, "file = 1");
    scene_make(s->view, "l -> deep/dir");
    scene_copies(s, "x.tar", "/new");
    scene_copies(s, "x.tar", "/l");
    scene_refuses(s, "x.tar", "/file", ERR_INPUT, "mkdir /file: not a directory");
    scene_holds(s, "deep/ deep/dir/ deep/dir/f=1 new/ new/f=1");
}

static void test_an_entry_that_leads_out_is_refused(void **state)
{
    static const char *const evil[] = {"../outside", "a/../../outside", "/../outside", "..",
                                       "a/../../b/../outside"};
    struct scene *s = *state;

    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        const struct member members[] = {{evil[i], S_IFREG | 0644, "evil", 0, 0}, {0}};

        begin(s);
        make_tar(s, members);
        scene_refuses(s, "x.tar", "/to", ERR_INPUT, "is outside of where it is unpacked");
        scene_holds(s, "to/");
    }
}

static void test_absolute_names_are_below_the_destination(void **state)
{
    static const struct member members[] = {{"/etc/passwd", S_IFREG | 0644, "mine", 0, 0},
                                            {"a/./b/../c", S_IFREG | 0644, "2", 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    scene_copies(s, "x.tar", "/to");
    scene_holds(s, "to/ to/a/ to/a/c=2 to/etc/ to/etc/passwd=mine");
}

static void test_links_in_the_archive_are_resolved_below_the_destination(void **state)
{
    struct scene *s = *state;
    const struct member members[] = {{"out", S_IFLNK | 0777, s->path, 0, 0},
                                     {"out/outside", S_IFREG | 0644, "1", 0, 0},
                                     {"up", S_IFLNK | 0777, "../../../../..", 0, 0},
                                     {"up/f", S_IFREG | 0644, "2", 0, 0},
                                     {"here", S_IFLNK | 0777, "/sub", 0, 0},
                                     {"here/g", S_IFREG | 0644, "3", 0, 0},
                                     {"file", S_IFLNK | 0777, "/outside", 0, 0},
                                     {"file", S_IFREG | 0644, "4", 0, 0},
                                     {0}};
    char line[256];
    const char *name = strrchr(s->path, '/') + 1;

    begin(s);
    make_tar(s, members);
    scene_copies(s, "x.tar", "/to");
    (void)snprintf(line, sizeof(line),
                   "to/ to/f=2 to/file=4 to/here->/sub to/out->%s to/sub/ to/sub/g=3 to/tmp/ "
                   "to/tmp/%s/ to/tmp/%s/outside=1 to/up->../../../../..",
                   s->path, name, name);
    scene_holds(s, line);
}

static void test_a_root_filesystem_goes_through_the_image_s_own_links(void **state)
{
    static const struct member members[] = {{"bin/tool", S_IFREG | 0755, "1", 0, 0},
                                            {"lib/", S_IFDIR | 0755, NULL, 0, 0},
                                            {"lib/x.so", S_IFREG | 0644, "2", 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    scene_make(s->view, "usr/bin/");
    scene_make(s->view, "usr/lib/");
    scene_make(s->view, "bin -> usr/bin");
    scene_make(s->view, "lib -> usr/lib");
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    /* A directory of the archive takes a link's place, as with Docker. */
    scene_holds(s, "lib/ lib/x.so=2 usr/ usr/bin/ usr/bin/tool=1");
}

static void test_what_comes_later_replaces_what_was_there(void **state)
{
    static const struct member members[] = {{"a/f", S_IFREG | 0644, "1", 0, 0},
                                            {"a/f", S_IFREG | 0600, "2", 0, 0},
                                            {"dir/x/y", S_IFREG | 0644, "3", 0, 0},
                                            {"dir", S_IFREG | 0644, "4", 0, 0},
                                            {"f", S_IFREG | 0644, "5", 0, 0},
                                            {"f/", S_IFDIR | 0700, NULL, 0, 0},
                                            {"f/g", S_IFREG | 0644, "6", 0, 0},
                                            {"c/1", S_IFREG | 0644, "7", 0, 0},
                                            {"c", S_IFLNK | 0777, "a", 0, 0},
                                            {"c/2", S_IFREG | 0644, "8", 0, 0},
                                            {"view-dir", S_IFREG | 0644, "9", 0, 0},
                                            {"view-file/", S_IFDIR | 0755, NULL, 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    scene_make(s->view, "view-dir/f = old");
    scene_make(s->view, "view-file = old");
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    scene_holds(s, "a/ a/2=8 a/f=2 c->a dir=4 f/ f/g=6 view-dir=9 view-file/");
    assert_int_equal(scene_mode(s->diff, "f"), 0700);
}

static void test_a_link_that_is_replaced_leads_nowhere_any_more(void **state)
{
    static const struct member members[] = {{"s", S_IFLNK | 0777, ".", 0, 0},
                                            {"s/f", S_IFREG | 0644, "1", 0, 0},
                                            {"s/s/", S_IFDIR | 0755, NULL, 0, 0},
                                            {"s/g", S_IFREG | 0644, "2", 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    scene_holds(s, "f=1 s/ s/g=2");
}

/* A directory's own entry would have to hide what the image has in it. */
static void test_a_directory_of_the_image_that_goes_and_comes_back_is_refused(void **state)
{
    static const struct member members[] = {
        {"d", S_IFREG | 0644, "1", 0, 0}, {"d/", S_IFDIR | 0755, NULL, 0, 0}, {0}};
    struct scene *s = *state;

    begin(s);
    scene_make(s->view, "d/f = old");
    make_tar(s, members);
    scene_refuses(s, "x.tar", "/", ERR_INPUT, "d is a directory of the image");
}

static void test_directories_merge_and_keep_the_archive_s_attributes(void **state)
{
    static const struct member members[] = {{"d/", S_IFDIR | 0711, NULL, 0, 0},
                                            {"d/f", S_IFREG | 0644, "1", 0, 0},
                                            {"./", S_IFDIR | 0700, NULL, 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    scene_make(s->view, "0700 d/");
    scene_make(s->view, "d/old = 0");
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    scene_holds(s, "d/ d/f=1");
    assert_int_equal(scene_mode(s->diff, "d"), 0711);
    assert_int_equal(scene_stat(s->diff, "d").st_mtim.tv_sec, SCENE_MTIME);
    assert_int_equal(scene_mode(s->diff, "."), 0755); /* the destination's own stays */
}

/* ---- what entries are ---- */

static void test_hard_links_link_within_the_destination(void **state)
{
    static const struct member members[] = {{"d/a", S_IFREG | 0644, "1", 0, 0},
                                            {"b", 0, "d/a", 0, 0},
                                            {"c", 0, "/d/./a", 0, 0},
                                            {"v", 0, "old", 0, 0},
                                            {"l", S_IFLNK | 0777, "/d", 0, 0},
                                            {"e", 0, "l/a", 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    scene_make(s->view, "to/old = image");
    scene_copies(s, "x.tar", "/to");
    scene_holds(s, "to/ to/b=1 to/c=1 to/d/ to/d/a=1 to/e=1 to/l->/d to/v=image");
    assert_int_equal(scene_stat(s->diff, "to/d/a").st_nlink, 4);
    assert_int_equal(scene_stat(s->view, "to/old").st_nlink, 1);
}

static void test_a_hard_link_never_reaches_what_is_outside(void **state)
{
    static const struct {
        const char *target, *words;
    } evil[] = {{"../outside", "is outside of where it is unpacked"},
                {"out/outside", "no file that comes before it"},
                {"nothing", "no file that comes before it"},
                {"dir", "no file that comes before it"},
                {"l", "no file that comes before it"},
                {"up/outside", "no file that comes before it"}};
    struct scene *s = *state;

    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        const struct member members[] = {{"out", S_IFLNK | 0777, s->path, 0, 0},
                                         {"up", S_IFLNK | 0777, "../../..", 0, 0},
                                         {"dir/", S_IFDIR | 0755, NULL, 0, 0},
                                         {"l", 0, evil[i].target, 0, 0},
                                         {0}};

        begin(s);
        make_tar(s, members);
        scene_refuses(s, "x.tar", "/to", ERR_INPUT, evil[i].words);
    }
}

static void test_owners_are_the_archive_s_unless_one_was_given(void **state)
{
    static const struct member members[] = {{"d/", S_IFDIR | 0755, NULL, 11, 0},
                                            {"d/f", S_IFREG | 04755, "1", 12, 0},
                                            {"d/l", S_IFLNK | 0777, "f", 13, 0},
                                            {"made/f", S_IFREG | 0644, "1", 12, 0},
                                            {0}};
    struct scene *s = *state;

    if (geteuid() != 0)
        skip();
    begin(s);
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    assert_int_equal(scene_stat(s->diff, "d").st_uid, 11);
    assert_int_equal(scene_stat(s->diff, "d/f").st_uid, 12);
    assert_int_equal(scene_mode(s->diff, "d/f"), 04755);
    assert_int_equal(scene_stat(s->diff, "d/l").st_gid, 13);
    assert_int_equal(scene_stat(s->diff, "made").st_uid, 0);
    s->req.uid = s->req.gid = 5;
    scene_copies(s, "x.tar", "/five");
    assert_int_equal(scene_stat(s->diff, "five/d/f").st_uid, 5);
    assert_int_equal(scene_stat(s->diff, "five/made").st_gid, 5);
    s->req.uid = s->req.gid = 0;
    s->req.chowned = true;
    scene_copies(s, "x.tar", "/root");
    assert_int_equal(scene_stat(s->diff, "root/d/f").st_uid, 0);
    assert_int_equal(scene_stat(s->diff, "root/d/l").st_uid, 0);
}

static void test_times_are_no_later_than_the_epoch(void **state)
{
    static const struct member members[] = {{"d/f", S_IFREG | 0644, "1", 0, 0}, {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    s->req.epoch = 1000;
    scene_copies(s, "x.tar", "/to");
    assert_int_equal(scene_stat(s->diff, "to").st_mtim.tv_sec, 1000);
    assert_int_equal(scene_stat(s->diff, "to/d").st_mtim.tv_sec, 1000);
    assert_int_equal(scene_stat(s->diff, "to/d/f").st_mtim.tv_sec, 1000);
}

static void test_attributes_of_users_are_kept_and_overlay_s_are_not(void **state)
{
    static const struct member members[] = {{"xattr", S_IFREG | 0644, "1", 0, 0}, {0}};
    struct scene *s = *state;
    CLEANUP_CLOSE int fd = -1;
    char value[8];

    begin(s);
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    fd = openat(s->diff, "xattr", O_RDONLY | O_CLOEXEC);
    if (fsetxattr(fd, "user.test", "", 0, 0) < 0)
        skip();
    assert_int_equal(fgetxattr(fd, "user.kiln", value, sizeof(value)), 4);
    assert_int_equal(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)), -1);
    assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
}

static void test_fifos_are_made_and_devices_where_that_is_allowed(void **state)
{
    static const struct member fifo[] = {{"fifo", S_IFIFO | 0620, NULL, 0, 0}, {0}};
    static const struct member null[] = {{"null", S_IFCHR | 0666, NULL, 0, 3}, {0}};
    static const struct member whiteout[] = {{"w", S_IFBLK | 0666, NULL, 0, 0}, {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, fifo);
    scene_copies(s, "x.tar", "/");
    scene_holds(s, "fifo|");
    assert_int_equal(scene_mode(s->diff, "fifo"), 0620);
    make_tar(s, whiteout);
    scene_refuses(s, "x.tar", "/", ERR_INPUT, "w is a device (0, 0)");
    make_tar(s, null);
    if (scene_copy(s, "x.tar", "/") == 0) {
        assert_int_equal(scene_stat(s->diff, "null").st_rdev, makedev(1, 3));
    } else {
        assert_int_equal(s->err.kind, ERR_INPUT);
        assert_non_null(strstr(s->err.msg, "null is a device (1, 3)"));
    }
}

static void test_names_that_are_no_utf8_stay_the_bytes_they_are(void **state)
{
    static const struct member members[] = {{"\xff\xfe", S_IFREG | 0644, "1", 0, 0},
                                            {"gr\xc3\xbc\xc3\x9f", S_IFREG | 0644, "2", 0, 0},
                                            {"u\xcc\x88", S_IFREG | 0644, "3", 0, 0},
                                            {0}};
    struct scene *s = *state;

    begin(s);
    make_tar(s, members);
    scene_copies(s, "x.tar", "/");
    assert_int_equal(scene_stat(s->diff, "\xff\xfe").st_size, 1);
    assert_int_equal(scene_stat(s->diff, "gr\xc3\xbc\xc3\x9f").st_size, 1);
    assert_int_equal(scene_stat(s->diff, "u\xcc\x88").st_size, 1);
}

static void test_an_archive_has_limits(void **state)
{
    CLEANUP(buf_release) struct buf deep = BUF_INIT(10000);
    struct member members[] = {{NULL, S_IFREG | 0644, "1", 0, 0}, {0}};
    struct scene *s = *state;

    begin(s);
    for (int i = 0; i < 300; i++)
        buf_adds(&deep, "d/");
    buf_adds(&deep, "f");
    members[0].name = buf_str(&deep);
    make_tar(s, members);
    scene_refuses(s, "x.tar", "/", ERR_LIMIT, "file name too long");
    buf_clear(&deep);
    for (int i = 0; i < 300; i++)
        buf_adds(&deep, "x");
    make_tar(s, members);
    scene_refuses(s, "x.tar", "/", ERR_INPUT, "file name too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tars_in_every_compression_are_unpacked),
        cmocka_unit_test(test_what_is_no_archive_is_copied),
        cmocka_unit_test(test_copy_does_not_unpack_and_directories_are_not_searched),
        cmocka_unit_test(test_a_broken_archive_is_the_user_s_fault),
        cmocka_unit_test(test_the_destination_is_a_directory_always),
        cmocka_unit_test(test_an_entry_that_leads_out_is_refused),
        cmocka_unit_test(test_absolute_names_are_below_the_destination),
        cmocka_unit_test(test_links_in_the_archive_are_resolved_below_the_destination),
        cmocka_unit_test(test_a_root_filesystem_goes_through_the_image_s_own_links),
        cmocka_unit_test(test_what_comes_later_replaces_what_was_there),
        cmocka_unit_test(test_a_link_that_is_replaced_leads_nowhere_any_more),
        cmocka_unit_test(test_a_directory_of_the_image_that_goes_and_comes_back_is_refused),
        cmocka_unit_test(test_directories_merge_and_keep_the_archive_s_attributes),
        cmocka_unit_test(test_hard_links_link_within_the_destination),
        cmocka_unit_test(test_a_hard_link_never_reaches_what_is_outside),
        cmocka_unit_test(test_owners_are_the_archive_s_unless_one_was_given),
        cmocka_unit_test(test_times_are_no_later_than_the_epoch),
        cmocka_unit_test(test_attributes_of_users_are_kept_and_overlay_s_are_not),
        cmocka_unit_test(test_fifos_are_made_and_devices_where_that_is_allowed),
        cmocka_unit_test(test_names_that_are_no_utf8_stay_the_bytes_they_are),
        cmocka_unit_test(test_an_archive_has_limits),
    };

    return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
