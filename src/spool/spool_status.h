/* spool_status: the ledger of a spool or a lane, for pages and for whoever asks. */
#ifndef SPOOL_SPOOL_STATUS_H
#define SPOOL_SPOOL_STATUS_H

#include <stdint.h>

#include "model/batch.h" /* LANES */

/* Lanes of a spool, numbered from 0; they are made at their first use. Scrapes spread over LANES of them, places of
 * CloudWatch have one each. */
#define SPOOL_LANES 48
_Static_assert(LANES <= SPOOL_LANES, "every batch has a lane");

/* Why samples were dropped: the label `reason`. */
enum spool_reason {
    /* Told with a commit. */
    DROP_RELABEL,     /* write_relabel_configs */
    DROP_UNSENDABLE,  /* series whose labels are larger than any request */
    DROP_HISTOGRAM,   /* native histograms that the configuration or the protocol does not send */
    DROP_TYPE,        /* types that the destination's form has no place for, and report series there */
    DROP_NO_BASELINE, /* a counter's first value: the next one is told against it */
    DROP_NOT_NEWER,   /* a counter's value with the time of the one before, or an older one */
    DROP_NOT_FINITE,  /* NaN and infinities, stale markers included */
    DROP_UNDECLARED,  /* no declaration selects it */

    DROP_REFUSED,         /* the destination answered 4xx, also alone */
    DROP_MAYBE_DELIVERED, /* refused on a repeat whose first answer was lost */
    DROP_TOO_OLD,         /* older than the destination or sample_age_limit takes */
    DROP_AGE,             /* --spool.max-age */
    DROP_CAP,             /* --spool.max-bytes */
    DROP_MEMORY,          /* no disk, and --spool.memory is full */
    DROP_CRASH,           /* what power loss took */
    DROP_CORRUPT,         /* records that fail their checksum */
    DROP_STOP,            /* lost at the end: --spool=memory, or a disk that failed until the end */
    DROP_TOO_NEW,         /* further in the future than the destination takes */
    DROP_EXPIRED,         /* older than the destination keeps */
    DROP_REASONS,
    DROPS_AT_COMMIT = DROP_UNDECLARED + 1,
};
const char *spool_reason_name(enum spool_reason r);

struct spool_ledger {
    uint64_t read, delivered, waiting;
    uint64_t dropped[DROP_REASONS];
    uint64_t possible_duplicates;
    uint64_t requests_waiting, bytes_waiting;
    int64_t oldest_ms; /* of the oldest waiting request; 0 when none */
};

enum spool_mode { SPOOL_DISK, SPOOL_MEMORY };

#endif
