/* scrape_status: how targets are doing, for pages: plain data that a scraper or a pool fills in and web/ shows. */
#ifndef SOURCE_SCRAPE_STATUS_H
#define SOURCE_SCRAPE_STATUS_H

#include "model/family.h"
#include "source/scrape/target.h"

/* The families that one run of comment lines speaks of; shared by all targets that expose the same lines. */
struct scrape_block {
    const struct family *v;
    uint32_t n;
};

/* One per target. */
struct scrape_status {
    struct scrape_target *target; /* a reference for the caller */
    enum { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN } health;
    struct str last_error;
    int64_t last_scrape_ms; /* wall; 0: never */
    double last_duration_s;
    uint32_t samples, series;
    uint64_t body_bytes;
    uint64_t series_limit;      /* 0: none */
    uint32_t series_over_limit; /* left out of the last scrape by it */
    const struct scrape_block *const *blocks; /* only where they were asked for */
    uint32_t n_blocks;
};

/* A target that relabelling dropped. */
struct scrape_dropped {
    struct labels discovered;
};

#endif
