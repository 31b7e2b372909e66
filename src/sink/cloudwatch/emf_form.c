/* emf_form: what is kept of a scope, and of a layout beside it.
 *
 *   form      labels as text, once: "ClusterName":"c1","TaskId":"abc",        and where each begins
 *             those added to what has none: ClusterName, host, JobName=default when there is no job
 *             its class, its place, the block of its counters' values
 *   binding   layout beside scope: each counter's number in the block, 4 bytes; which event goes to which place
 *
 * A class is what a layout may depend on of a scope: the names of its labels, as what a dimension each value is, and
 * which declarations' label matchers find something in it. A hundred containers of one image are one class.
 *
 *   class key = { name 00 added check } ... { matches }
 *
 * The values that declarations read (source_labels) are not in it: an instance would make a class of each target. They
 * matter beyond the matches only where a metric's own labels stand over some, not all, source labels of a declaration
 * (emf_declare.c); such a layout is `mixed`, and for scopes with equal `reads`.
 *
 * Two bindings are kept, since a failed scrape comes with a sequence of its own. A block is found by a hash of the
 * scope's labels and, for events that go elsewhere because their metric's own labels say so, of that place too. Series
 * numbers hold until the block is compacted or changes its lane: then `epoch` moves on and they are looked up again.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "sink/cloudwatch/emf_int.h"
#include "wire/json.h"

enum { PLACE_MAX = 512 }; /* bytes of a group's or stream's name */

/* ---- labels ------------------------------------------------------------------------------------------------------ */

bool emf_is_reserved(struct str name)
{
    return str_eq(name, STR("Timestamp")) || str_eq(name, STR("Version")) || str_eq(name, STR("CloudWatchMetrics")) ||
           str_eq(name, STR("_aws")) || str_eq(name, STR("prom_metric_type"));
}

void emf_say_left_out(struct emf *e, struct str what, struct str name)
{
    uint32_t swallowed;

    if (log_allow(&e->label_limit, 3600000, &swallowed))
        log_warn(e->log, "A name that an event cannot carry is left out", F_STR("what", what), F_STR("name", name),
                 F_INT("suppressed", swallowed));
}

static void add_label(struct emf_form *f, struct str name, struct str value)
{
    uint32_t at = f->n;

    for (; at > 0 && str_cmp(f->labels[at - 1].name, name) > 0; at--) {
        f->labels[at] = f->labels[at - 1];
        f->added[at] = f->added[at - 1];
    }
    f->labels[at] = (struct label){name, value};
    f->added[at] = true;
    f->n++;
}

static void make_labels(struct emf_form *f)
{
    enum { ADDED = 3 };
    struct labels l = f->scope->labels;
    const struct plan_emf *p = f->e->emf;

    f->labels = ARENA_ARRAY(&f->arena, struct label, l.n + ADDED);
    f->added = ARENA_ARRAY(&f->arena, bool, l.n + ADDED);
    f->n = f->left_out = 0;
    for (uint32_t i = 0; i < l.n; i++) {
        if (emf_is_reserved(l.v[i].name)) {
            f->left_out += !str_eq(l.v[i].name, STR("prom_metric_type"));
            emf_say_left_out(f->e, STR("label"), l.v[i].name);
            continue;
        }
        f->labels[f->n++] = l.v[i];
    }
    if (p->cluster_name.n && !labels_has(l, STR("ClusterName")))
        add_label(f, STR("ClusterName"), p->cluster_name);
    if (p->host.n && !labels_has(l, STR("host")))
        add_label(f, STR("host"), p->host);
    if (!labels_has(l, STR("job")) && !labels_has(l, STR("JobName")))
        add_label(f, STR("JobName"), STR("default"));
}

