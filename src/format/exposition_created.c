/* exposition_created: which series a _created line of OpenMetrics speaks of.
 *
 *   a_created{x="1",y="2"} 1700000000.5          a_bucket{x="1",le="0.5",y="2"} 7
 *   `base'   `--labels--'                        `base'   `labels, without le--'
 *
 * Both are compared as they stand on the page, pair by pair: nothing is parsed, unescaped or sorted, since an exporter
 * writes the labels of one point alike in all its lines. (Prometheus compares the same bytes, by way of a hash.) A name
 * in quotes, `{"a.b_total",x="1"}`, is compared without them.
 *
 * The bytes are those that exposition_next accepted; any others are safe to give, and answered somehow.
 */
#include <math.h>

#include "format/exposition.h"

struct point {
    struct str name;
    struct str labels; /* what stands between the braces, behind a quoted name */
};

/* Through the closing quote of a string that begins at i; s.n if there is none. */
static size_t quoted_end(struct str s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++)
        i += s.p[i] == '\\';
    return i < s.n ? i + 1 : s.n;
}

static struct str tail(struct str s, size_t from)
{
    return from < s.n ? str_from(s.p + from, s.n - from) : str_from(s.p, 0);
}

static struct point take_apart(struct str raw)
{
    struct point p = {0};
    size_t i = 0;
    while (raw.n > 0 && (raw.p[raw.n - 1] == ' ' || raw.p[raw.n - 1] == '\t'))
        raw.n--;
    if (raw.n > 0 && raw.p[raw.n - 1] == '}')
        raw.n--;
    if (raw.n > 1 && raw.p[0] == '{' && raw.p[1] == '"') {
        size_t end = quoted_end(raw, 1);
        p.name = end > 3 ? str_from(raw.p + 2, end - 3) : STR("");
        p.labels = tail(raw, end);
        return p;
    }
    while (i < raw.n && raw.p[i] != '{')
        i++;
    p.name = str_trim(str_from(raw.p, i));
    p.labels = tail(raw, i + 1);
    return p;
}

/* Cuts the next `name="value"` off; empty: there is none. */
static struct str next_pair(struct str *labels)
{
    size_t i = 0, end;
    while (i < labels->n && (labels->p[i] == ',' || labels->p[i] == ' '))
        i++;
    size_t start = i;
    if (i < labels->n && labels->p[i] == '"')
        i = quoted_end(*labels, i);
    while (i < labels->n && labels->p[i] != '"')
        i++;
    end = i < labels->n ? quoted_end(*labels, i) : i;
    struct str pair = str_from(labels->p + start, end - start);
    *labels = tail(*labels, end);
    return pair;
}

static struct str next_other(struct str *labels, struct str without)
{
    struct str pair;
    do
        pair = next_pair(labels);
    while (pair.n > 0 && without.n > 0 && str_starts(pair, without));
    return pair;
}

static bool has_start(enum metric_type type)
{
    return type == TYPE_COUNTER || type == TYPE_SUMMARY || type == TYPE_HISTOGRAM;
}

bool exposition_is_created(struct str raw, enum metric_type type)
{
    return has_start(type) && str_ends(take_apart(raw).name, STR("_created"));
}

/* What a series of the type may have behind its family's name. */
static bool is_suffix(struct str s, enum metric_type type)
{
    if (type == TYPE_COUNTER)
        return s.n == 0 || str_eq_c(s, "_total");
    if (str_eq_c(s, "_count") || str_eq_c(s, "_sum"))
        return true;
    return type == TYPE_HISTOGRAM ? str_eq_c(s, "_bucket") : s.n == 0;
}

bool exposition_created_for(struct str created, struct str series, enum metric_type type)
{
    struct point c = take_apart(created), s = take_apart(series);
    if (!has_start(type) || !str_ends(c.name, STR("_created")))
        return false;
    c.name.n -= STR("_created").n;
    if (!str_starts(s.name, c.name) || !is_suffix(str_from(s.name.p + c.name.n, s.name.n - c.name.n), type))
        return false;
    if (str_eq(c.labels, s.labels))
        return true;
    struct str without = type == TYPE_HISTOGRAM ? STR("le=") : type == TYPE_SUMMARY ? STR("quantile=") : STR_NONE;
    for (;;) {
        struct str x = next_other(&c.labels, without), y = next_other(&s.labels, without);
        if (!str_eq(x, y))
            return false;
        if (x.n == 0)
            return true;
    }
}

int64_t exposition_created_ms(double seconds)
{
    double ms = seconds * 1000.0;
    return ms > -9223372036854775808.0 && ms < 9223372036854775808.0 ? (int64_t)ms : 0;
}
