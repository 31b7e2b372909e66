/* lint_strict: what OpenMetrics 1.0 forbids, line by line and family by family.
 *
 *   lines      "# TYPE", "# HELP", "# UNIT", samples (openmetrics_line.c), "# EOF" last; no blank line, no other
 * comment family     begins with the first line of its name, or with a sample that is none of the family before; its
 * metadata precede its samples, once each; its name and those of its samples are nobody else's group      the samples
 * of one metric stand together, all with a timestamp or all without, not going back in time values     counters do not
 * go below zero, info is 1, a state is 0 or 1, bucket counts are whole and do not fall ...
 *
 * Reading goes on after every finding: a line that cannot be read is left out of what is checked of its family. The
 * rules are those of the specification's text and of its test cases (prometheus/OpenMetrics, tests/testdata/parsers).
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "format/lint_int.h"
#include "format/openmetrics_line_int.h"
#include "model/family.h"

/* A set of 64-bit hashes. */
struct hashes {
    struct map map;
    uint64_t *v;
    size_t n, cap;
};

/* One histogram at one moment. */
struct histogram_check {
    bool begun, has_bucket, has_count, has_sum, has_gsum, negative_bucket, negative_gsum;
    double bound, in_bound, count;
    uint32_t line;
};

struct strict {
    struct arena *arena;  /* of the findings */
    struct arena scratch; /* of one line */
    struct lint_report *out;
    uint32_t line;
    size_t line_n; /* its length */
    bool ended;

    struct hashes names; /* of families, and of the samples that they may have */

    /* the family */
    struct str name;
    struct arena family; /* its name and unit */
    bool has_name, has_type, has_help, has_unit, has_samples, unit_reported;
    enum metric_type type;
    struct str unit;
    uint32_t name_line;
    struct hashes groups, series; /* of the family; of the current group */
    uint64_t group;
    bool has_group, group_has_timestamp;
    double group_timestamp;
    struct histogram_check histogram;
};

