/* counters: what a destination counts, under the names that dashboards and alerts for Prometheus ask for, with
 * their labels remote_name and url, and leadline_remote_write_* for what the original does not have.
 *
 * Meanings differ where the work differs: a "shard" is a request that may be in flight, "pending" is what waits in
 * the spool, on disk included. Delivered and dropped samples by reason are the spool's to count: its ledger
 * survives restarts. Exemplars and native histograms are counted when they are put into the spool; histograms count
 * as samples too. The shards' capacity has no cell, since there is nothing that it would count.
 */
#include "base/mem.h"
#include "sink/remote_write/remote_write_int.h"

#define REMOTE_STORAGE "prometheus_remote_storage_"
#define OWN            "leadline_remote_write_"

static struct counter *cell(struct remote_write *rw, enum counter_kind kind, const char *name, const char *help,
                            const char *label, const char *value)
{
    const struct counter_label labels[] = {
        {STR("remote_name"), rw->config->name},
        {STR("url"), buf_view(&rw->url)},
        {str_c(label), str_c(value)},
    };
    return counter_new(rw->set, kind, name, help, labels, label ? 3 : 2);
}

#define TOTAL(name, help)                  cell(rw, COUNTER_TOTAL, name, help, NULL, NULL)
#define TOTAL_OF(name, help, label, value) cell(rw, COUNTER_TOTAL, name, help, label, value)
#define GAUGE(name, help)                  cell(rw, COUNTER_GAUGE, name, help, NULL, NULL)
#define GAUGE_MAX(name, help)              cell(rw, COUNTER_GAUGE_MAX, name, help, NULL, NULL)

static void samples_cells(struct remote_write *rw, struct remote_write_counters *c)
{
    static const char dropped[] = REMOTE_STORAGE "samples_dropped_total";
    static const char dropped_help[] = "Samples that were not sent, because of relabelling or of their age.";

    c->samples = TOTAL(REMOTE_STORAGE "samples_total", "Samples in requests that were sent, repeats included.");
    c->failed = TOTAL(REMOTE_STORAGE "samples_failed_total", "Samples that the destination refused for good.");
    c->retried = TOTAL(REMOTE_STORAGE "samples_retried_total", "Samples sent again after a failure that may pass.");
    c->dropped_too_old = TOTAL_OF(dropped, dropped_help, "reason", "too_old");
    c->dropped_series = TOTAL_OF(dropped, dropped_help, "reason", "dropped_series");
    c->bytes = TOTAL(REMOTE_STORAGE "bytes_total", "Bytes of samples sent, compressed, repeats not included.");
    c->pending = GAUGE(REMOTE_STORAGE "samples_pending", "Samples that wait in the spool.");
    c->highest = GAUGE_MAX(REMOTE_STORAGE "queue_highest_timestamp_seconds",
                           "Newest timestamp that was put into the spool, in seconds since the epoch; 0: none.");
    c->highest_sent = GAUGE_MAX(REMOTE_STORAGE "queue_highest_sent_timestamp_seconds",
                                "Newest timestamp that was delivered, in seconds since the epoch; 0: none.");
}

static void shards_cells(struct remote_write *rw, struct remote_write_counters *c)
{
    c->shards = GAUGE(REMOTE_STORAGE "shards", "Requests that may be in flight at once.");
    c->shards_desired = GAUGE(REMOTE_STORAGE "shards_desired", "The same as shards: their number does not vary.");
    c->shards_min = GAUGE_MAX(REMOTE_STORAGE "shards_min", "min_shards as configured; it has no effect.");
    c->shards_max = GAUGE_MAX(REMOTE_STORAGE "shards_max", "max_shards as configured.");
    c->max_samples = GAUGE_MAX(REMOTE_STORAGE "max_samples_per_send", "Samples in one request, at most.");
}

