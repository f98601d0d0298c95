/* What the doctor says is what is so. */
#include "machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fs.h"

struct findings {
    struct {
        char subject[64];
        enum builder_health health;
        char detail[256];
    } v[16];
    size_t n;
};

static void keep(void *self, const struct builder_finding *f)
{
    struct findings *all = self;

    assert_true(all->n < 16);
    (void)snprintf(all->v[all->n].subject, 64, "%s", f->subject);
    (void)snprintf(all->v[all->n].detail, 256, "%s", f->detail);
    all->v[all->n++].health = f->health;
}

static void diagnose(struct builder *b, struct findings *ret)
{
    struct error err = ERROR_INIT;

    *ret = (struct findings){.n = 0};
    assert_int_equal(builder_diagnose(b, keep, ret, &err), 0);
}

static void assert_found(const struct findings *all, const char *subject,
                         enum builder_health health, const char *detail)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].subject, subject) == 0) {
            if (all->v[i].health != health || !strstr(all->v[i].detail, detail))
                fail_msg("%s: %d %s", subject, (int)all->v[i].health, all->v[i].detail);
            return;
        }
    fail_msg("nothing was said of %s", subject);
}

static void test_a_machine_that_can_build_is_well(void **state)
{
    const struct machine *m = *state;
    struct findings all;

    diagnose(m->b, &all);
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].health == BUILDER_MISSING)
            fail_msg("%s: %s", all.v[i].subject, all.v[i].detail);
    assert_found(&all, "buildah", BUILDER_OK, "buildah version 1.");
    assert_found(&all, "runc", BUILDER_OK, "runc has run a command in a jail");
    assert_found(&all, "storage", BUILDER_OK, "overlay");
    assert_found(&all, "egress", BUILDER_OK, "no network");
}

static void test_without_a_user_namespace_it_is_degraded(void **state)
{
    const struct machine *m = *state;
    struct builder *b;
    struct findings all;
    struct error err = ERROR_INIT;

    if (geteuid() != 0)
        skip();
    assert_int_equal(builder_open_as(&m->config, JAIL_USERS_NONE, &b, &err), 0);
    diagnose(b, &all);
    assert_found(&all, "user namespace", BUILDER_DEGRADED, "root in its jail");
    builder_free(b);
}

static void test_limits_are_said_with_what_holds_them(void **state)
{
    const struct machine *m = *state;
    struct builder_config config = m->config;
    const bool groups = m->b->site.parents[CGROUP_MEMORY] != NULL;
    struct builder *b;
    struct findings all;
    struct error err = ERROR_INIT;

    config.limits = (struct builder_limits){
        .memory = UINT64_C(3) << 30, .pids = 77, .cpus = 2, .disk = UINT64_C(5) << 30};
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    diagnose(b, &all);
    if (groups) {
        assert_found(&all, "memory limit", BUILDER_OK, "3 GiB for each build, by control groups");
        assert_found(&all, "process limit", BUILDER_OK, "77 for each build, by control groups");
        assert_found(&all, "CPU limit", BUILDER_OK, "2 for each build, by control groups");
        assert_found(&all, "disk limit", BUILDER_OK, "5 GiB for each build");
    }
    cgroup_site_release(&b->site);
    diagnose(b, &all);
    assert_found(&all, "memory limit", BUILDER_DEGRADED, "Delegate=yes");
    assert_found(&all, "process limit", BUILDER_DEGRADED, "");
    assert_found(&all, "disk limit", BUILDER_DEGRADED, "removed while open are not counted");
    builder_free(b);
}

/* ---- where no overlay can be mounted: on another one ---- */

static int overlay_setup(void **state)
{
    const struct machine *m = *state;
    struct error err = ERROR_INIT;
    char dirs[4][128], options[512];

    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(dirs[i], sizeof(dirs[i]), "%s/overlay-%zu", m->dir, i);
        assert_int_equal(fs_mkdirs(dirs[i], 0755, &err), 0);
    }
    (void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", dirs[0], dirs[1],
                   dirs[2]);
    return geteuid() == 0 ? mount("overlay", dirs[3], "overlay", 0, options) : 0;
}

static int overlay_teardown(void **state)
{
    const struct machine *m = *state;
    char at[128];

    (void)snprintf(at, sizeof(at), "%s/overlay-3", m->dir);
    return geteuid() == 0 ? umount2(at, MNT_DETACH) : 0;
}

static void test_where_no_overlay_can_be_mounted_that_is_said_and_no_build_begins(void **state)
{
    const struct machine *m = *state;
    struct builder_config config = m->config;
    struct builder_job *job;
    struct builder *b;
    struct findings all;
    struct error err = ERROR_INIT;
    char dir[128];

    if (geteuid() != 0)
        skip();
    (void)snprintf(dir, sizeof(dir), "%s/overlay-3", m->dir);
    config.dir = dir;
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    diagnose(b, &all);
    assert_found(&all, "storage", BUILDER_MISSING, "the data directory on ext4");
    assert_int_equal(builder_job_begin(b, "ws", "id", &job, &err), -1);
    assert_non_null(strstr(err.msg, "mount an overlay"));
    builder_free(b);
}

/* ---- where the disk is full: on one of a few inodes ---- */

#define FEW "40"

static int full_setup(void **state)
{
    const struct machine *m = *state;
    struct error err = ERROR_INIT;
    char dir[128];

    (void)snprintf(dir, sizeof(dir), "%s/full", m->dir);
    assert_int_equal(fs_mkdirs(dir, 0755, &err), 0);
    return geteuid() == 0 ? mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=" FEW) : 0;
}

