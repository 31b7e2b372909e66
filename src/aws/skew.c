/* skew: how wrong the local clock is, as the services see it.
 *
 * A signature carries a time, and AWS accepts 5 minutes to either side (some services 15). When a request is refused
 * with a code that may mean this, the Date of the answer tells the service's time; if that differs by more than 4
 * minutes from the clock that signed, the difference is kept for this host, said once in the log, and the request is
 * worth signing again. As it is learnt anew from every such refusal, it heals when somebody sets the clock.
 *
 * Only refusals count: an answer that was accepted says that the clock is good enough, and a Date that some proxy keeps
 * must not make it worse. An answer with an Age comes out of a cache, one that took long says little. It corrects
 * signatures and nothing else, never the times of samples.
 */
#include "aws/aws_int.h"
#include "base/clock.h"
#include "base/mem.h"

enum { WRONG_MS = 4 * 60 * 1000, TOOK_TOO_LONG_MS = 15 * 60 * 1000, MAX_HOSTS = 256 };

struct aws_skews {
    struct log *log;
    struct counters *counters;
    struct host {
        char *name;
        int64_t skew_ms;
        struct counter *seconds;
    } * hosts;
    size_t n, cap;
};

struct aws_skews *aws_skews_new(struct log *log, struct counters *counters)
{
    struct aws_skews *s = NEW(struct aws_skews);

    s->log = log;
    s->counters = counters;
    return s;
}

void aws_skews_free(struct aws_skews *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        counter_release(s->counters, s->hosts[i].seconds);
        free(s->hosts[i].name);
    }
    free(s->hosts);
    free(s);
}

static struct host *find(const struct aws_skews *s, struct str name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (str_eq_c(name, s->hosts[i].name))
            return &s->hosts[i];
    }
    return NULL;
}

int64_t aws_skew_of(const struct aws_skews *s, struct str host)
{
    const struct host *h = find(s, host);

    return h ? h->skew_ms : 0;
}

static struct host *add(struct aws_skews *s, struct str name)
{
    if (s->n == MAX_HOSTS)
        return NULL;
    s->hosts = mem_grow(s->hosts, &s->cap, s->n + 1, sizeof(*s->hosts));
    struct host *h = &s->hosts[s->n++];
    *h = (struct host){.name = mem_strndup(name.p, name.n)};
    h->seconds = counter_new(s->counters, COUNTER_GAUGE, "leadline_aws_clock_skew_seconds",
                             "What is added to the local clock when signing for this host, after a refusal",
                             &(struct counter_label){STR("host"), name}, 1);
    return h;
}

bool aws_skew_measure(struct str date, int64_t wall_ms, uint64_t took_ms, int64_t used_ms, int64_t *skew_ms)
{
    int64_t theirs;

    if (took_ms > TOOK_TOO_LONG_MS || !clock_parse_http(date, &theirs))
        return false;
    int64_t seen = theirs - wall_ms;
    if (seen - used_ms <= WRONG_MS && used_ms - seen <= WRONG_MS)
        return false;
    *skew_ms = seen;
    return true;
}

bool aws_skew_seen(struct aws_skews *s, struct str name, struct str date, int64_t wall_ms, uint64_t took_ms,
                   int64_t used_ms)
{
    struct host *h = find(s, name);
    int64_t skew_ms, unused;

    if (!aws_skew_measure(date, wall_ms, took_ms, used_ms, &skew_ms) || !(h || (h = add(s, name))))
        return false;
    /* another call may have found it out in the meantime */
    if (!aws_skew_measure(date, wall_ms, took_ms, h->skew_ms, &unused))
        return true;
    h->skew_ms = skew_ms;
    counter_set(h->seconds, (uint64_t)(skew_ms / 1000));
    log_warn(s->log, "AWS refused a signature because of its time; requests are signed by its clock from now on",
             F_STR("host", name), F_INT("seconds_ahead", skew_ms / 1000), F_STR("date", date));
    return true;
}
