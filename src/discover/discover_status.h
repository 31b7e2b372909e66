/* discover_status: how one discoverer is doing, for pages: plain data. Views are borrowed from the discoverer and hold
 * until the control loop's next turn: copy what is kept.
 */
#ifndef DISCOVER_DISCOVER_STATUS_H
#define DISCOVER_DISCOVER_STATUS_H

#include <stdint.h>

#include "base/str.h"

struct discover_status {
    const char *mechanism;   /* "static", "file", "http", "dns", "ec2", "ecs" */
    struct str about;        /* what it looks at: files, URL without credentials, names, region and clusters */
    int64_t last_refresh_ms; /* wall, the last good one; 0: none yet */
    int64_t last_error_ms;   /* wall; 0: never failed */
    struct str last_error;   /* of the last refresh; empty: it was good */
    uint64_t refreshes, failures;
    uint32_t groups, targets; /* in what it told last */
};

#endif
