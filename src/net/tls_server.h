/* tls_server: what a TLS connection of ours is set up with: certificate, versions, ciphers, and whom it lets in. Made
 * from a web_config, immutable, counted: a connection keeps the one that it began with. One thread.
 */
#ifndef NET_TLS_SERVER_H
#define NET_TLS_SERVER_H

#include "net/web_config.h"

struct tls_server;
struct gnutls_session_int;

/* Reads the files that the configuration names. ERR_TLS, or the file's error; messages show no key. */
enum err tls_server_new(struct web_config *c, struct tls_server **out, struct diag *d) MUST_USE;
struct tls_server *tls_server_ref(struct tls_server *t);
void tls_server_unref(struct tls_server *t);
/* For a session whose handshake has not begun; a reference is the caller's to keep as long as the session lives. */
void tls_server_apply(struct tls_server *t, struct gnutls_session_int *session);
/* PEM, for a library that asks for them at its own start. NUL-terminated; as long as `t`. */
const char *tls_server_cert(const struct tls_server *t);
const char *tls_server_key(const struct tls_server *t);

#endif
