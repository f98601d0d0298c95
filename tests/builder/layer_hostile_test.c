/* Layers that others made, in good faith or bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/layer_tar.h"
#include "tests/builder/layer_scratch.h"

/* ---- making a tar, member by member ---- */

static void add(struct buf *tar, enum tar_type type, const char *path, const char *text)
{
    static const char zeros[TAR_BLOCK];
    struct tar_entry e = {
        .type = type, .path = path, .mode = 0755, .uid = geteuid(), .gid = getegid(), .mtime = 100};

    if (type == TAR_FILE)
        e.size = strlen(text);
    else
        e.target = text;
    tar_add_header(tar, &e);
    buf_add(tar, text ? text : "", (size_t)e.size);
    buf_add(tar, zeros, tar_padding(e.size));
}

static void end(struct buf *tar)
{
    static const char zeros[2 * TAR_BLOCK];

    buf_add(tar, zeros, sizeof(zeros));
}

/* Keeps bytes as a blob that claims to be what it is. */
static struct layer store(const struct layer_scratch *s, const void *bytes, size_t len)
{
    struct layer l = {.size = len};
    struct error err = ERROR_INIT;
    char hex[SHA256_HEX];

    digest_sha256_hex(bytes, len, hex);
    (void)snprintf(l.digest, sizeof(l.digest), "sha256:%s", hex);
    memcpy(l.diff_id, l.digest, sizeof(l.digest));
    assert_int_equal(fs_write_file(s->blobs, hex, bytes, len, 0644, &err), 0);
    return l;
}

static int unpack(struct layer_scratch *s, const struct buf *tar, struct error *err)
{
    struct layer l = store(s, tar->data, tar->len);

    layer_scratch_clear(s, "back");
    return layer_unpack(s->blobs, &l, true, s->back, err);
}

static void check_list(const struct layer_scratch *s, const char *const *parts)
{
    CLEANUP(buf_release) struct buf list = BUF_INIT(65536);

    layer_scratch_list(s->back, &list);
    for (; *parts; parts++)
        if (!strstr(buf_str(&list), *parts))
            fail_msg("no \"%s\" in:\n%s", *parts, buf_str(&list));
    assert_true(layer_scratch_is_contained(s));
}

/* ---- names and links ---- */

static void test_what_leads_out_is_refused_and_nothing_outside_is_touched(void **state)
{
    static const struct {
        enum tar_type type;
        const char *path, *text;
        const char *why;
    } table[] = {
        {TAR_FILE, "../outside", "x", "leads out"},
        {TAR_FILE, "a/../../outside", "x", "leads out"},
        {TAR_FILE, "/../outside", "x", "leads out"},
        {TAR_HARDLINK, "h", "../outside", "leads out"},
        {TAR_HARDLINK, "h", "nothing", "no file before it"},
        {TAR_HARDLINK, "h", "h", "no file before it"},
        {TAR_HARDLINK, "h", ".", "hard link to the root"},
        {TAR_FILE, "..", "x", "leads out"},
        {TAR_FILE, ".wh...", "", "removes what is no name"},
        {TAR_FILE, ".wh..", "", "removes what is no name"},
        {TAR_FILE, ".wh.", "", "removes what is no name"},
        {TAR_SYMLINK, "./", "x", "no directory"},
        {TAR_SYMLINK, "s", "", "cannot be one"},
    };
    struct layer_scratch *s = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
        struct error err = ERROR_INIT;

        add(&tar, table[i].type, table[i].path, table[i].text);
        end(&tar);
        if (unpack(s, &tar, &err) == 0)
            fail_msg("%s is taken", table[i].path);
        if (err.kind != ERR_INPUT || !strstr(err.msg, table[i].why))
            fail_msg("%s: %s", table[i].path, err.msg);
        assert_true(layer_scratch_is_contained(s));
    }
}

static void test_links_in_a_layer_lead_nowhere_but_into_it(void **state)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;

    add(&tar, TAR_DIRECTORY, "usr/", NULL);
    add(&tar, TAR_SYMLINK, "bin", "usr");
    add(&tar, TAR_FILE, "bin/tool", "through a link, as in a container");
    add(&tar, TAR_SYMLINK, "up", "../../../../..");
    add(&tar, TAR_FILE, "up/outside", "in the root");
    add(&tar, TAR_SYMLINK, "abs", "/usr");
    add(&tar, TAR_FILE, "abs/other", "2");
    add(&tar, TAR_SYMLINK, "file", "usr/tool");
    add(&tar, TAR_FILE, "file", "replaces the link");
    add(&tar, TAR_HARDLINK, "hard", "bin/tool");
    end(&tar);
    if (unpack(s, &tar, &err) < 0)
        fail_msg("%s", err.msg);
    check_list(s, (const char *const[]){"hard \"through a link", "100 outside \"in the root\"",
                                        "usr/other \"2\"", "100 file \"replaces",
                                        "usr/tool is hard", NULL});
}

