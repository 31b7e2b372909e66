/* clock: what time it is, of two kinds.
 *
 * Samples carry wall time, which may step; whatever waits (timers, deadlines, back-off) counts monotonic time, which
 * does not. The two never mix: there is no function that turns one into the other. On Linux all of these are answered
 * by the vDSO without a system call, about 20 ns each. Any thread.
 */
#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;
    CHECK(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

int64_t clock_wall_ms(void)
{
    return clock_wall_ns() / 1000000;
}

uint64_t clock_mono_ns(void)
{
    return (uint64_t)read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

void clock_print(struct buf *b, int64_t wall_ms)
{
    int64_t seconds = wall_ms / 1000, ms = wall_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&t, &tm)) {
        buf_c(b, "(no date)");
        return;
    }
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec, (int)ms);
}

static bool two_digits(const char *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + p[1] - '0';
    return true;
}

bool clock_parse_http(struct str s, int64_t *wall_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char form[] = "***, ** *** **** **:**:** GMT";
    struct tm tm = {0};
    int century, year;

    s = str_trim(s);
    if (s.n != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (form[i] != '*' && form[i] != s.p[i])
            return false;
    }
    while (tm.tm_mon < 12 && memcmp(months + 3 * tm.tm_mon, s.p + 8, 3))
        tm.tm_mon++;
    bool known = tm.tm_mon < 12 && two_digits(s.p + 5, &tm.tm_mday) && two_digits(s.p + 12, &century) &&
                 two_digits(s.p + 14, &year) && two_digits(s.p + 17, &tm.tm_hour) && two_digits(s.p + 20, &tm.tm_min) &&
                 two_digits(s.p + 23, &tm.tm_sec);
    if (!known || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    tm.tm_year = century * 100 + year - 1900;
    *wall_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool digits(struct str *s, size_t n, int64_t *out)
{
    *out = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *out = *out * 10 + (s->p[i] - '0');
    }
    *s = str_from(s->p + n, s->n - n);
    return true;
}

static bool skip(struct str *s, const char *one_of)
{
    if (s->n == 0 || !strchr(one_of, s->p[0]) || s->p[0] == '\0')
        return false;
    *s = str_from(s->p + 1, s->n - 1);
    return true;
}

/* Z, UTC, nothing, or +hh:mm. */
static bool zone(struct str s, int64_t *offset_s)
{
    int64_t hours, minutes;
    bool west = s.n && s.p[0] == '-';

    *offset_s = 0;
    if (s.n == 0 || str_eq_nocase(s, STR("z")) || str_eq_nocase(s, STR("utc")))
        return true;
    if (!skip(&s, "+-") || !digits(&s, 2, &hours))
        return false;
    skip(&s, ":");
    if (!digits(&s, 2, &minutes) || s.n)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

bool clock_parse_iso(struct str s, int64_t *wall_ms)
{
    int64_t year, month, day, hour, minute, second, offset_s, fraction = 0, scale = 100, digit;

    s = str_trim(s);
    if (!digits(&s, 4, &year) || !skip(&s, "-") || !digits(&s, 2, &month) || !skip(&s, "-") || !digits(&s, 2, &day) ||
        !skip(&s, "Tt ") || !digits(&s, 2, &hour) || !skip(&s, ":") || !digits(&s, 2, &minute) || !skip(&s, ":") ||
        !digits(&s, 2, &second))
        return false;
    if (skip(&s, ".,"))
        for (; digits(&s, 1, &digit); scale /= 10)
            fraction += digit * scale;
    if (!zone(s, &offset_s) || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    struct tm tm = {.tm_year = (int)year - 1900,
                    .tm_mon = (int)month - 1,
                    .tm_mday = (int)day,
                    .tm_hour = (int)hour,
                    .tm_min = (int)minute,
                    .tm_sec = (int)second};
    *wall_ms = ((int64_t)timegm(&tm) - offset_s) * 1000 + fraction;
    return true;
}