static int full_teardown(void **state)
{
    const struct machine *m = *state;
    char dir[128];

    (void)snprintf(dir, sizeof(dir), "%s/full", m->dir);
    return geteuid() == 0 ? umount2(dir, MNT_DETACH) : 0;
}

/* It once was taken for a machine without user namespaces, or without any jail, as long as the
 * process lived. */
static void test_a_full_disk_is_not_taken_for_what_the_machine_cannot_do(void **state)
{
    const struct machine *m = *state;
    struct builder_config config = m->config;
    struct builder *b = NULL;
    struct error err = ERROR_INIT;
    char dir[128], file[160];
    int made, fd;

    if (geteuid() != 0)
        skip();
    (void)snprintf(dir, sizeof(dir), "%s/full", m->dir);
    config.dir = dir;
    assert_int_equal(builder_open(&config, &b, &err), 0); /* makes its directories */
    builder_free(b);
    for (made = 0, fd = 0; fd >= 0; made += fd >= 0) {
        (void)snprintf(file, sizeof(file), "%s/%d", dir, made);
        if ((fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) >= 0)
            close(fd);
    }
    assert_int_equal(builder_open(&config, &b, &err), -1);
    assert_non_null(strstr(err.msg, "No space left on device"));
    while (made-- > 0) {
        (void)snprintf(file, sizeof(file), "%s/%d", dir, made);
        assert_int_equal(unlink(file), 0);
    }
    assert_int_equal(builder_open(&config, &b, &err), 0);
    assert_true(builder_is_full(b));
    assert_int_equal(b->ids.users, m->b->ids.users);
    builder_free(b);
}

static void test_a_missing_buildah_is_said_and_begins_no_build(void **state)
{
    const struct machine *m = *state;
    struct builder_config config = m->config;
    struct builder_job *job;
    struct builder *b;
    struct findings all;
    struct error err = ERROR_INIT;

    config.buildah = "/no/such/buildah";
    assert_int_equal(builder_open(&config, &b, &err), 0);
    diagnose(b, &all);
    assert_found(&all, "buildah", BUILDER_MISSING, "not found");
    assert_int_equal(builder_job_begin(b, "ws", "id", &job, &err), -1);
    assert_non_null(strstr(err.msg, "/no/such/buildah"));
    builder_free(b);
}

static void test_a_buildah_that_does_not_run_is_said(void **state)
{
    static const char script[] = "#!/bin/sh\necho broken >&2\nexit 1\n";
    const struct machine *m = *state;
    struct builder_config config = m->config;
    char path[128];
    struct builder *b;
    struct findings all;
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/buildah", m->dir);
    assert_int_equal(fs_write_file(AT_FDCWD, path, script, strlen(script), 0755, &err), 0);
    assert_int_equal(chmod(path, 0755), 0);
    config.buildah = path;
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    diagnose(b, &all);
    assert_found(&all, "buildah", BUILDER_MISSING, "broken");
    builder_free(b);
}

static void test_a_directory_that_is_not_absolute_is_refused(void **state)
{
    const struct machine *m = *state;
    struct builder_config config = m->config;
    struct builder *b;
    struct error err = ERROR_INIT;

    config.dir = "relative";
    assert_int_equal(builder_open(&config, &b, &err), -1);
    assert_non_null(strstr(err.msg, "not absolute"));
}

static void test_no_probe_is_left_behind(void **state)
{
    const struct machine *m = *state;

    assert_int_equal(count_entries(m->config.dir), 3); /* jobs, bases and cache */
}

static void test_subordinate_ids_are_found_by_name_or_number(void **state)
{
    const struct machine *m = *state;
    char path[128];
    char number[64];
    const struct {
        const char *text;
        uint32_t first; /* 0: refused */
    } cases[] = {
        {number, 300000},
        {"someone:1:65536\n", 0},
        {"", 0},
        {"no line\n::\n:::\n", 0},
    };

    (void)snprintf(path, sizeof(path), "%s/subid", m->dir);
    (void)snprintf(number, sizeof(number), "%u:5:10\n%u:300000:65536\n", getuid(), getuid());
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jail_ids ids = {.first_uid = 0};
        struct error err = ERROR_INIT;

        assert_int_equal(
            fs_write_file(AT_FDCWD, path, cases[i].text, strlen(cases[i].text), 0644, &err), 0);
        assert_int_equal(jail_ids_for_user(path, path, &ids, &err), cases[i].first ? 0 : -1);
        assert_int_equal(ids.first_uid, cases[i].first);
        if (!cases[i].first)
            assert_non_null(strstr(err.msg, "100000:65536"));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_machine_that_can_build_is_well),
        cmocka_unit_test(test_without_a_user_namespace_it_is_degraded),
        cmocka_unit_test(test_limits_are_said_with_what_holds_them),
        cmocka_unit_test_setup_teardown(
            test_where_no_overlay_can_be_mounted_that_is_said_and_no_build_begins, overlay_setup,
            overlay_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_full_disk_is_not_taken_for_what_the_machine_cannot_do, full_setup,
            full_teardown),
        cmocka_unit_test(test_a_missing_buildah_is_said_and_begins_no_build),
        cmocka_unit_test(test_a_buildah_that_does_not_run_is_said),
        cmocka_unit_test(test_a_directory_that_is_not_absolute_is_refused),
        cmocka_unit_test(test_no_probe_is_left_behind),
        cmocka_unit_test(test_subordinate_ids_are_found_by_name_or_number),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
