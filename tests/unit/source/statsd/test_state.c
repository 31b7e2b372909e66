/* Collection and aggregation of StatsD, by a clock that the tests set: what leaves is written out as
 * `name{dimensions} @ts value`, or `@ts value x count ... | count sum min max`, with `/n` for the values it stands for.
 * Golden numbers are those of the CloudWatch agent. */
#include "unit.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "source/statsd/state_int.h"

struct bench {
    struct datum_consumer consumer;
    struct statsd_state *state;
    struct statsd_line line;
    struct buf out;
    uint32_t lost[STATSD_LOSSES], n_data, samples;
    bool early;
};

static void print_datum(struct buf *out, const struct datum *v)
{
    buf_printf(out, "%.*s{", STR_ARGS(v->name));
    for (uint32_t i = 0; i < v->dimensions.n; i++) {
        const struct label *l = &v->dimensions.v[i];
        buf_printf(out, "%s%.*s=%.*s", i ? "," : "", STR_ARGS(l->name), STR_ARGS(l->value));
    }
    buf_printf(out, "}%s @%lld", v->high_resolution ? "!" : "", (long long)v->ts_ms);
    for (uint32_t i = 0; i < v->n_values; i++) {
        buf_char(out, ' ');
        buf_double(out, v->values[i]);
        if (v->counts) {
            buf_char(out, 'x');
            buf_double(out, v->counts[i]);
        }
    }
    if (v->has_statistics) {
        const double four[] = {v->sample_count, v->sum, v->min, v->max};
        buf_c(out, " |");
        for (int i = 0; i < 4; i++) {
            buf_char(out, ' ');
            buf_double(out, four[i]);
        }
    }
    buf_printf(out, " /%u\n", v->samples);
}

static void append(struct datum_consumer *self, const struct datum *v, uint32_t n)
{
    struct bench *b = CONTAINER_OF(self, struct bench, consumer);
    assert_true(n > 0);
    b->n_data += n;
    for (uint32_t i = 0; i < n; i++) {
        b->samples += v[i].samples;
        if (b->n_data <= 50)
            print_datum(&b->out, &v[i]);
    }
}

static void lost(void *ctx, enum statsd_loss why, struct str name, uint32_t values)
{
    struct bench *b = ctx;
    assert_true(name.n > 0);
    b->lost[why] += values;
}

static struct statsd_state_options options(int64_t aggregation_ms)
{
    return (struct statsd_state_options){
        .aggregation_ms = aggregation_ms, .separator = STR("_"), .max_metrics = 100000, .max_bytes = 64 << 20};
}

static void bench_open(struct bench *b, struct statsd_state_options o)
{
    *b = (struct bench){.consumer.append = append};
    o.consumer = &b->consumer;
    o.lost = lost;
    o.ctx = b;
    b->state = statsd_state_new(&o);
}

static void bench_close(struct bench *b)
{
    statsd_state_free(b->state);
    statsd_line_release(&b->line);
    buf_release(&b->out);
}

static void add(struct bench *b, int64_t now_ms, const char *text)
{
    struct statsd_value v;
    assert_int_equal(statsd_line_parse(&b->line, str_c(text)), OK);
    while (!statsd_line_next(&b->line, &v))
        b->early |= !statsd_state_add(b->state, &b->line, &v, now_ms);
    assert_int_equal(b->line.fault, STATSD_FINE);
}

/* What left since the last time. */
static void gave(struct bench *b, const char *expected)
{
    if (strcmp(b->out.p ? b->out.p : "", expected) != 0)
        fail_msg("\n got  %s\n want %s", b->out.p ? b->out.p : "", expected);
    buf_release(&b->out);
}

static void without_aggregation_values_leave_as_they_are(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(0));
    add(&b, 1000, "requests.total:1|c:2|c|@0.5");
    add(&b, 1500, "load:3.5|g");
    add(&b, 1500, "load:-5|g");
    add(&b, 1600, "users:bob|s:ann|s:bob|s");
    statsd_state_collect(b.state, 10000);
    gave(&b, "requests_total{metric_type=counter}! @10000 5 /2\n"
             "load{metric_type=gauge}! @10000 -1.5 /2\n"
             "users{metric_type=set}! @10000 2 /3\n");
    statsd_state_collect(b.state, 20000);
    gave(&b, "");
    add(&b, 21000, "load:+2|g"); /* from 0 again */
    add(&b, 21000, "requests.total:-4|c");
    add(&b, 21000, "time:320|ms");
    statsd_state_collect(b.state, 30000);
    gave(&b, "requests_total{metric_type=counter}! @30000 -4 /1\n"
             "load{metric_type=gauge}! @30000 2 /1\n"
             "time{metric_type=timing}! @30000 319.3430376563955x1 | 1 320 320 320 /1\n");
    bench_close(&b);
}

