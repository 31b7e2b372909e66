/* page_debug: /debug/: what the program holds and how it does, in place of the profiles of a Go program.
 *
 *   memory        the process by the kernel's count, the heap by the allocator's, the ceiling
 *   descriptors   by kind: sockets (connections to targets, destinations and clients), files, others
 *   workers       targets, metrics interned, scopes, and the loop's lag: how long our question waited for its turn
 *   prediction    of the lines scraped, how many were known
 *   spools        each lane's ledger
 *
 * Read when the page is asked for; nothing is measured for it otherwise. The same figures are on /metrics where they
 * are worth a series.
 */
#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "web/html_int.h"

enum { MAX_DESCRIPTORS = 50000 };

static void open_table(struct buf *out, const char *title)
{
    buf_printf(out, "<h2>%s</h2><table><tbody>", title);
}

static void close_table(struct buf *out)
{
    buf_c(out, "</tbody></table>");
}

static void row_bytes(struct buf *out, const char *name, uint64_t bytes)
{
    buf_printf(out, "<tr><td>%s</td><td class=\"n\">", name);
    html_bytes(out, bytes);
    buf_c(out, "</td></tr>");
}

static void row_number(struct buf *out, const char *name, uint64_t v)
{
    buf_printf(out, "<tr><td>%s</td><td class=\"n\">", name);
    html_number(out, v);
    buf_c(out, "</td></tr>");
}

/* "VmRSS:    1234 kB" of /proc/self/status, in bytes. */
static uint64_t status_value(struct str status, const char *key)
{
    struct str line, more = status, name, value, unit;
    uint64_t kib = 0;

    while (more.n) {
        str_cut(more, '\n', &line, &more);
        if (!str_cut(line, ':', &name, &value) || !str_eq_c(name, key))
            continue;
        str_cut(str_trim(value), ' ', &value, &unit);
        return num_parse_u64(value, &kib) == OK ? kib * 1024 : 0;
    }
    return 0;
}

static void put_memory(struct web *w, const struct web_snapshot *s, struct buf *out)
{
    AUTO_BUF status = {0};
    struct mallinfo2 heap = mallinfo2();
    uint64_t interned = 0;

    if (file_read("/proc/self/status", 1 << 16, &status, NULL))
        buf_clear(&status);
    for (uint32_t i = 0; s->threads && i < s->workers; i++)
        interned += s->threads[i].intern_bytes;
    open_table(out, "Memory");
    row_bytes(out, "resident", status_value(buf_view(&status), "VmRSS"));
    row_bytes(out, "&emsp;of it, the program's own", status_value(buf_view(&status), "RssAnon"));
    row_bytes(out, "&emsp;of it, mapped files (spool, program)", status_value(buf_view(&status), "RssFile"));
    row_bytes(out, "&emsp;of it, shared memory", status_value(buf_view(&status), "RssShmem"));
    row_bytes(out, "most so far", status_value(buf_view(&status), "VmHWM"));
    row_bytes(out, "heap in use", heap.uordblks + heap.hblkhd);
    row_bytes(out, "heap free, kept", heap.fordblks);
    row_bytes(out, "metrics interned, all workers", interned);
    double ceiling = counters_sum(w->o.counters, "leadline_memory_ceiling_bytes", NULL, 0);
    if (ceiling > 0)
        row_bytes(out, "ceiling", (uint64_t)ceiling);
    close_table(out);
}

static void count_descriptors(uint64_t *sockets, uint64_t *files, uint64_t *others)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    char link[64], to[256];
    uint32_t seen = 0;

    while (d && (e = readdir(d)) && seen++ < MAX_DESCRIPTORS) {
        snprintf(link, sizeof(link), "/proc/self/fd/%.40s", e->d_name);
        ssize_t n = readlink(link, to, sizeof(to) - 1);
        if (n <= 0)
            continue;
        to[n] = '\0';
        struct str target = str_c(to);
        ++*(str_starts(target, STR("socket:")) ? sockets : to[0] == '/' ? files : others);
    }
    if (d)
        closedir(d);
}

static void put_descriptors(struct buf *out)
{
    uint64_t sockets = 0, files = 0, others = 0;
    struct rlimit limit;

    count_descriptors(&sockets, &files, &others);
    open_table(out, "Descriptors");
    row_number(out, "sockets: targets, destinations, clients", sockets);
    row_number(out, "files and directories", files);
    row_number(out, "others", others);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        row_number(out, "limit", limit.rlim_cur);
    close_table(out);
}

