/* ask: one HTTP question at start or from a command, waiting for the answer on a loop of its own. Blocking. */
#ifndef RUN_ASK_H
#define RUN_ASK_H

#include "base/buf.h"
#include "base/err.h"

/* GET; *status is the answer's. insecure: any certificate will do. */
enum err ask_get(struct str url, bool insecure, uint32_t timeout_ms, int *status, struct buf *body,
                 struct diag *d) MUST_USE;
/* The same of a server on a Unix socket; its answer's body is not wanted. */
enum err ask_get_unix(struct str socket_path, const char *path, uint32_t timeout_ms, int *status,
                      struct diag *d) MUST_USE;

#endif
