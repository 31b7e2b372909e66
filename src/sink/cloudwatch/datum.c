/* datum: a datum as the MetricDatum of a PutMetricData request, in the protocol awsJson1.0.
 *
 *   {"MetricName":"latency","Dimensions":[{"Name":"service","Value":"web"}],"Timestamp":1767323045.678,
 *    "Values":[1.5,2.5],"Counts":[3,1],
 *    "StatisticValues":{"SampleCount":4,"Sum":7,"Minimum":1.5,"Maximum":2.5},"Unit":"Seconds","StorageResolution":1}
 *
 * A timestamp is seconds since the epoch (the protocol's unixTimestamp). One value without a count and statistics is a
 * "Value". A unit that is not named and the ordinary resolution are left out: the service takes None and 60 then.
 *
 * At most CW_DATUM_VALUES_MAX values stand in one MetricDatum. More are cut, from the front, into several with the same
 * name and dimensions, each with statistics of its own; where the datum came with statistics, those of the parts add up
 * to them: the difference that bucket centres make to the sum is spread by count, the first part has the least and the
 * last the greatest value (data come sorted).
 *
 * Dimensions without a value are left out. Of more than CW_DIMENSIONS_MAX the first by name stay, and "host" always.
 *
 * What the service would refuse, with everything else in the request, is refused here, with the reason: names of 0 or
 * more than 255 characters, dimension values of more than 1,024, dimensions that are not printable ASCII or nothing but
 * blanks, names of dimensions that begin with a colon, values beyond 2^360. (API reference: MetricDatum, Dimension.)
 * Pure.
 */
#include <math.h>

#include "base/err.h"
#include "sink/cloudwatch/lanes_int.h"
#include "wire/json.h"

#define VALUE_MAX 0x1p360

enum { NAME_MAX_CHARS = 255, DIMENSION_VALUE_MAX_CHARS = 1024, SHOWN_BYTES = 60 };

/* ---- what the service takes ---- */

static struct str shown(struct str s)
{
    return s.n > SHOWN_BYTES ? str_from(s.p, SHOWN_BYTES) : s;
}

static size_t characters(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_printable_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    }
    return true;
}

static enum err check_dimension(const struct label *l, struct diag *d)
{
    if (l->name.n == 0 || l->name.n > NAME_MAX_CHARS)
        return diag_set(d, ERR_SYNTAX, "dimension name \"%.*s\" has %zu characters, 1 to 255 are allowed",
                        STR_ARGS(shown(l->name)), l->name.n);
    if (l->name.p[0] == ':')
        return diag_set(d, ERR_SYNTAX, "dimension name \"%.*s\" begins with a colon", STR_ARGS(shown(l->name)));
    if (!is_printable_ascii(l->name) || str_trim(l->name).n == 0)
        return diag_set(d, ERR_SYNTAX, "dimension name \"%.*s\" is not printable ASCII", STR_ARGS(shown(l->name)));
    if (characters(l->value) > DIMENSION_VALUE_MAX_CHARS)
        return diag_set(d, ERR_SYNTAX, "dimension %.*s: its value has %zu characters, 1024 are allowed",
                        STR_ARGS(l->name), characters(l->value));
    if (!is_printable_ascii(l->value) || str_trim(l->value).n == 0)
        return diag_set(d, ERR_SYNTAX, "dimension %.*s: its value \"%.*s\" is not printable ASCII", STR_ARGS(l->name),
                        STR_ARGS(shown(l->value)));
    return OK;
}

static enum err check_number(double v, const char *what, struct diag *d)
{
    if (!isfinite(v))
        return diag_set(d, ERR_SYNTAX, "%s is no finite number", what);
    if (fabs(v) > VALUE_MAX)
        return diag_set(d, ERR_SYNTAX, "%s %g is beyond 2^360", what, v);
    return OK;
}

static enum err check_numbers(const struct datum *v, struct diag *d)
{
    enum err err = OK;

    for (uint32_t i = 0; !err && i < v->n_values; i++) {
        err = check_number(v->values[i], "value", d);
        if (!err && v->counts && !(v->counts[i] >= 0))
            err = diag_set(d, ERR_SYNTAX, "count %g is negative", v->counts[i]);
        if (!err && v->counts)
            err = check_number(v->counts[i], "count", d);
    }
    if (err || !v->has_statistics)
        return err;
    if (!(v->sample_count > 0))
        return diag_set(d, ERR_SYNTAX, "statistics of no sample");
    err = check_number(v->sample_count, "sample count", d);
    err = err ? err : check_number(v->sum, "sum", d);
    err = err ? err : check_number(v->min, "minimum", d);
    return err ? err : check_number(v->max, "maximum", d);
}

/* ---- dimensions ---- */

struct dimensions {
    const struct label *v[CW_DIMENSIONS_MAX];
    uint32_t n;
};

static enum err choose_dimensions(const struct datum *v, struct dimensions *out, struct diag *d)
{
    out->n = 0;
    for (uint32_t i = 0; i < v->dimensions.n; i++) {
        const struct label *l = &v->dimensions.v[i];
        if (l->value.n == 0)
            continue;
        if (out->n == CW_DIMENSIONS_MAX) {
            if (!str_eq(l->name, STR("host")))
                continue;
            out->n--;
        }
        enum err err = check_dimension(l, d);
        if (err)
            return err;
        out->v[out->n++] = l;
    }
    return OK;
}

static enum err check(const struct datum *v, struct dimensions *out, struct diag *d)
{
    size_t n = characters(v->name);