static void make_text(struct emf_form *f)
{
    AUTO_BUF text = {0};

    f->offsets = ARENA_ARRAY(&f->arena, uint32_t, f->n + 1);
    for (uint32_t i = 0; i < f->n; i++) {
        f->offsets[i] = (uint32_t)text.n;
        json_escape(&text, f->labels[i].name);
        buf_char(&text, ':');
        json_escape(&text, f->labels[i].value);
        buf_char(&text, ',');
    }
    f->offsets[f->n] = (uint32_t)text.n;
    f->text = str_dup(&f->arena, buf_view(&text)).p;
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static void put_matches(const struct emf_form *f, struct buf *key)
{
    const struct emf_visible v = {.form = f};
    AUTO_BUF joined = {0};

    for (uint32_t i = 0; i < emf_declarations(f->e); i++)
        buf_char(key, emf_declare_matches(&f->e->emf->declarations[i], &v, &joined) ? '1' : '0');
}

/* What declarations with several source labels read of the scope. */
static void make_reads(struct emf_form *f)
{
    const struct emf_visible v = {.form = f};
    AUTO_BUF text = {0};

    for (uint32_t i = 0; i < emf_declarations(f->e); i++) {
        const struct plan_emf_declaration *d = &f->e->emf->declarations[i];
        for (uint32_t k = 0; k < d->n_source_labels && d->n_source_labels > 1; k++) {
            struct str value = emf_visible_get(&v, d->source_labels[k]);
            buf_printf(&text, "%zu:", value.n);
            buf_str(&text, value);
        }
    }
    f->reads = str_dup(&f->arena, buf_view(&text));
}

struct class_key {
    const struct emf *e;
    struct str key;
};

static bool same_class(const void *ctx, uint32_t index)
{
    const struct class_key *k = ctx;

    return k->e->classes[index] && str_eq(k->e->classes[index]->key, k->key);
}

static struct emf_class *class_of(struct emf_form *f)
{
    struct emf *e = f->e;
    AUTO_BUF key = {0};

    for (uint32_t i = 0; i < f->n; i++) {
        struct label l = f->labels[i];
        buf_str(&key, l.name);
        buf_char(&key, '\0');
        buf_char(&key, (char)('0' + f->added[i]));
        buf_char(&key, (char)('0' + (int)emf_dimension_check(l.value)));
    }
    put_matches(f, &key);
    buf_c(&key, "");
    uint64_t hash = hash_bytes(buf_view(&key));
    uint32_t at = map_find(&e->by_class, hash, same_class, &(struct class_key){e, buf_view(&key)});
    if (at == MAP_NONE) {
        struct emf_class *c = NEW(struct emf_class);
        c->hash = hash;
        c->key = str_from(mem_strndup(key.p, key.n), key.n);
        for (at = 0; at < e->n_classes && e->classes[at]; at++)
            continue;
        if (at == e->n_classes) {
            e->classes = mem_grow(e->classes, &e->cap_classes, e->n_classes + 1, sizeof(struct emf_class *));
            e->n_classes++;
        }
        e->classes[at] = c;
        map_add(&e->by_class, hash, at);
    }
    e->classes[at]->refs++;
    return e->classes[at];
}

void emf_class_unref(struct emf *e, struct emf_class *c)
{
    if (--c->refs > 0)
        return;
    for (uint32_t i = 0; i < e->n_classes; i++) {
        if (e->classes[i] != c)
            continue;
        CHECK(map_remove(&e->by_class, c->hash, i));
        e->classes[i] = NULL;
    }
    free((char *)c->key.p);
    free(c);
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static const struct {
    struct str name, other; /* the label of its name, else this one */
} placeholders[] = {
    {STR("ClusterName"), STR("aws.ecs.cluster.name")},
    {STR("TaskId"), STR("aws.ecs.task.id")},
    {STR("NodeName"), STR("k8s.node.name")},
    {STR("PodName"), STR("pod")},
    {STR("ServiceName"), STR("service.name")},
    {STR("ContainerInstanceId"), STR("aws.ecs.container.instance.id")},
    {STR("TaskDefinitionFamily"), STR("aws.ecs.task.family")},
    {STR("JobName"), STR("job")},
};

static bool mentions(struct str template, struct str placeholder)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "{%.*s}", STR_ARGS(placeholder));

    return str_contains(template, str_from(text, (size_t)n));
}

