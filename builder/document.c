/* builder/document — see the header.  Writer and reader go through the members in the same
 * order; a member that says nothing is left out. */
#include "builder/document.h"

#include <string.h>

/* ---- writing ---- */

static void put_text(json_t *o, const char *key, const char *value)
{
    if (value)
        json_object_set_new(o, key, json_stringn_nocheck(value, strlen(value)));
}

static void put_number(json_t *o, const char *key, int64_t value)
{
    json_object_set_new(o, key, json_integer(value));
}

static void put_index(json_t *o, const char *key, size_t value)
{
    if (value != BUILDER_NO_STAGE)
        json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void put_bool(json_t *o, const char *key, bool value)
{
    if (value)
        json_object_set_new(o, key, json_true());
}

static void put_words(json_t *o, const char *key, const struct argv *words)
{
    json_t *a = json_array();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(a, json_stringn_nocheck(words->v[i], strlen(words->v[i])));
    json_object_set_new(o, key, a);
}

static void put_origin(json_t *o, const struct builder_origin *from)
{
    put_index(o, "from_stage", from->stage);
    put_text(o, "from_image", from->image);
}

static json_t *write_mount(const struct builder_mount *m)
{
    json_t *o = json_object();

    put_number(o, "type", m->type);
    put_origin(o, &m->from);
    put_text(o, "source", m->source);
    put_text(o, "target", m->target);
    put_text(o, "id", m->id);
    put_text(o, "env", m->env);
    put_text(o, "sharing", m->sharing);
    put_bool(o, "read_only", m->read_only);
    put_bool(o, "required", m->required);
    put_number(o, "mode", m->mode);
    put_number(o, "uid", m->uid);
    put_number(o, "gid", m->gid);
    put_number(o, "size", m->size);
    return o;
}

static void put_mounts(json_t *o, const struct builder_step *s)
{
    json_t *a = json_array();

    for (size_t i = 0; i < s->n_mounts; i++)
        json_array_append_new(a, write_mount(&s->mounts[i]));
    json_object_set_new(o, "mounts", a);
}

static void put_files(json_t *o, const struct builder_step *s)
{
    json_t *a = json_array();

    for (size_t i = 0; i < s->n_files; i++) {
        json_t *file = json_object();

        put_text(file, "name", s->files[i].name);
        put_text(file, "content", s->files[i].content);
        json_array_append_new(a, file);
    }
    json_object_set_new(o, "files", a);
}

static json_t *write_step(const struct builder_step *s)
{
    json_t *o = json_object();

    put_number(o, "kind", s->kind);
    put_text(o, "title", s->title);
    put_text(o, "history", s->history);
    put_text(o, "user", s->user);
    put_text(o, "working_dir", s->working_dir);
    put_words(o, "argv", &s->argv);
    put_words(o, "env", &s->env);
    put_text(o, "script", s->script);
    put_mounts(o, s);
    put_bool(o, "no_network", s->no_network);
    put_origin(o, &s->from);
    put_words(o, "words", &s->words);
    put_files(o, s);
    put_words(o, "exclude", &s->exclude);
    put_text(o, "chown", s->chown);
    put_text(o, "chmod", s->chmod);
    put_text(o, "checksum", s->checksum);
    put_bool(o, "add", s->add);
    put_bool(o, "keep_git_dir", s->keep_git_dir);
    put_bool(o, "keep_archives", s->keep_archives);
    put_bool(o, "unpack", s->unpack);
    put_bool(o, "parents", s->parents);
    put_bool(o, "link", s->link);
    return o;
}

static json_t *write_stage(const struct builder_stage *s)
{
    json_t *o = json_object();
    json_t *steps = json_array();

    put_text(o, "name", s->name);
    put_origin(o, &s->base);
    put_bool(o, "needed", s->needed);
    for (size_t i = 0; i < s->n_steps; i++)
        json_array_append_new(steps, write_step(&s->steps[i]));
    json_object_set_new(o, "steps", steps);
    return o;
}

static json_t *write_image(const struct document_image *image)
{
    json_t *o = json_object();
    json_t *layers = json_array();

    put_text(o, "name", image->name);
    put_text(o, "config", image->config);
    put_text(o, "digest", image->digest);
    for (size_t i = 0; i < image->n_layers; i++) {
        const struct bases_layer *l = &image->layers[i];
        json_t *layer = json_object();

        put_text(layer, "id", l->id);
        put_text(layer, "diff_id", l->diff_id);
        put_text(layer, "digest", l->digest);
        put_number(layer, "size", (int64_t)l->size);
        json_array_append_new(layers, layer);
    }
    json_object_set_new(o, "layers", layers);
    return o;
}

static json_t *write_secrets(const struct builder_program *p)
{
    json_t *a = json_array();

    for (size_t i = 0; i < p->n_secrets; i++) {
        json_t *o = json_object();

        put_text(o, "id", p->secrets[i].id);
        put_text(o, "content", p->secrets[i].content);
        json_array_append_new(a, o);
    }
    return a;
}

static int dump_to(const char *text, size_t len, void *self)
{
    buf_add(self, text, len);
    return 0;
}

int document_write(const struct document *d, struct buf *out, struct error *err)
{
    const struct builder_program *p = &d->program;
    json_auto_t *root = json_object();
    json_t *stages = json_array();
    json_t *images = json_array();

    for (size_t i = 0; i < p->n_stages; i++)
        json_array_append_new(stages, write_stage(&p->stages[i]));
    for (size_t i = 0; i < d->n_images; i++)
        json_array_append_new(images, write_image(&d->images[i]));
    json_object_set_new(root, "stages", stages);
    json_object_set_new(root, "images", images);
    json_object_set_new(root, "secrets", write_secrets(p));
    put_index(root, "target", p->target);
    put_text(root, "config", p->config);
    put_text(root, "author", p->author);
    put_text(root, "os", p->os);
    put_text(root, "architecture", p->architecture);
    put_text(root, "name", p->name);
    put_number(root, "epoch", p->epoch);
    put_bool(root, "packages", p->packages);
    put_bool(root, "slim", p->slim);
    put_bool(root, "no_cache", p->no_cache);
    put_bool(root, "userxattr", d->userxattr);
    put_bool(root, "no_egress", d->no_egress);
    put_number(root, "disk_max", (int64_t)d->disk_max);
    put_number(root, "git_max", (int64_t)d->git_max);
    put_number(root, "threads", d->threads);
    if (!root || json_dump_callback(root, dump_to, out, JSON_COMPACT) < 0)
        return error_set(err, ERR_SYSTEM, "write the build's program: out of memory");
    return buf_check(out, "the build's program", err);
}

/* ---- reading ---- */

struct reader {
    bool failed; /* out of memory, or a list without its words */
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *value = json_string_value(json_object_get(o, key));

    return value ? value : "";
}

static int64_t number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static size_t index_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_integer(v) ? (size_t)json_integer_value(v) : BUILDER_NO_STAGE;
}

