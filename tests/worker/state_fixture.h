/* tests/worker/state_fixture — a state with a clock that tests set, in memory or in a file. */
#ifndef TESTS_WORKER_STATE_FIXTURE_H
#define TESTS_WORKER_STATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

#include "tests/postgres/database.h"
#include "worker/state.h"

#define WORKSPACE    "acme"
#define START        (INT64_C(1800000000) * NS_PER_SEC)
#define LEASE        (30 * NS_PER_SEC)
#define UPLOAD_TIME  (900 * NS_PER_SEC)
#define ATTEMPTS_MAX 3

struct fixture {
    char dir[32]; /* of files; "" for a state in memory or on a server */
    bool remote;  /* on a server, which is then where both kinds are */
    char path[DATABASE_URL];
    _Atomic int64_t now;
    struct clock clock;
    struct state *s;
    struct error err;
    pid_t pid; /* of the test itself */
};

/* Setup and teardown.  *state becomes a struct fixture with the workspace acme in it. */
int fixture_in_memory(void **state);
int fixture_in_file(void **state);
int fixture_release(void **state);

/* The same test on both kinds. */
#define STATE_TEST(f)                                                                              \
    {#f " (memory)", f, fixture_in_memory, fixture_release, NULL},                                 \
    {                                                                                              \
#f " (file)", f, fixture_in_file, fixture_release, NULL                                    \
    }
#define FILE_TEST(f)                                                                               \
    {                                                                                              \
#f, f, fixture_in_file, fixture_release, NULL                                              \
    }

/* Of what is said of files alone: on a server it is skipped. */
void only_on_a_file(const struct fixture *f);

/* One more connection to the fixture's file, as another process or another thread would have. */
struct state *fixture_open(struct fixture *f);
/* A process must not inherit a connection: close before fork, open again in the parent. */
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);
/* Closed, with an empty database instead of the one that was. */
void fixture_renew(struct fixture *f);
/* Waits for a child and asserts that it exited with 0. */
void assert_child_succeeds(pid_t pid);

/* Fails the test with the error's text where -1 was returned. */
void must_at(struct fixture *f, int rc, const char *file, int line);
#define MUST(f, rc) must_at((f), (rc), __FILE__, __LINE__)

static inline void pass_time(struct fixture *f, int64_t ns)
{
    f->now += ns;
}

/* A sandbox of acme's. */
struct target sandbox(const char *name);

/* The usual ways to come to a build. */
struct build begin_build(struct fixture *f, const char *name, enum build_purpose purpose);
enum upload_outcome accept_upload(struct fixture *f, const struct build *b);
struct build queue_build(struct fixture *f, const char *name); /* begun and accepted */
struct build load_build(struct fixture *f, const char *id);
enum build_phase phase_of(struct fixture *f, const struct build *b);

/* False when there is nothing to claim. */
bool claim_build(struct fixture *f, const char *worker, struct build *ret);
struct build must_claim(struct fixture *f, const char *worker);

/* Ends a try with a digest, or a failure of that kind. */
struct ending {
    enum lease_verdict verdict;
    enum build_phase phase;
};
struct ending finish_build(struct fixture *f, const struct build *b, const char *worker,
                           enum error_kind kind);
#define DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000001"

#endif
