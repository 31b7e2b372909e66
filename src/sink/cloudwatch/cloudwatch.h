/* cloudwatch: CloudWatch Logs (PutLogEvents) or PutMetricData as a destination, on the loop that calls AWS: what comes
 * in is committed to the spool as records of a *place*, a log stream or a namespace, and sent from there, one request
 * in flight per lane.
 *
 *   batches ----> emf.c ------------+
 *   log events --> log_input.c -----+--> lanes.c: records of a place -> spool -> body.c: a request -> send.c -> AWS
 *   data -------> datum_input.c ----+
 *
 * Sources: CloudWatch Logs API reference (PutLogEvents, CreateLogGroup, CreateLogStream, PutRetentionPolicy),
 * CloudWatch API reference (PutMetricData), Embedded metric format specification.
 */
#ifndef SINK_CLOUDWATCH_CLOUDWATCH_H
#define SINK_CLOUDWATCH_CLOUDWATCH_H

#include "aws/aws.h"
#include "model/batch.h"
#include "model/datum.h"
#include "model/log_event.h"
#include "plan/plan.h"
#include "sink/sink.h"
#include "spool/fold_state.h"
#include "spool/spool.h"

struct cloudwatch;

/* Numbers of spool_request.protocol. */
enum { CLOUDWATCH_PROTOCOL_LOGS = 16, CLOUDWATCH_PROTOCOL_METRICS = 17 };

struct cloudwatch_options {
    struct loop *loop; /* the control loop: AWS calls are made here */
    struct aws *aws;
    struct intern *intern;
    struct scope_table *scopes;
    int slot;            /* of the scopes' forms */
    struct spool *spool; /* opened with the sealer below */
    struct plan *plan;   /* referenced by the sink */
    const struct plan_cloudwatch *config;
    struct log *log;
    struct counters *counters;
};

/* How batches of this kind become requests: for spool_options. Static, pure. */
const struct spool_sealer *cloudwatch_sealer(enum cloudwatch_kind kind);
/* What the spool of such a destination is opened with: sealer, protocol, compression, limits and deadline; the rest of
 * *o stays as it is. After a reload: spool_set_limits(spool, UINT32_MAX, flush_ms). */
void cloudwatch_spool_options(const struct plan_cloudwatch *config, struct spool_options *o);

/* Opens the lanes that hold data from before, and starts sending them. */
enum err cloudwatch_new(const struct cloudwatch_options *o, struct cloudwatch **out, struct diag *d) MUST_USE;
struct sink *cloudwatch_sink(struct cloudwatch *c);
struct batch_consumer *cloudwatch_batches(struct cloudwatch *c);        /* NULL: config has no emf */
struct log_event_consumer *cloudwatch_log_events(struct cloudwatch *c); /* of kind LOGS; else NULL */
struct datum_consumer *cloudwatch_data(struct cloudwatch *c);           /* of kind METRICS; else NULL */
/* The same destination under a new plan: of the same kind and hash. What cloudwatch_batches answers may be something
 * else afterwards. */
void cloudwatch_update(struct cloudwatch *c, struct plan *plan, const struct plan_cloudwatch *config);

#endif
