/* log: lines for people and for their log collectors.
 *
 * The shape is that of Prometheus 3 (Go's slog with a shortened source), so that what parses its lines parses ours:
 *
 *   time=2026-01-02T03:04:05.678Z level=INFO source=main.c:12 msg="two words" key=value
 *   {"time":"2026-01-02T03:04:05.678Z","level":"INFO","source":"main.c:12","msg":"two words","key":"value"}
 *
 * In logfmt a value is quoted when it is empty or holds white space, '=', '"', control characters, or what is not
 * printable UTF-8; inside quotes Go's escapes are used (base/quote.h).
 *
 * A line is built on the caller's side and copied whole into a ring of bytes under a short mutex; one thread writes the
 * ring out. If whoever reads our standard error stops reading, that thread waits and the ring fills up; then lines are
 * dropped and counted, and nobody else waits. Threads: any may log; log_free is called when no one logs any more.
 */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "base/thread.h"

enum { RING = 256 * 1024, LAST_WORDS_MS = 500 };

struct log {
    int fd;
    bool owns_fd;
    _Atomic int level;
    enum log_format format;
    _Atomic uint64_t dropped;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work, ended;
    size_t start, used; /* of ring, in bytes */
    bool stop, done, orphaned;
    char ring[RING];
};

/* ---- writing out ---- */

static bool write_whole(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) { /* someone else made our standard error non-blocking */
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void free_log(struct log *log)
{
    if (log->owns_fd)
        close(log->fd);
    pthread_mutex_destroy(&log->lock);
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->ended);
    free(log);
}

static void *drain(void *arg)
{
    struct log *log = arg;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (!log->used && !log->stop)
            pthread_cond_wait(&log->work, &log->lock);
        if (!log->used)
            break;
        size_t at = log->start, n = log->used;
        if (n > RING - at)
            n = RING - at;
        /* These bytes stay ours until `used` shrinks, so they are written without the lock and without a copy. */
        pthread_mutex_unlock(&log->lock);
        write_whole(log->fd, log->ring + at, n);
        pthread_mutex_lock(&log->lock);
        log->start = (log->start + n) % RING;
        log->used -= n;
    }
    log->done = true;
    bool orphaned = log->orphaned;
    pthread_cond_signal(&log->ended);
    pthread_mutex_unlock(&log->lock);
    if (orphaned)
        free_log(log);
    return NULL;
}

struct log *log_new(int fd, enum log_level level, enum log_format format)
{
    struct log *log = NEW(struct log);
    log->fd = fd;
    atomic_store(&log->level, (int)level);
    log->format = format;
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&log->work, &attr);
    pthread_cond_init(&log->ended, &attr);
    pthread_condattr_destroy(&attr);
    thread_start(&log->thread, "log", drain, log);
    return log;
}

void log_free(struct log *log)
{
    if (!log)
        return;
    uint64_t until = clock_mono_ns() + LAST_WORDS_MS * 1000000ULL;
    struct timespec ts = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
    pthread_mutex_lock(&log->lock);
    log->stop = true;
    pthread_cond_signal(&log->work);
    int rc = 0;
    while (!log->done && rc == 0)
        rc = pthread_cond_timedwait(&log->ended, &log->lock, &ts);
    bool done = log->done;
    pthread_t thread = log->thread;
    log->orphaned = !done;
    pthread_mutex_unlock(&log->lock);
    if (!done) { /* stuck in write(): it frees the log should it ever come back */
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    free_log(log);
}

void log_own_fd(struct log *log)
{
    log->owns_fd = true;
}

void log_set_level(struct log *log, enum log_level level)
{
    if (log)
        atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log && (int)level >= atomic_load_explicit(&((struct log *)log)->level, memory_order_relaxed);
}

uint64_t log_dropped(const struct log *log)
{
    return log ? atomic_load(&((struct log *)log)->dropped) : 0;
}

static void put(struct log *log, struct str line)
{
    pthread_mutex_lock(&log->lock);
    if (line.n > RING - log->used) {
        atomic_fetch_add(&log->dropped, 1);
    } else {
        size_t at = (log->start + log->used) % RING, first = RING - at < line.n ? RING - at : line.n;
        memcpy(log->ring + at, line.p, first);
        memcpy(log->ring, line.p + first, line.n - first);
        log->used += line.n;
        pthread_cond_signal(&log->work);
    }
    pthread_mutex_unlock(&log->lock);
}

/* ---- the two shapes ---- */

static bool needs_quotes(struct str s)
{
    if (s.n == 0)
        return true;
    for (size_t i = 0; i < s.n;) {
        uint32_t r = 0;
        size_t len = quote_rune(s, i, &r);
        if (len == 0 || r == ' ' || r == '=' || r == '"' || r == 0xFFFD || !quote_is_printable(r))
            return true;
        i += len;
    }
    return false;
}

static void put_string(struct buf *b, enum log_format format, struct str s)
{
    if (format == LOG_JSON)
        buf_quote_json(b, s);
    else if (needs_quotes(s))
        buf_quote(b, s);
    else
        buf_str(b, s);
}

static void put_key(struct buf *b, enum log_format format, const char *key)
{
    if (format == LOG_JSON) {
        buf_char(b, ',');
        buf_quote_json(b, str_c(key));
        buf_char(b, ':');
        return;
    }
    buf_char(b, ' ');
    put_string(b, format, str_c(key));
    buf_char(b, '=');
}

static void put_field(struct buf *b, enum log_format format, const struct log_field *f)
{
    put_key(b, format, f->key);
    if (f->kind == LOG_STR)
        put_string(b, format, f->s);
    else if (f->kind == LOG_INT)
        buf_i64(b, f->i);
    else if (format == LOG_JSON && !isfinite(f->f)) /* JSON has no such numbers */
        buf_printf(b, "\"%s\"", isnan(f->f) ? "NaN" : f->f > 0 ? "+Inf" : "-Inf");
    else
        buf_double(b, f->f);
}

void log_line(struct log *log, enum log_level level, const char *file, int line, const char *msg,
              const struct log_field *fields, int n)
{
    static const char *const levels[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    if (!log_enabled(log, level))
        return;
    enum log_format format = log->format;
    const char *slash = strrchr(file, '/');
    AUTO_BUF b = {0};
    buf_c(&b, format == LOG_JSON ? "{\"time\":\"" : "time=");
    clock_print(&b, clock_wall_ms());
    buf_printf(&b,
               format == LOG_JSON ? "\",\"level\":\"%s\",\"source\":\"%s:%d\",\"msg\":" : " level=%s source=%s:%d msg=",
               levels[level], slash ? slash + 1 : file, line);
    put_string(&b, format, str_c(msg));
    for (int i = 0; i < n; i++)
        put_field(&b, format, &fields[i]);
    buf_c(&b, format == LOG_JSON ? "}\n" : "\n");
    put(log, buf_view(&b));
}

bool log_allow(struct log_limit *limit, uint64_t period_ms, uint32_t *suppressed)
{
    uint64_t now = clock_mono_ms();
    if (now < limit->next_ms) {
        limit->swallowed++;
        return false;
    }
    *suppressed = limit->swallowed;
    limit->swallowed = 0;
    limit->next_ms = now + period_ms;
    return true;
}
