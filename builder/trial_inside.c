/* builder/trial_inside — see trial.h. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/layer.h"
#include "builder/stack.h"
#include "builder/trial.h"

#define ORDER_MAX (128 << 20)
#define WORK      "/kiln/work/trial" /* nothing but what happens here is on a disk */
#define ROOT      "/run/trial"
#define BUNDLE    "/run/trial-bundle"

/* ---- the tree ---- */

static int open_blobs(const json_t *layer, int *ret_fd, struct error *err)
{
    return fs_open_dir(
        AT_FDCWD, json_is_true(json_object_get(layer, "fetched")) ? "/kiln/fetched" : "/kiln/blobs",
        ret_fd, err);
}

/* It was built a moment ago: what is wrong with it is no fault of the user's. */
static int unpack_blob(int blobs, const struct layer *layer, bool userxattr, int diff,
                       struct error *err)
{
    if (layer_unpack(blobs, layer, userxattr, diff, err) == 0)
        return 0;
    err->kind = ERR_SYSTEM;
    return -1;
}

static int unpack(const json_t *o, size_t i, bool userxattr, char path[64], struct error *err)
{
    const char *digest = json_string_value(json_object_get(o, "digest"));
    const char *diff_id = json_string_value(json_object_get(o, "diff_id"));
    struct layer layer = {.size = (uint64_t)json_integer_value(json_object_get(o, "size"))};
    CLEANUP_CLOSE int blobs = -1, diff = -1;

    (void)snprintf(layer.digest, sizeof(layer.digest), "%s", digest ? digest : "");
    (void)snprintf(layer.diff_id, sizeof(layer.diff_id), "%s", diff_id ? diff_id : "");
    (void)snprintf(path, 64, WORK "/%zu", i);
    if (mkdir(path, 0755) < 0)
        return error_errno(err, errno, "make %s", path);
    if (open_blobs(o, &blobs, err) < 0 || fs_open_dir(AT_FDCWD, path, &diff, err) < 0)
        return -1;
    return unpack_blob(blobs, &layer, userxattr, diff, err);
}

static int add_layer(const json_t *o, size_t i, bool userxattr, struct stack *tree,
                     struct error *err)
{
    const char *base = json_string_value(json_object_get(o, "base"));
    char path[128];

    if (base)
        (void)snprintf(path, sizeof(path), "/kiln/bases/overlay/%.64s/diff", base);
    else if (unpack(o, i, userxattr, path, err) < 0)
        return -1;
    return stack_add(tree, path, err);
}

static int make_tree(const json_t *order, struct error *err)
{
    CLEANUP(stack_release) struct stack tree = {.n = 0};
    const bool userxattr = json_is_true(json_object_get(order, "userxattr"));
    const json_t *layers = json_object_get(order, "layers");
    static const char *const dirs[] = {WORK, WORK "/upper", WORK "/work", ROOT, BUNDLE};

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        if (mkdir(dirs[i], 0755) < 0)
            return error_errno(err, errno, "make %s", dirs[i]);
    for (size_t i = 0; i < json_array_size(layers); i++)
        if (add_layer(json_array_get(layers, i), i, userxattr, &tree, err) < 0)
            return -1;
    return stack_mount(&tree, userxattr, WORK "/upper", WORK "/work", ROOT, err);
}

/* ---- the program ---- */

static void add_words(const json_t *list, struct argv *ret)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        argv_push1(ret, json_string_value(json_array_get(list, i))
                            ? json_string_value(json_array_get(list, i))
                            : "");
}

static bool is_set_in(const struct argv *env, const char *variable)
{
    const size_t n = strcspn(variable, "=");

    for (size_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], variable, n) == 0 && env->v[i][n] == '=')
            return true;
    return false;
}

/* What the platform sets counts more than what the image does. */
static void add_environment(const json_t *order, const json_t *config, struct argv *ret)
{
    CLEANUP(argv_release) struct argv own = ARGV_INIT;

    add_words(json_object_get(order, "env"), ret);
    add_words(json_object_get(config, "Env"), &own);
    ret->failed |= own.failed;
    for (size_t i = 0; i < own.n; i++)
        if (!is_set_in(ret, own.v[i]))
            argv_push1(ret, own.v[i]);
}

static int start(const json_t *order, const json_t *config, struct builder_trial_result *ret,
                 struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const char *cwd = json_string_value(json_object_get(config, "WorkingDir"));
    const struct trial_program program = {
        .root = ROOT,
        .bundle = BUNDLE,
        .argv = &argv,
        .env = &env,
        .cwd = cwd ? cwd : "",
        .port = (uint16_t)json_integer_value(json_object_get(order, "port")),
        .timeout_ms = json_integer_value(json_object_get(order, "timeout_ms")),
        .grace_ms = json_integer_value(json_object_get(order, "grace_ms")),
    };

    add_words(json_object_get(config, "Entrypoint"), &argv);
    add_words(json_object_get(config, "Cmd"), &argv);
    add_environment(order, config, &env);
    if (argv.failed || env.failed)
        return error_set(err, ERR_SYSTEM, "start the image: out of memory");
    if (argv.n == 0)
        return error_set(err, ERR_INPUT, "start the image: it has neither an ENTRYPOINT nor a CMD");
    if (make_tree(order, err) < 0)
        return -1;
    return trial_watch(&program, ret, err);
}

/* ---- order and result ---- */

static int try_image(struct builder_trial_result *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(ORDER_MAX);
    json_auto_t *order = NULL;
    json_auto_t *config = NULL;
    const char *image;

    if (fs_read_fd(STDIN_FILENO, &text, err) < 0)
        return -1;
    order = json_loadb(buf_str(&text), text.len, 0, NULL);
    image = json_string_value(json_object_get(order, "config"));
    config = json_loads(image ? image : "", 0, NULL);
    if (!order || !config)
        return error_set(err, ERR_SYSTEM, "read what is to be tried: it is no JSON");
    return start(order, json_object_get(config, "config"), ret, err);
}

static json_t *write_result(int result, const struct builder_trial_result *r,
                            const struct error *err)
{
    if (result < 0)
        return json_pack("{s:i, s:s}", "error", (int)err->kind, "message", err->msg);
    return json_pack("{s:i, s:i, s:i, s:s, s:I, s:I, s:b}", "end", (int)r->end, "code", r->code,
                     "signal", r->signal, "listens", r->listens, "took_ms", (json_int_t)r->took_ms,
                     "left_out", (json_int_t)r->left_out, "killed", (int)r->killed);
}

int trial_main(int argc, char **argv)
{
    struct builder_trial_result r;
    struct error err = ERROR_INIT;
    CLEANUP_FREE char *text = NULL;
    json_auto_t *o = NULL;
    int result;

    (void)argc;
    (void)argv;
    (void)umask(0);
    result = try_image(&r, &err);
    o = write_result(result, &r, &err);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text || fs_write_all(STDOUT_FILENO, text, strlen(text), &err) < 0)
        return 1;
    return result == 0 && r.end != BUILDER_TRIAL_ANSWERED ? TRIAL_UNWELL : 0;
}