static void test_a_link_that_leads_nowhere_or_round_is_no_directory(void **state)
{
    static const char *const targets[] = {"nowhere", "round", "/round", "file"};
    struct layer_scratch *s = *state;

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
        struct error err = ERROR_INIT;

        add(&tar, TAR_FILE, "file", "x");
        add(&tar, TAR_SYMLINK, "round", targets[i]);
        add(&tar, TAR_FILE, "round/x", "x");
        end(&tar);
        assert_int_equal(unpack(s, &tar, &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
    }
}

static void test_a_link_that_is_replaced_through_itself_is_gone(void **state)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    struct error err = ERROR_INIT;

    add(&tar, TAR_SYMLINK, "up", ".");
    add(&tar, TAR_FILE, "up/up", "now a file");
    add(&tar, TAR_FILE, "up/x", "nowhere to be");
    end(&tar);
    assert_int_equal(unpack(*state, &tar, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_non_null(strstr(err.msg, "up/x: what it is to be in is no directory"));
}

static void test_a_later_entry_takes_the_place_of_an_earlier_one(void **state)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;

    add(&tar, TAR_FILE, "a/b/c", "deep");
    add(&tar, TAR_FILE, "a/b/d", "cached parent");
    add(&tar, TAR_FILE, "a", "now a file");
    add(&tar, TAR_FILE, "f", "first");
    add(&tar, TAR_HARDLINK, "g", "f");
    add(&tar, TAR_FILE, "f", "second");
    add(&tar, TAR_HARDLINK, "g", "g");
    add(&tar, TAR_SYMLINK, "d", "elsewhere");
    add(&tar, TAR_DIRECTORY, "d/", NULL);
    add(&tar, TAR_FILE, "d/x", "in the directory");
    add(&tar, TAR_FILE, "s/t/x", "1");
    add(&tar, TAR_SYMLINK, "s", "d");
    add(&tar, TAR_FILE, "s/t/x", "behind the link");
    end(&tar);
    if (unpack(s, &tar, &err) < 0)
        fail_msg("%s", err.msg);
    check_list(s, (const char *const[]){" a \"now a file\"", " f \"second\"", " g \"first\"",
                                        "d/x \"in the directory\"", "d/t/x \"behind the link\"",
                                        " s -> d", NULL});
}

/* ---- marks ---- */

static void test_a_mark_hides_what_is_below_and_not_what_is_beside_it(void **state)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;

    add(&tar, TAR_FILE, ".wh.gone", "");
    add(&tar, TAR_FILE, "kept", "x");
    add(&tar, TAR_FILE, ".wh.kept", "");
    add(&tar, TAR_FILE, ".wh.again", "");
    add(&tar, TAR_FILE, "again", "after its mark");
    add(&tar, TAR_FILE, ".wh.dir", "");
    add(&tar, TAR_DIRECTORY, "dir/", NULL);
    add(&tar, TAR_FILE, ".wh.implied", "");
    add(&tar, TAR_FILE, "implied/x", "x");
    add(&tar, TAR_DIRECTORY, "late/", NULL);
    add(&tar, TAR_FILE, ".wh.late", "");
    add(&tar, TAR_FILE, "opaque/.wh..wh..opq", "");
    add(&tar, TAR_FILE, ".wh..wh.plnk", "");
    end(&tar);
    if (unpack(s, &tar, &err) < 0)
        fail_msg("%s", err.msg);
    check_list(s, (const char *const[]){
                      "w gone\n", " kept \"x\"", " again \"after its mark\"",
                      " dir [user.overlay.opaque=79]", " implied [user.overlay.opaque=79]",
                      " late [user.overlay.opaque=79]", " opaque [user.overlay.opaque=79]", NULL});
    assert_int_equal(faccessat(s->back, ".wh..wh.plnk", F_OK, 0), -1);
}

