/* fuzz_emf: two expositions of one target through the encoder of events, with declarations, and as data.
 *
 * Besides not crashing, of every commit: each sample is delivered or dropped (the fake lanes check it), each event is
 * one line of JSON that a reader takes, with a time, and with at most 100 metric definitions; each name that a
 * directive names is a number or an object in the same event.
 *
 * The input: a byte of options, the first page, a zero byte, the second page.
 */
#include <stdlib.h>

#include "unit/sink/cloudwatch/fake_lanes.h"

#include "format/exposition.h"
#include "sink/cloudwatch/emf_int.h"
#include "wire/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct intern *intern;
    struct scope_table *scopes;
    struct plan_emf emf;
    struct plan_cloudwatch config;
    struct cloudwatch c;
    struct emf *e;
    struct sample samples[2048];
    struct sample_side sides[2048];
    struct batch_block blocks[2048];
    uint32_t n, n_sides, n_blocks;
};

static struct regex *search(const char *pattern)
{
    struct regex *re = NULL;

    CHECK(regex_new_search(str_c(pattern), &re, NULL) == OK);
    return re;
}

static uint32_t intern_once(struct fuzz *f, struct str raw, uint32_t context, struct labels labels, uint16_t flags)
{
    uint64_t hash = intern_hash(raw);
    uint32_t id = intern_find(f->intern, hash, raw, context);

    return id != METRIC_NONE ? id : intern_add(f->intern, hash, raw, context, labels, flags);
}

static void add_sample(struct fuzz *f, uint32_t id, const struct exposition_sample *value)
{
    struct sample *s = &f->samples[f->n++];

    *s = (struct sample){id, SIDE_NONE, value->value};
    if (!value->has_ts)
        return;
    f->sides[f->n_sides] =
        (struct sample_side){.ts_ms = value->ts_ms, .start_ms = value->ts_ms / 2, .histogram = SIDE_NONE};
    s->side = f->n_sides++;
}

/* As much of the page as can be read. */
static void parse(struct fuzz *f, struct str page)
{
    struct exposition e;
    struct exposition_entry entry;
    struct exposition_sample value;
    struct arena a = {0};
    struct labels labels;
    bool typed;
    AUTO_BUF body = {0};

    buf_str(&body, page);
    buf_c(&body, "");
    f->n = f->n_sides = f->n_blocks = 0;
    exposition_init(&e, EXPOSITION_TEXT, buf_view(&body));
    while (f->n < 2048 && f->n_blocks < 2048 && exposition_next(&e, &entry, NULL) == OK &&
           entry.kind != EXPOSITION_EOF) {
        if (entry.kind == EXPOSITION_COMMENTS) {
            uint32_t id = intern_once(f, entry.raw, 0, (struct labels){NULL, 0}, METRIC_COMMENT);
            f->blocks[f->n_blocks++] = (struct batch_block){f->n, id};
            continue;
        }
        arena_reset(&a);
        if (exposition_labels(entry.raw, EXPOSITION_TEXT, e.type, &a, &labels, &typed, NULL) != OK)
            break;
        uint32_t id = intern_once(f, entry.raw, 129 + (uint32_t)e.type, labels, 0);
        if (exposition_value(&e, &value, NULL) != OK)
            break;
        add_sample(f, id, &value);
    }
    arena_release(&a);
}

/* ---- what must be true of an event ------------------------------------------------------------------------------- */

static const struct node *member(const struct node *mapping, struct str key)
{
    for (const struct node *n = mapping->first; n; n = n->next) {
        if (str_eq(n->key, key))
            return n;
    }
    return NULL;
}

static uint32_t check_metrics(const struct node *event, const struct node *directive)
{
    const struct node *metrics = member(directive, STR("Metrics"));

    CHECK(metrics && metrics->n > 0 && member(directive, STR("Dimensions")));
    for (const struct node *m = metrics->first; m; m = m->next) {
        const struct node *name = member(m, STR("Name")), *value;
        CHECK(name);
        value = member(event, name->text);
        CHECK(value && (value->kind == NODE_NUMBER || value->kind == NODE_MAPPING));
    }
    return metrics->n;
}

