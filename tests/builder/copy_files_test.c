/* What a copied file is: its content, owner, mode, time, attributes and names. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/sanitized.h"
#include "copy_scene.h"

#define needs_root()                                                                               \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            skip();                                                                                \
    } while (0)

static int open_file(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0)
        fail_msg("%s: %s", path, strerrordesc_np(errno));
    return fd;
}

static void test_mode_and_time_are_kept_setuid_too(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "04755 d/setuid = 1");
    scene_make(s->source, "02711 d/sub/");
    scene_make(s->source, "0400 d/sub/secret = 2");
    scene_age(s->source);
    scene_copies(s, "d", "/d");
    assert_int_equal(scene_mode(s->diff, "d/setuid"), 04755);
    assert_int_equal(scene_mode(s->diff, "d/sub"), 02711);
    assert_int_equal(scene_mode(s->diff, "d/sub/secret"), 0400);
    assert_int_equal(scene_stat(s->diff, "d/setuid").st_mtim.tv_sec, SCENE_MTIME);
    assert_int_equal(scene_stat(s->diff, "d/sub").st_mtim.tv_sec, SCENE_MTIME);
    assert_int_equal(scene_stat(s->diff, "d").st_mtim.tv_sec, SCENE_MTIME);
}

static void test_no_time_is_later_than_the_epoch(void **state)
{
    struct scene *s = *state;
    struct stat st;

    scene_clear(s);
    scene_make(s->source, "d/old = 1");
    scene_age(s->source);
    scene_make(s->source, "d/new = 2");
    scene_make(s->source, "d/link -> new");
    s->req.epoch = SCENE_MTIME + 100;
    s->req.may_link = true;
    scene_copies(s, "d", "/a/d");
    assert_int_equal(scene_stat(s->diff, "a/d/old").st_mtim.tv_sec, SCENE_MTIME);
    st = scene_stat(s->diff, "a/d/new");
    assert_int_equal(st.st_mtim.tv_sec, SCENE_MTIME + 100);
    assert_int_equal(st.st_mtim.tv_nsec, 0);
    assert_int_equal(scene_stat(s->diff, "a/d/link").st_mtim.tv_sec, SCENE_MTIME + 100);
    assert_int_equal(scene_stat(s->diff, "a/d").st_mtim.tv_sec, SCENE_MTIME + 100);
    assert_int_equal(scene_stat(s->diff, "a").st_mtim.tv_sec, SCENE_MTIME + 100);
    assert_int_equal(scene_stat(s->source, "d/old").st_nlink, 2);
    assert_int_equal(scene_stat(s->source, "d/new").st_nlink, 1);
}

static void test_owners_are_those_of_the_request_or_the_files(void **state)
{
    struct scene *s = *state;

    needs_root();
    scene_clear(s);
    scene_make(s->source, "d/f = 1");
    scene_make(s->source, "d/l -> f");
    assert_int_equal(fchownat(s->source, "d/f", 7, 8, 0), 0);
    s->req.uid = 1000;
    s->req.gid = 2000;
    scene_copies(s, "d", "/made/d");
    assert_int_equal(scene_stat(s->diff, "made").st_uid, 1000);
    assert_int_equal(scene_stat(s->diff, "made").st_gid, 2000);
    assert_int_equal(scene_stat(s->diff, "made/d/f").st_uid, 1000);
    assert_int_equal(scene_stat(s->diff, "made/d/l").st_uid, 1000);
    assert_int_equal(scene_stat(s->diff, "made/d/l").st_gid, 2000);
    s->req.keep_owner = true;
    s->req.uid = s->req.gid = 0;
    scene_copies(s, "d", "/kept");
    assert_int_equal(scene_stat(s->diff, "kept/f").st_uid, 7);
    assert_int_equal(scene_stat(s->diff, "kept/f").st_gid, 8);
    assert_int_equal(scene_stat(s->diff, "kept/l").st_uid, 0);
}

static void write_map(pid_t pid, const char *name)
{
    char path[64];
    CLEANUP_CLOSE int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0 0 10\n", 7), 7);
}

/* In a user namespace of ten ids: 0 when copying for uid is refused as it should be, 1 when it is
 * not, 77 when there can be no such namespace. */