static void say(struct strict *s, size_t col, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void say(struct strict *s, size_t col, const char *fmt, ...)
{
    char text[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    col = col < s->line_n ? col : s->line_n;
    lint_add(s->out, s->line, (uint32_t)col + 1, str_dup(s->arena, s->name), str_dup(s->arena, str_c(text)));
}

/* ---- sets ---- */

struct hash_key {
    const struct hashes *set;
    uint64_t hash;
};

static bool same_hash(const void *ctx, uint32_t index)
{
    const struct hash_key *k = ctx;
    return k->set->v[index] == k->hash;
}

/* True when it was there already. */
static bool hashes_add(struct hashes *h, uint64_t hash)
{
    struct hash_key k = {h, hash};

    if (map_find(&h->map, hash, same_hash, &k) != MAP_NONE)
        return true;
    h->v = mem_grow(h->v, &h->cap, h->n + 1, sizeof(*h->v));
    map_add(&h->map, hash, (uint32_t)h->n);
    h->v[h->n++] = hash;
    return false;
}

static void hashes_clear(struct hashes *h)
{
    map_clear(&h->map);
    h->n = 0;
}

static void hashes_release(struct hashes *h)
{
    map_release(&h->map);
    free(h->v);
}

/* ---- families ---- */

static const char *const *suffixes_of(enum metric_type type)
{
    static const char *const counter[] = {"_total", "_created", NULL},
                             *const summary[] = {"", "_count", "_sum", "_created", NULL},
                             *const histogram[] = {"_count", "_sum", "_bucket", "_created", NULL},
                             *const gauge_histogram[] = {"_gcount", "_gsum", "_bucket", NULL},
                             *const info[] = {"_info", NULL}, *const plain[] = {"", NULL};

    switch (type) {
    case TYPE_COUNTER:
        return counter;
    case TYPE_SUMMARY:
        return summary;
    case TYPE_HISTOGRAM:
        return histogram;
    case TYPE_GAUGE_HISTOGRAM:
        return gauge_histogram;
    case TYPE_INFO:
        return info;
    case TYPE_GAUGE:
    case TYPE_STATESET:
    case TYPE_UNKNOWN:
        break;
    }
    return plain;
}

static void end_histogram(struct strict *s)
{
    struct histogram_check *h = &s->histogram;
    uint32_t here = s->line;

    if (!h->begun)
        return;
    s->line = h->line;
    if (!h->has_bucket || !isinf(h->bound) || h->bound < 0)
        say(s, 0, "the bucket with le=\"+Inf\" is missing");
    else if (h->has_count && h->count != h->in_bound)
        say(s, 0, "the count is not that of the bucket with le=\"+Inf\"");
    if ((h->has_sum || h->has_gsum) && !h->has_count)
        say(s, 0, "there is a sum, and no count");
    if (h->has_count && !h->has_sum && !h->has_gsum)
        say(s, 0, "there is a count, and no sum");
    if (h->has_sum && h->negative_bucket)
        say(s, 0, "a histogram with a bucket below zero has no sum");
    if (h->negative_gsum && !h->negative_bucket)
        say(s, 0, "the sum is negative, and no bucket is below zero");
    s->line = here;
    *h = (struct histogram_check){0};
}

/* Its names are its own from here on. */
static void end_family(struct strict *s)
{
    if (!s->has_name)
        return;
    end_histogram(s);
    AUTO_BUF name = {0};
    uint32_t here = s->line;
    s->line = s->name_line;
    bool bare = false, clash = false;
    for (const char *const *suffix = suffixes_of(s->type);; suffix++) {
        if (!*suffix && bare)
            break;
        const char *end = *suffix ? *suffix : "";
        bare |= *end == '\0';
        buf_clear(&name);
        buf_str(&name, s->name);
        buf_c(&name, end);
        if (hashes_add(&s->names, hash_bytes(buf_view(&name))) && !clash) {
            say(s, 0, "the name %s belongs to another family, or this family was interrupted", name.p);
            clash = true;
        }
        if (!*suffix)
            break;
    }
    if (s->unit.n && (s->type == TYPE_INFO || s->type == TYPE_STATESET) && !s->unit_reported)
        say(s, 0, "a family of this type has no unit");
    s->line = here;
}

static void begin_family(struct strict *s, struct str name)
{
    end_family(s);
    arena_reset(&s->family);
    s->name = str_dup(&s->family, name);
    s->has_name = true;
    s->has_type = s->has_help = s->has_unit = s->has_samples = s->has_group = s->unit_reported = false;
    s->type = TYPE_UNKNOWN;
    s->unit = STR_NONE;
    s->name_line = s->line;
    hashes_clear(&s->groups);
    hashes_clear(&s->series);
}

/* ---- comments ---- */

static bool type_of(struct str text, enum metric_type *out)
{
    static const struct {
        const char *name;
        enum metric_type type;
    } types[] = {{"counter", TYPE_COUNTER},     {"gauge", TYPE_GAUGE},
                 {"histogram", TYPE_HISTOGRAM}, {"gaugehistogram", TYPE_GAUGE_HISTOGRAM},
                 {"summary", TYPE_SUMMARY},     {"info", TYPE_INFO},
                 {"stateset", TYPE_STATESET},   {"unknown", TYPE_UNKNOWN}};

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_eq_c(text, types[i].name)) {
            *out = types[i].type;
            return true;
        }
    }
    return false;
}

static void take_type(struct strict *s, struct str text, size_t col)
{
    if (s->has_type)
        say(s, 0, "a second TYPE line");
    s->has_type = true;
    if (str_eq(text, STR("untyped")))
        say(s, col, "the type is called unknown in OpenMetrics");
    else if (!type_of(text, &s->type))
        say(s, col, "no such type: \"%.*s\"", STR_ARGS(text));
}

