/* failure_log: the files that scrape_failure_log_file names (Prometheus util/logging/file.go): one line of JSON for
 * each scrape that brought no page, with job_name and target. Jobs that name the same file share it.
 *
 *   {"time":"2026-01-02T03:04:05.678Z","level":"ERROR","source":"scraper.c:118","msg":"Get ...","job_name":"j",..}
 *
 * Opened as a whole when a configuration is loaded, so that a reload opens them anew (a rotated file is left then), and
 * counted. Writing never blocks: lines go through a struct log. Any thread.
 */
#ifndef SOURCE_SCRAPE_FAILURE_LOG_H
#define SOURCE_SCRAPE_FAILURE_LOG_H

#include "base/log.h"
#include "plan/plan.h"

struct failure_logs;

/* All files of the plan, one reference; *out is NULL when there is none. ERR_IO: one of them cannot be opened. On the
 * control loop, at start and reload: it opens files. */
enum err failure_logs_open(const struct plan *plan, struct failure_logs **out, struct diag *d) MUST_USE;
struct failure_logs *failure_logs_ref(struct failure_logs *l);
void failure_logs_unref(struct failure_logs *l); /* the last one writes what is left, at most half a second */
/* The log of this file; NULL, which is a valid log, for an empty name. l may be NULL. */
struct log *failure_logs_get(const struct failure_logs *l, struct str file);

#endif