static void put_workers(const struct web_snapshot *s, struct buf *out)
{
    buf_c(out,
          "<h2>Workers</h2><table><thead><tr><th>Worker</th><th class=\"n\">Targets</th><th class=\"n\">Metrics"
          "</th><th class=\"n\">Their bytes</th><th class=\"n\">Scopes</th><th class=\"n\">Loop lag</th></tr></thead>"
          "<tbody>");
    for (uint32_t i = 0; s->threads && i < s->workers; i++) {
        const struct web_worker *w = &s->threads[i];
        buf_printf(out, "<tr><td data-l=\"Worker\">%u</td><td class=\"n\" data-l=\"Targets\">", i);
        html_number(out, w->targets);
        buf_c(out, "</td><td class=\"n\" data-l=\"Metrics\">");
        html_number(out, w->metrics);
        buf_c(out, "</td><td class=\"n\" data-l=\"Their bytes\">");
        html_bytes(out, w->intern_bytes);
        buf_c(out, "</td><td class=\"n\" data-l=\"Scopes\">");
        html_number(out, w->scopes);
        buf_printf(out, "</td><td class=\"n\" data-l=\"Loop lag\">%.2f ms</td></tr>", (double)w->lag_ns / 1e6);
    }
    close_table(out);
}

static void put_scraping(struct web *w, struct buf *out)
{
    static const struct {
        const char *counter, *name;
    } rows[] = {
        {"leadline_scrape_scrapes_total", "scrapes"},
        {"leadline_scrape_scrapes_failed_total", "of them failed"},
        {"leadline_scrape_ticks_skipped_total", "ticks skipped, the scrape before was not over"},
        {"leadline_scrapes_delayed_total", "scrapes delayed for memory"},
        {"leadline_scrape_lines_predicted_total", "lines known from the scrape before"},
        {"leadline_scrape_lines_parsed_total", "lines parsed anew"},
    };

    open_table(out, "Scraping");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        row_number(out, rows[i].name, (uint64_t)counters_sum(w->o.counters, rows[i].counter, NULL, 0));
    row_number(out, "log lines dropped", log_dropped(w->o.log));
    close_table(out);
}

static uint64_t dropped_sum(const struct spool_ledger *l)
{
    uint64_t n = 0;

    for (int r = 0; r < DROP_REASONS; r++)
        n += l->dropped[r];
    return n;
}

static void put_lane(uint32_t lane, const struct spool_ledger *l, int64_t now_ms, struct buf *out)
{
    buf_printf(out, "<tr><td data-l=\"Lane\">%u</td><td class=\"n\" data-l=\"Read\">", lane);
    html_number(out, l->read);
    buf_c(out, "</td><td class=\"n\" data-l=\"Delivered\">");
    html_number(out, l->delivered);
    buf_c(out, "</td><td class=\"n\" data-l=\"Waiting\">");
    html_number(out, l->waiting);
    buf_c(out, "</td><td class=\"n\" data-l=\"Dropped\">");
    html_number(out, dropped_sum(l));
    buf_c(out, "</td><td class=\"n\" data-l=\"Sealed requests\">");
    html_number(out, l->requests_waiting);
    buf_c(out, "</td><td class=\"n\" data-l=\"Their bytes\">");
    html_bytes(out, l->bytes_waiting);
    buf_c(out, "</td><td data-l=\"Oldest\">");
    if (l->waiting && l->oldest_ms)
        html_age(out, now_ms, l->oldest_ms);
    buf_c(out, "</td></tr>");
}

static void put_spool(const struct web_sink *sink, int64_t now_ms, struct buf *out)
{
    buf_c(out, "<h2>Spool of ");
    html_text(out, sink->name);
    buf_printf(out, " <span class=\"dim\">%s <code>", sink->mode == SPOOL_MEMORY ? "in memory" : "in");
    html_text(out, sink->directory);
    buf_c(out,
          "</code></span></h2><table><thead><tr><th>Lane</th><th class=\"n\">Read</th><th class=\"n\">Delivered</th>"
          "<th class=\"n\">Waiting</th><th class=\"n\">Dropped</th><th class=\"n\">Sealed requests</th>"
          "<th class=\"n\">Their bytes</th><th>Oldest</th></tr></thead><tbody>");
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++)
        if (sink->lanes[lane].read || sink->lanes[lane].waiting)
            put_lane(lane, &sink->lanes[lane], now_ms, out);
    close_table(out);
}

int web_page_debug(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    (void)call;
    html_head(w, false, out);
    put_memory(w, s, out);
    put_descriptors(out);
    put_workers(s, out);
    put_scraping(w, out);
    for (uint32_t i = 0; i < s->n_sinks; i++)
        put_spool(&s->sinks[i], s->taken_ms, out);
    html_foot(out);
    return 200;
}