static void test_a_layer_cannot_set_overlays_attributes(void **state)
{
    static const char *const names[] = {"user.overlay.redirect", "trusted.overlay.opaque",
                                        "user.overlay.opaque", "security.selinux"};
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    CLEANUP(buf_release) struct buf list = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;
    struct tar_attribute attributes[5];
    struct tar_entry e = {.type = TAR_DIRECTORY,
                          .path = "d/",
                          .mode = 0755,
                          .uid = geteuid(),
                          .gid = getegid(),
                          .attributes = attributes,
                          .n_attributes = 5};

    for (size_t i = 0; i < 4; i++)
        attributes[i] =
            (struct tar_attribute){.name = (char *)names[i], .value = (char *)"y", .len = 1};
    attributes[4] = (struct tar_attribute){.name = (char *)"user.ok", .value = (char *)"y", 1};
    tar_add_header(&tar, &e);
    end(&tar);
    if (unpack(s, &tar, &err) < 0)
        fail_msg("%s", err.msg);
    layer_scratch_list(s->back, &list);
    assert_non_null(strstr(buf_str(&list), " d [user.ok=79]\n"));
}

/* ---- not the blob that was meant ---- */

static void test_a_blob_that_is_not_the_one_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct layer good, l;

    add(&tar, TAR_FILE, "f", "x");
    end(&tar);
    good = store(s, tar.data, tar.len);
    tar.data[0] = 'g';
    l = store(s, tar.data, tar.len);
    assert_int_equal(renameat(s->blobs, l.digest + 7, s->blobs, "other"), 0);
    for (int i = 0; i < 8; i++) {
        struct error err = ERROR_INIT;

        l = good;
        l.tar_size = i == 1 ? good.size : i == 2 ? good.size - 1 : i == 3 ? good.size + 1 : 0;
        l.entries = i == 1 ? 1 : i == 4 ? 2 : 0;
        l.size += i == 5;
        l.diff_id[20] = i == 6 ? (char)(l.diff_id[20] == '0' ? '1' : '0') : l.diff_id[20];
        if (i == 7)
            assert_int_equal(renameat(s->blobs, "other", s->blobs, good.digest + 7), 0);
        layer_scratch_clear(s, "back");
        if (layer_unpack(s->blobs, &l, true, s->back, &err) == 0 ? i > 1 : i <= 1)
            fail_msg("row %d: %s", i, err.msg);
        assert_true(i <= 1 || err.kind == (i == 2 ? ERR_LIMIT : ERR_INPUT));
    }
    memcpy(l.digest, "sha256:../outside", 18);
    assert_int_equal(layer_unpack(s->blobs, &l, true, s->back, &(struct error){.kind = 0}), -1);
}

