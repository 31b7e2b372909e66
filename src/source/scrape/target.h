/* target: one scrape target after relabelling: immutable, made on the control loop, used by one worker, counted. */
#ifndef SOURCE_SCRAPE_TARGET_H
#define SOURCE_SCRAPE_TARGET_H

#include <stdatomic.h>

#include "model/batch.h"
#include "plan/plan.h"

/* How histograms are read. The configuration's, unless labels of the target say otherwise. */
struct scrape_histograms {
    bool native;      /* scrape_native_histograms */
    bool classic_too; /* always_scrape_classic_histograms */
    bool convert;     /* convert_classic_histograms_to_nhcb */
};

struct scrape_target {
    _Atomic uint32_t refs;
    struct arena arena; /* everything below */
    struct plan *plan;  /* keeps `config` alive; one reference */
    const struct plan_scrape *config;
    struct labels labels;     /* final: what its series carry (no __*), job and instance included */
    struct labels discovered; /* before relabelling, __meta_* and all: /api/v1/targets */
    struct str url;           /* with params */
    struct str scrape_pool;   /* job_name of the configuration */
    int64_t interval_ms, timeout_ms;
    struct scrape_histograms histograms;
    uint64_t series_limit; /* 0: none */
    uint64_t identity;     /* hash of job, labels, URL: what makes it the same target after a reload */
    uint64_t offset_ns;    /* of its ticks inside the interval, wall clock */
    uint32_t lane;
    bool over_limit;         /* target_limit exceeded: reported as failed without a scrape */
    struct str forced_error; /* why, in the original's words; empty unless over_limit */
};

struct scrape_target *scrape_target_ref(struct scrape_target *t);
void scrape_target_unref(struct scrape_target *t); /* any thread */

#endif