static void take_unit(struct strict *s, struct str text, size_t col)
{
    if (s->has_unit)
        say(s, 0, "a second UNIT line");
    s->has_unit = true;
    s->unit = str_dup(&s->family, text);
    bool fits =
        text.n == 0 || (s->name.n > text.n + 1 && str_ends(s->name, text) && s->name.p[s->name.n - text.n - 1] == '_');
    if (!fits) {
        say(s, col, "the name does not end in _%.*s, its unit", STR_ARGS(text));
        s->unit_reported = true;
    }
}

static void take_help(struct strict *s)
{
    if (s->has_help)
        say(s, 0, "a second HELP line");
    s->has_help = true;
}

/* "# WORD name text": exactly one blank between, the text may be empty but its blank may not be missing. */
static void take_comment(struct strict *s, struct str line)
{
    struct str word, name, text, more;

    if (!str_starts(line, STR("# "))) {
        say(s, 0, "a line that begins with # is \"# TYPE\", \"# HELP\", \"# UNIT\" or \"# EOF\"");
        return;
    }
    str_cut(str_from(line.p + 2, line.n - 2), ' ', &word, &more);
    bool help = str_eq(word, STR("HELP")), type = str_eq(word, STR("TYPE")), unit = str_eq(word, STR("UNIT"));
    if (!help && !type && !unit) {
        say(s, 2, "OpenMetrics has no comments but TYPE, HELP, UNIT and EOF");
        return;
    }
    bool whole = str_cut(more, ' ', &name, &text);
    if (!openmetrics_is_metric_name(name)) {
        say(s, 7,
            name.n && name.p[0] == '"' ? "quoted names are not part of OpenMetrics 1.0"
                                       : "a metric's name is [a-zA-Z_:][a-zA-Z0-9_:]*");
        return;
    }
    if (!whole) {
        say(s, line.n, "nothing follows the name");
        return;
    }
    if (!s->has_name || !str_eq(name, s->name))
        begin_family(s, name);
    else if (s->has_samples)
        say(s, 0, "metadata of a family stand before its samples");
    if (help)
        take_help(s);
    else if (type)
        take_type(s, text, 8 + name.n);
    else
        take_unit(s, text, 8 + name.n);
}

/* ---- samples ---- */

static struct str find_label(const struct openmetrics_line *l, struct str name)
{
    for (uint32_t i = 0; i < l->n_labels; i++)
        if (str_eq(l->labels[i].name, name))
            return l->labels[i].value;
    return STR_NONE;
}

static bool has_label(const struct openmetrics_line *l, struct str name)
{
    return find_label(l, name).p != NULL;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Of the labels but one, and of the sample's name when `whole`. */
static uint64_t hash_labels(struct strict *s, const struct openmetrics_line *l, struct str without, bool whole)
{
    struct label *v = ARENA_ARRAY(&s->scratch, struct label, l->n_labels + 2);
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n_labels; i++)
        if (!str_eq(l->labels[i].name, without))
            v[n++] = l->labels[i];
    if (whole)
        v[n++] = (struct label){LABEL_NAME, l->name};
    qsort(v, n, sizeof(*v), by_name);
    return labels_hash((struct labels){v, n});
}

static uint64_t group_of(struct strict *s, const struct openmetrics_line *l, struct str suffix)
{
    if (s->type == TYPE_INFO) /* its labels are its value: there are no groups to tell apart */
        return 1;
    if (s->type == TYPE_SUMMARY && suffix.n == 0)
        return hash_labels(s, l, STR("quantile"), false);
    if (s->type == TYPE_STATESET)
        return hash_labels(s, l, s->name, false);
    if ((s->type == TYPE_HISTOGRAM || s->type == TYPE_GAUGE_HISTOGRAM) && str_eq(suffix, STR("_bucket")))
        return hash_labels(s, l, STR("le"), false);
    return hash_labels(s, l, STR_NONE, false);
}

