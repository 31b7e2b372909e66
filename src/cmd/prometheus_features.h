/* prometheus_features: --enable-feature: which names the original knows, and what each does here. */
#ifndef CMD_PROMETHEUS_FEATURES_H
#define CMD_PROMETHEUS_FEATURES_H

#include "base/log.h"
#include "cmd/flags.h"

/* What the names that are given ask for and leadline does. */
struct prometheus_features {
    bool auto_reload;          /* auto-reload-config */
    bool extra_scrape_metrics; /* the default of that key */
    bool protobuf_first;       /* created-timestamp-zero-ingestion, st-storage: the default of scrape_protocols */
};

/* ERR_SYNTAX, with the original's words, for names that exclude each other. */
enum err prometheus_features_read(const struct flags *f, struct prometheus_features *out, struct diag *d) MUST_USE;
/* One line for each name: unknown ones as the original warns of them, the others with what comes of them here. */
void prometheus_features_log(const struct flags *f, struct log *log);

#endif
