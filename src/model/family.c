/* family: the names of metric types.
 *
 * The words are those of Prometheus' metadata API and of its remote write metadata, where an untyped family is
 * "unknown"; expositions write "untyped" (text 0.0.4) and are read by format/.
 */
#include "model/family.h"

#include "base/mem.h"

const char *metric_type_name(enum metric_type t)
{
    static const char *const names[] = {
        [TYPE_UNKNOWN] = "unknown",
        [TYPE_COUNTER] = "counter",
        [TYPE_GAUGE] = "gauge",
        [TYPE_HISTOGRAM] = "histogram",
        [TYPE_GAUGE_HISTOGRAM] = "gaugehistogram",
        [TYPE_SUMMARY] = "summary",
        [TYPE_INFO] = "info",
        [TYPE_STATESET] = "stateset",
    };

    return (size_t)t < COUNT_OF(names) ? names[t] : "unknown";
}
