/* api/tls — the server's certificate and its key, by GnuTLS, which only tls.c knows.
 *
 * What was read of the two files is a pair that does not change.  A connection holds the pair that
 * it began with, so the files may be read again while connections are open. */
#ifndef API_TLS_H
#define API_TLS_H

#include "api/api.h"

struct tls;
struct tls_pair;

/* TLS 1.3 and 1.2, and of the latter only what has forward secrecy and authenticates what it
 * encrypts (RFC 9325, 4.2). */
extern const char tls_priorities[];

/* Reads both files.  ERR_INPUT names the key of the configuration and the file. */
MUST_CHECK int tls_new(const char *certificate, const char *key, struct tls **ret,
                       struct error *err);
void tls_free(struct tls *t);

/* Reads the files again where they are not what they were, or always: new connections have what
 * they say from then on.  -1: these go on with what was read before, and the same files are only
 * tried again with always. */
MUST_CHECK int tls_reload(struct tls *t, bool always, bool *ret_renewed, struct error *err);

/* When the newest certificate ends, ns since 1970. */
int64_t tls_ends(struct tls *t);

/* The newest pair; NULL: there is no TLS (t may be NULL). */
struct tls_pair *tls_hold(struct tls *t);
void tls_release(struct tls_pair *p);
/* Before the handshake of that gnutls_session_t. */
void tls_serve(struct tls_pair *p, void *session);
/* libmicrohttpd wants a gnutls_certificate_retrieve_function3 where it has no certificate of its
 * own: this one has none either. */
typedef void tls_callback(void);
tls_callback *tls_no_certificate(void);
/* Tells the client that nothing follows. */
void tls_bye(void *session);

#endif