static int copy_in_a_namespace(struct scene *s, uint32_t uid)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) < 0)
            _exit(77);
        (void)raise(SIGSTOP);
        s->req.uid = uid;
        if (scene_copy(s, "d", "/d") == 0)
            _exit(1);
        _exit(s->err.kind == ERR_INPUT && strstr(s->err.msg, "beyond the ids that a build has")
                  ? 0
                  : 2);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        write_map(pid, "uid_map");
        write_map(pid, "gid_map");
        (void)kill(pid, SIGCONT);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_an_owner_that_the_build_has_not_is_the_user_s_fault(void **state)
{
    struct scene *s = *state;
    int result;

    needs_root();
    scene_clear(s);
    scene_make(s->source, "d/l -> f");
    result = copy_in_a_namespace(s, 70000);
    if (result == 77)
        skip();
    assert_int_equal(result, 0);
    assert_int_equal(copy_in_a_namespace(s, UINT32_MAX), 0);
    assert_int_equal(copy_in_a_namespace(s, 9), 1);
}

static void test_directories_of_the_view_keep_their_owner_in_the_diff(void **state)
{
    struct scene *s = *state;

    needs_root();
    scene_clear(s);
    scene_make(s->source, "f = 1");
    scene_make(s->view, "home/user/");
    assert_int_equal(fchownat(s->view, "home/user", 1000, 1001, 0), 0);
    scene_copies(s, "f", "/home/user/.config/f");
    assert_int_equal(scene_stat(s->diff, "home/user").st_uid, 1000);
    assert_int_equal(scene_stat(s->diff, "home/user").st_gid, 1001);
    assert_int_equal(scene_stat(s->diff, "home/user/.config").st_uid, 0);
}

static void test_chmod_changes_files_and_directories(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "0644 d/f = 1");
    scene_make(s->source, "0755 d/x = 2");
    scene_make(s->source, "0755 d/sub/");
    s->req.chmod = "u=rwX,go=";
    scene_copies(s, "d", "/a");
    assert_int_equal(scene_mode(s->diff, "a/f"), 0600);
    assert_int_equal(scene_mode(s->diff, "a/sub"), 0700);
    s->req.chmod = "go+X,u+s";
    scene_copies(s, "d/x", "/x");
    assert_int_equal(scene_mode(s->diff, "x"), 04755);
    s->req.chmod = "0440";
    scene_copies(s, "d/x", "/o");
    assert_int_equal(scene_mode(s->diff, "o"), 0440);
    s->req.chmod = "9";
    scene_refuses(s, "d", "/", ERR_INPUT, "invalid mode: 9");
}

static void test_user_attributes_are_kept_and_overlay_s_are_not(void **state)
{
    struct scene *s = *state;
    char value[16];

    scene_clear(s);
    scene_make(s->source, "d/sub/f = 1");
    scene_make(s->view, "old/");
    for (int i = 0; i < 3; i++) {
        const char *path = i == 0 ? "source/d/sub/f" : i == 1 ? "source/d/sub" : "view/old";
        CLEANUP_CLOSE int fd = openat(s->root, path, O_RDONLY | O_CLOEXEC);

        if (fsetxattr(fd, "user.kiln", "kept", 4, 0) < 0 && errno == ENOTSUP)
            skip();
        assert_int_equal(fsetxattr(fd, "user.overlay.opaque", "y", 1, 0), 0);
        if (geteuid() == 0)
            assert_int_equal(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0), 0);
    }
    scene_copies(s, "d", "/old/d");
    for (int i = 0; i < 3; i++) {
        const char *path = i == 0 ? "old/d/sub/f" : i == 1 ? "old/d/sub" : "old";
        CLEANUP_CLOSE int fd = openat(s->diff, path, O_RDONLY | O_CLOEXEC);

        assert_int_equal(fgetxattr(fd, "user.kiln", value, sizeof(value)), 4);
        assert_memory_equal(value, "kept", 4);
        assert_int_equal(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)), -1);
        assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
    }
}

static void test_a_directory_of_the_view_keeps_its_attributes_below_another(void **state)
{
    struct scene *s = *state;
    CLEANUP_CLOSE int view = -1;
    CLEANUP_CLOSE int made = -1;
    char value[4];

    scene_clear(s);
    scene_make(s->source, "d/sub/f = 1");
    scene_make(s->view, "x/sub/");
    view = openat(s->view, "x/sub", O_RDONLY | O_CLOEXEC);
    if (fsetxattr(view, "user.kiln", "1", 1, 0) < 0)
        skip();
    scene_copies(s, "d", "/x");
    made = openat(s->diff, "x/sub", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fgetxattr(made, "user.kiln", value, sizeof(value)), 1);
}