    if (n == 0 || n > NAME_MAX_CHARS)
        return diag_set(d, ERR_SYNTAX, "metric name \"%.*s\" has %zu characters, 1 to 255 are allowed",
                        STR_ARGS(shown(v->name)), n);
    if (v->n_values == 0 && !v->has_statistics)
        return diag_set(d, ERR_SYNTAX, "neither a value nor statistics");
    enum err err = check_numbers(v, d);
    return err ? err : choose_dimensions(v, out, d);
}

/* ---- text ---- */

struct part {
    uint32_t first, n; /* of the values */
    bool has_statistics;
    double sum, min, max, sample_count;
};

static void print_dimensions(struct json *j, const struct dimensions *dimensions)
{
    json_key_c(j, "Dimensions");
    json_array(j);
    for (uint32_t i = 0; i < dimensions->n; i++) {
        json_object(j);
        json_key_c(j, "Name");
        json_str(j, dimensions->v[i]->name);
        json_key_c(j, "Value");
        json_str(j, dimensions->v[i]->value);
        json_object_end(j);
    }
    json_array_end(j);
}

static void print_list(struct json *j, const char *key, const double *v, uint32_t n)
{
    json_key_c(j, key);
    json_array(j);
    for (uint32_t i = 0; i < n; i++)
        json_double(j, v[i]);
    json_array_end(j);
}

static void print_values(struct json *j, const struct datum *v, const struct part *p)
{
    if (p->n == 1 && !v->counts && !p->has_statistics) {
        json_key_c(j, "Value");
        json_double(j, v->values[p->first]);
        return;
    }
    if (p->n)
        print_list(j, "Values", v->values + p->first, p->n);
    if (p->n && v->counts)
        print_list(j, "Counts", v->counts + p->first, p->n);
    if (!p->has_statistics)
        return;
    json_key_c(j, "StatisticValues");
    json_object(j);
    json_key_c(j, "SampleCount");
    json_double(j, p->sample_count);
    json_key_c(j, "Sum");
    json_double(j, p->sum);
    json_key_c(j, "Minimum");
    json_double(j, p->min);
    json_key_c(j, "Maximum");
    json_double(j, p->max);
    json_object_end(j);
}

static void print_part(const struct datum *v, const struct dimensions *dimensions, const struct part *p,
                       struct buf *out)
{
    struct json j = json_to(out);

    json_object(&j);
    json_key_c(&j, "MetricName");
    json_str(&j, v->name);
    if (dimensions->n)
        print_dimensions(&j, dimensions);
    json_key_c(&j, "Timestamp");
    json_double(&j, (double)v->ts_ms / 1000);
    print_values(&j, v, p);
    if (v->unit.n) {
        json_key_c(&j, "Unit");
        json_str(&j, v->unit);
    }
    if (v->high_resolution) {
        json_key_c(&j, "StorageResolution");
        json_i64(&j, 1);
    }
    json_object_end(&j);
}

/* ---- parts ---- */

static void sum_part(const struct datum *v, struct part *p)
{
    p->sum = p->sample_count = 0;
    p->min = INFINITY;
    p->max = -INFINITY;
    for (uint32_t i = p->first; i < p->first + p->n; i++) {
        double count = v->counts ? v->counts[i] : 1;
        p->sum += v->values[i] * count;
        p->sample_count += count;
        p->min = fmin(p->min, v->values[i]);
        p->max = fmax(p->max, v->values[i]);
    }
}

/* The part of some of the values; `whole` is that of all as they stand there. */
static struct part cut_part(const struct datum *v, const struct part *whole, uint32_t first)
{
    uint32_t left = v->n_values - first;
    struct part p = {.first = first, .n = left < CW_DATUM_VALUES_MAX ? left : CW_DATUM_VALUES_MAX};

    if (!v->has_statistics)
        return p;
    sum_part(v, &p);
    p.has_statistics = p.sample_count > 0;
    if (whole->sample_count > 0)
        p.sum += (v->sum - whole->sum) * (p.sample_count / whole->sample_count);
    if (first == 0)
        p.min = fmin(v->min, p.max);
    if (p.n == left)
        p.max = fmax(v->max, p.min);
    return p;
}

static uint32_t samples_before(const struct datum *v, uint32_t value)
{
    return (uint32_t)((uint64_t)v->samples * value / v->n_values);
}

enum err datum_print(const struct datum *v, struct buf *out, void (*record)(void *ctx, const struct cw_record *r),
                     void *ctx, struct diag *d)
{
    struct dimensions dimensions;
    struct part whole = {0, v->n_values, v->has_statistics, v->sum, v->min, v->max, v->sample_count};
    enum err err = check(v, &dimensions, d);

    if (err)
        return err;
    if (v->n_values <= CW_DATUM_VALUES_MAX) {
        size_t offset = out->n;
        print_part(v, &dimensions, &whole, out);
        record(ctx, &(struct cw_record){v->ts_ms, (uint32_t)offset, (uint32_t)(out->n - offset), v->samples, 0});
        return OK;
    }
    sum_part(v, &whole);
    for (uint32_t first = 0; first < v->n_values; first += CW_DATUM_VALUES_MAX) {
        struct part p = cut_part(v, &whole, first);
        size_t offset = out->n;
        print_part(v, &dimensions, &p, out);
        record(ctx, &(struct cw_record){v->ts_ms, (uint32_t)offset, (uint32_t)(out->n - offset),
                                        samples_before(v, first + p.n) - samples_before(v, first), 0});
    }
    return OK;
}
