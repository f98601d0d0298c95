/* A started server and raw sockets to it: requests as the bytes a client sends. */
#ifndef TESTS_API_WIRE_H
#define TESTS_API_WIRE_H

#include "api/server.h"
#include "fixture.h"

struct wire {
    struct fixture *f; /* first: fixture_of does not apply, wire_of does */
    struct api_server *server;
    char host[32]; /* "127.0.0.1:12345" */
};

/* Limits short enough to wait for: 1 s idle, 8 connections, 1 s for a slow body, 1 s to stop. */
int wire_setup(void **state);
/* Times of a minute instead: for tests that pause themselves, on a busy machine perhaps for long.
 */
int wire_setup_patient(void **state);
/* As the first, but logs that are followed keep their connections' threads. */
int wire_setup_held(void **state);
int wire_teardown(void **state);

static inline struct wire *wire_of(void **state)
{
    return *state;
}

int wire_connect(struct wire *w);
/* False when the server has closed. */
bool wire_send(int fd, const void *data, size_t len);
bool wire_sends(int fd, const char *text);

/* Reads until the server closes or seconds have passed; closes fd. */
#define ANSWER_MAX 65536
void wire_read_all(int fd, int seconds, char answer[ANSWER_MAX]);
/* Reads one answer with its body (by its Content-Length); the connection stays. */
void wire_read_one(int fd, char answer[ANSWER_MAX]);
int wire_status(const char *answer); /* 0: there is none */

/* Sends the request, then half-closes nothing: reads one answer, closes. */
int wire_exchange(struct wire *w, const char *request, char answer[ANSWER_MAX]);

/* POST /v0/images for the name; the upload target into target. */
void wire_announce(struct wire *w, const char *name, char target[512]);
/* metadata.status of the image, asked in memory. */
const char *wire_image_status(struct wire *w, const char *name);

#define WIRE_TEST(name)    cmocka_unit_test_setup_teardown(name, wire_setup, wire_teardown)
#define PATIENT_TEST(name) cmocka_unit_test_setup_teardown(name, wire_setup_patient, wire_teardown)

#endif