static void test_capabilities_are_kept(void **state)
{
    /* VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE */
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
    struct scene *s = *state;
    CLEANUP_CLOSE int from = -1;
    CLEANUP_CLOSE int to = -1;
    char value[32];

    needs_root();
    scene_clear(s);
    from = open_file(s->source, "f");
    if (fsetxattr(from, "security.capability", capability, sizeof(capability), 0) < 0)
        skip();
    s->req.uid = 5;
    scene_copies(s, "f", "/f");
    to = open_file(s->diff, "f");
    assert_int_equal(fgetxattr(to, "security.capability", value, sizeof(value)), 20);
    assert_memory_equal(value, capability, sizeof(capability));
    assert_int_equal(scene_stat(s->diff, "f").st_uid, 5);
}

static void test_names_of_one_file_stay_names_of_one_file(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d/a = 1");
    scene_make(s->source, "d/sub/b == d/a");
    scene_make(s->source, "e/c == d/a");
    scene_copies(s, "d e", "/x");
    assert_int_equal(scene_stat(s->diff, "x/a").st_ino, scene_stat(s->diff, "x/sub/b").st_ino);
    assert_int_equal(scene_stat(s->diff, "x/a").st_nlink, 2);
    assert_int_equal(scene_stat(s->diff, "x/c").st_nlink, 1);
    assert_int_not_equal(scene_stat(s->diff, "x/a").st_ino, scene_stat(s->source, "d/a").st_ino);
}

static void test_a_name_that_was_replaced_is_not_linked_to(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d1/a = 1");
    scene_make(s->source, "d2/a = 2");
    scene_make(s->source, "d2/b == d1/a");
    scene_copies(s, "d1 d2 d1/a d1/a", "/x");
    scene_copies(s, "d1/a d2/a d2/b", "/y");
    scene_holds(s, "x/ x/a=1 x/b=1 y/ y/a=2 y/b=1");
}

static void test_an_unchanged_file_becomes_a_link_where_that_is_allowed(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    scene_make(s->source, "d/f = 1");
    scene_make(s->source, "d/l -> f");
    scene_make(s->view, "x/f = old");
    scene_make(s->diff, "x/f = older");
    scene_age(s->source);
    s->req.may_link = true;
    scene_copies(s, "d", "/x");
    scene_copies(s, "d/f", "/single");
    scene_holds(s, "single=1 x/ x/f=1 x/l->f");
    assert_int_equal(scene_stat(s->source, "d/f").st_nlink, 3);
    assert_int_equal(s->result.files, 1);
    s->req.chmod = "600";
    scene_copies(s, "d/f", "/changed");
    assert_int_equal(scene_stat(s->source, "d/f").st_nlink, 3);
    assert_int_equal(scene_mode(s->source, "d/f"), 0644);
    assert_int_equal(scene_mode(s->diff, "changed"), 0600);
}

static void test_a_file_of_another_owner_is_copied_not_linked(void **state)
{
    struct scene *s = *state;

    needs_root();
    scene_clear(s);
    scene_make(s->source, "f = 1");
    s->req.may_link = true;
    s->req.uid = 1000;
    scene_copies(s, "f", "/f");
    assert_int_equal(scene_stat(s->source, "f").st_nlink, 1);
    assert_int_equal(scene_stat(s->source, "f").st_uid, 0);
    assert_int_equal(scene_stat(s->diff, "f").st_uid, 1000);
}

