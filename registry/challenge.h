/* registry/challenge — what a WWW-Authenticate header asks for (RFC 9110 section 11.6.1). */
#ifndef REGISTRY_CHALLENGE_H
#define REGISTRY_CHALLENGE_H

struct registry_challenge {
    enum {
        REGISTRY_CHALLENGE_NONE, /* nothing that is understood */
        REGISTRY_CHALLENGE_BASIC,
        REGISTRY_CHALLENGE_BEARER,
    } kind;
    char realm[2048], service[512], scope[2048]; /* of BEARER; "" */
};

/* Reads one challenge, which comes from outside; ret is left alone unless it is understood. */
void registry_challenge_read(const char *text, struct registry_challenge *ret);

#endif
