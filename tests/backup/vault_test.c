/* A vault gives back what it got, has each content once, and forgets what nobody needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/backup.h"
#include "base/fs.h"

#define MIB (1 << 20)

struct fixture {
    char dir[40], vault[64];
    int source, to; /* directories */
    struct backup_vault *v;
    struct error err;
};

#define MUST(f, call)                                                                              \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, (f)->err.msg);                                               \
    } while (0)

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char path[64];

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-vault-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->vault, sizeof(f->vault), "%s/vault", f->dir);
    (void)snprintf(path, sizeof(path), "%s/source", f->dir);
    if (fs_mkdirs(path, 0700, &f->err) < 0 || fs_open_dir(AT_FDCWD, path, &f->source, &f->err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/to", f->dir);
    if (fs_mkdirs(path, 0700, &f->err) < 0 || fs_open_dir(AT_FDCWD, path, &f->to, &f->err) < 0)
        return -1;
    *state = f;
    return backup_vault_open(f->vault, BACKUP_TO_WRITE, &f->v, &f->err);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    backup_vault_free(f->v);
    close(f->source);
    close(f->to);
    (void)!fs_remove_tree(AT_FDCWD, f->dir, &f->err);
    free(f);
    return 0;
}

/* A file of len bytes that differ by seed, the middle third of it a hole. */
static int make_file(struct fixture *f, const char *name, size_t len, unsigned seed)
{
    int fd = openat(f->source, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    for (size_t at = 0; at + 4 <= len; at += 4096) {
        const unsigned value = seed + (unsigned)at;

        if (at < len / 3 || at >= len / 3 * 2)
            assert_int_equal(pwrite(fd, &value, sizeof(value), (off_t)at), sizeof(value));
    }
    return fd;
}

static struct backup_totals backup(struct fixture *f, const char *const *names,
                                   char ret_name[BACKUP_NAME])
{
    const struct backup_facts facts = {.made = 1800000000000000000, .schema = 3, .program = "k 1"};
    struct backup_writer *w;
    struct backup_totals totals;

    MUST(f, backup_begin(f->v, &facts, NULL, &w, &f->err));
    MUST(f, backup_note(w, "not in it: the moon", &f->err));
    MUST(f, backup_add_directory(w, "d", 0750, &f->err));
    for (; *names; names++) {
        int fd = openat(f->source, *names, O_RDONLY | O_CLOEXEC);
        char path[64];

        (void)snprintf(path, sizeof(path), "d/%s", *names);
        MUST(f, backup_add_file(w, path, fd, 0640, &f->err));
        close(fd);
    }
    MUST(f, backup_commit(w, ret_name, &totals, &f->err));
    backup_writer_free(w);
    return totals;
}

static void assert_restored(struct fixture *f, const char *name, size_t len)
{
    CLEANUP(buf_release) struct buf was = BUF_INIT(64 * MIB);
    CLEANUP(buf_release) struct buf is = BUF_INIT(64 * MIB);
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "d/%s", name);
    MUST(f, fs_read_file(f->source, name, &was, &f->err));
    MUST(f, fs_read_file(f->to, path, &is, &f->err));
    assert_int_equal(is.len, len);
    assert_int_equal(was.len, is.len);
    assert_memory_equal(buf_str(&was), buf_str(&is), len);
    assert_int_equal(fstatat(f->to, path, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_what_is_restored_is_what_was(void **state)
{
    static const char *const names[] = {"empty", "small", "holes", "large", "zeros", NULL};
    static const size_t sizes[] = {0, 100, 40 * MIB + 5, 9 * MIB, 8 * MIB};
    struct fixture *f = *state;
    CLEANUP(argv_release) struct argv notes = ARGV_INIT;
    struct backup_totals totals, read;
    struct backup_facts facts;
    char name[BACKUP_NAME];
    struct stat st;

    for (size_t i = 0; i < 4; i++)
        close(make_file(f, names[i], sizes[i], (unsigned)i));
    close(openat(f->source, "zeros", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    {
        int fd = openat(f->source, "zeros", O_RDWR | O_CLOEXEC);
        char *zeros = calloc(1, 8 * MIB);

        assert_int_equal(pwrite(fd, zeros, 8 * MIB, 0), 8 * MIB);
        free(zeros);
        close(fd);
    }
    totals = backup(f, names, name);
    assert_string_equal(name, "20270115T080000.000Z");
    MUST(f, backup_read_facts(f->v, name, &facts, &notes, &read, &f->err));
    assert_int_equal(facts.schema, 3);
    assert_int_equal(notes.n, 1);
    assert_int_equal(read.files, 5);
    assert_int_equal(read.bytes, totals.bytes);
    MUST(f, backup_restore(f->v, name, -1, NULL, &f->err));
    MUST(f, backup_restore(f->v, name, f->to, NULL, &f->err));
    for (size_t i = 0; i < 5; i++)
        assert_restored(f, names[i], sizes[i]);
    assert_int_equal(fstatat(f->to, "d/zeros", &st, 0), 0);
    assert_true(st.st_blocks < 16); /* zeros are holes now */
    assert_int_equal(backup_restore(f->v, name, f->to, NULL, &f->err), -1); /* over what is there */
}

static void test_content_is_kept_once_and_goes_with_its_last_backup(void **state)
{
    static const char *const both[] = {"a", "b", NULL};
    static const char *const one[] = {"b", NULL};
    struct fixture *f = *state;
    struct backup_totals totals;
    char first[BACKUP_NAME], second[BACKUP_NAME];
    uint64_t freed;

    close(make_file(f, "a", 12 * MIB, 1));
    close(make_file(f, "b", 12 * MIB, 2));
    totals = backup(f, both, first);
    assert_true(totals.added > 15 * MIB);
    totals = backup(f, one, second);
    assert_int_equal(totals.added, 0);
    assert_true(strcmp(first, second) < 0); /* also in the same moment */
    MUST(f, backup_vault_forget(f->v, 2, &freed, &f->err));
    assert_int_equal(freed, 0);
    MUST(f, backup_vault_forget(f->v, 1, &freed, &f->err));
    assert_true(freed > 7 * MIB);
    MUST(f, backup_restore(f->v, second, f->to, NULL, &f->err));
    assert_restored(f, "b", 12 * MIB);
    assert_int_equal(backup_restore(f->v, first, -1, NULL, &f->err), -1);
}

static void test_a_known_file_is_not_read_again(void **state)
{
    static const char *const names[] = {"a", NULL};
    const struct backup_facts facts = {.made = 1, .program = "k"};
    struct fixture *f = *state;
    struct backup_writer *w;
    struct backup_totals totals;
    char name[BACKUP_NAME];
    bool known;

    close(make_file(f, "a", 9 * MIB, 1));
    (void)backup(f, names, name);
    MUST(f, backup_begin(f->v, &facts, NULL, &w, &f->err));
    MUST(f, backup_add_directory(w, "d", 0700, &f->err));
    MUST(f, backup_add_known(w, "d/a", 8 * MIB, &known, &f->err));
    assert_false(known);
    MUST(f, backup_add_known(w, "d/b", 9 * MIB, &known, &f->err));
    assert_false(known);
    MUST(f, backup_add_known(w, "d/a", 9 * MIB, &known, &f->err));
    assert_true(known);
    MUST(f, backup_commit(w, name, &totals, &f->err));
    backup_writer_free(w);
    MUST(f, backup_restore(f->v, name, f->to, NULL, &f->err));
    assert_restored(f, "a", 9 * MIB);
}

static void test_one_writes_and_others_wait(void **state)
{
    struct fixture *f = *state;
    struct backup_vault *other;
    char dir[64];

    assert_int_equal(backup_vault_open(f->vault, BACKUP_TO_WRITE, &other, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_INPUT);
    assert_int_equal(backup_vault_open(f->vault, BACKUP_TO_READ, &other, &f->err), -1);
    backup_vault_free(f->v);
    f->v = NULL;
    MUST(f, backup_vault_open(f->vault, BACKUP_TO_READ, &f->v, &f->err));
    MUST(f, backup_vault_open(f->vault, BACKUP_TO_READ, &other, &f->err));
    backup_vault_free(other);

    /* Somebody else's directory is not made one. */
    (void)snprintf(dir, sizeof(dir), "%s/source", f->dir);
    close(make_file(f, "a", 10, 1));
    assert_int_equal(backup_vault_open(dir, BACKUP_TO_WRITE, &other, &f->err), -1);
    assert_non_null(strstr(f->err.msg, "neither empty"));
    assert_int_equal(backup_vault_open(dir, BACKUP_TO_READ, &other, &f->err), -1);
    assert_non_null(strstr(f->err.msg, "no backups"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_restored_is_what_was, setup, teardown),
        cmocka_unit_test_setup_teardown(test_content_is_kept_once_and_goes_with_its_last_backup,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_known_file_is_not_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_writes_and_others_wait, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
