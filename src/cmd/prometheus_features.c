/* prometheus_features: see the header. The names are those of Prometheus 3.15 (cmd/prometheus/main.go,
 * setFeatureListOptions); a name that it does not know is a warning there and so it is here.
 *
 * Most names are about a store or queries, which a sender does not have: they are taken, and a line says so. Those that
 * would change what an agent scrapes or sends and that leadline does not do are warnings: the original starts with
 * them, so leadline does, but the user must see it.
 */
#include "cmd/prometheus_features.h"

#include "base/mem.h"

enum effect {
    DONE,     /* what it asks for is done */
    ALWAYS,   /* what it asks for is so anyway */
    OF_STORE, /* about a store or queries */
    NOT_DONE, /* would change what is scraped or sent */
};

struct feature {
    const char *name;
    enum effect effect;
    const char *text;
};

static const struct feature features[] = {
    {"auto-reload-config", DONE, "deprecated: use --config.auto-reload instead"},
    {"extra-scrape-metrics", DONE, "the default of extra_scrape_metrics is true; set the key instead"},
    {"created-timestamp-zero-ingestion", DONE,
     "the default of scrape_protocols begins with PrometheusProto; start timestamps are sent with remote write 2.0, no "
     "samples of value 0 are added"},
    {"st-storage", DONE,
     "the default of scrape_protocols begins with PrometheusProto; start timestamps are sent with remote write 2.0"},
    {"native-histograms", ALWAYS,
     "native histograms are scraped where the scrape_native_histograms setting of the configuration is true"},
    {"ooo-native-histograms", ALWAYS, "permanently on in the original"},
    {"promql-duration-expr", ALWAYS, "permanently on in the original"},
    {"metadata-wal-records", ALWAYS, "metadata goes with remote write 2.0 anyway"},
    {"exemplar-storage", ALWAYS, "exemplars are sent where send_exemplars is true"},
    {"memory-snapshot-on-shutdown", OF_STORE, NULL},
    {"promql-per-step-stats", OF_STORE, NULL},
    {"concurrent-rule-eval", OF_STORE, NULL},
    {"promql-experimental-functions", OF_STORE, NULL},
    {"xor2-encoding", OF_STORE, NULL},
    {"histograms-st-encoding", OF_STORE, NULL},
    {"use-start-timestamps", OF_STORE, NULL},
    {"delayed-compaction", OF_STORE, NULL},
    {"promql-delayed-name-removal", OF_STORE, NULL},
    {"promql-extended-range-selectors", OF_STORE, NULL},
    {"promql-binop-fill-modifiers", OF_STORE, NULL},
    {"old-ui", OF_STORE, NULL},
    {"otlp-deltatocumulative", OF_STORE, NULL},
    {"otlp-native-delta-ingestion", OF_STORE, NULL},
    {"use-uncached-io", OF_STORE, NULL},
    {"fast-startup", OF_STORE, NULL},
    {"search-api", OF_STORE, NULL},
    {"st-synthesis", NOT_DONE, "start timestamps are not made up where a target exposes none"},
    {"openmetrics2", NOT_DONE, "OpenMetrics 2.0 is not asked for; targets answer in another format"},
    {"type-and-unit-labels", NOT_DONE, "__type__ and __unit__ are not added to series"},
    {"zstd-scrape", NOT_DONE, "targets are not asked for zstd; they answer with gzip"},
};

static const struct feature *find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(features); i++)
        if (str_eq_c(name, features[i].name))
            return &features[i];
    return NULL;
}

typedef void(each_fn)(void *ctx, struct str name);

static void each(const struct flags *f, each_fn *fn, void *ctx)
{
    const struct str *given;
    uint32_t n = flags_list(f, "enable-feature", &given);

    for (uint32_t i = 0; i < n; i++) {
        struct str one, more = given[i];
        do {
            str_cut(more, ',', &one, &more);
            fn(ctx, one);
        } while (more.n);
    }
}

struct reading {
    struct prometheus_features *out;
    bool cumulative, native_delta;
};

static void read_one(void *ctx, struct str name)
{
    struct reading *r = ctx;

    r->out->auto_reload |= str_eq(name, STR("auto-reload-config"));
    r->out->extra_scrape_metrics |= str_eq(name, STR("extra-scrape-metrics"));
    r->out->protobuf_first |= str_eq(name, STR("created-timestamp-zero-ingestion")) || str_eq(name, STR("st-storage"));
    r->cumulative |= str_eq(name, STR("otlp-deltatocumulative"));
    r->native_delta |= str_eq(name, STR("otlp-native-delta-ingestion"));
}

enum err prometheus_features_read(const struct flags *f, struct prometheus_features *out, struct diag *d)
{
    struct reading r = {.out = out};

    *out = (struct prometheus_features){0};
    each(f, read_one, &r);
    if (r.cumulative && r.native_delta)
        return diag_set(
            d, ERR_SYNTAX,
            "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion features at the same time");
    return OK;
}

static void log_one(void *ctx, struct str name)
{
    struct log *log = ctx;
    const struct feature *f = find(name);

    if (!f)
        log_warn(log, "Unknown option for --enable-feature", F_STR("option", name));
    else if (f->effect == DONE)
        log_info(log, "--enable-feature", F_STR("option", name), F_C("effect", f->text));
    else if (f->effect == ALWAYS)
        log_warn(log, "an option of --enable-feature has no effect", F_STR("option", name), F_C("reason", f->text));
    else if (f->effect == OF_STORE)
        log_warn(log, "an option of --enable-feature has no effect", F_STR("option", name),
                 F_C("reason", "it is about storage, queries or pages that leadline does not have"));
    else
        log_warn(log, "an option of --enable-feature is not done by leadline", F_STR("option", name),
                 F_C("next", f->text));
}

void prometheus_features_log(const struct flags *f, struct log *log)
{
    each(f, log_one, log);
}
