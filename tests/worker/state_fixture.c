#include "tests/worker/state_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/fs.h"

static int64_t fixture_now(void *self)
{
    const struct fixture *f = self;

    return f->now;
}

struct state *fixture_open(struct fixture *f)
{
    const struct state_config config = {.path = f->path,
                                        .clock = &f->clock,
                                        .attempts_max = ATTEMPTS_MAX,
                                        .upload_ns = UPLOAD_TIME};
    struct state *s = NULL;

    MUST(f, state_open(&config, &s, &f->err));
    return s;
}

void fixture_close(struct fixture *f)
{
    state_close(f->s);
    f->s = NULL;
}

void fixture_reopen(struct fixture *f)
{
    f->s = fixture_open(f);
}

void fixture_renew(struct fixture *f)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    fixture_close(f);
    if (f->remote) {
        assert_true(database_drop(f->path));
        assert_true(database_get(f->path));
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        char file[DATABASE_URL + 8];

        (void)snprintf(file, sizeof(file), "%s%s", f->path, suffixes[i]);
        (void)unlink(file);
    }
}

static int fixture_init(void **state, const char *dir, const char *path)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    (void)snprintf(f->dir, sizeof(f->dir), "%s", dir);
    (void)snprintf(f->path, sizeof(f->path), "%s", path);
    f->remote = database_is_remote();
    if (f->remote && !database_get(f->path))
        return -1;
    f->now = START;
    f->pid = getpid();
    f->clock = (struct clock){fixture_now, f};
    *state = f;
    fixture_reopen(f);
    MUST(f, state_workspace_ensure(f->s, WORKSPACE, &f->err));
    return 0;
}

int fixture_in_memory(void **state)
{
    return fixture_init(state, "", ":memory:");
}

int fixture_in_file(void **state)
{
    char dir[] = "/tmp/kiln-state-XXXXXX";
    char path[64];

    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/kiln.db", dir);
    return fixture_init(state, dir, path);
}

int fixture_release(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    int rc = 0;

    fixture_close(f);
    if (f->remote)
        database_leave(f->path);
    if (f->dir[0])
        rc |= fs_remove_tree(AT_FDCWD, f->dir, &err);
    free(f);
    return rc;
}

void only_on_a_file(const struct fixture *f)
{
    if (f->remote)
        skip();
}

void assert_child_succeeds(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

void must_at(struct fixture *f, int rc, const char *file, int line)
{
    if (rc == 0)
        return;
    print_error("%s\n", f->err.msg);
    if (getpid() != f->pid) /* in a child, which must not run the rest of the tests */
        _exit(1);
    _fail(file, line);
}

struct target sandbox(const char *name)
{
    return (struct target){WORKSPACE, "sandbox", name};
}

struct build begin_build(struct fixture *f, const char *name, enum build_purpose purpose)
{
    const struct target t = sandbox(name);
    struct build b = {.created = 0};

    MUST(f, state_build_begin(f->s, &t, purpose, &b, &f->err));
    return b;
}

enum upload_outcome accept_upload(struct fixture *f, const struct build *b)
{
    enum upload_outcome outcome = UPLOAD_UNKNOWN;
    char archive[96];

    (void)snprintf(archive, sizeof(archive), "%s.zip", b->id);
    MUST(f, state_upload_accept(f->s, b->workspace, b->id, archive, 1000, &outcome, &f->err));
    return outcome;
}

struct build load_build(struct fixture *f, const char *id)
{
    struct build b = {.created = 0};
    enum presence presence = ABSENT;

    MUST(f, state_build_get(f->s, id, &presence, &b, &f->err));
    assert_int_equal(presence, PRESENT);
    return b;
}

enum build_phase phase_of(struct fixture *f, const struct build *b)
{
    return load_build(f, b->id).phase;
}

struct build queue_build(struct fixture *f, const char *name)
{
    struct build b = begin_build(f, name, BUILD_FOR_IMAGE);

    assert_int_equal(accept_upload(f, &b), UPLOAD_ACCEPTED);
    return load_build(f, b.id);
}

bool claim_build(struct fixture *f, const char *worker, struct build *ret)
{
    enum presence presence = ABSENT;

    MUST(f, state_claim(f->s, worker, LEASE, &presence, ret, &f->err));
    return presence == PRESENT;
}

struct build must_claim(struct fixture *f, const char *worker)
{
    struct build b = {.created = 0};

    assert_true(claim_build(f, worker, &b));
    return b;
}

struct ending finish_build(struct fixture *f, const struct build *b, const char *worker,
                           enum error_kind kind)
{
    const struct build_result result = {.kind = kind,
                                        .message = kind ? "it went wrong" : NULL,
                                        .digest = kind ? NULL : DIGEST,
                                        .image_size = kind ? 0 : 12345};
    struct ending ending = {LEASE_LOST, BUILD_UPLOADING};

    MUST(f, state_finish(f->s, b->id, worker, &result, &ending.verdict, &ending.phase, &f->err));
    return ending;
}
