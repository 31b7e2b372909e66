/* emf_world: an encoder with fake lanes, fed with expositions as text.
 *
 *   world_scrape(&w, scope, "# TYPE a counter\na 5\n");        one batch, at w.ts_ms, which goes on by w.interval_ms
 *   world_text(&w, 0)                                          what the first place got since then
 */
#ifndef EMF_WORLD_H
#define EMF_WORLD_H

#include "unit.h"
#include "unit/sink/cloudwatch/fake_lanes.h"

#include "format/exposition.h"
#include "sink/cloudwatch/emf_int.h"

struct world_page {
    struct scope *scope;
    uint32_t *ids; /* referenced */
    size_t n, cap;
};

struct world {
    struct intern *intern;
    struct scope_table *scopes;
    struct counters *counters;
    struct cloudwatch c;
    struct plan_emf emf;
    struct plan_cloudwatch config;
    struct emf *e;
    enum exposition_kind kind;
    int64_t ts_ms, interval_ms;
    struct arena arena; /* of declarations and labels */
    struct plan_emf_declaration declarations[16];
    struct sample *samples;
    size_t n, cap;
    struct batch_block *blocks;
    size_t n_blocks, cap_blocks;
    struct sample_side *sides;
    size_t n_sides, cap_sides;
    struct scope *web; /* of the target that most tests scrape; NULL: none */
};

static inline void world_open(struct world *w)
{
    *w = (struct world){.intern = intern_new(), .scopes = scope_table_new(), .counters = counters_new()};
    w->ts_ms = 1700000000000;
    w->interval_ms = 60000;
    w->emf = (struct plan_emf){.cluster_name = STR("c1"),
                               .log_group = STR("/aws/ecs/containerinsights/c1/prometheus"),
                               .log_stream = STR("{JobName}"),
                               .name_space = STR("ECS/ContainerInsights/Prometheus"),
                               .declarations = w->declarations};
}

static inline void world_start(struct world *w)
{
    w->config.emf = &w->emf;
    struct cloudwatch_options o = {
        .intern = w->intern, .scopes = w->scopes, .slot = 2, .config = &w->config, .counters = w->counters};
    w->e = emf_new(&w->c, &o);
    assert_non_null(w->e);
}

/* "job=web,TaskId=1" */
static inline struct scope *world_scope(struct world *w, const char *text)
{
    struct labels_builder b;
    struct str rest = str_c(text), one, name, value;

    labels_builder_init(&b, &w->arena);
    while (rest.n) {
        str_cut(rest, ',', &one, &rest);
        str_cut(one, '=', &name, &value);
        labels_builder_set(&b, str_dup(&w->arena, name), str_dup(&w->arena, value));
    }
    return scope_get(w->scopes, labels_builder_labels(&b));
}

static inline void world_start_web(struct world *w)
{
    world_start(w);
    w->web = world_scope(w, "job=web");
}

static inline struct str *world_list(struct world *w, const char *text, uint32_t *n)
{
    struct str rest = str_c(text), one, *v = ARENA_ARRAY(&w->arena, struct str, 40);

    for (*n = 0; rest.n;) {
        str_cut(rest, ',', &one, &rest);
        v[(*n)++] = str_dup(&w->arena, one);
    }
    return v;
}

/* Dimension sets are "a,b|c"; selectors are separated by a blank. */
static inline void world_declare(struct world *w, const char *source_labels, const char *matcher, const char *sets,
                                 const char *selectors)
{
    struct plan_emf_declaration *d = &w->declarations[w->emf.n_declarations++];
    struct str rest = str_c(sets), one;

    *d = (struct plan_emf_declaration){0};
    d->source_labels = world_list(w, source_labels, &d->n_source_labels);
    assert_int_equal(regex_new_search(str_c(matcher), &d->label_matcher, NULL), OK);
    d->dimensions = ARENA_ARRAY(&w->arena, struct plan_dimensions, 8);
    for (bool more = true; more;) {
        more = str_cut(rest, '|', &one, &rest);
        struct plan_dimensions *set = &d->dimensions[d->n_dimensions++];
        set->names = world_list(w, str_dup(&w->arena, one).p, &set->n);
    }
    d->selectors = ARENA_ARRAY(&w->arena, struct regex *, 24);
    rest = str_c(selectors);
    while (rest.n) {
        str_cut(rest, ' ', &one, &rest);
        assert_int_equal(regex_new_search(one, &d->selectors[d->n_selectors++], NULL), OK);
    }
}

static inline void world_close(struct world *w)
{
    if (w->web)
        scope_unref(w->scopes, w->web);
    emf_free(w->e);
    fake_lanes_release(&w->c);
    for (uint32_t i = 0; i < w->emf.n_declarations; i++) {
        regex_free(w->declarations[i].label_matcher);
        for (uint32_t k = 0; k < w->declarations[i].n_selectors; k++)
            regex_free(w->declarations[i].selectors[k]);
    }
    intern_sweep(w->intern);
    assert_int_equal(scope_count(w->scopes), 0);
    intern_free(w->intern);
    scope_table_free(w->scopes);
    counters_free(w->counters);
    free(w->samples);
    free(w->blocks);
    free(w->sides);
    arena_release(&w->arena);
}

/* ---- pages to samples ---- */

static inline uint32_t world_intern(struct world *w, struct str raw, uint32_t context, struct labels labels,
                                    uint16_t flags)
{
    uint64_t hash = intern_hash(raw);
    uint32_t id = intern_find(w->intern, hash, raw, context);

    return id != METRIC_NONE ? id : intern_add(w->intern, hash, raw, context, labels, flags);
}

