/* The line grammar of the CloudWatch agent's StatsD listener, rule by rule: what each line means is written out as
 * `name{tag=value,...} type=value*weight ...` and ends with `!` and a number when a fault ends the line. */
#include "unit.h"

#include "base/num.h"
#include "format/statsd.h"

static void print_value(struct buf *out, const struct statsd_value *v)
{
    buf_printf(out, " %.*s=", STR_ARGS(statsd_type_name(v->type)));
    if (v->type == STATSD_COUNTER) {
        buf_i64(out, v->count);
    } else if (v->type == STATSD_SET) {
        buf_str(out, v->text);
    } else {
        buf_c(out, v->relative ? "change " : "");
        buf_double(out, v->number);
    }
    if (v->weight != 1) {
        buf_char(out, '*');
        buf_double(out, v->weight);
    }
    buf_c(out, v->bad_rate ? "?" : "");
}

static void print_line(struct statsd_line *l, struct str text, struct buf *out)
{
    struct statsd_value v;
    enum err err = statsd_line_parse(l, text);

    buf_clear(out);
    if (!err) {
        buf_printf(out, "%.*s{", STR_ARGS(l->name));
        for (uint32_t i = 0; i < l->n_tags; i++) {
            buf_printf(out, "%s%.*s=%.*s", i ? "," : "", STR_ARGS(l->tags[i].name), STR_ARGS(l->tags[i].value));
        }
        buf_char(out, '}');
        while (!(err = statsd_line_next(l, &v)))
            print_value(out, &v);
    }
    if (err != ERR_EOF) {
        assert_int_equal(err, ERR_SYNTAX);
        assert_int_not_equal(l->fault, STATSD_FINE);
        buf_printf(out, " !%d", l->fault);
        assert_int_equal(statsd_line_next(l, &v), ERR_EOF);
    }
}

static void means(const char *text, const char *expected)
{
    static struct statsd_line l; /* kept from line to line, as a listener keeps it */
    AUTO_BUF out = {0};
    char *exact = malloc(strlen(text) + 1); /* so that reading beyond the end is seen */

    memcpy(exact, text, strlen(text));
    print_line(&l, str_from(exact, strlen(text)), &out);
    free(exact);
    if (strcmp(out.p, expected) != 0)
        fail_msg("%s\n  got  %s\n  want %s", text, out.p, expected);
    statsd_line_release(&l);
}

static void types_and_values(void **state)
{
    (void)state;
    means("requests:1|c", "requests{} counter=1");
    means("a:-7|c", "a{} counter=-7");
    means("a:+7|c", "a{} counter=7");
    means("a:1.7|c", "a{} counter=1");
    means("a:-1.7|c", "a{} counter=-1");
    means("a:1e3|c", "a{} counter=1000");
    means("a:9223372036854775807|c", "a{} counter=9223372036854775807");
    means("a:3.5|g", "a{} gauge=3.5");
    means("a:+3.5|g", "a{} gauge=change 3.5");
    means("a:-3.5|g", "a{} gauge=change -3.5");
    means("a:NaN|g", "a{} gauge=NaN");
    means("a:inf|g", "a{} gauge=+Inf");
    means("a:320|ms", "a{} timing=320");
    means("a:0.25|h", "a{} histogram=0.25");
    means("a:bob smith|s", "a{} set=bob smith");
    means("a:|s", "a{} set=");
}

static void several_values_on_a_line(void **state)
{
    (void)state;
    means("a:1|c:2|g:3|ms|@0.5:x|s", "a{} counter=1 gauge=2 timing=3*2 set=x");
    means("a:1|c:x|g:3|c", "a{} counter=1 !5");
    means("a:1|c:", "a{} counter=1 !2");
    means("a:1|c|c:0a1b", "a{} counter=1? !2"); /* a container id of DogStatsD */
}

static void faults(void **state)
{
    (void)state;
    means("a", " !1");
    means("a|c", " !1");
    means("a:1", "a{} !2");
    means("a:1|d", "a{} !3");
    means("a:1|C", "a{} !3");
    means("a:1|c ", "a{} !3");
    means("a:1|", "a{} !3");
    means("a:+1|ms", "a{} !4");
    means("a:-1|h", "a{} !4");
    means("a:-x|s", "a{} !4");
    means("a:|c", "a{} !5");
    means("a:0x10|c", "a{} !5");
    means("a:0x1p4|g", "a{} !5");
    means("a: 1|c", "a{} !5");
    means("a:1e400|g", "a{} !5");
    means("a:1e400|c", "a{} !5");
    means("a:1_000|c", "a{} !5");
    means("a:1e19|c", "a{} !6");
    means("a:nan|c", "a{} !6");
    means("a:9e18|c|@0.1", "a{} !6");
    means(":1|c", "{} counter=1"); /* the destination takes no metric without a name */
}