static void own_cells(struct remote_write *rw, struct remote_write_counters *c)
{
    static const char retries[] = OWN "retries_total";
    static const char retries_help[] = "Requests that are sent again, by what was wrong with the last attempt.";

    c->retries_network = TOTAL_OF(retries, retries_help, "cause", "network");
    c->retries_5xx = TOTAL_OF(retries, retries_help, "cause", "5xx");
    c->retries_429 = TOTAL_OF(retries, retries_help, "cause", "429");
    c->retries_signature = TOTAL_OF(retries, retries_help, "cause", "signature");
    c->splits = TOTAL(OWN "splits_total", "Refused requests of which each scrape was then sent alone.");
    c->split_pauses = TOTAL(OWN "split_pauses_total", "Times that no scrape of a refused request was taken alone.");
    c->unsendable = TOTAL(OWN "unsendable_samples_total", "Samples whose labels are larger than a request may be.");
    c->unspooled = TOTAL(OWN "unspooled_samples_total", "Samples lost because their lane could not be opened.");
    c->fallbacks = TOTAL(OWN "fallbacks_total", "Times that the destination turned out not to take 2.0, or zstd.");
    c->form_bytes = GAUGE(OWN "form_bytes", "Memory of prepared label sets.");
}

void remote_write_counters_init(struct remote_write *rw)
{
    static const double bounds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60, 120, 300};
    static const double to_ack[] = {.1, .25, .5, 1, 2.5, 5, 7.5, 10, 15, 30, 60, 300, 1800, 7200, 86400};
    const struct counter_label labels[] = {{STR("remote_name"), rw->config->name}, {STR("url"), buf_view(&rw->url)}};
    struct remote_write_counters *c = &rw->count;

    samples_cells(rw, c);
    shards_cells(rw, c);
    own_cells(rw, c);
    c->exemplars = TOTAL(REMOTE_STORAGE "exemplars_total", "Exemplars that were put into requests.");
    c->histograms = TOTAL(REMOTE_STORAGE "histograms_total", "Native histograms that were put into requests.");
    c->dropped_histograms = TOTAL_OF(REMOTE_STORAGE "histograms_dropped_total", "Native histograms that were not sent.",
                                     "reason", "unsupported");
    c->to_ack = counter_histogram_new(rw->set, OWN "scrape_to_ack_seconds",
                                      "Time from the oldest scrape of a request to the answer that took it.", to_ack,
                                      COUNT_OF(to_ack), labels, 1);
    c->metadata = TOTAL(REMOTE_STORAGE "metadata_total", "Metadata entries that were delivered.");
    c->metadata_failed = TOTAL(REMOTE_STORAGE "metadata_failed_total", "Metadata entries that could not be delivered.");
    c->metadata_retried =
        TOTAL(REMOTE_STORAGE "metadata_retried_total", "Metadata entries sent again after a failure that may pass.");
    c->metadata_bytes = TOTAL(REMOTE_STORAGE "metadata_bytes_total", "Bytes of metadata delivered, compressed.");
    c->duration = counter_histogram_new(rw->set, REMOTE_STORAGE "sent_batch_duration_seconds",
                                        "Time from sending a request to its answer.", bounds, COUNT_OF(bounds), labels,
                                        COUNT_OF(labels));
    remote_write_counters_config(rw);
}

void remote_write_counters_config(struct remote_write *rw)
{
    const struct plan_queue *q = &rw->config->queue;
    counter_set(rw->count.shards, rw->max_in_flight);
    counter_set(rw->count.shards_desired, rw->max_in_flight);
    counter_set(rw->count.shards_min, q->min_shards);
    counter_set(rw->count.shards_max, q->max_shards);
    counter_set(rw->count.max_samples, q->max_samples_per_send);
}

void remote_write_counters_release(struct remote_write *rw)
{
    struct remote_write_counters *c = &rw->count;
    struct counter *cells[] = {
        c->samples,
        c->failed,
        c->retried,
        c->dropped_too_old,
        c->dropped_series,
        c->bytes,
        c->metadata,
        c->metadata_failed,
        c->metadata_retried,
        c->metadata_bytes,
        c->pending,
        c->highest,
        c->highest_sent,
        c->shards,
        c->shards_max,
        c->shards_min,
        c->shards_desired,
        c->max_samples,
        c->retries_network,
        c->retries_5xx,
        c->retries_429,
        c->splits,
        c->split_pauses,
        c->unsendable,
        c->unspooled,
        c->form_bytes,
        c->exemplars,
        c->histograms,
        c->dropped_histograms,
        c->fallbacks,
        c->retries_signature,
    };
    for (size_t i = 0; i < COUNT_OF(cells); i++)
        counter_release(rw->set, cells[i]);
    if (c->duration)
        counter_histogram_release(rw->set, c->duration);
    if (c->to_ack)
        counter_histogram_release(rw->set, c->to_ack);
}