bool emf_is_place_label(const struct emf *e, struct str name)
{
    if (e->config->kind == CLOUDWATCH_METRICS)
        return false;
    for (size_t i = 0; i < COUNT_OF(placeholders); i++) {
        if ((str_eq(name, placeholders[i].name) || str_eq(name, placeholders[i].other)) &&
            (mentions(e->emf->log_group, placeholders[i].name) || mentions(e->emf->log_stream, placeholders[i].name)))
            return true;
    }
    return false;
}

static bool may_stand(unsigned char c, bool group)
{
    if (!group)
        return c != ':' && c != '*' && c >= ' ';
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' ||
           c == '_' || c == '/' || c == '#';
}

/* A value with characters that the service does not take would lose everything of its scope: they become '_'. */
static void put_value(struct buf *out, struct str value, bool group)
{
    if (value.n == 0)
        value = STR("undefined");
    for (size_t i = 0; i < value.n; i++)
        buf_char(out, may_stand((unsigned char)value.p[i], group) ? value.p[i] : '_');
}

/* The placeholder that begins here, or a number beyond them: one that is not known stays as it is written. */
static size_t placeholder_at(struct str rest, size_t *n)
{
    for (size_t i = 0; i < COUNT_OF(placeholders); i++) {
        struct str name = placeholders[i].name;
        if (rest.n >= name.n + 2 && memcmp(rest.p + 1, name.p, name.n) == 0 && rest.p[name.n + 1] == '}') {
            *n = name.n + 2;
            return i;
        }
    }
    return COUNT_OF(placeholders);
}

static struct str expand(struct str template, const struct emf_visible *v, bool group)
{
    struct buf out = {0};

    for (size_t i = 0; i < template.n;) {
        size_t n = 0, which = COUNT_OF(placeholders);
        if (template.p[i] == '{')
            which = placeholder_at(str_from(template.p + i, template.n - i), &n);
        if (which == COUNT_OF(placeholders)) {
            buf_char(&out, template.p[i++]);
            continue;
        }
        struct str value = emf_visible_get(v, placeholders[which].name);
        put_value(&out, value.n ? value : emf_visible_get(v, placeholders[which].other), group);
        i += n;
    }
    if (out.n == 0)
        buf_c(&out, "undefined");
    if (out.n > PLACE_MAX) {
        out.n = PLACE_MAX;
        while (out.n > 0 && ((unsigned char)out.p[out.n] & 0xc0) == 0x80)
            out.n--;
    }
    struct str text = str_from(mem_strndup(out.p, out.n), out.n);
    buf_release(&out);
    return text;
}

static struct cw_place place_of(const struct emf *e, const struct emf_visible *v)
{
    struct str space = e->emf->name_space;

    if (e->config->kind == CLOUDWATCH_METRICS)
        return (struct cw_place){str_from(mem_strndup(space.n ? space.p : "", space.n), space.n), STR_NONE};
    return (struct cw_place){expand(e->emf->log_group, v, true), expand(e->emf->log_stream, v, false)};
}

static void free_place(struct cw_place p)
{
    free((char *)p.group.p);
    free((char *)p.stream.p);
}

/* The target of this place, which it takes over. */
static uint32_t target_of(struct emf_form *f, struct cw_place place)
{
    for (uint32_t i = 0; i < f->n_targets; i++) {
        if (str_eq(f->targets[i].place.group, place.group) && str_eq(f->targets[i].place.stream, place.stream)) {
            free_place(place);
            return i;
        }
    }
    f->targets = mem_grow(f->targets, &f->cap_targets, f->n_targets + 1, sizeof(*f->targets));
    f->targets[f->n_targets] = (struct emf_target){.place = place};
    return (uint32_t)f->n_targets++;
}

/* ---- the form ---------------------------------------------------------------------------------------------------- */

static void make(struct emf_form *f)
{
    make_labels(f);
    make_text(f);
    make_reads(f);
    f->class = class_of(f);
    struct emf_visible v = {.form = f};
    struct cw_place place = place_of(f->e, &v);
    if (f->n_targets && str_eq(f->targets[0].place.group, place.group) &&
        str_eq(f->targets[0].place.stream, place.stream)) {
        free_place(place);
    } else if (f->n_targets) {
        free_place(f->targets[0].place);
        f->targets[0].place = place;
    } else {
        target_of(f, place);
    }
    f->made = true;
}