static void rates(void **state)
{
    (void)state;
    means("a:1|c|@0.1", "a{} counter=10");
    means("a:1|c|@0.3", "a{} counter=3");
    means("a:3|c|@2", "a{} counter=1");
    means("a:1|c|@0", "a{} counter=1");
    means("a:320|ms|@0.1", "a{} timing=320*10");
    means("a:320|h|@0.5", "a{} histogram=320*2");
    means("a:5|g|@0.1", "a{} gauge=5");
    means("a:x|s|@0.1", "a{} set=x");
    means("a:1|c|0.1", "a{} counter=1?");
    means("a:1|c|@", "a{} counter=1?");
    means("a:1|c|@x", "a{} counter=1?");
    means("a:1|c|", "a{} counter=1?");
    means("a:1|c|x0.5@", "a{} counter=1?");
    means("a:1|ms|@-1", "a{} timing=1?");
    means("a:1|ms|@inf", "a{} timing=1?");
    means("a:1|ms|@5e-324", "a{} timing=1?");
    means("a:1|c|@0.5|@0.1", "a{} counter=2");
}

static void tags_anywhere(void **state)
{
    (void)state;
    means("a:1|c|#region:eu:west,canary", "a{canary=<empty>,region=eu:west} counter=1");
    means("a:1|c|#zone:,:v", "a{zone=} counter=1");
    means("a:1|c|#b:1|@0.5", "a{b=1} counter=2");
    means("#b:1|a:1|c", "a{b=1} counter=1");
    means("a:1|#b:1|c", "a{b=1} counter=1");
    means("a:1|c|#b:1|#b:2,c:3", "a{b=2,c=3} counter=1");
    means("a|#x:y|b:1|c", "a|b{x=y} counter=1");
    means("a:1|c|#", "a{} counter=1");
    means("a:1|c|@0.1|#b:1|T1656581400", "a{b=1} counter=10");
    means("#b:1", " !1");
}

static void tags_of_the_bucket(void **state)
{
    (void)state;
    means("a,b=1,c=2:1|c", "a{b=1,c=2} counter=1");
    means("a,b=1=2,c,=d,e=:1|c", "a{e=} counter=1");
    means("a,b=1,b=2:1|c", "a{b=2} counter=1");
    means("a,b=1:1|c|#b:2", "a{b=2} counter=1");
    means("a,metric_type=x:1|c", "a{} counter=1");
    means("a:1|c|#metric_type:x", "a{metric_type=x} counter=1");
    means(",b=1:1|c", "{b=1} counter=1");
}

static void names_are_left_alone(void **state)
{
    (void)state;
    means("a..b/c-d e:1|c", "a..b/c-d e{} counter=1");
}

static void tags_are_limited(void **state)
{
    (void)state;
    struct statsd_line l = {0};
    AUTO_BUF text = {0};

    buf_c(&text, "a:1|c|#");
    for (int i = 0; i < STATSD_TAGS_MAX; i++)
        buf_printf(&text, "t%03d:x,", i);
    assert_int_equal(statsd_line_parse(&l, buf_view(&text)), OK);
    assert_int_equal(l.n_tags, STATSD_TAGS_MAX);
    assert_str_c(labels_get(statsd_line_tags(&l), STR("t127")), "x");
    buf_c(&text, "t000:y");
    assert_int_equal(statsd_line_parse(&l, buf_view(&text)), OK);
    assert_str_c(labels_get(statsd_line_tags(&l), STR("t000")), "y");
    buf_c(&text, ",one:more");
    assert_int_equal(statsd_line_parse(&l, buf_view(&text)), ERR_SYNTAX);
    assert_int_equal(l.fault, STATSD_TAGS);
    statsd_line_release(&l);
}

static void every_fault_has_words(void **state)
{
    (void)state;
    for (int f = STATSD_FINE + 1; f < STATSD_FAULTS; f++)
        assert_true(strlen(statsd_fault_text((enum statsd_fault)f)) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_values),
        cmocka_unit_test(several_values_on_a_line),
        cmocka_unit_test(faults),
        cmocka_unit_test(rates),
        cmocka_unit_test(tags_anywhere),
        cmocka_unit_test(tags_of_the_bucket),
        cmocka_unit_test(tags_are_limited),
        cmocka_unit_test(names_are_left_alone),
        cmocka_unit_test(every_fault_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