static void test_a_link_that_cannot_be_made_becomes_a_copy(void **state)
{
    struct scene *s = *state;
    char elsewhere[] = "/dev/shm/kiln-copy-XXXXXX";
    CLEANUP_CLOSE int other = -1;
    struct stat st;

    scene_clear(s);
    if (!mkdtemp(elsewhere))
        skip();
    other = open(elsewhere, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scene_make(other, "d/f = 1");
    scene_make(other, "d/g = 2");
    assert_int_equal(fstat(s->diff, &st), 0);
    s->req.from = other;
    s->req.may_link = true;
    (void)scene_copy(s, "d", "/d");
    (void)scene_copy(s, "d/f", "/f");
    (void)unlinkat(other, "d/f", 0);
    (void)unlinkat(other, "d/g", 0);
    (void)unlinkat(other, "d", AT_REMOVEDIR);
    (void)rmdir(elsewhere);
    scene_holds(s, "d/ d/f=1 d/g=2 f=1");
}

static void test_holes_stay_holes(void **state)
{
    struct scene *s = *state;
    CLEANUP_CLOSE int from = -1;
    CLEANUP_CLOSE int to = -1;
    struct stat st;
    char text[4] = "";

    scene_clear(s);
    from = open_file(s->source, "disk");
    assert_int_equal(pwrite(from, "abc", 3, 1 << 20), 3);
    assert_int_equal(pwrite(from, "xyz", 3, 40 << 20), 3);
    assert_int_equal(ftruncate(from, 100 << 20), 0);
    assert_int_equal(fstat(from, &st), 0);
    if (st.st_blocks > 1000)
        skip(); /* a filesystem without holes */
    scene_copies(s, "disk", "/disk");
    st = scene_stat(s->diff, "disk");
    assert_int_equal(st.st_size, 100 << 20);
    assert_true(st.st_blocks < 1000);
    to = open_file(s->diff, "disk");
    assert_int_equal(pread(to, text, 3, 1 << 20), 3);
    assert_memory_equal(text, "abc", 3);
    assert_int_equal(pread(to, text, 3, 40 << 20), 3);
    assert_memory_equal(text, "xyz", 3);
}

static void test_a_large_file_is_copied_whole(void **state)
{
    struct scene *s = *state;
    CLEANUP_CLOSE int from = -1;
    CLEANUP_CLOSE int to = -1;
    static char block[300000], copy[sizeof(block) + 1];

    scene_clear(s);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 31 / 7);
    from = open_file(s->source, "large");
    assert_int_equal(write(from, block, sizeof(block)), sizeof(block));
    scene_copies(s, "large", "/large");
    assert_int_equal(s->result.bytes, sizeof(block));
    to = open_file(s->diff, "large");
    assert_int_equal(read(to, copy, sizeof(copy)), sizeof(block));
    assert_memory_equal(block, copy, sizeof(block));
}