struct emf_form *emf_form_get(struct emf *e, struct scope *s)
{
    struct emf_form *f = s->forms[e->slot];

    if (UNLIKELY(!f)) {
        f = NEW(struct emf_form);
        f->e = e;
        f->scope = s;
        f->next = e->forms;
        if (e->forms)
            e->forms->previous = f;
        e->forms = f;
        s->forms[e->slot] = f;
    }
    if (UNLIKELY(!f->made))
        make(f);
    return f;
}

void emf_binding_release(struct emf *e, struct emf_binding *b)
{
    if (!b->layout)
        return;
    if (--b->layout->refs == 0)
        e->idle += b->layout->n_ids;
    free(b->series);
    free(b->targets);
    free(b->capped);
    free(b->data);
    free(b->datum_first);
    free(b->datum_of);
    arena_release(&b->arena);
    *b = (struct emf_binding){0};
}

void emf_form_reset(struct emf_form *f)
{
    if (!f->made)
        return;
    for (size_t i = 0; i < COUNT_OF(f->bindings); i++)
        emf_binding_release(f->e, &f->bindings[i]);
    emf_class_unref(f->e, f->class);
    f->class = NULL;
    arena_reset(&f->arena);
    f->first_ms = 0;
    f->made = false;
}

/* Until when what counters were is of use: as long as a difference reaches. Where first values are told, what was told
 * may not be taken for new when discovery finds the target again. */
static int64_t keep_until_ms(const struct emf_form *f)
{
    int64_t keep_ms = delta_gap_ms(f->interval_ms), last_ms = f->last_ms;
    const struct fold_block *own = f->n_targets ? f->targets[0].block : NULL;

    if (!last_ms && own) /* it has not answered since the start */
        last_ms = fold_block_last_ms(own);
    if (f->e->emf->first_values && keep_ms < EMF_FIRST_VALUES_KEEP_MS)
        keep_ms = EMF_FIRST_VALUES_KEEP_MS;
    return last_ms + keep_ms;
}

/* Of all bindings: marks the targets that are used, or gives them these numbers. */
static void each_target(struct emf_form *f, uint32_t *number, bool mark)
{
    for (size_t i = 0; i < COUNT_OF(f->bindings); i++) {
        const struct emf_binding *b = &f->bindings[i];
        for (uint32_t k = 0; b->targets && k < b->layout->n_events; k++) {
            if (mark)
                number[b->targets[k]] = 1;
            else
                b->targets[k] = number[b->targets[k]];
        }
    }
}

void emf_form_trim(struct emf_form *f)
{
    if (f->n_targets <= 1)
        return;
    uint32_t *number = mem_zalloc(f->n_targets * sizeof(*number)), kept = 1;
    each_target(f, number, true);
    for (uint32_t i = 1; i < f->n_targets; i++) {
        struct emf_target *t = &f->targets[i];
        if (number[i]) {
            number[i] = kept;
            f->targets[kept++] = *t;
            continue;
        }
        if (t->block)
            fold_block_forget(t->block, keep_until_ms(f));
        free_place(t->place);
    }
    number[0] = 0;
    f->n_targets = kept;
    each_target(f, number, false);
    free(number);
}

void emf_form_free(void *ctx, void *form)
{
    struct emf *e = ctx;
    struct emf_form *f = form;
    int64_t until_ms = keep_until_ms(f);

    emf_form_reset(f);
    for (size_t i = 0; i < f->n_targets; i++) {
        if (f->targets[i].block)
            fold_block_forget(f->targets[i].block, until_ms);
        free_place(f->targets[i].place);
    }
    free(f->targets);
    arena_release(&f->arena);
    if (f->next)
        f->next->previous = f->previous;
    if (f->previous)
        f->previous->next = f->next;
    else
        e->forms = f->next;
    free(f);
}

/* ---- bindings ---------------------------------------------------------------------------------------------------- */

