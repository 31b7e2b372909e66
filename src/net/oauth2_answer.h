/* oauth2_answer: the answer of a token server (RFC 6749 section 5), read without trust. */
#ifndef NET_OAUTH2_ANSWER_H
#define NET_OAUTH2_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct oauth2_token {         /* zeroed is valid */
    struct buf authorization; /* "Bearer x" */
    uint64_t life_ms;         /* 0: it does not end */
};

/* `forms`: an answer may be a form, if its content type says so. ERR_AUTH with the words of the server for a refusal.
 */
enum err oauth2_answer_parse(int status, struct str content_type, struct str body, bool forms, struct oauth2_token *out,
                             struct diag *d) MUST_USE;
void oauth2_token_release(struct oauth2_token *g);

#endif