static void collections_of_a_window_are_its_samples(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    for (int i = 0; i < 6; i++) {
        add(&b, 60000 + i * 10000, "a:1|c:4|c");
        statsd_state_collect(b.state, 60000 + i * 10000 + 5000);
        statsd_state_aggregate(b.state, 60000 + i * 10000 + 5000);
    }
    gave(&b, "");
    statsd_state_aggregate(b.state, 119999);
    gave(&b, "");
    statsd_state_aggregate(b.state, 120000);
    gave(&b, "a{metric_type=counter} @65000 4.819248325194279x6 | 6 30 5 5 /12\n");
    statsd_state_aggregate(b.state, 180000);
    gave(&b, "");
    bench_close(&b);
}

static void golden_centres(void **state)
{
    (void)state;
    assert_true(statsd_centre(1) == 1.0488088481701516);
    assert_true(statsd_centre(5) == 4.819248325194279);
    assert_true(statsd_centre(320) == 319.3430376563955);
    assert_true(statsd_centre(0) == 0);
    assert_true(statsd_centre(-5) == -4.819248325194279);
    assert_true(statsd_centre(0x1p360) <= 0x1p360);
    assert_true(statsd_centre(5e-324) > 0);
    for (double v = 1e-30; v < 1e30; v *= 1.7)
        assert_true(fabs(statsd_centre(v) / v - 1) < 0.0489);
}

static void weights_are_cut_to_whole_counts(void **state)
{
    (void)state;
    struct bench b;
    struct statsd_state_options o = options(60000);
    o.exact_values = true;
    bench_open(&b, o);
    add(&b, 1, "a:100|ms|@0.3");
    statsd_state_flush(b.state, 10000);
    gave(&b, "a{metric_type=timing} @10000 100x3 | 3 300 100 100 /1\n");
    add(&b, 11000, "a:320|ms|@0.1:100|ms");
    statsd_state_flush(b.state, 20000);
    gave(&b, "a{metric_type=timing} @20000 100x1 320x10 | 11 3300 100 320 /2\n");
    for (int i = 0; i < 3; i++)
        add(&b, 21000, "a:100|h|@0.3"); /* three thirds more are one */
    statsd_state_flush(b.state, 30000);
    gave(&b, "a{metric_type=histogram} @30000 100x10 | 10 1000 100 100 /3\n");
    add(&b, 31000, "a:7|ms|@2:8|ms");
    statsd_state_flush(b.state, 40000);
    gave(&b, "a{metric_type=timing} @40000 8x1 | 1 8 8 8 /1\n");
    assert_int_equal(b.lost[STATSD_WEIGHTLESS], 1);
    bench_close(&b);
}

static void negative_values_are_kept(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    add(&b, 1, "c:-5|c");
    add(&b, 1, "g:-5|g");
    add(&b, 1, "zero:0|g");
    statsd_state_flush(b.state, 10);
    gave(&b, "c{metric_type=counter} @10 -4.819248325194279x1 | 1 -5 -5 -5 /1\n"
             "g{metric_type=gauge} @10 -4.819248325194279x1 | 1 -5 -5 -5 /1\n"
             "zero{metric_type=gauge} @10 0x1 | 1 0 0 0 /1\n");
    bench_close(&b);
}

static void what_cloudwatch_takes_not_is_lost_and_said(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    add(&b, 1, "g:nan|g");
    add(&b, 1, "i:1|g:inf|g");
    add(&b, 1, "t:nan|ms:inf|ms:1e200|ms:2|ms");
    add(&b, 1, "h:1e200|g");
    statsd_state_flush(b.state, 10);
    assert_int_equal(b.lost[STATSD_NOT_FINITE], 1 + 2 + 2);
    assert_int_equal(b.lost[STATSD_TOO_LARGE], 1 + 1);
    assert_int_equal(b.n_data, 1);
    assert_int_equal(b.samples, 1);
    bench_close(&b);
}

static void dimensions_are_tags_type_and_host(void **state)
{
    (void)state;
    struct bench b;
    struct statsd_state_options o = options(0);
    o.host = STR("ip-10-0-0-1");
    o.separator = STR("::");
    bench_open(&b, o);
    add(&b, 1, "a..b.c/d-e,zone=z:1|c|#app:x,empty:");
    add(&b, 1, "b:1|c|#metric_type:mine,host:other");
    statsd_state_collect(b.state, 10);
    gave(&b, "a::::b::c/d-e{app=x,empty=,host=ip-10-0-0-1,metric_type=counter,zone=z}! @10 1 /1\n"
             "b{host=other,metric_type=mine}! @10 1 /1\n");
    bench_close(&b);
}

static void one_name_with_two_types_is_two_metrics(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    add(&b, 1, "a:1|c:2|g:3|c");
    add(&b, 1, "a:1|c|#t:1");
    add(&b, 1, "a,t=1:1|c");
    assert_int_equal(statsd_state_metrics(b.state), 3);
    statsd_state_flush(b.state, 10);
    assert_int_equal(b.n_data, 3);
    assert_int_equal(b.samples, 5);
    bench_close(&b);
}