static bool bool_of(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static void *list_of(struct reader *r, const json_t *o, const char *key, size_t size, size_t *ret_n)
{
    size_t n = json_array_size(json_object_get(o, key));
    void *list = calloc(n + 1, size);

    r->failed |= !list;
    *ret_n = list ? n : 0;
    return list;
}

static const json_t *item(const json_t *o, const char *key, size_t i)
{
    return json_array_get(json_object_get(o, key), i);
}

static void read_words(struct reader *r, const json_t *o, const char *key, struct argv *ret)
{
    const json_t *word;
    size_t i;

    json_array_foreach (json_object_get(o, key), i, word)
        argv_push1(ret, json_is_string(word) ? json_string_value(word) : "");
    r->failed |= ret->failed;
}

static struct builder_origin read_origin(const json_t *o)
{
    return (struct builder_origin){index_of(o, "from_stage"), text_of(o, "from_image")};
}

static void read_mount(const json_t *o, struct builder_mount *ret)
{
    *ret = (struct builder_mount){
        .type = (enum builder_mount_type)number_of(o, "type"),
        .from = read_origin(o),
        .source = text_of(o, "source"),
        .target = text_of(o, "target"),
        .id = text_of(o, "id"),
        .env = text_of(o, "env"),
        .sharing = text_of(o, "sharing"),
        .read_only = bool_of(o, "read_only"),
        .required = bool_of(o, "required"),
        .mode = number_of(o, "mode"),
        .uid = number_of(o, "uid"),
        .gid = number_of(o, "gid"),
        .size = number_of(o, "size"),
    };
}

static const char *text_or_null(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void read_step(struct reader *r, const json_t *o, struct builder_step *ret)
{
    *ret = (struct builder_step){
        .kind = (enum builder_step_kind)number_of(o, "kind"),
        .title = text_of(o, "title"),
        .history = text_or_null(o, "history"),
        .user = text_of(o, "user"),
        .working_dir = text_of(o, "working_dir"),
        .script = text_or_null(o, "script"),
        .no_network = bool_of(o, "no_network"),
        .from = read_origin(o),
        .chown = text_of(o, "chown"),
        .chmod = text_of(o, "chmod"),
        .checksum = text_of(o, "checksum"),
        .add = bool_of(o, "add"),
        .keep_git_dir = bool_of(o, "keep_git_dir"),
        .keep_archives = bool_of(o, "keep_archives"),
        .unpack = bool_of(o, "unpack"),
        .parents = bool_of(o, "parents"),
        .link = bool_of(o, "link"),
    };
    read_words(r, o, "argv", &ret->argv);
    read_words(r, o, "env", &ret->env);
    read_words(r, o, "words", &ret->words);
    read_words(r, o, "exclude", &ret->exclude);
    ret->mounts = list_of(r, o, "mounts", sizeof(*ret->mounts), &ret->n_mounts);
    for (size_t i = 0; i < ret->n_mounts; i++)
        read_mount(item(o, "mounts", i), &ret->mounts[i]);
    ret->files = list_of(r, o, "files", sizeof(*ret->files), &ret->n_files);
    for (size_t i = 0; i < ret->n_files; i++)
        ret->files[i] = (struct builder_file){text_of(item(o, "files", i), "name"),
                                              text_of(item(o, "files", i), "content")};
}

static void read_stage(struct reader *r, const json_t *o, struct builder_stage *ret)
{
    *ret = (struct builder_stage){
        .name = text_of(o, "name"), .base = read_origin(o), .needed = bool_of(o, "needed")};
    ret->steps = list_of(r, o, "steps", sizeof(*ret->steps), &ret->n_steps);
    for (size_t i = 0; i < ret->n_steps; i++)
        read_step(r, item(o, "steps", i), &ret->steps[i]);
}

static void read_image(struct reader *r, const json_t *o, struct document_image *ret)
{
    *ret = (struct document_image){
        .name = text_of(o, "name"), .config = text_of(o, "config"), .digest = text_of(o, "digest")};
    ret->layers = list_of(r, o, "layers", sizeof(*ret->layers), &ret->n_layers);
    for (size_t i = 0; i < ret->n_layers; i++) {
        const json_t *l = item(o, "layers", i);
        struct bases_layer *layer = &ret->layers[i];

        (void)snprintf(layer->id, sizeof(layer->id), "%s", text_of(l, "id"));
        (void)snprintf(layer->diff_id, sizeof(layer->diff_id), "%s", text_of(l, "diff_id"));
        (void)snprintf(layer->digest, sizeof(layer->digest), "%s", text_of(l, "digest"));
        layer->size = (uint64_t)number_of(l, "size");
    }
}

/* Stages come after what they are made from, so no walk over them can go in circles. */
static bool is_in_order(const struct builder_program *p)
{
    if (p->target >= p->n_stages)
        return false;
    for (size_t i = 0; i < p->n_stages; i++) {
        const struct builder_stage *s = &p->stages[i];

        if (s->base.stage != BUILDER_NO_STAGE && s->base.stage >= i)
            return false;
        for (size_t k = 0; k < s->n_steps; k++) {
            if (s->steps[k].from.stage != BUILDER_NO_STAGE && s->steps[k].from.stage >= i)
                return false;
            for (size_t m = 0; m < s->steps[k].n_mounts; m++)
                if (s->steps[k].mounts[m].from.stage != BUILDER_NO_STAGE &&
                    s->steps[k].mounts[m].from.stage >= i)
                    return false;
        }
    }
    return true;
}

static void read_document(struct reader *r, struct document *d)
{
    struct builder_program *p = &d->program;
    const json_t *root = d->root;

    p->stages = list_of(r, root, "stages", sizeof(*p->stages), &p->n_stages);
    for (size_t i = 0; i < p->n_stages; i++)
        read_stage(r, item(root, "stages", i), &p->stages[i]);
    d->images = list_of(r, root, "images", sizeof(*d->images), &d->n_images);
    for (size_t i = 0; i < d->n_images; i++)
        read_image(r, item(root, "images", i), &d->images[i]);
    p->secrets = list_of(r, root, "secrets", sizeof(*p->secrets), &p->n_secrets);
    for (size_t i = 0; i < p->n_secrets; i++)
        p->secrets[i] = (struct builder_secret){text_of(item(root, "secrets", i), "id"),
                                                text_of(item(root, "secrets", i), "content")};
    p->target = index_of(root, "target");
    p->config = text_of(root, "config");
    p->author = text_of(root, "author");
    p->os = text_of(root, "os");
    p->architecture = text_of(root, "architecture");
    p->name = text_of(root, "name");
    p->epoch = number_of(root, "epoch");
    p->packages = bool_of(root, "packages");
    p->slim = bool_of(root, "slim");
    p->no_cache = bool_of(root, "no_cache");
    d->userxattr = bool_of(root, "userxattr");
    d->no_egress = bool_of(root, "no_egress");
    d->disk_max = (uint64_t)number_of(root, "disk_max");
    d->git_max = (uint64_t)number_of(root, "git_max");
    d->threads = (int)number_of(root, "threads");
}

int document_read(const char *text, size_t len, struct document *ret, struct error *err)
{
    struct reader r = {.failed = false};

    *ret = (struct document){.root = json_loadb(text, len, JSON_DISABLE_EOF_CHECK, NULL)};
    if (!ret->root)
        return error_set(err, ERR_SYSTEM, "read the build's program: it is no JSON");
    read_document(&r, ret);
    if (r.failed)
        return error_set(err, ERR_SYSTEM, "read the build's program: out of memory");
    if (!is_in_order(&ret->program))
        return error_set(err, ERR_SYSTEM, "read the build's program: its stages are not in order");
    return 0;
}

static void release_stage(struct builder_stage *s)
{
    for (size_t i = 0; s->steps && i < s->n_steps; i++) {
        argv_release(&s->steps[i].argv);
        argv_release(&s->steps[i].env);
        argv_release(&s->steps[i].words);
        argv_release(&s->steps[i].exclude);
        free(s->steps[i].mounts);
        free(s->steps[i].files);
    }
    free(s->steps);
}

void builder_program_release(struct builder_program *p)
{
    for (size_t i = 0; p->stages && i < p->n_stages; i++)
        release_stage(&p->stages[i]);
    free(p->stages);
    free(p->secrets);
    *p = (struct builder_program){.stages = NULL};
}

void document_release(struct document *d)
{
    builder_program_release(&d->program);
    for (size_t i = 0; i < d->n_images; i++)
        free(d->images[i].layers);
    free(d->images);
    json_decref(d->root);
    *d = (struct document){.root = NULL};
}

const struct document_image *document_find_image(const struct document *d, const char *name)
{
    for (size_t i = 0; i < d->n_images; i++)
        if (strcmp(d->images[i].name, name) == 0)
            return &d->images[i];
    return NULL;
}
