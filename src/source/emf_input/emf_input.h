/* emf_input: the CloudWatch agent's EMF listener (TCP and UDP 25888): finished events of applications' client
 * libraries, with the group that each names, passed on as they are. On the loop of its consumer.
 */
#ifndef SOURCE_EMF_INPUT_EMF_INPUT_H
#define SOURCE_EMF_INPUT_EMF_INPUT_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "model/log_event.h"
#include "plan/plan.h"
#include "source/push_status.h"

struct emf_input;

struct emf_input_options {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    struct plan *plan; /* referenced */
    const struct plan_emf_input *config;
    struct log_event_consumer *consumer; /* outlives it */
};

/* ERR_NET when an address cannot be listened on, with the address and the reason. */
enum err emf_input_new(const struct emf_input_options *o, struct emf_input **out, struct diag *d) MUST_USE;
enum err emf_input_update(struct emf_input *e, struct plan *plan, const struct plan_emf_input *config,
                          struct diag *d) MUST_USE;
/* Reads what the sockets still hold, and lines that their peers have not ended: before the consumer is drained. */
void emf_input_flush(struct emf_input *e);
void emf_input_free(struct emf_input *e); /* flushes; the loop runs on for a turn */
void emf_input_status(const struct emf_input *e, struct push_status *out);

#endif
