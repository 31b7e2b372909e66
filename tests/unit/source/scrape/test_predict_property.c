/* Whatever pages follow each other: what is predicted is what a fresh reading gives, plus a marker for each series that
 * was there and is not.
 *
 * Pages are random rows of lines from a small stock, so that lines are inserted, removed, swapped and doubled all the
 * time; some pages are broken, and now and then the configuration changes, the conversion of
 * classic histograms with it.
 */
#include "unit/source/scrape/pages.h"

#define ROUNDS  3000
#define PAGES   12
#define SET_MAX 256

static const char *const stock[] = {
    "# HELP a A.\n# TYPE a gauge\n",
    "# HELP a Another.\n",
    "# TYPE h histogram\n",
    "# TYPE h gauge\n",
    "# TYPE s summary\n",
    "# a comment\n",
    "\n",
    "a",
    "a {x=\"1\"}",
    "a{x=\"1\"}",
    "a{x=\"2\"}",
    "a{x=\"1\",y=\"2\"}",
    "a{y=\"2\",x=\"1\"}",
    "a{job=\"other\"}",
    "ab",
    "b",
    "b{x=\"\"}",
    "c{instance=\"i\"}",
    "drop1",
    "drop2{x=\"1\"}",
    "h_bucket{le=\"1\"}",
    "h_bucket{le=\"1.0\"}",
    "h_bucket{le=\"+Inf\"}",
    "h_bucket{le=\"+Inf\",x=\"1\"}",
    "h_count",
    "h_sum",
    "h_count{x=\"1\"}",
    "h",
    "s{quantile=\"0\"}",
    "d1",
    "d2",
    "d3",
    "d4",
    "d5",
    "d6",
    "d7",
    "d8",
};

/* ---- random pages ------------------------------------------------------------------------------------------------ */

struct script {
    uint8_t items[64];
    uint32_t n;
};

static void shuffle(struct script *s, struct unit_random *r)
{
    uint32_t edits = (uint32_t)unit_random_below(r, 5);

    for (uint32_t k = 0; k < edits; k++) {
        uint32_t at = (uint32_t)unit_random_below(r, s->n + 1);
        switch (unit_random_below(r, 4)) {
        case 0:
        case 1:
            if (s->n == sizeof(s->items))
                break;
            memmove(&s->items[at + 1], &s->items[at], s->n - at);
            s->items[at] = (uint8_t)unit_random_below(r, COUNT_OF(stock));
            s->n++;
            break;
        case 2: {
            uint32_t cut = (uint32_t)unit_random_below(r, 1 + (unit_random_below(r, 4) == 0 ? 12 : 1));
            cut = cut < s->n - (at < s->n ? at : s->n) ? cut : s->n - (at < s->n ? at : s->n);
            if (at < s->n) {
                memmove(&s->items[at], &s->items[at + cut], s->n - at - cut);
                s->n -= cut;
            }
            break;
        }
        default:
            if (s->n > 1 && at + 1 < s->n) {
                uint8_t swap = s->items[at];
                s->items[at] = s->items[at + 1];
                s->items[at + 1] = swap;
            }
        }
    }
}

/* Timestamps lie behind the batch's own and before the next one's, so that none is refused. */
static void print_page(const struct script *s, struct unit_random *r, int64_t ts_ms, bool broken, struct buf *out)
{
    buf_clear(out);
    for (uint32_t i = 0; i < s->n; i++) {
        const char *item = stock[s->items[i]];
        buf_c(out, item);
        if (item[0] == '#' || item[0] == '\n')
            continue;
        /* classic histograms that can be converted, usually */
        bool whole = item[0] == 'h' && unit_random_below(r, 8) != 0;
        buf_printf(out, " %u", whole ? 3 : (unsigned)unit_random_below(r, 100));
        /* one item in eight has timestamps, usually */
        if (s->items[i] % 8 == 7 && unit_random_below(r, 8) != 0)
            buf_printf(out, " %lld", (long long)++ts_ms);
        buf_char(out, '\n');
    }
    if (broken)
        buf_c(out, "broken{\n");
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

struct set {
    char *v[SET_MAX];
    uint32_t n;
};

static void set_clear(struct set *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->v[i]);
    s->n = 0;
}

static bool set_has(const struct set *s, const char *text)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (strcmp(s->v[i], text) == 0)
            return true;
    }
    return false;
}

static void set_add(struct set *s, struct str text)
{
    char *copy = mem_strndup(text.p, text.n);

    if (set_has(s, copy)) {
        free(copy);
        return;
    }
    assert_true(s->n < SET_MAX);
    s->v[s->n++] = copy;
}

/* Splits a batch's lines into what was read, and the series of the markers. */
static void split(struct str batch, struct buf *read, struct set *stale, struct set *tracked, struct set *timed)
{
    struct str line;

    buf_clear(read);
    buf_c(read, "");
    while (batch.n) {
        str_cut(batch, '\n', &line, &batch);
        size_t name_end = line.n;
        while (line.p[name_end - 1] != '}')
            name_end--;
        struct str series = str_from(line.p, name_end);
        if (str_ends(line, STR(" stale"))) {
            set_add(stale, series);
            continue;
        }
        buf_str(read, line);
        buf_char(read, '\n');
        set_add(str_contains(line, STR(" @")) ? timed : tracked, series);
    }
}