static void check_group(struct strict *s, const struct openmetrics_line *l, struct str suffix)
{
    uint64_t group = group_of(s, l, suffix), series = hash_labels(s, l, STR_NONE, true);
    bool same = s->has_group && group == s->group;

    if (!same && hashes_add(&s->groups, group) && s->has_group)
        say(s, 0, "the samples of this metric do not stand together");
    if (same && l->has_timestamp != s->group_has_timestamp)
        say(s, l->has_timestamp ? l->timestamp_at : l->value_at,
            "some samples of this metric have a timestamp, and some have none");
    else if (same && l->has_timestamp && l->timestamp < s->group_timestamp && s->type != TYPE_INFO)
        say(s, l->timestamp_at, "the timestamps of this metric go back");
    if (!same || (l->has_timestamp && l->timestamp != s->group_timestamp))
        hashes_clear(&s->series);
    if (hashes_add(&s->series, series) && !l->has_timestamp && same)
        say(s, 0, "this series occurs twice");
    s->has_group = true;
    s->group = group;
    s->group_has_timestamp = l->has_timestamp;
    s->group_timestamp = l->timestamp;
}

static bool is_whole(double v)
{
    return isfinite(v) && v == floor(v);
}

static void check_bucket(struct strict *s, const struct openmetrics_line *l)
{
    struct histogram_check *h = &s->histogram;
    struct str le = find_label(l, STR("le"));
    double bound;

    if (le.p == NULL || !openmetrics_number(le, &bound) || isnan(bound)) {
        say(s, l->name.n, "a bucket has a label le with a number");
        return;
    }
    if (isinf(bound) && bound > 0 && !str_eq(le, STR("+Inf")))
        say(s, l->name.n, "the last bucket is written le=\"+Inf\"");
    if (!is_whole(l->value) && !isnan(l->value))
        say(s, l->value_at, "the count of a bucket is a whole number");
    if (h->has_bucket && bound <= h->bound)
        say(s, l->name.n, "buckets do not stand in the order of their bounds");
    else if (h->has_bucket && l->value < h->in_bound)
        say(s, l->value_at, "the counts of buckets are cumulative, this one is below that of the bucket before");
    h->negative_bucket |= bound < 0;
    h->has_bucket = true;
    h->bound = bound;
    h->in_bound = l->value;
}

static void check_histogram(struct strict *s, const struct openmetrics_line *l, struct str suffix, bool new_point)
{
    struct histogram_check *h = &s->histogram;

    if (new_point)
        end_histogram(s);
    if (!h->begun)
        *h = (struct histogram_check){.begun = true, .line = s->line};
    if (str_eq(suffix, STR("_bucket"))) {
        check_bucket(s, l);
    } else if (str_eq(suffix, STR("_count")) || str_eq(suffix, STR("_gcount"))) {
        h->has_count = true;
        h->count = l->value;
        if (!is_whole(l->value) && !isnan(l->value))
            say(s, l->value_at, "a count is a whole number");
    } else if (str_eq(suffix, STR("_sum"))) {
        h->has_sum = true;
    } else if (str_eq(suffix, STR("_gsum"))) {
        h->has_gsum = true;
        h->negative_gsum = l->value < 0;
    }
}

static void check_quantile(struct strict *s, const struct openmetrics_line *l)
{
    double q;
    struct str text = find_label(l, STR("quantile"));

    if (text.p == NULL || !openmetrics_number(text, &q) || !(q >= 0 && q <= 1))
        say(s, l->name.n, "a summary's sample has a label quantile from 0 to 1");
    if (l->value < 0)
        say(s, l->value_at, "a quantile's value is not negative");
}

static void check_value(struct strict *s, const struct openmetrics_line *l, struct str suffix)
{
    static const char *const counters[] = {"_total", "_sum", "_count", "_bucket", "_gcount", "_gsum"};

    if (s->type == TYPE_INFO && l->value != 1)
        say(s, l->value_at, "the value of an info is 1");
    if (s->type == TYPE_STATESET && !has_label(l, s->name))
        say(s, l->name.n, "a state has a label with the name of its family");
    else if (s->type == TYPE_STATESET && l->value != 0 && l->value != 1)
        say(s, l->value_at, "the value of a state is 0 or 1");
    if (s->type == TYPE_SUMMARY && suffix.n == 0)
        check_quantile(s, l);
    if (s->type == TYPE_SUMMARY && str_eq(suffix, STR("_count")) && !is_whole(l->value) && !isnan(l->value))
        say(s, l->value_at, "a count is a whole number");
    for (size_t i = 0; suffix.n && i < COUNT_OF(counters); i++) {
        if (!str_eq_c(suffix, counters[i]))
            continue;
        if (isnan(l->value))
            say(s, l->value_at, "a counter, sum or count is not NaN");
        else if (l->value < 0 && !str_eq(suffix, STR("_gsum")))
            say(s, l->value_at, "a counter, sum or count is not negative");
    }
}

