/* An image of our own layers, pushed by our own client: others pull it and find in it what was put
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fs.h"
#include "tests/builder/layer_making.h"
#include "tests/registry/fixture.h"

#define REPO   "team/sandbox/pulled"
#define LAYERS 2

struct stage {
    struct layer_scratch *scratch;
    struct fixture *fixture;
    struct layer layers[LAYERS];
};

static int setup(void **state)
{
    struct stage *s = calloc(1, sizeof(*s));
    void *scratch = NULL;

    assert_non_null(s);
    *state = s;
    (void)layer_scratch_setup(&scratch);
    s->scratch = scratch;
    s->fixture = fixture_new();
    fixture_start(s->fixture);
    return 0;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    void *scratch = s->scratch;

    fixture_free(s->fixture);
    (void)layer_scratch_teardown(&scratch);
    free(s);
    return 0;
}

static void make_layers(struct stage *s)
{
    int diff = s->scratch->diff;

    layer_put(diff, "gone", "of the lower layer");
    layer_put_dir(diff, "dir");
    layer_put(diff, "dir/gone too", "of the lower layer");
    s->layers[0] = layer_write_with(s->scratch, 2, -1);
    layer_scratch_clear(s->scratch, "diff");
    diff = s->scratch->diff;
    layer_put_whiteout(diff, "gone");
    layer_put_dir(diff, "dir");
    layer_put_whiteout(diff, "dir/gone too");
    layer_put_large(diff, "large", 5 << 20); /* several gzip members */
    layer_put(diff, "dir/file", "hello");
    layer_put(diff, "caf\xc3\xa9", "utf-8");
    layer_put(diff, "\xc3\xa9" NAME_250, "long");
    assert_int_equal(symlinkat("dir/file", diff, "link"), 0);
    assert_int_equal(linkat(diff, "dir/file", diff, "hard", 0), 0);
    assert_int_equal(fchownat(diff, "large", 1000, 3000000, 0), 0);
    s->layers[1] = layer_write_with(s->scratch, 2, -1);
}

static int open_layer(void *self, int *ret_fd, struct error *err)
{
    const char *path = self;

    (void)err;
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(*ret_fd >= 0);
    return 0;
}

static void push(const struct stage *s)
{
    CLEANUP(buf_release) struct buf manifest = BUF_INIT(65536);
    CLEANUP(buf_release) struct buf config = BUF_INIT(65536);
    struct registry_layer layers[LAYERS];
    struct registry_pushed pushed;
    struct error err = ERROR_INIT;
    char paths[LAYERS][200], hex[SHA256_HEX];

    buf_addf(&config,
             "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":"
             "\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
             s->layers[0].diff_id, s->layers[1].diff_id);
    digest_sha256_hex(config.data, config.len, hex);
    buf_addf(&manifest,
             "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":{\"mediaType\":"
             "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu},"
             "\"layers\":[",
             hex, config.len);
    for (int i = 0; i < LAYERS; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/blobs/%s", s->scratch->path,
                       s->layers[i].digest + 7);
        layers[i] = (struct registry_layer){.digest = s->layers[i].digest,
                                            .size = s->layers[i].size,
                                            .open = open_layer,
                                            .self = paths[i]};
        buf_addf(&manifest,
                 "%s{\"mediaType\":\"" LAYER_MEDIA_TYPE "\",\"digest\":\"%s\",\"size\":%" PRIu64
                 "}",
                 i ? "," : "", s->layers[i].digest, s->layers[i].size);
    }
    buf_adds(&manifest, "]}");
    if (registry_push(&s->fixture->registry,
                      &(struct registry_image){.repository = REPO,
                                               .tag = "v1",
                                               .config = buf_str(&config),
                                               .config_len = config.len,
                                               .layers = layers,
                                               .n_layers = LAYERS,
                                               .media_type = OCI_MANIFEST,
                                               .manifest = buf_str(&manifest),
                                               .manifest_len = manifest.len},
                      &pushed, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(pushed.sent, s->layers[0].size + s->layers[1].size + config.len);
}

/* The image's files by buildah, in s->scratch/back. */
static void pull_by_buildah(const struct stage *s)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv lines = ARGV_INIT;

    argv_push(&argv, "bash", "-euc",
              "cd \"$1\"; mkdir store\n"
              "echo '{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}' >store/policy.json\n"
              "b() { buildah --root $PWD/store/root --runroot $PWD/store/run "
              "--storage-driver vfs \"$@\"; }\n"
              "c=$(b from --quiet --signature-policy $PWD/store/policy.json --tls-verify=false "
              "docker://$2/" REPO ":v1)\n"
              "cp --archive $(b mount $c)/. back/; b rm $c; rm -rf store",
              "bash", s->scratch->path, s->fixture->listen, NULL);
    layer_scratch_run(&argv, &lines);
}

static void test_buildah_pulls_an_image_of_ours(void **state)
{
    CLEANUP(buf_release) struct buf ours = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf theirs = BUF_INIT(1 << 20);
    struct stage *s = *state;

    if (geteuid() != 0)
        skip();
    make_layers(s);
    push(s);
    pull_by_buildah(s);
    assert_int_equal(unlinkat(s->scratch->diff, "gone", 0), 0);
    assert_int_equal(unlinkat(s->scratch->diff, "dir/gone too", 0), 0);
    layer_set_time(s->scratch->diff, "dir", 0);
    layer_set_time(s->scratch->back, "dir", 0);
    layer_scratch_list(s->scratch->diff, &ours);
    layer_scratch_list(s->scratch->back, &theirs);
    assert_string_equal(buf_str(&theirs), buf_str(&ours));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_buildah_pulls_an_image_of_ours)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
