/* metrics: /metrics, text exposition 0.0.4.
 *
 *   the counters of every layer, under the original's names where it has them
 *   the ledgers, one line per term and destination, so that anyone can check that
 *       leadline_samples_read_total = ..._delivered_total + ..._waiting + sum by (reason) of ..._dropped_total
 *   targets by pool and health, listeners, the process
 *
 * Targets and ledgers come from a snapshot; names, not paths or URLs, are labels.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/num.h"
#include "format/prom_print.h"
#include "web/web_int.h"

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sink_line(struct buf *out, const char *name, const struct web_sink *s, const char *reason, uint64_t v)
{
    buf_printf(out, "%s{remote_name=\"", name);
    prom_print_value(out, s->name);
    if (reason)
        buf_printf(out, "\",reason=\"%s", reason);
    buf_c(out, "\"} ");
    buf_u64(out, v);
    buf_char(out, '\n');
}

static void print_ledgers(const struct web_snapshot *s, struct buf *out)
{
    family(out, "leadline_samples_read_total", "counter",
           "Samples handed to a destination: after metric relabelling, report series and stale markers included.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        sink_line(out, "leadline_samples_read_total", &s->sinks[i], NULL, s->sinks[i].ledger.read);
    family(out, "leadline_samples_delivered_total", "counter", "Samples that the destination acknowledged.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        sink_line(out, "leadline_samples_delivered_total", &s->sinks[i], NULL, s->sinks[i].ledger.delivered);
    family(out, "leadline_samples_waiting", "gauge", "Samples in the spool, not acknowledged yet.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        sink_line(out, "leadline_samples_waiting", &s->sinks[i], NULL, s->sinks[i].ledger.waiting);
    family(out, "leadline_samples_dropped_total", "counter", "Samples given up, by reason.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        for (int r = 0; r < DROP_REASONS; r++)
            sink_line(out, "leadline_samples_dropped_total", &s->sinks[i], spool_reason_name((enum spool_reason)r),
                      s->sinks[i].ledger.dropped[r]);
    family(out, "leadline_possible_duplicates_total", "counter", "Samples that may have been delivered twice.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        sink_line(out, "leadline_possible_duplicates_total", &s->sinks[i], NULL,
                  s->sinks[i].ledger.possible_duplicates);
    family(out, "leadline_spool_waiting_requests", "gauge", "Sealed requests that wait.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        sink_line(out, "leadline_spool_waiting_requests", &s->sinks[i], NULL, s->sinks[i].ledger.requests_waiting);
    family(out, "leadline_spool_waiting_bytes", "gauge", "Their compressed bytes.");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        sink_line(out, "leadline_spool_waiting_bytes", &s->sinks[i], NULL, s->sinks[i].ledger.bytes_waiting);
}

static void print_pools(const struct web_snapshot *s, struct buf *out)
{
    family(out, "leadline_targets", "gauge", "Targets by scrape pool and health.");
    for (uint32_t i = 0; i < s->n_pools; i++) {
        static const char *const names[] = {"unknown", "up", "down"};
        uint32_t n[3] = {0};
        for (uint32_t k = 0; k < s->pools[i].n_targets; k++)
            n[s->pools[i].targets[k].health]++;
        for (int h = 0; h < 3; h++) {
            buf_c(out, "leadline_targets{scrape_job=\"");
            prom_print_value(out, s->pools[i].name);
            if (s->pools[i].pipeline)
                buf_printf(out, "\",pipeline=\"%u", s->pools[i].pipeline);
            buf_printf(out, "\",health=\"%s\"} %u\n", names[h], n[h]);
        }
    }
}

static void listener_line(struct buf *out, const char *name, const struct push_status *p, uint64_t v)
{
    buf_printf(out, "%s{listener=\"", name);
    prom_print_value(out, p->name);
    buf_c(out, "\"} ");
    buf_u64(out, v);
    buf_char(out, '\n');
}

static void print_listeners(const struct web_snapshot *s, struct buf *out)
{
    if (s->n_push == 0)
        return;
    family(out, "leadline_listener_received_total", "counter", "Lines or events that a listener took.");
    for (uint32_t i = 0; i < s->n_push; i++)
        listener_line(out, "leadline_listener_received_total", &s->push[i], s->push[i].received);
    family(out, "leadline_listener_dropped_total", "counter", "Lines, events and datagrams that it did not take.");
    for (uint32_t i = 0; i < s->n_push; i++)
        listener_line(out, "leadline_listener_dropped_total", &s->push[i], s->push[i].dropped);
    family(out, "leadline_listener_connections", "gauge", "Connections that are open.");
    for (uint32_t i = 0; i < s->n_push; i++)
        listener_line(out, "leadline_listener_connections", &s->push[i], s->push[i].connections);
}

static void gauge(struct buf *out, const char *name, const char *type, const char *help, double v)
{
    family(out, name, type, help);
    buf_printf(out, "%s ", name);
    buf_double(out, v);
    buf_char(out, '\n');
}

static int count_open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = -3; /* ".", "..", and the directory itself */

    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void print_process(const struct web *w, struct buf *out)
{
    struct rusage u;
    struct rlimit files;
    AUTO_BUF statm = {0};
    unsigned long pages = 0, resident = 0;

    getrusage(RUSAGE_SELF, &u);
    gauge(out, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.",
          (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    gauge(out, "process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.",
          (double)w->o.start_ms / 1000);
    if (file_read("/proc/self/statm", 4096, &statm, NULL) == OK && sscanf(statm.p, "%lu %lu", &pages, &resident) == 2) {
        gauge(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
              (double)pages * (double)sysconf(_SC_PAGESIZE));
        gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
              (double)resident * (double)sysconf(_SC_PAGESIZE));
    }
    gauge(out, "process_open_fds", "gauge", "Number of open file descriptors.", count_open_files());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        gauge(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.", (double)files.rlim_cur);
}

int web_metrics(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    (void)call;
    counters_print(w->o.counters, out);
    print_ledgers(s, out);
    print_pools(s, out);
    print_listeners(s, out);
    gauge(out, "leadline_log_lines_dropped_total", "counter", "Log lines dropped since nobody read them in time.",
          (double)log_dropped(w->o.log));
    gauge(out, "prometheus_ready", "gauge",
          "Whether Prometheus startup was fully completed and the server is ready for normal operation.",
          w->o.ready(w->o.ctx) ? 1 : 0);
    print_process(w, out);
    return 200;
}
