/* What the API's tests stand on: a state in memory or on a server, a real upload store in a
 * directory of its own, a clock that is turned by hand, and a registry that notes what it is asked
 * to delete. */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "api/call.h"
#include "tests/postgres/database.h"

#define HOST "kiln.test:8080"

struct reply {
    struct api_response resp;
    int status;
    json_t *json; /* NULL: the body is not JSON */
    const char *text;
    struct reply *next;
};

struct fixture {
    char dir[64];
    char database[DATABASE_URL]; /* the state's, where that is on a server */
    _Atomic int64_t now;         /* servers' threads read it, too */
    struct clock clock;
    struct http http;
    struct registry registry;
    struct argv deleted; /* URLs the registry was asked to delete */
    bool registry_down;
    unsigned char upload_key[UPLOAD_KEY_SIZE];
    struct api_config config;
    struct places places; /* templates and volumes, in dir */
    char templates[96], volumes[96];
    char key[API_KEY_TEXT];       /* of workspace "acme" */
    char other_key[API_KEY_TEXT]; /* of workspace "globex" */
    char authorization[80];
    const char
        *headers[API_HEADERS]; /* of the next request; a key of acme and the newest version */
    char credentials_dir[64];  /* in memory; made when there are some */
    struct reply *replies;
    json_t *description; /* what GET /v0/openapi.json answers */
    struct buf log;      /* the operator's, a line each */
    pthread_mutex_t log_lock;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* One request through api_handle.  The reply lives until teardown, and is as f->description says,
 * or the test fails. */
struct reply *ask(struct fixture *f, const char *method, const char *target, const char *body);
struct reply *ask_as(struct fixture *f, const char *key, const char *method, const char *target,
                     const char *body);

/* The member at "metadata.labels.x" or "data.0.status"; NULL if absent. */
json_t *at(const struct reply *r, const char *path);
const char *text_at(const struct reply *r, const char *path);

/* The target of the reply's upload URL: "/uploads/…". */
const char *upload_target(const struct reply *r);
/* The build's id in it, in a buffer of BUILD_ID. */
void upload_id(const struct reply *r, char id[BUILD_ID]);

/* The worker's part: takes the one queued build and begins it; writes a line to its log; ends it.
 */
struct build claim(struct fixture *f);
void say(struct fixture *f, const struct build *b, enum log_severity severity, const char *text);
void succeed(struct fixture *f, const struct build *b);
void succeed_as(struct fixture *f, const struct build *b, const char *image); /* no image */
void break_build(struct fixture *f, const struct build *b, const char *message);

void assert_error(const struct reply *r, int status, const char *code);
size_t archives(const struct fixture *f); /* files in the upload store, at any depth */

static inline struct fixture *fixture_of(void **state)
{
    return *state;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