/* A series that came with a time of its own, later than the batch's, cannot get a marker any more. */
static void check_markers(const struct set *before, const struct set *now, const struct set *timed,
                          const struct set *stale)
{
    for (uint32_t i = 0; i < stale->n; i++) {
        if (!set_has(before, stale->v[i]))
            fail_msg("a marker for %s, which was not there", stale->v[i]);
        if (set_has(now, stale->v[i]))
            fail_msg("a marker for %s, which is still there", stale->v[i]);
    }
    for (uint32_t i = 0; i < before->n; i++) {
        if (!set_has(now, before->v[i]) && !set_has(stale, before->v[i]) && !set_has(timed, before->v[i]))
            fail_msg("no marker for %s", before->v[i]);
    }
}

/* ---- the property ------------------------------------------------------------------------------------------------ */

struct rules {
    struct str name;
    struct relabel_rule rule[2];
    struct relabel_rules drop, set;
};

static void make_rules(struct rules *r)
{
    r->name = LABEL_NAME;
    r->rule[0] = (struct relabel_rule){
        .action = RELABEL_DROP, .source_labels = &r->name, .n_source_labels = 1, .separator = STR(";")};
    r->rule[1] = (struct relabel_rule){
        .action = RELABEL_REPLACE, .separator = STR(";"), .target_label = STR("instance"), .replacement = STR("set")};
    assert_int_equal(regex_new(STR("drop.*"), &r->rule[0].regex, NULL), OK);
    assert_int_equal(regex_new(STR("(.*)"), &r->rule[1].regex, NULL), OK);
    r->drop = (struct relabel_rules){&r->rule[0], 1};
    r->set = (struct relabel_rules){&r->rule[0], 2};
}

static void configure(struct plan_scrape *c, struct rules *rules, uint64_t choice)
{
    c->honor_labels = choice & 1;
    c->metric_relabel = choice & 2 ? &rules->set : &rules->drop;
    c->shape_hash = 1 + (choice & 3);
}

struct sequence {
    struct pages p;
    struct rules rules;
    struct script script;
    struct set before; /* tracked by the last scrape; empty when it failed */
};

static void one_page(struct sequence *q, struct unit_random *r)
{
    AUTO_BUF body = {0};
    AUTO_BUF read = {0};
    struct set stale = {0};
    struct set now = {0};
    struct set timed = {0};
    struct pages fresh = {.config = q->p.config, .histograms = q->p.histograms, .now_ms = 0};
    static const struct label job = {{"job", 3}, {"j", 1}};
    bool broken = unit_random_below(r, 10) == 0;

    shuffle(&q->script, r);
    print_page(&q->script, r, q->p.ts_ms + 1000, broken, &body);
    pages_open_as(&fresh, (struct labels){&job, 1});
    pages_scrape(&fresh, body.n ? body.p : "");
    pages_scrape(&q->p, body.n ? body.p : "");
    split(buf_view(&q->p.text), &read, &stale, &now, &timed);

    assert_int_equal(q->p.err, fresh.err);
    assert_string_equal(q->p.diag.text, fresh.diag.text);
    /* comments in front of a broken line end a histogram only if they are read as a block of their own */
    if (fresh.err == OK || !q->p.histograms.convert) {
        assert_int_equal(q->p.result.scraped, fresh.result.scraped);
        assert_int_equal(q->p.result.relabelled, fresh.result.relabelled);
    }
    assert_str(buf_view(&read), buf_view(&fresh.text));
    check_markers(&q->before, &now, &timed, &stale);

    set_clear(&q->before);
    q->before = now;
    set_clear(&stale);
    set_clear(&timed);
    pages_close(&fresh);
}

static void predicted_pages_are_what_fresh_ones_are(void **state)
{
    struct unit_random r = unit_random_new();
    (void)state;

    for (int round = 0; round < ROUNDS; round++) {
        struct sequence q = {0};
        make_rules(&q.rules);
        pages_open(&q.p);
        configure(&q.p.config, &q.rules, unit_random_below(&r, 4));
        page_shape(&q.p.predictor, &q.p.page, &q.p.config, false);
        for (int i = 0; i < 20; i++)
            q.script.items[q.script.n++] = (uint8_t)unit_random_below(&r, COUNT_OF(stock));
        for (int i = 0; i < PAGES; i++) {
            if (unit_random_below(&r, 8) == 0) {
                configure(&q.p.config, &q.rules, unit_random_below(&r, 4));
                q.p.histograms.convert = unit_random_below(&r, 2) == 0;
                q.p.histograms.classic_too = unit_random_below(&r, 2) == 0;
                page_shape(&q.p.predictor, &q.p.page, &q.p.config, true);
            }
            one_page(&q, &r);
            if (unit_random_below(&r, 4) == 0)
                intern_sweep(q.p.intern);
        }
        set_clear(&q.before);
        pages_close(&q.p);
        regex_free(q.rules.rule[0].regex);
        regex_free(q.rules.rule[1].regex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicted_pages_are_what_fresh_ones_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