static void check_exemplar(struct strict *s, const struct openmetrics_line *l, struct str suffix)
{
    bool bucket = (s->type == TYPE_HISTOGRAM || s->type == TYPE_GAUGE_HISTOGRAM) && str_eq(suffix, STR("_bucket"));
    bool total = s->type == TYPE_COUNTER && str_eq(suffix, STR("_total"));

    if (l->has_exemplar && !bucket && !total)
        say(s, l->exemplar_at, "only buckets, and the total of a counter, have exemplars");
}

static bool is_of_family(const struct strict *s, struct str name, struct str *suffix)
{
    if (!s->has_name || !str_starts(name, s->name))
        return false;
    *suffix = str_from(name.p + s->name.n, name.n - s->name.n);
    for (const char *const *end = suffixes_of(s->type); *end; end++)
        if (str_eq_c(*suffix, *end))
            return true;
    return false;
}

static void take_sample(struct strict *s, struct str line)
{
    struct openmetrics_line l;
    struct str suffix = STR_NONE;
    const char *why;
    size_t at;

    if (!openmetrics_line_parse(line, &s->scratch, &l, &at, &why)) {
        say(s, at, "%s", why);
        return;
    }
    if (!is_of_family(s, l.name, &suffix)) {
        begin_family(s, l.name);
        s->has_type = true;
        suffix = STR_NONE;
    }
    double before = s->group_timestamp;
    uint64_t group = s->group;
    bool had_group = s->has_group;
    check_group(s, &l, suffix);
    if (s->type == TYPE_HISTOGRAM || s->type == TYPE_GAUGE_HISTOGRAM)
        check_histogram(s, &l, suffix, !had_group || group != s->group || (l.has_timestamp && before != l.timestamp));
    check_value(s, &l, suffix);
    check_exemplar(s, &l, suffix);
    s->has_samples = true;
}

/* ---- the page ---- */

static void take_line(struct strict *s, struct str line)
{
    if (s->ended)
        say(s, 0, "a line after # EOF");
    else if (!str_is_utf8(line))
        say(s, 0, "this line is not UTF-8");
    else if (line.n == 0)
        say(s, 0, "a blank line");
    else if (str_eq(line, STR("# EOF")))
        s->ended = true;
    else if (line.p[0] == '#')
        take_comment(s, line);
    else
        take_sample(s, line);
    arena_reset(&s->scratch);
}

static int by_position(const void *a, const void *b)
{
    const struct lint_finding *x = a, *y = b;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : (x->col > y->col) - (x->col < y->col);
}

void lint_strict(struct str body, struct arena *a, struct lint_report *out)
{
    struct strict s = {.arena = a, .out = out};
    struct str line, more = body;

    *out = (struct lint_report){0};
    while (more.n) {
        bool whole = str_cut(more, '\n', &line, &more);
        s.line++;
        s.line_n = line.n;
        take_line(&s, line);
        if (!whole && !s.ended)
            say(&s, line.n, "the line does not end");
    }
    end_family(&s);
    if (!s.ended) {
        s.line++;
        say(&s, 0, "# EOF is missing");
    }
    if (out->n)
        qsort(out->v, out->n, sizeof(*out->v), by_position);
    hashes_release(&s.names);
    hashes_release(&s.groups);
    hashes_release(&s.series);
    arena_release(&s.family);
    arena_release(&s.scratch);
}