static void bind_targets(struct emf_form *f, struct emf_binding *b)
{
    const struct emf_layout *l = b->layout;

    if (!l->own_places)
        return;
    b->targets = mem_zalloc(l->n_events * sizeof(*b->targets) + 1);
    for (uint32_t i = 0; i < l->n_events; i++) {
        if (!l->events[i].own_place)
            continue;
        struct emf_visible v = emf_visible_of(f, l, &l->events[i]);
        b->targets[i] = target_of(f, place_of(f->e, &v));
    }
}

/* Which of its values are beyond max_metrics. */
static void bind_caps(struct emf_form *f, struct emf_binding *b)
{
    const struct emf_layout *l = b->layout;
    struct emf *e = f->e;

    for (uint32_t i = 0; i < l->n_events; i++) {
        const struct emf_event *ev = &l->events[i];
        struct emf_visible v = emf_visible_of(f, l, ev);
        for (uint32_t k = ev->first; k < ev->first + ev->n; k++) {
            const struct emf_value *value = &l->values[k];
            if (value->directive == EMF_NONE || l->directives[value->directive].n_sets == 0)
                continue;
            struct str name = str_from(l->text + value->key + 2, value->key_n - 4u);
            if (emf_cap_value(e, &v, name, &l->directives[value->directive]))
                continue;
            if (!b->capped)
                b->capped = mem_zalloc(l->n_values);
            b->capped[k] = 1;
            b->n_capped++;
        }
    }
}

static void find_series(struct emf_form *f, struct emf_binding *b)
{
    const struct emf_layout *l = b->layout;

    for (uint32_t i = 0; i < l->n_counters; i++) {
        struct fold_block *block = f->targets[b->targets ? b->targets[l->series_event[i]] : 0].block;
        uint32_t number = FOLD_NONE;
        if (block) {
            number = fold_block_find(block, l->series[i]);
            if (number == FOLD_NONE)
                number = fold_block_add(block, l->series[i]);
        }
        b->series[i] = number;
    }
    b->epoch = f->epoch;
}

static struct emf_binding *binding_of(struct emf_form *f, struct emf_layout *l)
{
    if (LIKELY(f->bindings[0].layout == l))
        return &f->bindings[0];
    if (f->bindings[1].layout == l) {
        struct emf_binding other = f->bindings[0];
        f->bindings[0] = f->bindings[1];
        f->bindings[1] = other;
        return &f->bindings[0];
    }
    emf_binding_release(f->e, &f->bindings[1]);
    f->bindings[1] = f->bindings[0];
    struct emf_binding *b = &f->bindings[0];
    *b = (struct emf_binding){.layout = l, .epoch = f->epoch - 1};
    if (l->refs++ == 0)
        f->e->idle -= l->n_ids;
    b->series = mem_zalloc(l->n_counters * sizeof(*b->series) + 1);
    bind_targets(f, b);
    bind_caps(f, b);
    if (f->e->config->kind == CLOUDWATCH_METRICS)
        emf_data_bind(f, b);
    return b;
}

/* Each place has its lane, and its block is that lane's. */
static void find_blocks(struct emf_form *f)
{
    struct emf *e = f->e;

    e->outs = mem_grow(e->outs, &e->cap_outs, f->n_targets, sizeof(*e->outs));
    while (e->n_outs < f->n_targets)
        e->outs[e->n_outs++] = (struct emf_out){0};
    for (uint32_t i = 0; i < f->n_targets; i++) {
        struct emf_target *t = &f->targets[i];
        struct cw_lane *lane = cw_lane_of(e->c, &t->place);
        e->outs[i].lane = lane;
        if (!lane || (t->block && t->lane == cw_lane_number(lane)))
            continue;
        uint64_t key = labels_hash(f->scope->labels);
        if (i > 0)
            key = hash_bytes_seed(t->place.stream, hash_bytes_seed(t->place.group, key));
        t->lane = cw_lane_number(lane);
        t->block = fold_state_block(cw_folds(e->c), key, t->lane);
        f->epoch++;
    }
}

struct emf_binding *emf_form_bind(struct emf_form *f, struct emf_layout *l)
{
    struct emf_binding *b = binding_of(f, l);

    find_blocks(f);
    if (UNLIKELY(b->epoch != f->epoch))
        find_series(f, b);
    return b;
}
