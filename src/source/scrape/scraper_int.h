/* scraper_int: a worker's scraping, inside.
 */
#ifndef SOURCE_SCRAPE_SCRAPER_INT_H
#define SOURCE_SCRAPE_SCRAPER_INT_H

#include "source/scrape/failure_log.h"
#include "source/scrape/predict_int.h"
#include "source/scrape/scraper.h"
#include "wire/compress.h"

#define REPORT_SERIES 8

/* A request under way. Pooled with its body buffer, so that an idle target holds neither. */
struct flight {
    struct http_request request;
    struct http_header headers[3];
    struct buf body;
    char timeout[32];
    struct scraped *t;
    struct flight *next; /* spare */
    uint64_t start_ns;
    int64_t ts_ms;
};

/* A target of this worker. */
struct scraped {
    struct scraper *s;
    uint32_t slot;
    struct scrape_target *target;
    struct scrape_target *peer_owner; /* whose plan holds the peer's options */
    struct http_peer *peer;           /* NULL: none can be made, peer_error says why */
    char *peer_error;
    bool renew_peer;       /* its options changed during a scrape */
    struct flight *flight; /* NULL: idle */
    struct timer timer;
    int64_t tick_ns;        /* wall clock: the tick that the timer waits for */
    int64_t late_ns;        /* a tick that came during a scrape; 0: none */
    uint64_t last_start_ns; /* monotonic; 0: never */
    struct page page;
    char *last_error; /* NULL: none */
    int64_t last_scrape_ms;
    double last_duration_s;
    uint64_t body_bytes;
    uint32_t samples, series, over_series_limit;
    uint8_t health;
};

/* A target that is gone, until its markers are due. */
struct ghost {
    struct scraper *s;
    uint32_t slot;
    struct scrape_target *target;
    struct page page;
    struct timer timer;
    int64_t stale_ms; /* the first tick that it missed */
};

struct accept_form {
    enum scrape_protocol protocols[5];
    uint32_t n_protocols;
    enum name_escaping escaping;
    char *text;
};

struct interval_histogram {
    int64_t interval_ms;
    struct counter_histogram *h;
};

struct scraper_counters {
    struct counter *scrapes, *failed, *skipped, *delayed, *received, *inflated, *over_body_size, *targets;
};

struct scraper {
    struct scraper_options o;
    struct scraper_counters counters;
    struct predictor predictor;
    struct compressor compressor;
    struct buf inflated; /* shared: everything from a response to its batch is synchronous */
    size_t largest_body;
    uint32_t bodies;
    struct scraped **targets; /* slots; NULL: free */
    size_t n_targets, cap_targets;
    uint32_t *free_slots;
    size_t n_free_slots, cap_free_slots;
    struct map by_identity, by_scope; /* to slots */
    struct ghost **ghosts;
    size_t n_ghosts, cap_ghosts;
    struct map ghosts_by_scope;
    struct flight *spare;
    uint32_t n_spare;
    struct accept_form *accepts;
    size_t n_accepts, cap_accepts;
    struct interval_histogram *intervals;
    size_t n_intervals, cap_intervals;
    struct counter_histogram *durations; /* with extra_scrape_metrics */
    uint32_t report_ids[REPORT_SERIES];
    struct log_limit type_limit;
    struct failure_logs *failure_logs;
    int pressure;
    bool stopped;
};

/* How a scrape ended. */
struct outcome {
    enum err err;
    bool no_page;     /* it failed before there was a page to read */
    struct diag diag; /* for err != OK: what /api/v1/targets shows */
    struct predict_result result;
    int64_t body_size; /* inflated; -1: over the limit, 0: no body came */
};

/* ---- fetch.c ---- */

void fetch_start(struct scraped *t, int64_t ts_ms, http_done_fn *done);
/* Gives the flight back. */
void fetch_end(struct scraped *t);
void fetch_release(struct scraper *s);
/* The body, inflated and NUL-terminated; valid until the next fetch_body. */
enum err fetch_body(struct scraper *s, const struct scrape_target *target, const struct http_response *response,
                    struct str *body, int64_t *body_size, struct diag *d) MUST_USE;
enum err fetch_kind(struct scraper *s, const struct scrape_target *target, struct str content_type,
                    enum exposition_kind *out, struct diag *d) MUST_USE;

/* ---- report.c ---- */

void report_init(struct scraper *s);
void report_release(struct scraper *s);
void report_append(struct scraped *t, const struct outcome *o, double duration_s);
void report_stale(struct scraper *s, const struct ghost *g);

/* ---- ghost.c ---- */

/* Takes over what t remembers; its markers follow unless the same labels come back. */
void ghost_add(struct scraped *t);
/* The ghost with this scope in this pipeline, or NULL. */
struct ghost *ghost_find(const struct scraper *s, const struct scope *scope, uint32_t pipeline);
/* Its page has been moved elsewhere. */
void ghost_free(struct ghost *g);
void ghosts_release(struct scraper *s);

/* ---- scraper.c ---- */

bool scraper_has_scope(const struct scraper *s, const struct scope *scope, uint32_t pipeline);
/* The batch to the consumers; false when its time is not after the page's last one: then it was counted and dropped. */
bool scraper_deliver(struct scraper *s, struct page *page, const struct scrape_target *target, int64_t ts_ms);

#endif
