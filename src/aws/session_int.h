/* session: one configuration, its profile, its region, its keys and their renewal. Control loop only. */
#ifndef AWS_SESSION_INT_H
#define AWS_SESSION_INT_H

#include "aws/fetch_int.h"

/* The profile files as they were once, and the plan that was made of them. */
struct session_files {
    struct arena arena;
    struct profiles profiles;
    struct str home, names; /* "~/.aws/config, ~/.aws/credentials" */
    struct chain chain;
    enum err err; /* of the plan, with `diag` */
    struct diag diag;
};

/* A job of the pool: the session may be gone when it returns. */
struct session_job {
    struct work work;
    struct aws_session_full *session;
    struct session_files *files;
    char *config_path, *credentials_path; /* of the environment; NULL: below home */
    char *home;                           /* of the environment; NULL: the user database */
};

struct session_waiting { /* a call that was started before there was anything to start it with */
    struct aws_call *call;
    struct session_waiting *next;
};

struct aws_session_full {
    struct aws_session base;
    struct arena arena; /* of the configuration's copy and the region */
    struct aws_config config;
    struct str label, region, region_source;

    struct session_job *job;        /* under way, or NULL */
    struct fetch *fetch;            /* under way, or NULL */
    struct session_files *settings; /* what `calls` were opened with: kept */
    struct session_files *latest;   /* of the last search; may be `settings` */

    struct aws_credentials *current;
    int64_t good_until_ms; /* wall clock */
    bool tried;            /* a search has ended */
    bool failing;
    struct diag failure;        /* of the last search, while `failing` */
    uint64_t failure_hash;      /* said in the log */
    uint32_t failures;          /* in a row */
    uint64_t refused_ms;        /* when a search was last made because of a refusal; 0: never */
    uint64_t refused_wait_ms;   /* from then until the next one */
    struct timer refresh, tell; /* tell: listeners that are new */
    struct timer linger;        /* nobody has it any more */
    struct aws_listener *listeners, *fresh, *cursor;
    struct session_waiting *waiting, **waiting_tail;
    struct timer start_waiting;
    struct counter *expiry, *succeeded, *failed;
};

/* How long to use keys that live this long from now, in ms; random: any. */
uint64_t session_renew_after(int64_t life_ms, uint64_t random);
/* How long to wait after this many failures in a row. */
uint64_t session_retry_after(uint32_t failures, uint64_t random);

/* session_files.c */
/* Reads off the loop; `done` is called on it, with job->session NULL when the session has gone. */
struct session_job *session_files_read(struct aws_session_full *s, void (*done)(struct session_job *job));
void session_files_free(struct session_files *files);

struct aws_session_full *session_new(struct aws *a, const struct aws_config *config);
bool session_is_of(const struct aws_session_full *s, const struct aws_config *config);
void session_free(struct aws_session_full *s);

#endif
