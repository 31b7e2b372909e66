/* jwt: the assertion of the JWT bearer grant (RFC 7519, RFC 7523 section 3), signed by RSA with PKCS #1 v1.5 (RFC 7518
 * section 3.3). Pure, any thread. */
#ifndef NET_JWT_H
#define NET_JWT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/http_options.h"

/* Appends header.claims.signature. `key_pem` is an RSA private key without a passphrase. The claims of the options win
 * over those that are made here. */
enum err jwt_sign(const struct oauth2_options *o, struct str key_pem, int64_t now_s, struct buf *out,
                  struct diag *d) MUST_USE;

#endif