static void test_fifos_are_kept_and_sockets_left_out(void **state)
{
    struct scene *s = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    scene_clear(s);
    assert_int_equal(mkdirat(s->source, "d", 0755), 0);
    assert_int_equal(mkfifoat(s->source, "d/fifo", 0620), 0);
    assert_int_equal(fchmodat(s->source, "d/fifo", 0620, 0), 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/source/d/socket", s->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    scene_copies(s, "d", "/d");
    scene_copies(s, "d/fifo d/socket", "/e/");
    scene_holds(s, "d/ d/fifo| e/ e/fifo|");
    assert_int_equal(scene_mode(s->diff, "d/fifo"), 0620);
}

static void test_a_device_is_made_where_that_is_allowed(void **state)
{
    struct scene *s = *state;

    needs_root();
    scene_clear(s);
    if (mknodat(s->source, "null", S_IFCHR | 0666, makedev(1, 3)) < 0)
        skip();
    scene_copies(s, "null", "/dev/null");
    assert_true(S_ISCHR(scene_stat(s->diff, "dev/null").st_mode));
    assert_int_equal(scene_stat(s->diff, "dev/null").st_rdev, makedev(1, 3));
}

/* Anybody may make a device 0, 0, and in a diff it would hide what is below. */
static void test_a_device_that_would_be_a_whiteout_is_refused_by_name(void **state)
{
    struct scene *s = *state;

    scene_clear(s);
    if (mknodat(s->source, "w", S_IFCHR, 0) < 0)
        skip();
    scene_refuses(s, "w", "/x", ERR_INPUT, "/x is a device (0, 0)");
    scene_refuses(s, ".", "/d", ERR_INPUT, "/d/w is a device (0, 0)");
}

static void test_here_documents_become_files(void **state)
{
    static const struct copy_file files[] = {{"EOF", "hello", 5}, {"run", "x", 1}};
    struct scene *s = *state;
    int64_t now = clock_now(&clock_system) / NS_PER_SEC;
    int64_t mtime;

    scene_clear(s);
    scene_make(s->source, "f = 1");
    s->req.files = files;
    s->req.n_files = 1;
    s->req.from = -1;
    scene_copies(s, "", "/a");
    assert_int_equal(scene_mode(s->diff, "a"), 0644);
    mtime = scene_stat(s->diff, "a").st_mtim.tv_sec;
    assert_true(mtime >= now && mtime <= now + 60);
    s->req.from = s->source;
    s->req.n_files = 2;
    s->req.chmod = "755";
    s->req.epoch = 17;
    scene_copies(s, "f", "/d");
    scene_holds(s, "a=hello d/ d/EOF=hello d/f=1 d/run=x");
    assert_int_equal(scene_mode(s->diff, "d/run"), 0755);
    assert_int_equal(scene_stat(s->diff, "d/run").st_mtim.tv_sec, 17);
}

static void test_a_here_document_s_name_is_one_name(void **state)
{
    static const struct copy_file files[] = {{"../x", "y", 1}};
    struct scene *s = *state;

    scene_clear(s);
    s->req.files = files;
    s->req.n_files = 1;
    scene_refuses(s, "", "/a/", ERR_INPUT, "no file name");
}

/* The time this thread works: other programs on the machine do not count. */
static int64_t work_time(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static void make_many(int dirfd, int n)
{
    char line[64];

    for (int i = 0; i < n; i++) {
        (void)snprintf(line, sizeof(line), "source/node_modules/m%d/lib/f%d = x", i / 100, i);
        scene_make(dirfd, line);
    }
    assert_int_equal(mkdirat(dirfd, "diff", 0755), 0);
}

/* In memory where there is such a place: making them takes a disk far longer. */
static void test_twenty_thousand_files_are_linked_in_half_a_second(void **state)
{
    struct scene *s = *state;
    char path[] = "/dev/shm/kiln-copy-XXXXXX";
    CLEANUP_CLOSE int root = -1;
    int64_t time, limit = NS_PER_SEC / 2;
    int result;

    if (SANITIZED)
        limit *= 10;
    scene_clear(s);
    if (!mkdtemp(path))
        skip();
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_many(root, 20000);
    s->req.from = openat(root, "source", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->req.to = openat(root, "diff", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->req.may_link = true;
    time = work_time();
    result = scene_copy(s, ".", "/app");
    time = work_time() - time;
    close(s->req.from);
    close(s->req.to);
    assert_int_equal(fs_remove_tree(root, "source", &s->err), 0);
    assert_int_equal(fs_remove_tree(root, "diff", &s->err), 0);
    (void)rmdir(path);
    assert_int_equal(result, 0);
    print_message("20000 files in %d ms\n", (int)(time / NS_PER_MS));
    assert_int_equal(s->result.files, 20000);
    assert_true(time < limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode_and_time_are_kept_setuid_too),
        cmocka_unit_test(test_no_time_is_later_than_the_epoch),
        cmocka_unit_test(test_owners_are_those_of_the_request_or_the_files),
        cmocka_unit_test(test_an_owner_that_the_build_has_not_is_the_user_s_fault),
        cmocka_unit_test(test_directories_of_the_view_keep_their_owner_in_the_diff),
        cmocka_unit_test(test_chmod_changes_files_and_directories),
        cmocka_unit_test(test_user_attributes_are_kept_and_overlay_s_are_not),
        cmocka_unit_test(test_a_directory_of_the_view_keeps_its_attributes_below_another),
        cmocka_unit_test(test_capabilities_are_kept),
        cmocka_unit_test(test_names_of_one_file_stay_names_of_one_file),
        cmocka_unit_test(test_a_name_that_was_replaced_is_not_linked_to),
        cmocka_unit_test(test_an_unchanged_file_becomes_a_link_where_that_is_allowed),
        cmocka_unit_test(test_a_file_of_another_owner_is_copied_not_linked),
        cmocka_unit_test(test_a_link_that_cannot_be_made_becomes_a_copy),
        cmocka_unit_test(test_holes_stay_holes),
        cmocka_unit_test(test_a_large_file_is_copied_whole),
        cmocka_unit_test(test_fifos_are_kept_and_sockets_left_out),
        cmocka_unit_test(test_a_device_is_made_where_that_is_allowed),
        cmocka_unit_test(test_a_device_that_would_be_a_whiteout_is_refused_by_name),
        cmocka_unit_test(test_here_documents_become_files),
        cmocka_unit_test(test_a_here_document_s_name_is_one_name),
        cmocka_unit_test(test_twenty_thousand_files_are_linked_in_half_a_second),
    };

    return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
