/* worker/reuse — a build whose inputs are those of an earlier one gets that one's image.
 *
 * The inputs are all that decides an image here: the files that COPY sees, the Dockerfile with what
 * was added to it, the build arguments, whether it is to be slim, the bases by their digests, this
 * program's version, whose next one may build differently, whether it was started to see that it
 * comes up, and what labels tell of where the files are from (labels.c): commit and repository.
 * Those two are inputs although no RUN sees them: an image that is said to be of commit B must not
 * be labelled A, and whoever builds a commit wants to find it by its label. So a commit that
 * changes nothing the build sees is built again; its label is what changed.  When an image was
 * created is no input: a reused image was made when it says, and no two builds would be alike.
 * What a RUN fetches is not among them either, as in every cache of steps: to have it anew, change
 * an argument or the Dockerfile.  But an ADD of an address means what is there now, so with one
 * nothing is reused whole. */
#include <string.h>

#include "base/digest.h"
#include "dockerfile/dockerfile.h"
#include "worker/steps.h"

/* The length first, so that no two lists of words add the same bytes. */
static void add_word(struct sha256 *hash, const char *word)
{
    const uint64_t len = strlen(word);

    sha256_add(hash, &len, sizeof(len));
    sha256_add(hash, word, len);
}

static void add_words(struct sha256 *hash, const struct argv *words)
{
    const uint64_t n = words->n;

    sha256_add(hash, &n, sizeof(n));
    for (size_t i = 0; i < words->n; i++)
        add_word(hash, words->v[i]);
}

/* *ret_known false: one of them is not, and nothing is reused. */
static int add_bases(struct run *r, struct sha256 *hash, bool *ret_known, struct error *err)
{
    static const char *const nothing[] = {NULL};
    CLEANUP(argv_release) struct argv images = ARGV_INIT;

    *ret_known = true;
    if (dockerfile_images(r->dockerfile, &r->build_args, &images, err) < 0)
        return -1;
    for (size_t i = 0; i < images.n && *ret_known; i++) {
        CLEANUP(builder_base_release) struct builder_base base = {.program = NULL};

        if (builder_base_find(r->job, images.v[i], nothing, ret_known, &base, err) < 0)
            return -1;
        add_word(hash, images.v[i]);
        add_word(hash, base.digest);
    }
    return 0;
}

/* "" in ret: they are not all known. */
static int digest_inputs(struct run *r, char ret[SHA256_HEX], struct error *err)
{
    CLEANUP(sha256_freep) struct sha256 *hash = NULL;
    unsigned char digest[SHA256_SIZE];
    bool known;

    ret[0] = '\0';
    if (r->build.no_cache || !r->plan.context[0] || dockerfile_adds_from_web(r->dockerfile))
        return 0;
    if (sha256_new(&hash, err) < 0)
        return -1;
    add_word(hash, r->config->program);
    add_word(hash, r->plan.context);
    add_word(hash, buf_str(&r->dockerfile_text));
    add_words(hash, &r->build_args);
    if (probe_port(r)) /* what was built when nobody looked is built, and started, anew */
        add_word(hash, "starts");
    add_word(hash, run_is_slim(r) ? "slim" : "whole");
    add_word(hash, r->revision);
    add_word(hash, r->source.url);
    if (add_bases(r, hash, &known, err) < 0)
        return -1;
    sha256_end(hash, digest);
    if (known)
        digest_hex(digest, sizeof(digest), ret);
    return 0;
}

/* The registry may have lost it, or a part of it; then it is built anew. */
static int tag_for_this(struct run *r, const char *digest, struct error *err)
{
    const struct registry registry = run_registry(r);
    CLEANUP(registry_manifest_release) struct registry_manifest manifest = {.size = 0};
    CLEANUP(buf_release) struct buf missing = BUF_INIT(1024);
    char repository[3 * NAME_SIZE];

    pipeline_repository(&r->build, repository);
    if (registry_read_back(&registry, repository, digest, &manifest, &missing, err) < 0) {
        if (err->kind != ERR_REMOTE)
            return -1;
        buf_adds(&missing, err->msg);
        *err = (struct error)ERROR_INIT;
    }
    if (missing.len > 0) {
        run_log(r->config, &r->build, "build %s: the image of an identical build is not reused: %s",
                r->build.id, buf_str(&missing));
        return 0;
    }
    plain_log_begin(&r->plain_log, "[internal] reuse an identical image build");
    if (registry_tag(&registry, repository, &manifest, r->build.tag, err) < 0)
        return -1;
    (void)snprintf(r->digest, sizeof(r->digest), "%s", digest);
    r->reused = true;
    journal_addf(&r->journal, LOG_INFO,
                 "#%d the same files, Dockerfile, arguments and bases were built before",
                 r->plain_log.number);
    return 0;
}

int step_reuse(struct run *r, struct error *err)
{
    const struct target t = {r->build.workspace, r->build.type, r->build.name};
    char inputs[SHA256_HEX], digest[DIGEST_SIZE];
    enum presence presence;

    if (digest_inputs(r, inputs, err) < 0)
        return -1;
    if (state_build_find_identical(r->config->state, &t, r->build.id, inputs, &presence, digest,
                                   err) < 0)
        return -1;
    return presence == PRESENT ? tag_for_this(r, digest, err) : 0;
}
