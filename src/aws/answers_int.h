/* answers: what the sources of credentials answer, read. Pure; untrusted bytes; strings are views into the arena or the
 * body. No message repeats what an answer says in place of a key.
 */
#ifndef AWS_ANSWERS_INT_H
#define AWS_ANSWERS_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct answer_keys {
    struct str access_key, secret_key, session_token, account;
    int64_t expires_ms; /* INT64_MAX: never */
};

/* The container endpoint and instance metadata: {AccessKeyId, SecretAccessKey, Token, Expiration}. */
enum err answer_metadata(struct str body, struct arena *a, struct answer_keys *out, struct diag *d) MUST_USE;
/* The same places' errors: "code: message", or empty. */
struct str answer_metadata_error(struct str body, struct arena *a);
/* A credential_process: {Version: 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration}. */
enum err answer_process(struct str body, struct arena *a, struct answer_keys *out, struct diag *d) MUST_USE;
/* SSO: {roleCredentials: {accessKeyId, secretAccessKey, sessionToken, expiration}}. */
enum err answer_sso_keys(struct str body, struct arena *a, struct answer_keys *out, struct diag *d) MUST_USE;
/* STS AssumeRole and AssumeRoleWithWebIdentity (XML). */
enum err answer_sts(struct str body, struct arena *a, struct answer_keys *out, struct diag *d) MUST_USE;
/* Task metadata: the region in the task's ARN. */
enum err answer_task_region(struct str body, struct arena *a, struct str *region, struct diag *d) MUST_USE;

/* The file that `aws sso login` leaves, and its renewal. */
struct sso_token {
    struct str access_token, refresh_token, client_id, client_secret;
    int64_t expires_ms, registration_expires_ms; /* 0: not said */
    struct node *tree;                           /* the whole file, so that what we do not know is kept */
};
enum err answer_sso_file(struct str text, struct arena *a, struct sso_token *out, struct diag *d) MUST_USE;
/* The answer of CreateToken into a token read before, and into its tree. */
enum err answer_sso_renewed(struct str body, int64_t now_ms, struct arena *a, struct sso_token *token,
                            struct diag *d) MUST_USE;

/* Shared by the readers: every key is there and can stand in a header field. `what` begins the message. */
enum err answer_keys_check(const struct answer_keys *k, const char *what, struct diag *d) MUST_USE;
bool answer_is_printable(struct str s); /* without white space, and not too long for a header field */
/* A stranger's words on their way into a message: one line, of ordinary length. */
struct str answer_words(struct arena *a, struct str s);

#endif
