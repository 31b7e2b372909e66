/* log: one line per event, logfmt or JSON, in the shape of Prometheus' own lines, to standard error.
 *
 * Writing never blocks: a line goes into a bounded ring (256 KiB) that one thread drains; when the ring is full the
 * line is dropped and counted. Any thread may log. Fields keep the order in which they are given.
 *
 *   time=2026-01-02T03:04:05.678Z level=WARN source=manager.c:118 msg="scrape failed" target=http://... err="..."
 *   {"time":"2026-...","level":"WARN","source":"manager.c:118","msg":"scrape failed","target":"...","err":"..."}
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log;

struct log_field {
    const char *key;
    enum { LOG_STR, LOG_INT, LOG_DOUBLE } kind;
    struct str s;
    int64_t i;
    double f;
};

#define F_STR(k, v)    ((struct log_field){.key = (k), .kind = LOG_STR, .s = (v)})
#define F_C(k, v)      ((struct log_field){.key = (k), .kind = LOG_STR, .s = str_c(v)})
#define F_INT(k, v)    ((struct log_field){.key = (k), .kind = LOG_INT, .i = (int64_t)(v)})
#define F_DOUBLE(k, v) ((struct log_field){.key = (k), .kind = LOG_DOUBLE, .f = (v)})

/* Starts the draining thread; fd is usually 2. NULL is a valid log everywhere: it swallows everything. */
struct log *log_new(int fd, enum log_level level, enum log_format format);
/* Writes what is left, waiting at most 500 ms for a stuck reader, and ends the thread. */
void log_free(struct log *log);
/* The descriptor is the log's from now on: closed with it. */
void log_own_fd(struct log *log);
void log_set_level(struct log *log, enum log_level level);
bool log_enabled(const struct log *log, enum log_level level);
uint64_t log_dropped(const struct log *log);
void log_line(struct log *log, enum log_level level, const char *file, int line, const char *msg,
              const struct log_field *fields, int n);

#define LOG_AT(log, level, msg, ...)                                                                                   \
    do {                                                                                                               \
        if (log_enabled((log), (level))) {                                                                             \
            const struct log_field log_fields_[] = {__VA_ARGS__ __VA_OPT__(, ) F_INT(NULL, 0)};                        \
            log_line((log), (level), __FILE_NAME__, __LINE__, (msg), log_fields_,                                      \
                     (int)(sizeof(log_fields_) / sizeof(log_fields_[0])) - 1);                                         \
        }                                                                                                              \
    } while (0)
#define log_debug(log, msg, ...) LOG_AT(log, LOG_DEBUG, msg, __VA_ARGS__)
#define log_info(log, msg, ...)  LOG_AT(log, LOG_INFO, msg, __VA_ARGS__)
#define log_warn(log, msg, ...)  LOG_AT(log, LOG_WARN, msg, __VA_ARGS__)
#define log_error(log, msg, ...) LOG_AT(log, LOG_ERROR, msg, __VA_ARGS__)

/* One cause, at most one line a period: kept by whoever logs. log_allow says whether to log now and how many were
 * swallowed since the last one (to be given as a field "suppressed" when not 0). */
struct log_limit {
    uint64_t next_ms;
    uint32_t swallowed;
};
bool log_allow(struct log_limit *limit, uint64_t period_ms, uint32_t *suppressed);

#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif

#endif
