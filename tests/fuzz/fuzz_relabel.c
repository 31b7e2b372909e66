/* fuzz_relabel: rules and labels from bytes, through relabelling, the metric map, folding and the intern table.
 *
 * Lines, fields separated by tabs: the first one's first byte is honor_labels ('1') and legacy names ('l' behind it);
 * "r ACTION REGEX SOURCES TARGET REPLACEMENT SEPARATOR" a rule, "s NAME VALUE" a scope label, anything else
 * "m NAME VALUE" a label of the metric.
 *
 * Held against what comes out: sets are sorted and unique; what folds gives the same visible set; a form that read no
 * scope value is the same beside other values; interning gives the labels back.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "model/intern.h"
#include "shape/metric_map.h"
#include "shape/relabel.h"

#define MOST 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct arena arena;
    struct relabel_rule rules[MOST];
    uint32_t n_rules;
    struct label metric[MOST], scope[MOST];
    uint32_t n_metric, n_scope;
};

static struct str field(struct str *line)
{
    struct str f;

    str_cut(*line, '\t', &f, line);
    return f;
}

static bool literal(struct str s)
{
    return s.n > 0 && !memchr(s.p, '$', s.n);
}

static void read_rule(struct input *in, struct str line, bool legacy)
{
    struct str action = field(&line);
    struct str pattern = field(&line);
    struct str sources = field(&line);
    struct relabel_rule *r = &in->rules[in->n_rules];

    *r = (struct relabel_rule){.action = action.n ? (enum relabel_action)((unsigned char)action.p[0] % 11) : 0,
                               .modulus = 1 + action.n, .legacy_names = legacy};
    r->target_label = field(&line);
    r->replacement = field(&line);
    r->separator = field(&line);
    /* What the configuration refuses does not come here. */
    if (pattern.n > 64 || r->target_label.n == 0 || (r->action != RELABEL_REPLACE && !literal(r->target_label)))
        return;
    if (regex_new(pattern, &r->regex, NULL) != OK)
        return;
    r->source_labels = ARENA_ARRAY(&in->arena, struct str, sources.n + 1);
    while (sources.n > 0)
        str_cut(sources, ' ', &r->source_labels[r->n_source_labels++], &sources);
    in->n_rules++;
}

/* Sorted insertion; the first of a name stays. */
static void add_label(struct label *v, uint32_t *n, struct str line, bool empty_too)
{
    struct label l = {field(&line), STR_NONE};
    uint32_t at = *n;

    l.value = field(&line);
    for (uint32_t i = 0; i < *n; i++) {
        if (str_eq(v[i].name, l.name))
            return;
    }
    if (*n == MOST || l.name.n == 0 || (l.value.n == 0 && !empty_too))
        return;
    for (; at > 0 && str_cmp(v[at - 1].name, l.name) > 0; at--)
        v[at] = v[at - 1];
    v[at] = l;
    ++*n;
}

static void check_sorted(struct labels l)
{
    for (uint32_t i = 1; i < l.n; i++)
        CHECK(str_cmp(l.v[i - 1].name, l.v[i].name) < 0);
}

static void check_intern(struct input *in, struct str raw, struct labels l)
{
    struct intern *table = intern_new();
    uint32_t id = intern_add(table, intern_hash(raw), raw, 1, l, 0);
    struct intern_view v = intern_view(table);

    CHECK(id != METRIC_NONE && intern_find(table, intern_hash(raw), raw, 1) == id);
    CHECK(labels_eq(intern_labels(&v, id, &in->arena), l));
    CHECK(str_eq(intern_raw(&v, id), raw));
    intern_free(table);
}

static void check_fold(struct input *in, const struct metric_map *map, struct labels metric, struct labels scope,
                       enum metric_map_result want, struct labels visible)
{
    struct metric_fold f;
    struct metric_mapped out;

    metric_map_fold(map->rules, scope, &in->arena, &f);
    check_sorted(f.scope);
    if (!metric_map_folds(&f, metric))
        return;
    struct metric_map rest = {map->honor_labels, map->legacy_names, &f.remaining};
    CHECK(metric_map_run(&rest, metric, f.scope, &in->arena, &out, NULL) == want);
    if (want == MAP_KEPT)
        CHECK(labels_eq(metric_map_merged(out.labels, f.scope, &in->arena), visible));
}

static void check_other_scope(struct input *in, const struct metric_map *map, struct labels metric, struct labels scope,
                              enum metric_map_result want, struct labels own)
{
    struct label other[MOST];
    struct metric_mapped out;

    for (uint32_t i = 0; i < scope.n; i++)
        other[i] = (struct label){scope.v[i].name, STR("other")};
    enum metric_map_result r =
        metric_map_run(map, metric, (struct labels){other, scope.n}, &in->arena, &out, NULL);
    CHECK(!out.read_scope);
    /* A scope's value that is not UTF-8 is refused where another is not. */
    CHECK(r == want || want == MAP_ERROR);
    CHECK(want != MAP_KEPT || labels_eq(out.labels, own));
}

static void run(struct input *in, struct str raw, bool honor, bool legacy)
{
    struct relabel_rules rules = {in->rules, in->n_rules};
    struct metric_map map = {honor, legacy, &rules};
    struct labels metric = {in->metric, in->n_metric};
    struct labels scope = {in->scope, in->n_scope};
    struct metric_mapped out;
    struct labels visible = {NULL, 0};

    enum metric_map_result r = metric_map_run(&map, metric, scope, &in->arena, &out, NULL);
    if (r == MAP_KEPT) {
        check_sorted(out.labels);
        visible = metric_map_merged(out.labels, scope, &in->arena);
        check_sorted(visible);
        check_intern(in, raw, out.labels);
    }
    check_fold(in, &map, metric, scope, r, visible);
    if (!out.read_scope)
        check_other_scope(in, &map, metric, scope, r, out.labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct input in;
    struct str rest = str_from((const char *)data, size);
    struct str head;

    if (size > 4096)
        return 0;
    str_cut(rest, '\n', &head, &rest);
    bool honor = head.n > 0 && head.p[0] == '1';
    bool legacy = head.n > 1 && head.p[1] == 'l';
    while (rest.n > 0) {
        struct str line;
        str_cut(rest, '\n', &line, &rest);
        struct str kind = field(&line);
        if (str_eq_c(kind, "r") && in.n_rules < MOST)
            read_rule(&in, line, legacy);
        else if (str_eq_c(kind, "s") && !str_starts(line, STR("__name__\t")))
            add_label(in.scope, &in.n_scope, line, false);
        else
            add_label(in.metric, &in.n_metric, line, true);
    }
    run(&in, str_from((const char *)data, size), honor, legacy);
    for (uint32_t i = 0; i < in.n_rules; i++)
        regex_free(in.rules[i].regex);
    arena_release(&in.arena);
    in.n_rules = in.n_metric = in.n_scope = 0;
    return 0;
}
