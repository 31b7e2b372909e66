/* Data become records: roll-ups, dimensions, namespaces, and what of them counts. */
#include "unit.h"

#include "unit/sink/cloudwatch/cw_world.h"

static struct cw_world *start(void)
{
    struct cw_world *w = cw_world_new(CLOUDWATCH_METRICS);
    cw_open(w);
    return w;
}

static void append(struct cw_world *w, const struct datum *v, uint32_t n)
{
    struct datum_consumer *consumer = cloudwatch_data(w->c);
    assert_null(cloudwatch_log_events(w->c));
    consumer->append(consumer, v, n);
}

static struct datum datum(const char *name, const struct label *labels, uint32_t n, uint32_t samples)
{
    static const double one = 1;
    return (struct datum){.name = str_c(name),
                          .dimensions = {labels, n},
                          .ts_ms = clock_wall_ms(),
                          .values = &one,
                          .n_values = 1,
                          .samples = samples};
}

/* How often these words stand in the last body. */
static uint32_t times(const struct cw_world *w, const char *words)
{
    uint32_t n = 0;
    for (const char *p = w->last_body.p; (p = strstr(p, words)); p++)
        n++;
    return n;
}

static const struct label abc[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"2", 1}}, {{"c", 1}, {"", 0}}};

static void roll_ups(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_METRICS);
    struct str a = STR("a"), ba[] = {STR("b"), STR("a")}, z = STR("z"), c = STR("c");
    struct plan_dimensions sets[] = {
        {.names = &a, .n = 1}, {.n = 0}, {.names = ba, .n = 2}, {.names = &z, .n = 1}, {.names = &c, .n = 1}};
    struct str dropped[] = {STR("dropped"), STR("dropped too")};
    w->config->rollups = sets;
    w->config->n_rollups = COUNT_OF(sets);
    w->config->drop_original = dropped;
    w->config->n_drop_original = 2;
    cw_open(w);
    struct datum v = datum("m", abc, 3, 5);
    append(w, &v, 1);
    cw_drain(w);
    assert_int_equal(w->n_seen, 3); /* its own, {a} and {}; {a,b} is its own */
    assert_int_equal(times(w, "\"Dimensions\":[{\"Name\":\"a\",\"Value\":\"1\"},{\"Name\":\"b\",\"Value\":\"2\"}]"), 1);
    assert_int_equal(times(w, "\"Dimensions\":[{\"Name\":\"a\",\"Value\":\"1\"}]"), 1);
    v = datum("dropped", abc, 3, 7);
    append(w, &v, 1);
    cw_drain(w);
    assert_int_equal(w->n_seen, 5);
    v = datum("dropped too", NULL, 0, 11); /* no set is smaller than none */
    append(w, &v, 1);
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.read, 23);
    assert_int_equal(l.delivered, 12);
    assert_int_equal(l.dropped[DROP_UNDECLARED], 11);
    cw_world_free(w);
}

static void thirty_dimensions_and_host(void **state)
{
    (void)state;
    struct cw_world *w = start();
    struct label labels[40];
    char names[40][8];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), i == 36 ? "host" : i < 36 ? "d%02d" : "z%02d", i);
        labels[i] = (struct label){str_c(names[i]), STR("x")};
    }
    struct datum v = datum("m", labels, 40, 1);
    append(w, &v, 1);
    cw_drain(w);
    assert_int_equal(w->n_seen, 1);
    assert_int_equal(times(w, "\"Value\":\"x\""), 30);
    assert_int_equal(times(w, "\"host\""), 1);
    assert_int_equal(times(w, "\"d28\""), 1);
    assert_int_equal(times(w, "\"d29\""), 0);
    cw_world_free(w);
}

static void namespaces_are_places(void **state)
{
    (void)state;
    struct cw_world *w = start();
    struct datum v[6];
    for (int i = 0; i < 6; i++)
        v[i] = datum("m", abc, 2, 1);
    v[1].name_space = v[4].name_space = STR("Mine");
    v[3].name_space = STR(":bad");
    append(w, v, 6);
    cw_drain(w);
    assert_int_equal(w->n_puts, 2);
    uint32_t mine = 0, own = 0;
    for (size_t i = 0; i < w->n_seen; i++) {
        mine += !strcmp(w->seen[i].stream, "Mine");
        own += !strcmp(w->seen[i].stream, "CWAgent");
    }
    assert_int_equal(mine, 2);
    assert_int_equal(own, 3);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.read, 6);
    assert_int_equal(l.dropped[DROP_UNSENDABLE], 1);
    cw_world_free(w);
}

static void what_is_refused_costs_only_itself(void **state)
{
    (void)state;
    struct cw_world *w = start();
    static const double huge = 0x1p400;
    struct datum v[] = {datum("good", abc, 2, 2), datum("", abc, 2, 3), datum("huge", abc, 2, 4),
                        datum("fine", abc, 2, 5)};
    v[2].values = &huge;
    append(w, v, 4);
    cw_drain(w);
    assert_int_equal(cw_times_seen(w, "good"), 1);
    assert_int_equal(cw_times_seen(w, "fine"), 1);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.delivered, 7);
    assert_int_equal(l.dropped[DROP_UNSENDABLE], 7);
    assert_int_equal(l.read, 14);
    cw_world_free(w);
}

static void many_values_are_several_data_with_all_samples(void **state)
{
    (void)state;
    struct cw_world *w = start();
    double values[400];
    for (int i = 0; i < 400; i++)
        values[i] = i;
    struct datum v = datum("many", abc, 2, 1234);
    v.values = values;
    v.n_values = 400;
    append(w, &v, 1);
    cw_drain(w);
    assert_int_equal(w->n_seen, 3);
    assert_int_equal(cw_ledger(w).delivered, 1234);
    cw_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roll_ups),
        cmocka_unit_test(thirty_dimensions_and_host),
        cmocka_unit_test(namespaces_are_places),
        cmocka_unit_test(what_is_refused_costs_only_itself),
        cmocka_unit_test(many_values_are_several_data_with_all_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
