/* inspect: a spool directory seen from outside, for `leadline spool ls|verify|replay`. Works beside a running process
 * (read-only); replay takes the lock. Blocking.
 */
#ifndef SPOOL_INSPECT_H
#define SPOOL_INSPECT_H

#include "spool/spool.h"

struct spool_file_info {
    uint32_t lane;
    uint64_t segment; /* number; UINT64_MAX: the open batch */
    uint64_t bytes, requests, samples, waiting_requests, waiting_samples;
    int64_t first_ms, last_ms;
    uint32_t corrupt; /* records that fail their checksum */
    struct str note;  /* in words, empty when all is well */
};
typedef void(spool_file_fn)(void *ctx, const struct spool_file_info *info);
/* What the requests in it are for; spool_protocol_name says it in words. 0: it does not tell. */
enum err spool_inspect_protocol(const char *directory, uint32_t *protocol, struct diag *d) MUST_USE;
/* deep: read and check every record. The ledger is summed over the lanes. */
enum err spool_inspect(const char *directory, bool deep, spool_file_fn *fn, void *ctx, struct spool_ledger *ledger,
                       struct diag *d) MUST_USE;

/* Every waiting request in order, lane by lane; fn answers OK to go on. */
enum err spool_inspect_requests(const char *directory,
                                enum err (*fn)(void *ctx, uint32_t lane, const struct spool_request *r), void *ctx,
                                struct diag *d) MUST_USE;

#endif
