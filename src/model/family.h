/* family: what an exposition says of a metric family besides its samples. */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include "base/str.h"

enum metric_type {
    TYPE_UNKNOWN, /* untyped */
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_HISTOGRAM,
    TYPE_GAUGE_HISTOGRAM,
    TYPE_SUMMARY,
    TYPE_INFO,
    TYPE_STATESET,
};

const char *metric_type_name(enum metric_type t); /* as Prometheus' API prints it: "counter", ..., "unknown" */

struct family {
    struct str name, help, unit;
    enum metric_type type;
};

#endif