static void a_late_collection_ends_the_window_before_it(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    add(&b, 1, "a:1|c");
    statsd_state_collect(b.state, 50000);
    add(&b, 55000, "a:1|c");
    statsd_state_collect(b.state, 70000); /* no aggregation came between */
    gave(&b, "a{metric_type=counter} @50000 1.0488088481701516x1 | 1 1 1 1 /1\n");
    statsd_state_aggregate(b.state, 120000);
    gave(&b, "a{metric_type=counter} @70000 1.0488088481701516x1 | 1 1 1 1 /1\n");
    bench_close(&b);
}

static void a_clock_that_is_put_back_keeps_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    add(&b, 7200000, "a:1|c");
    statsd_state_collect(b.state, 7210000);
    statsd_state_aggregate(b.state, 3600000);
    gave(&b, "a{metric_type=counter} @7210000 1.0488088481701516x1 | 1 1 1 1 /1\n");
    bench_close(&b);
}

static void high_resolution_below_a_minute(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(30000));
    add(&b, 1, "a:1|g");
    statsd_state_flush(b.state, 10);
    gave(&b, "a{metric_type=gauge}! @10 1.0488088481701516x1 | 1 1 1 1 /1\n");
    bench_close(&b);
}

static void beyond_the_limit_metrics_leave_early(void **state)
{
    (void)state;
    struct bench b;
    struct statsd_state_options o = options(60000);
    o.max_metrics = 100;
    bench_open(&b, o);
    char text[64];
    for (int i = 0; i < 1050; i++) {
        snprintf(text, sizeof(text), "metric%d:1|c", i);
        add(&b, i, text);
        assert_true(statsd_state_metrics(b.state) <= 100);
    }
    assert_true(b.early);
    assert_int_equal(b.n_data, 1000);
    statsd_state_flush(b.state, 2000);
    assert_int_equal(b.n_data, 1050);
    assert_int_equal(b.samples, 1050);
    bench_close(&b);
}

static void memory_is_bounded_by_bytes(void **state)
{
    (void)state;
    struct bench b;
    struct statsd_state_options o = options(60000);
    o.max_bytes = 100000;
    bench_open(&b, o);
    char text[64];
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "users:u%d|s", i);
        add(&b, 1, text);
        assert_true(statsd_state_bytes(b.state) < 300000); /* a tally doubles */
    }
    assert_true(b.early);
    statsd_state_flush(b.state, 2);
    assert_int_equal(b.samples, 20000);
    bench_close(&b);
}

static void many_distinct_values_keep_their_statistics(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(60000));
    char text[64];
    for (int i = 1; i <= 20000; i++) {
        snprintf(text, sizeof(text), "t:%d|ms", i);
        add(&b, 1, text);
    }
    assert_false(b.early);
    statsd_state_collect(b.state, 10);
    statsd_state_aggregate(b.state, 60000);
    assert_int_equal(b.n_data, 1);
    assert_int_equal(b.samples, 20000);
    assert_non_null(strstr(b.out.p, " | 20000 2.0001e+08 1 20000 /20000\n"));
    bench_close(&b);
}

static void metrics_that_end_are_forgotten(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(0));
    add(&b, 1000, "a:1|c:1|ms:x|s");
    add(&b, 1000, "b:1|c");
    statsd_state_collect(b.state, 10000);
    add(&b, 50000, "b:1|c");
    statsd_state_collect(b.state, 70000);
    assert_int_equal(statsd_state_metrics(b.state), 1);
    add(&b, 71000, "b:1|c");
    statsd_state_collect(b.state, 80000);
    assert_int_equal(b.samples, 6);
    statsd_state_collect(b.state, 1000000);
    assert_int_equal(statsd_state_metrics(b.state), 0);
    assert_int_equal(statsd_state_bytes(b.state), 0);
    bench_close(&b);
}

static void counters_stop_at_their_ends(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, options(0));
    add(&b, 1, "a:9223372036854775807|c:5|c");
    add(&b, 1, "b:-9223372036854775808|c:-5|c");
    statsd_state_collect(b.state, 10);
    gave(&b, "a{metric_type=counter}! @10 9.223372036854776e+18 /2\n"
             "b{metric_type=counter}! @10 -9.223372036854776e+18 /2\n");
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_aggregation_values_leave_as_they_are),
        cmocka_unit_test(collections_of_a_window_are_its_samples),
        cmocka_unit_test(golden_centres),
        cmocka_unit_test(weights_are_cut_to_whole_counts),
        cmocka_unit_test(negative_values_are_kept),
        cmocka_unit_test(what_cloudwatch_takes_not_is_lost_and_said),
        cmocka_unit_test(dimensions_are_tags_type_and_host),
        cmocka_unit_test(one_name_with_two_types_is_two_metrics),
        cmocka_unit_test(a_late_collection_ends_the_window_before_it),
        cmocka_unit_test(a_clock_that_is_put_back_keeps_nothing),
        cmocka_unit_test(high_resolution_below_a_minute),
        cmocka_unit_test(beyond_the_limit_metrics_leave_early),
        cmocka_unit_test(memory_is_bounded_by_bytes),
        cmocka_unit_test(many_distinct_values_keep_their_statistics),
        cmocka_unit_test(metrics_that_end_are_forgotten),
        cmocka_unit_test(counters_stop_at_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