static void test_a_layer_that_was_cut_off_is_damaged(void **state)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(65536);
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;

    add(&tar, TAR_FILE, "f", "something that is here");
    tar.len = TAR_BLOCK + 5;
    assert_int_equal(unpack(s, &tar, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    tar.len = 0;
    buf_adds(&tar, "\x1f\x8b\x08 this is no gzip");
    assert_int_equal(unpack(s, &tar, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
}

/* ---- other tars ---- */

static void test_a_layer_by_gnu_tar_is_unpacked_whatever_packs_it(void **state)
{
    static const char *const ways[] = {"cat", "gzip -1", "zstd -q"};
    struct layer_scratch *s = *state;

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        CLEANUP(argv_release) struct argv argv = ARGV_INIT;
        CLEANUP(argv_release) struct argv lines = ARGV_INIT;
        struct error err = ERROR_INIT;
        CLEANUP(buf_release) struct buf theirs = BUF_INIT(1 << 20);
        CLEANUP(buf_release) struct buf ours = BUF_INIT(1 << 20);
        struct layer l;
        struct stat st;

        if (i == 2 && access("/usr/bin/zstd", X_OK) < 0)
            continue;
        argv_push(&argv, "sh", "-euc",
                  "cd \"$1/diff\"; long=$(printf '%0200d' 5)\n"
                  "mkdir -p bin \"$long\"; echo hello >bin/hello; echo deep >\"$long/$long\"\n"
                  "ln -sf bin/hello link; ln -f bin/hello hard; truncate -s 5M sparse\n"
                  "tar --create --sparse --format=gnu . >../blobs/tar\n"
                  "cd ../blobs; $2 <tar >blob; cat tar | sha256sum; cat blob | sha256sum\n"
                  "mv blob $(sha256sum <blob | cut -c 1-64); stat -c %s tar",
                  "sh", s->path, ways[i], NULL);
        layer_scratch_run(&argv, &lines);
        assert_int_equal(lines.n, 3);
        l = (struct layer){.tar_size = strtoull(lines.v[2], NULL, 10)};
        (void)snprintf(l.diff_id, sizeof(l.diff_id), "sha256:%.64s", lines.v[0]);
        (void)snprintf(l.digest, sizeof(l.digest), "sha256:%.64s", lines.v[1]);
        assert_int_equal(fstatat(s->blobs, l.digest + 7, &st, 0), 0);
        l.size = (uint64_t)st.st_size;
        layer_scratch_clear(s, "back");
        if (layer_unpack(s->blobs, &l, true, s->back, &err) < 0)
            fail_msg("%s", err.msg);
        layer_scratch_list(s->diff, &theirs);
        layer_scratch_list(s->back, &ours);
        assert_string_equal(buf_str(&ours), buf_str(&theirs));
    }
}

/* ---- headers ---- */

static void test_a_file_of_more_than_8_gib_has_its_size_in_a_record(void **state)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(65536);
    const struct tar_entry e = {.type = TAR_FILE, .path = "f", .size = UINT64_C(9) << 30};
    const struct tar_entry just = {.type = TAR_FILE, .path = "f", .size = (UINT64_C(8) << 30) - 1};

    (void)state;
    tar_add_header(&out, &just);
    assert_int_equal(out.len, TAR_BLOCK);
    assert_string_equal(out.data + 124, "77777777777");
    buf_clear(&out);
    tar_add_header(&out, &e);
    assert_int_equal(out.len, 3 * TAR_BLOCK);
    assert_int_equal(out.data[156], 'x');
    assert_memory_equal(out.data + TAR_BLOCK, "19 size=9663676416\n", 20);
}

static void test_long_names_that_are_no_utf8_say_so(void **state)
{
    static const char *const starts[] = {"\xc3\xa9", "\xe9"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        CLEANUP(buf_release) struct buf out = BUF_INIT(65536);
        char name[201];
        struct tar_entry e = {.type = i < 2 ? TAR_FILE : TAR_SYMLINK, .path = "short"};

        (void)snprintf(name, sizeof(name), "%s%0190d", starts[i % 2], 0);
        *(i < 2 ? &e.path : &e.target) = name;
        tar_add_header(&out, &e);
        assert_int_equal(out.data[156], 'x');
        assert_int_equal(memcmp(out.data + TAR_BLOCK, "21 hdrcharset=BINARY\n", 21) == 0, i % 2);
    }
}

static void test_a_records_length_counts_itself(void **state)
{
    (void)state;
    for (size_t len = 101; len < 1100; len++) {
        CLEANUP(buf_release) struct buf out = BUF_INIT(65536);
        char path[1200];
        struct tar_entry e = {.type = TAR_FILE, .path = path};
        size_t said;

        memset(path, 'p', len);
        path[len] = '\0';
        tar_add_header(&out, &e);
        said = strtoul(out.data + TAR_BLOCK, NULL, 10);
        assert_int_equal(out.data[TAR_BLOCK + said - 1], '\n');
        if (said % TAR_BLOCK > 0)
            assert_int_equal(out.data[TAR_BLOCK + said], 0);
        assert_int_equal(strtoul(out.data + 124, NULL, 8), said);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, layer_scratch_setup, layer_scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_leads_out_is_refused_and_nothing_outside_is_touched),
        TEST(test_links_in_a_layer_lead_nowhere_but_into_it),
        TEST(test_a_link_that_leads_nowhere_or_round_is_no_directory),
        TEST(test_a_link_that_is_replaced_through_itself_is_gone),
        TEST(test_a_later_entry_takes_the_place_of_an_earlier_one),
        TEST(test_a_mark_hides_what_is_below_and_not_what_is_beside_it),
        TEST(test_a_layer_cannot_set_overlays_attributes),
        TEST(test_a_blob_that_is_not_the_one_is_refused),
        TEST(test_a_layer_that_was_cut_off_is_damaged),
        TEST(test_a_layer_by_gnu_tar_is_unpacked_whatever_packs_it),
        cmocka_unit_test(test_a_file_of_more_than_8_gib_has_its_size_in_a_record),
        cmocka_unit_test(test_long_names_that_are_no_utf8_say_so),
        cmocka_unit_test(test_a_records_length_counts_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
