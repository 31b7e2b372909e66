/* fetch: doing what a chain says: one search for keys (or for the region), from its first question to its last.
 * Everything on the control loop but reading files and looking up names, which the work pool does.
 *
 *   fetch_new -> fetch_region? -> fetch_keys -> done -> fetch_free
 *
 * A provider (provider_*.c) starts with what the chain says and ends in one call of fetch_got or fetch_fail.
 */
#ifndef AWS_FETCH_INT_H
#define AWS_FETCH_INT_H

#include "aws/answers_int.h"
#include "aws/chain_int.h"
#include "loop/process.h"

struct fetch;

/* Takes over `c` (NULL on failure). Never from inside fetch_region and fetch_keys; it may free the fetch. */
typedef void(fetch_keys_fn)(void *ctx, enum err err, struct aws_credentials *c, const struct diag *d);
typedef void(fetch_region_fn)(void *ctx, enum err err, struct str region, struct str source, const struct diag *d);

/* Everything outlives the fetch. */
struct fetch_from {
    struct aws *aws;
    struct aws_calls *calls;
    const struct aws_config *config;
    const struct chain *chain;
    struct str region; /* for STS; may be empty during fetch_region */
    struct str home;   /* the user's directory; may be empty */
    void *ctx;
};
struct fetch *fetch_new(const struct fetch_from *from);
void fetch_free(struct fetch *f); /* forgets what runs */
void fetch_region(struct fetch *f, fetch_region_fn *done);
void fetch_keys(struct fetch *f, struct str region, fetch_keys_fn *done);

/* ---- for the providers ---- */

enum { FETCH_MAX_ANSWER = 64 * 1024, FETCH_MAX_TOKEN_FILE = 20000 };

typedef void(fetch_answered_fn)(struct fetch *f, const struct http_response *r, struct str body);

struct fetch_question {
    const char *method;
    struct str url, body;
    struct http_header headers[4];
    int n_headers;
    uint32_t timeout_ms; /* of one attempt */
    uint32_t attempts;   /* connection errors, time-outs, 429 and 5xx are tried again */
    size_t max_answer;
    bool outside; /* by the calls' proxy and CA bundle; else directly, as is right for link-local addresses */
    fetch_answered_fn *answered; /* the body is valid until the next question */
};

struct fetch {
    struct fetch_from from;
    struct arena arena; /* of everything that lives as long as the search */
    fetch_keys_fn *done;
    fetch_region_fn *region_done;
    bool freed; /* by its owner, while a thread of the pool was still at work for it */

    /* a question under way */
    struct fetch_question question;
    struct http_peer *peer;
    struct http_request request;
    struct buf answer;
    uint32_t attempt;
    struct timer pause; /* before the next attempt; or before the first step of all */

    /* work under way */
    struct work work;
    bool working;
    void (*work_run)(struct fetch *f); /* on the pool: touches only what is below, and never `from` */
    void (*work_done)(struct fetch *f);
    const char *path, *host; /* in the arena, or NULL */
    size_t max_file;
    struct buf file;
    enum err work_err;
    struct diag work_diag;

    struct process *process;
    struct aws_call call;
    struct buf form; /* of the call */
    bool calling;

    struct {
        bool asked, again; /* for a token; once more, after a 401 */
        struct str token, path;
        fetch_answered_fn *answered;
    } imds;
    struct sso_token sso;
    struct buf sso_file; /* to be written back */

    struct aws_credentials *held; /* what the roles are assumed with */
    uint32_t n_assumed;
};

void fetch_ask(struct fetch *f, const struct fetch_question *q);
/* Reads f->path (in the arena) into f->file off the loop; `done` looks at work_err. */
void fetch_read_file(struct fetch *f, const char *path, size_t max, void (*done)(struct fetch *f));
void fetch_work(struct fetch *f, void (*run)(struct fetch *f), void (*done)(struct fetch *f));
/* The search for keys is over, for this step. */
void fetch_got(struct fetch *f, const struct answer_keys *keys);
void fetch_fail(struct fetch *f, enum err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Why a question was not answered with a 2xx: the diag's words, or "status 403: AccessDenied: ...". */
struct str fetch_why(struct fetch *f, const struct http_response *r, struct str body);
/* The URL of a service in a region that is not the session's: the environment's, else by the partition's rules. */
enum err fetch_endpoint(struct fetch *f, const struct aws_service *service, struct str region, struct buf *out,
                        struct diag *d) MUST_USE;

void provider_container(struct fetch *f);
void provider_imds(struct fetch *f);
/* GET below /latest/meta-data/, with a token; answers once. */
void provider_imds_get(struct fetch *f, struct str path, fetch_answered_fn *answered);
void provider_process(struct fetch *f);
void provider_sso(struct fetch *f);
void provider_web_identity(struct fetch *f);
void provider_assume_role(struct fetch *f, const struct chain_role *role);

/* Splits as a POSIX shell does, without expanding anything: quotes, backslashes. NULL-terminated, in the arena. */
enum err provider_process_split(struct str command, struct arena *a, char ***argv, struct diag *d) MUST_USE;
/* May keys be asked for over plain http there? Loopback and the addresses of the ECS and EKS agents. */
struct net_address;
bool provider_container_trusts(const struct net_address *a);

#endif
