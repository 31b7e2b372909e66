/* push: listeners of the plan, StatsD and EMF, and how they end.
 *
 *   statsd --data--> the destination of kind METRICS       emf_input --events--> the destination of kind LOGS
 *
 * A listener whose destination is another one than before (its region changed) is made anew; else it is updated and
 * keeps its sockets and what is pending. One that cannot listen keeps the program from starting; at a reload it stays
 * as it was, which is said, and the rest of the new plan holds.
 *
 * At the end listeners hand over what is pending before the destinations are drained. In a container they stay open
 * for a while first, since what depends on us stops too and sends its last values: until nothing has come for a second
 * and no connection is open, at the latest three seconds before the deadline. Outside one they close at once.
 *
 * Control loop, which is the loop of the one worker too.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "run/program_int.h"
#include "source/emf_input/emf_input.h"
#include "source/statsd/statsd.h"

static struct cloudwatch *destination(struct program *p, enum cloudwatch_kind kind)
{
    const struct program_sink *s = program_sink_of_kind(p, kind);

    return s ? worker_cloudwatch(p->workers[0], s->slot) : NULL;
}

static void close_statsd(struct program *p)
{
    if (p->statsd)
        statsd_free(p->statsd);
    p->statsd = NULL;
}

static void close_emf_input(struct program *p)
{
    if (p->emf_input)
        emf_input_free(p->emf_input);
    p->emf_input = NULL;
}

static enum err no_destination(const char *what, struct diag *d)
{
    return diag_set(d, ERR_UNSUPPORTED, "%s: its destination could not be started", what);
}

static enum err apply_statsd(struct program *p, struct diag *d)
{
    const struct plan_statsd *config = p->plan->statsd;
    struct cloudwatch *to = config ? destination(p, CLOUDWATCH_METRICS) : NULL;

    if (!config || to != p->statsd_to)
        close_statsd(p);
    p->statsd_to = to;
    if (!config)
        return OK;
    if (!to)
        return no_destination("statsd", d);
    if (p->statsd)
        return statsd_update(p->statsd, p->plan, config, d);
    struct statsd_options o = {.loop = p->loop,
                               .log = p->o.log,
                               .counters = p->o.counters,
                               .plan = p->plan,
                               .config = config,
                               .consumer = cloudwatch_data(to)};
    return statsd_new(&o, &p->statsd, d);
}

static enum err apply_emf_input(struct program *p, struct diag *d)
{
    const struct plan_emf_input *config = p->plan->emf_input;
    struct cloudwatch *to = config ? destination(p, CLOUDWATCH_LOGS) : NULL;

    if (!config || to != p->emf_input_to)
        close_emf_input(p);
    p->emf_input_to = to;
    if (!config)
        return OK;
    if (!to)
        return no_destination("emf", d);
    if (p->emf_input)
        return emf_input_update(p->emf_input, p->plan, config, d);
    struct emf_input_options o = {.loop = p->loop,
                                  .log = p->o.log,
                                  .counters = p->o.counters,
                                  .plan = p->plan,
                                  .config = config,
                                  .consumer = cloudwatch_log_events(to)};
    return emf_input_new(&o, &p->emf_input, d);
}

enum err program_push_apply(struct program *p, struct diag *d)
{
    enum err err = apply_statsd(p, d);
    enum err other = apply_emf_input(p, err ? NULL : d);

    return err ? err : other;
}

void program_push_close(struct program *p)
{
    close_statsd(p);
    close_emf_input(p);
}

bool program_push_open(const struct program *p)
{
    return p->statsd || p->emf_input;
}

uint32_t program_push_status(const struct program *p, struct arena *a, struct push_status **out)
{
    uint32_t n = 0;

    *out = ARENA_ARRAY(a, struct push_status, 2);
    if (p->statsd)
        statsd_status(p->statsd, &(*out)[n++]);
    if (p->emf_input)
        emf_input_status(p->emf_input, &(*out)[n++]);
    for (uint32_t i = 0; i < n; i++) {
        struct push_status *s = &(*out)[i];
        s->name = str_dup(a, s->name);
        s->address = str_dup(a, s->address);
        s->last_error = str_dup(a, s->last_error);
    }
    return n;
}
