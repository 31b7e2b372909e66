/* scraper: a worker's scraping. Owns the targets of its lanes, their arrays of predicted metrics, their timers; asks
 * through net/http_client.h and hands batches to the consumers. Everything on the worker's thread.
 */
#ifndef SOURCE_SCRAPE_SCRAPER_H
#define SOURCE_SCRAPE_SCRAPER_H

#include "base/counter.h"
#include "model/family.h"
#include "net/http_client.h"
#include "source/scrape/scrape_status.h"

struct scraper;
struct failure_logs;

struct scraper_options {
    struct loop *loop;
    struct http_client *http;
    struct intern *intern;
    struct scope_table *scopes;
    struct log *log;
    struct counters *counters;
    struct batch_consumer **consumers; /* called in order for each batch; array owned by the caller, may be changed
                                          between calls through scraper_consumers */
    uint32_t n_consumers;
    bool adjust_timestamps;         /* --scrape.adjust-timestamps, default true */
    int64_t timestamp_tolerance_ms; /* --scrape.timestamp-tolerance, default 2 */
    size_t max_body;                /* ceiling of our own when body_size_limit is 0: 1 GiB */
};

struct scraper *scraper_new(const struct scraper_options *o);
void scraper_free(struct scraper *s); /* no stale markers: the process stops */
void scraper_consumers(struct scraper *s, struct batch_consumer **consumers, uint32_t n);
void scraper_add(struct scraper *s, struct scrape_target *t);    /* takes the reference */
void scraper_update(struct scraper *s, struct scrape_target *t); /* same identity; takes the reference */
void scraper_remove(struct scraper *s, uint64_t identity);       /* its stale markers follow two intervals later */
void scraper_stop(struct scraper *s); /* no scrape starts from now on; running ones are cancelled */

/* Where failed scrapes are written (source/scrape/failure_log.h), from now on; takes the reference. NULL: nowhere. */
void scraper_failure_logs(struct scraper *s, struct failure_logs *logs);
/* How short of memory the process is: 0 not, 1 the spool gives way first, 2 scrapes are put off: a tick whose target
 * was scraped within the last ten intervals is counted (leadline_scrapes_delayed_total{reason="memory"}) and left out,
 * without stale markers. */
void scraper_set_pressure(struct scraper *s, int level);

/* For the pages, in an arena of the caller; a reference of each target for the caller. */
uint32_t scraper_status(struct scraper *s, struct arena *a, struct scrape_status **out);
/* Adds what each target's last page said of its families; v comes from scraper_status, just now. */
void scraper_status_families(struct scraper *s, struct arena *a, struct scrape_status *v, uint32_t n);

/* The families seen since the last call, deduplicated by name, type, help and unit within this worker; for remote-write
 * metadata. Names are those after the metric map where it renames families wholly, else as exposed. */
uint32_t scraper_families(struct scraper *s, struct arena *a, struct family **out);

#endif