static inline struct sample *world_add(struct world *w, uint32_t metric, double value)
{
    w->samples = mem_grow(w->samples, &w->cap, w->n + 1, sizeof(*w->samples));
    w->samples[w->n] = (struct sample){metric, SIDE_NONE, value};
    return &w->samples[w->n++];
}

static inline struct sample_side *world_side(struct world *w, struct sample *s, int64_t ts_ms)
{
    w->sides = mem_grow(w->sides, &w->cap_sides, w->n_sides + 1, sizeof(*w->sides));
    s->side = (uint32_t)w->n_sides;
    w->sides[w->n_sides] = (struct sample_side){.ts_ms = ts_ms, .histogram = SIDE_NONE};
    return &w->sides[w->n_sides++];
}

static inline void world_block(struct world *w, uint32_t metric)
{
    w->blocks = mem_grow(w->blocks, &w->cap_blocks, w->n_blocks + 1, sizeof(*w->blocks));
    w->blocks[w->n_blocks++] = (struct batch_block){(uint32_t)w->n, metric};
}

/* A metric whose labels after relabelling are not those of its line. */
static inline uint32_t world_metric(struct world *w, const char *raw, const char *labels)
{
    struct labels_builder b;
    struct str rest = str_c(labels), one, name, value;
    struct label *v = ARENA_ARRAY(&w->arena, struct label, 16);
    uint32_t n = 0;

    labels_builder_init(&b, &w->arena);
    while (rest.n) {
        str_cut(rest, ',', &one, &rest);
        str_cut(one, '=', &name, &value);
        v[n++] = (struct label){name, value};
    }
    return world_intern(w, str_c(raw), 640 + (uint32_t)(hash_bytes(str_c(labels)) % 4096) * 64, (struct labels){v, n},
                        0);
}

static inline void world_begin(struct world *w)
{
    w->n = w->n_blocks = w->n_sides = 0;
}

static inline void world_parse(struct world *w, struct str page)
{
    struct exposition e;
    struct exposition_entry entry;
    struct exposition_sample value;
    struct diag d = {0};
    struct arena a = {0};
    AUTO_BUF body = {0};
    struct labels labels;
    bool typed;

    buf_str(&body, page);
    buf_c(&body, "");
    exposition_init(&e, w->kind, buf_view(&body));
    for (;;) {
        if (exposition_next(&e, &entry, &d) != OK)
            fail_msg("%s", d.text);
        if (entry.kind == EXPOSITION_EOF)
            break;
        if (entry.kind == EXPOSITION_COMMENTS) {
            world_block(w, world_intern(w, entry.raw, (uint32_t)w->kind << BATCH_KIND_SHIFT, (struct labels){NULL, 0},
                                        METRIC_COMMENT));
            continue;
        }
        assert_int_equal(exposition_labels(entry.raw, w->kind, e.type, &a, &labels, &typed, &d), OK);
        uint32_t id =
            world_intern(w, entry.raw, 128 + ((uint32_t)w->kind << BATCH_KIND_SHIFT) + 1 + (uint32_t)e.type, labels, 0);
        assert_int_equal(exposition_value(&e, &value, &d), OK);
        struct sample *s = world_add(w, id, value.value);
        if (value.has_ts)
            world_side(w, s, value.ts_ms);
        arena_reset(&a);
    }
    world_block(w, METRIC_NONE);
    arena_release(&a);
}

/* up and its like, of which no block speaks. */
static inline void world_report(struct world *w)
{
    static const char *const names[] = {"up", "scrape_duration_seconds", "scrape_samples_scraped"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct label name = {LABEL_NAME, str_c(names[i])};
        world_add(w, world_intern(w, str_c(names[i]), 64, (struct labels){&name, 1}, 0), 1);
    }
}

/* What was parsed, as one batch of one scope. */
static inline void world_append(struct world *w, struct scope *scope, struct batch_consumer *to)
{
    struct intern_view view = intern_view(w->intern);
    struct batch_run run = {.scope = scope, .n = (uint32_t)w->n, .n_blocks = (uint32_t)w->n_blocks};
    struct batch b = {.ts_ms = w->ts_ms,
                      .interval_ms = w->interval_ms,
                      .metrics = &view,
                      .samples = w->samples,
                      .n_samples = (uint32_t)w->n,
                      .sides = w->sides,
                      .n_sides = (uint32_t)w->n_sides,
                      .blocks = w->blocks,
                      .n_blocks = (uint32_t)w->n_blocks,
                      .runs = &run,
                      .n_runs = 1};

    to->append(to, &b, NULL, NULL);
}

static inline void world_deliver(struct world *w, struct scope *scope)
{
    for (size_t i = 0; i < w->c.n; i++)
        buf_clear(&w->c.lanes[i]->text);
    world_append(w, scope, emf_consumer(w->e));
    w->ts_ms += w->interval_ms;
}

static inline void world_scrape(struct world *w, struct scope *scope, const char *page)
{
    world_begin(w);
    world_parse(w, str_c(page));
    world_deliver(w, scope);
}

/* ---- what came out ---- */

static inline struct str world_text(struct world *w, uint32_t place)
{
    if (place >= w->c.n || !w->c.lanes[place]->text.p)
        return STR("");
    return buf_view(&w->c.lanes[place]->text);
}

static inline void assert_world_has(struct world *w, const char *text)
{
    if (!str_contains(world_text(w, 0), str_c(text)))
        fail_msg("no %s in\n%.*s", text, STR_ARGS(world_text(w, 0)));
}

static inline uint64_t world_dropped(const struct world *w, enum spool_reason reason)
{
    uint64_t n = 0;

    for (size_t i = 0; i < w->c.n; i++)
        n += w->c.lanes[i]->dropped[reason];
    return n;
}

static inline unsigned world_counter(const struct world *w, const char *name)
{
    return (unsigned)counters_sum(w->counters, name, NULL, 0);
}

#endif
