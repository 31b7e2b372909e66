/* scrape_status: how targets are doing, for pages: plain data that a scraper or a pool fills in and web/ shows. */
#ifndef SOURCE_SCRAPE_STATUS_H
#define SOURCE_SCRAPE_STATUS_H

#include "source/scrape/target.h"

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
};

/* A target that relabelling dropped. */
struct scrape_dropped {
    struct labels discovered;
};

#endif