static void check_event(const struct fuzz *f, struct str text)
{
    struct arena a = {0};
    struct node *event = NULL;
    uint32_t definitions = 0;

    CHECK(tree_parse_json(text, "event", &a, &event, NULL) == OK && event && event->kind == NODE_MAPPING);
    const struct node *at = f->emf.version_1 ? member(event, STR("_aws")) : event;
    CHECK(at && member(at, STR("Timestamp")) && member(event, STR("prom_metric_type")));
    const struct node *directives = member(at, STR("CloudWatchMetrics"));
    for (const struct node *d = directives ? directives->first : NULL; d; d = d->next)
        definitions += check_metrics(event, d);
    CHECK(definitions <= EMF_DEFINITIONS_MAX);
    arena_release(&a);
}

static void check_texts(const struct fuzz *f)
{
    for (size_t i = 0; i < f->c.n; i++) {
        struct str rest = buf_view(&f->c.lanes[i]->text), line;
        while (f->config.kind == CLOUDWATCH_LOGS && str_cut(rest, '\n', &line, &rest))
            check_event(f, line);
    }
}

/* ---- a target ---------------------------------------------------------------------------------------------------- */

static void deliver(struct fuzz *f, struct scope *scope, int64_t ts_ms)
{
    struct intern_view view = intern_view(f->intern);
    struct batch_run run = {.scope = scope, .n = f->n, .n_blocks = f->n_blocks};
    struct batch b = {.ts_ms = ts_ms,
                      .interval_ms = 15000,
                      .metrics = &view,
                      .samples = f->samples,
                      .n_samples = f->n,
                      .sides = f->sides,
                      .n_sides = f->n_sides,
                      .blocks = f->blocks,
                      .n_blocks = f->n_blocks,
                      .runs = &run,
                      .n_runs = 1};

    emf_consumer(f->e)->append(emf_consumer(f->e), &b, NULL, NULL);
}

static void run(struct fuzz *f, struct str input)
{
    struct label labels[] = {{STR("Version"), STR("x")}, {STR("a"), STR("1")}, {STR("job"), STR("web")}};
    struct cloudwatch_options o = {.intern = f->intern, .scopes = f->scopes, .slot = 1, .config = &f->config};
    struct scope *scope = scope_get(f->scopes, (struct labels){labels, 3});
    struct str first, second;

    f->e = emf_new(&f->c, &o);
    str_cut(input, '\0', &first, &second);
    for (int i = 0; i < 4; i++) {
        parse(f, i % 2 ? second : first);
        deliver(f, scope, 1700000000000 + i * 15000);
        if (i == 1)
            intern_sweep(f->intern);
        if (i == 2)
            emf_update(f->e, NULL, &f->config);
    }
    check_texts(f);
    scope_unref(f->scopes, scope);
    emf_free(f->e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct regex *all = search("."), *some = search("a");
    struct str job = STR("job"), a_job[] = {STR("a"), STR("job")};
    struct plan_dimensions sets[] = {{.names = &job, .n = 1}, {.names = a_job, .n = 2}, {0}};
    struct plan_emf_declaration declarations[] = {
        {.source_labels = &job,
         .n_source_labels = 1,
         .label_matcher = all,
         .selectors = &all,
         .n_selectors = 1,
         .dimensions = sets,
         .n_dimensions = 2},
        {.source_labels = a_job,
         .n_source_labels = 2,
         .label_matcher = some,
         .selectors = &some,
         .n_selectors = 1,
         .dimensions = sets + 1,
         .n_dimensions = 2},
    };
    struct fuzz *f = NEW(struct fuzz);
    uint8_t options = size ? data[0] : 0;

    f->intern = intern_new();
    f->scopes = scope_table_new();
    f->emf = (struct plan_emf){.cluster_name = STR("c"),
                               .log_group = STR("/{ClusterName}/{a}"),
                               .log_stream = STR("{JobName}"),
                               .name_space = STR("n"),
                               .declarations = declarations,
                               .n_declarations = 2,
                               .version_1 = options & 1,
                               .untyped_as_gauge = options & 2,
                               .first_values = options & 4,
                               .drop_unselected = options & 8,
                               .histograms = (enum emf_histograms)((options >> 4 & 3) % 3),
                               .max_metrics = options & 64 ? 3 : 0};
    f->config = (struct plan_cloudwatch){.kind = options & 128 ? CLOUDWATCH_METRICS : CLOUDWATCH_LOGS, .emf = &f->emf};
    run(f, size ? str_from((const char *)data + 1, size - 1) : STR(""));
    fake_lanes_release(&f->c);
    intern_sweep(f->intern);
    intern_free(f->intern);
    scope_table_free(f->scopes);
    free(f);
    regex_free(all);
    regex_free(some);
    return 0;
}
