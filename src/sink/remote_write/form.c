/* form: the labels of a series, prepared so that a sample costs a few short copies.
 *
 * The labels of a series at this destination are a function of (scope, metric, external labels,
 * write_relabel_configs):
 *
 *   1. the metric's labels over the scope's; an empty value in the metric hides the scope's label of that name
 *   2. external labels fill the names that are absent now (a hidden name is absent)
 *   3. write_relabel_configs run on that; what is empty afterwards vanishes; sorted bytewise
 *
 * Nearly always the outcome is the scope's labels, in whole stretches, interleaved with the metric's own. So both
 * halves are kept as bytes of the wire, each once, and the function is kept as a recipe for merging them:
 *
 *   scope form        | instance="a:1" | job="node" | region="eu" (external) |     entries 0a LEN 0a N name 12 N value
 *                     0                17           30                       47    offsets
 *
 *   form of a metric  names | bytes | n_ops | kind | op op ... | __name__="x" | code="200" | method="GET" |
 *
 *                     op = (metric bytes, scope labels to pass over, scope labels to take)
 *
 * Most series are one target's alone, and then the metric's bytes would say again what is interned already. So a
 * metric with few references gets a *compact* form: the recipe alone, which names the metric's labels by position too,
 * and the encoder writes them from the intern table's blob:
 *
 *                     op = (metric labels to pass over, to write, scope labels to pass over, to take)
 *
 * It is possible where every label that is the metric's own comes out as it is interned, which only rules and external
 * labels in the place of hidden ones change. Metrics with labels of the same order have equal compact forms, kept once
 * (form_share.c). When the references become many the form with bytes is made, once, in place of it: a sample costs
 * some 15 ns with it, 25 ns without, and it takes 110 bytes.
 *
 * A recipe names scope labels by their position, so it fits every scope with the same label *names*: it carries
 * their number. Forms by metric id are therefore shared by all targets that run the same image. External labels
 * stand in the scope's form where the scope lacks them, in the metric's bytes where the metric hid the scope's
 * label of that name.
 *
 * Remote write 2.0 takes the same recipes. A label is then not bytes but two symbols (symbols.c), 8 bytes wherever 1.0
 * has an entry, and the encoder gives each the number that it has in the message. `bytes` is what the labels may take
 * there at most, texts included. Forms and scopes hold references to their symbols.
 *
 * Rules that read the *value* of a scope's label (the builder notes it) make the outcome one pair's own. Then the
 * metric's form is FORM_SCOPED, the head of a list, and forms hang in a table of pairs, each in two lists: that of
 * its metric, which is walked when the metric is swept, and that of its scope, walked when the scope goes. The
 * table is bounded; beyond the bound forms are made for each sample and thrown away, which is slow and right. A
 * metric that is met with another name set than before (its context should prevent it) takes the same way.
 *
 * A form of a metric with three labels and 60 bytes of text takes 116 bytes with its handle, a compact one the handle's
 * 4. Forms with bytes live in a slab and move when it is compacted, after a sweep, as blobs do; nothing keeps a
 * pointer beyond one sample, and a compact form has none. One worker, one thread.
 */
#include "sink/remote_write/form_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "shape/relabel.h"
#include "wire/proto.h"

enum {
    MAX_PAIRS = 1 << 20,
    MAX_FORM_BYTES = 16 << 20, /* larger than any request; keeps the sums below within 32 bits */
    MAX_OPS = UINT16_MAX,
    ROOM_LEAST = 64, /* of metrics to come, besides an eighth */
};

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static size_t entry_inner(struct label l)
{
    return 2 + (size_t)proto_varint_size(l.name.n) + l.name.n + (size_t)proto_varint_size(l.value.n) + l.value.n;
}

static size_t entry_size(struct label l)
{
    size_t inner = entry_inner(l);
    return 1 + (size_t)proto_varint_size(inner) + inner;
}

static uint8_t *put_string(uint8_t *p, uint8_t tag, struct str s)
{
    *p++ = tag;
    p = proto_put_varint(p, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

/* TimeSeries.labels (1) = Label { name (1), value (2) }, at p, where entry_size(l) bytes are free. */
static uint8_t *put_entry(uint8_t *p, struct label l)
{
    *p++ = 0x0a;
    p = proto_put_varint(p, entry_inner(l));
    p = put_string(p, 0x0a, l.name);
    return put_string(p, 0x12, l.value);
}

enum { PAIR_BYTES = 2 * sizeof(uint32_t) };

/* 2.0: a label whose texts are both new to the message, at most. */
static size_t pair_bound(struct label l)
{
    return l.name.n + l.value.n + 2 * (SYMBOL_HEAD_MAX + SYMBOL_REF_MAX);
}

static size_t label_bound(const struct forms *f, struct label l)
{
    return f->symbols ? pair_bound(l) : entry_size(l);
}

static uint8_t *put_pair(uint8_t *p, struct symbols *s, struct label l)
{
    uint32_t pair[2] = {symbols_get(s, l.name), symbols_get(s, l.value)};
    memcpy(p, pair, sizeof(pair));
    return p + sizeof(pair);
}

static uint8_t *put_label(const struct forms *f, uint8_t *p, struct label l)
{
    return f->symbols ? put_pair(p, f->symbols, l) : put_entry(p, l);
}

static uint32_t form_pairs(const struct form *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_ops; i++)
        n += f->ops[i].bytes;
    return n;
}

static size_t form_size(const struct forms *f, const struct form *form)
{
    size_t own = form->kind != FORM_SERIES ? 0 : f->symbols ? (size_t)form_pairs(form) * PAIR_BYTES : form->bytes;
    return sizeof(*form) + form->n_ops * sizeof(form->ops[0]) + own;
}

/* ---- the scope's table of entries -------------------------------------------------------------------------------- */

struct table_entry {
    struct label label;
    bool external;
};

struct table {
    struct table_entry *v;
    uint32_t n;
};

/* Scope labels and the externals they leave free, by name. */
static struct table table_make(const struct forms *f, struct labels scope, struct arena *a)
{
    struct table t = {ARENA_ARRAY(a, struct table_entry, scope.n + f->externals.n), 0};
    uint32_t i = 0;
    uint32_t k = 0;
    while (i < scope.n || k < f->externals.n) {
        int c = i == scope.n ? 1 : k == f->externals.n ? -1 : str_cmp(scope.v[i].name, f->externals.v[k].name);
        if (c <= 0) {
            t.v[t.n++] = (struct table_entry){scope.v[i++], false};
            k += c == 0;
            continue;
        }
        t.v[t.n++] = (struct table_entry){f->externals.v[k++], true};
    }
    return t;
}

static void hold_pairs(struct forms *f, const uint32_t *symbols, uint32_t pairs)
{
    for (uint32_t i = 0; f->symbols && i < 2 * pairs; i++)
        symbols_ref(f->symbols, symbols[i]);
}

static void let_go_of_pairs(struct forms *f, const uint32_t *symbols, uint32_t pairs)
{
    for (uint32_t i = 0; f->symbols && i < 2 * pairs; i++)
        symbols_unref(f->symbols, symbols[i]);
}

struct scope_form *forms_scope(struct forms *f, struct scope *s)
{
    if (s->forms[f->slot])
        return s->forms[f->slot];

    arena_reset(&f->scratch);
    struct table t = table_make(f, s->labels, &f->scratch);
    size_t bytes = 0;
    for (uint32_t i = 0; i < t.n; i++)
        bytes += label_bound(f, t.v[i].label);
    if (bytes > MAX_FORM_BYTES) { /* nothing of this scope can be sent: no series finds room for `bytes` */
        t.n = 0;
    }

    size_t size = sizeof(struct scope_form) + (t.n + 1) * sizeof(uint32_t) +
                  (!t.n         ? 0
                   : f->symbols ? t.n * (size_t)PAIR_BYTES
                                : bytes);
    struct scope_form *sf = mem_alloc(size);
    uint8_t *p = (uint8_t *)(sf + 1) + (t.n + 1) * sizeof(uint32_t);
    *sf = (struct scope_form){.n = t.n, .bytes = (uint32_t)(bytes > MAX_FORM_BYTES ? UINT32_MAX / 2 : bytes)};
    sf->offsets = (uint32_t *)(sf + 1);
    sf->encoded = p;
    for (uint32_t i = 0; i < t.n; i++) {
        sf->offsets[i] = (uint32_t)(p - sf->encoded);
        p = put_label(f, p, t.v[i].label);
    }
    sf->offsets[t.n] = (uint32_t)(p - sf->encoded);
    hold_pairs(f, (const uint32_t *)(const void *)sf->encoded, t.n);
    s->forms[f->slot] = sf;
    f->scope_bytes += size;
    return sf;
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

/* The metric's labels over the scope's, as the base of the builder. */
static void visible_labels(struct labels metric, struct labels scope, struct labels_builder *b)
{
    struct label *v = ARENA_ARRAY(b->arena, struct label, metric.n + scope.n);
    bool *from_scope = ARENA_ARRAY(b->arena, bool, metric.n + scope.n);
    uint32_t n = 0;
    uint32_t i = 0;
    uint32_t k = 0;
    while (i < metric.n || k < scope.n) {
        int c = i == metric.n ? 1 : k == scope.n ? -1 : str_cmp(metric.v[i].name, scope.v[k].name);
        if (c <= 0) {
            k += c == 0;
            if (metric.v[i].value.n)
                v[n++] = metric.v[i];
            i++;
            continue;
        }
        from_scope[n] = true;
        v[n++] = scope.v[k++];
    }
    labels_builder_set_all(b, (struct labels){v, n}, false);
    CHECK(b->n == n);
    for (i = 0; i < n; i++)
        b->v[i].from_scope = from_scope[i];
}

struct recipe {
    struct form_op *ops;
    size_t n_ops, cap_ops;
    uint32_t position; /* in the scope's form */
    uint32_t label;    /* compact: of the metric's */
    size_t bytes;
    struct arena *arena;
};

static struct form_op *add_op(struct recipe *r)
{
    if (r->n_ops == r->cap_ops) {
        size_t cap = r->cap_ops ? r->cap_ops * 2 : 16;
        struct form_op *ops = ARENA_ARRAY(r->arena, struct form_op, cap);
        if (r->n_ops)
            memcpy(ops, r->ops, r->n_ops * sizeof(*ops));
        r->ops = ops;
        r->cap_ops = cap;
    }
    r->ops[r->n_ops] = (struct form_op){0};
    return &r->ops[r->n_ops++];
}

static struct form_op *last_op(struct recipe *r)
{
    return r->n_ops ? &r->ops[r->n_ops - 1] : add_op(r);
}

static void own_bytes(struct recipe *r, size_t n)
{
    r->bytes += n;
    struct form_op *op = last_op(r);
    if (op->skip || op->take)
        op = add_op(r);
    while (n > (size_t)(UINT16_MAX - op->bytes)) {
        n -= UINT16_MAX - op->bytes;
        op->bytes = UINT16_MAX;
        op = add_op(r);
    }
    op->bytes = (uint16_t)(op->bytes + n);
}

/* Compact: the metric's label `index`, behind those that were written or passed over. */
static void own_label(struct recipe *r, uint32_t index)
{
    struct form_op *op = last_op(r);
    if (op->skip || op->take)
        op = add_op(r);
    for (uint32_t pass = index - r->label; pass > 0;) {
        if (op->own || op->pass == UINT8_MAX)
            op = add_op(r);
        uint32_t room = UINT8_MAX - op->pass;
        uint32_t n = pass < room ? pass : room;
        op->pass = (uint8_t)(op->pass + n);
        pass -= n;
    }
    if (op->own == UINT8_MAX)
        op = add_op(r);
    op->own++;
    r->label = index + 1;
}

static void scope_entry(struct recipe *r, uint32_t position)
{
    struct form_op *op = last_op(r);
    for (uint32_t skip = position - r->position; skip > 0;) {
        if (op->take || op->skip == UINT8_MAX)
            op = add_op(r);
        uint32_t room = UINT8_MAX - op->skip;
        uint32_t n = skip < room ? skip : room;
        op->skip = (uint8_t)(op->skip + n);
        skip -= n;
    }
    if (op->take == UINT8_MAX)
        op = add_op(r);
    op->take++;
    r->position = position + 1;
}

/* A builder entry that stands in the scope's form with this very value. */
static bool is_scope_entry(const struct labels_entry *e, const struct table *t, uint32_t at)
{
    if (at == t->n || !str_eq(t->v[at].label.name, e->name))
        return false;
    return t->v[at].external ? !e->from_scope && str_eq(t->v[at].label.value, e->value) : e->from_scope;
}

static struct form *form_blank(struct arena *a, enum form_kind kind)
{
    struct form *out = ARENA_NEW(a, struct form);
    out->kind = (uint16_t)kind;
    return out;
}

enum { OWN = UINT32_MAX };

/* Where each of the builder's entries stands in the scope's form, or OWN. */
static uint32_t *entry_places(const struct labels_builder *b, const struct table *t)
{
    uint32_t *places = ARENA_ARRAY(b->arena, uint32_t, b->n);
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        while (at < t->n && str_cmp(t->v[at].label.name, b->v[i].name) < 0)
            at++;
        places[i] = is_scope_entry(&b->v[i], t, at) ? at : OWN;
    }
    return places;
}

static size_t own_size(const struct forms *f, const struct labels_builder *b, const uint32_t *places)
{
    size_t n = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        if (places[i] == OWN)
            n += label_bound(f, (struct label){b->v[i].name, b->v[i].value});
    }
    return n;
}

/* NULL: a label of the outcome is not the metric's own as it is interned. */
static struct form *form_compact(const struct labels_builder *b, const uint32_t *places, struct labels metric,
                                 bool named)
{
    struct recipe r = {.arena = b->arena};
    uint32_t name = FORM_NO_NAME;
    uint32_t k = 0;
    for (uint32_t i = 0; named && i < metric.n; i++) {
        if (str_eq(metric.v[i].name, LABEL_NAME))
            name = i;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        const struct labels_entry *e = &b->v[i];
        if (places[i] != OWN) {
            scope_entry(&r, places[i]);
            continue;
        }
        while (k < metric.n && str_cmp(metric.v[k].name, e->name) < 0)
            k++;
        if (k == metric.n || !str_eq(metric.v[k].name, e->name) || !str_eq(metric.v[k].value, e->value))
            return NULL;
        own_label(&r, k);
    }
    if (r.n_ops > MAX_OPS)
        return NULL;
    struct form *out = arena_alloc(b->arena, sizeof(*out) + r.n_ops * sizeof(*r.ops));
    *out = (struct form){.bytes = name, .n_ops = (uint16_t)r.n_ops, .kind = FORM_COMPACT};
    if (r.n_ops)
        memcpy(out->ops, r.ops, r.n_ops * sizeof(*r.ops));
    return out;
}

static struct form *form_encoded_from(const struct forms *f, const struct labels_builder *b, const uint32_t *places)
{
    struct recipe r = {.arena = b->arena};
    for (uint32_t i = 0; i < b->n; i++) {
        if (places[i] == OWN)
            own_bytes(&r, f->symbols ? 1 : entry_size((struct label){b->v[i].name, b->v[i].value}));
        else
            scope_entry(&r, places[i]);
    }
    if (r.n_ops > MAX_OPS)
        return form_blank(b->arena, FORM_UNSENDABLE);

    struct form *out =
        arena_alloc(b->arena, sizeof(*out) + r.n_ops * sizeof(*r.ops) + (f->symbols ? r.bytes * PAIR_BYTES : r.bytes));
    *out = (struct form){.bytes = (uint32_t)own_size(f, b, places), .n_ops = (uint16_t)r.n_ops, .kind = FORM_SERIES};
    if (r.n_ops)
        memcpy(out->ops, r.ops, r.n_ops * sizeof(*r.ops));
    uint8_t *p = (uint8_t *)(out->ops + out->n_ops);
    for (uint32_t i = 0; i < b->n; i++) {
        if (places[i] == OWN)
            p = put_label(f, p, (struct label){b->v[i].name, b->v[i].value});
    }
    return out;
}

static bool deserves_bytes(const struct metric *m)
{
    return m->refs >= FORM_SHARED_BY || m->flags & METRIC_WIDE;
}

/* In the scratch arena. *one_scope: it belongs to this scope, not to all with these names. */
static struct form *compile(struct forms *f, const struct intern_view *view, uint32_t metric, const struct scope *s,
                            bool compact, bool *one_scope)
{
    arena_reset(&f->scratch);
    if (f->symbols)
        symbols_tidy(f->symbols);
    struct labels_builder b;
    labels_builder_init(&b, &f->scratch);
    struct labels own = intern_labels(view, metric, &f->scratch);
    visible_labels(own, s->labels, &b);
    for (uint32_t i = 0; i < f->externals.n; i++) {
        if (!labels_builder_has(&b, f->externals.v[i].name))
            labels_builder_set(&b, f->externals.v[i].name, f->externals.v[i].value);
    }
    bool keep = !f->rules || relabel_run(f->rules, &b);
    *one_scope = b.read_scope;
    if (!keep || b.n == 0)
        return form_blank(&f->scratch, FORM_DROPPED);
    struct table t = table_make(f, s->labels, &f->scratch);
    uint32_t *places = entry_places(&b, &t);
    if (own_size(f, &b, places) > MAX_FORM_BYTES)
        return form_blank(&f->scratch, FORM_UNSENDABLE);
    struct form *out = NULL;
    if (compact)
        out = form_compact(&b, places, own, intern_get(view, metric)->flags & METRIC_NAMED);
    return out ? out : form_encoded_from(f, &b, places);
}

static uint32_t keep(struct forms *f, const struct form *made)
{
    void *p;
    uint32_t handle = slab_alloc(&f->slab, form_size(f, made), &p);
    memcpy(p, made, form_size(f, made));
    if (made->kind == FORM_SERIES && f->symbols)
        hold_pairs(f, form_symbols(made), form_pairs(made));
    return handle;
}

static struct form *form_at(const struct forms *f, uint32_t handle)
{
    return slab_get(&f->slab, handle);
}

static void form_drop(struct forms *f, uint32_t handle)
{
    const struct form *form = form_at(f, handle);
    if (form->kind == FORM_SERIES && f->symbols)
        let_go_of_pairs(f, form_symbols(form), form_pairs(form));
    slab_free(&f->slab, handle, form_size(f, form));
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

static uint64_t pair_hash(uint32_t metric, const struct scope_form *sf)
{
    uint64_t h = ((uint64_t)(uintptr_t)sf >> 4) * 0x9e3779b97f4a7c15ULL ^ (uint64_t)metric * 0xd6e8feb86659fd93ULL;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ULL;
    return h ^ h >> 32;
}

struct pair_key {
    const struct forms *f;
    const struct scope_form *scope;
    uint32_t metric;
};

static bool pair_eq(const void *ctx, uint32_t index)
{
    const struct pair_key *key = ctx;
    const struct form_pair *p = &key->f->pairs[index];
    return p->metric == key->metric && p->scope == key->scope;
}

static uint32_t pair_find(const struct forms *f, uint32_t metric, const struct scope_form *sf)
{
    struct pair_key key = {f, sf, metric};
    uint32_t at = map_find(&f->by_pair, pair_hash(metric, sf), pair_eq, &key);
    return at == MAP_NONE ? 0 : at;
}

static uint32_t pair_take(struct forms *f)
{
    uint32_t at = f->free_pair;
    if (at) {
        f->free_pair = f->pairs[at].next_metric;
    } else {
        size_t next = f->n_pairs ? f->n_pairs : 1;
        f->pairs = mem_grow(f->pairs, &f->cap_pairs, next + 1, sizeof(*f->pairs));
        f->n_pairs = next + 1;
        at = (uint32_t)next;
    }
    f->live_pairs++;
    return at;
}

static void pair_add(struct forms *f, uint32_t metric, struct scope_form *sf, uint32_t form)
{
    uint32_t at = pair_take(f);
    struct form *head = form_at(f, f->by_metric[metric]);
    f->pairs[at] = (struct form_pair){
        .metric = metric, .form = form, .scope = sf, .next_metric = head->bytes, .next_scope = sf->first_pair};
    if (head->bytes)
        f->pairs[head->bytes].prev_metric = at;
    if (sf->first_pair)
        f->pairs[sf->first_pair].prev_scope = at;
    head->bytes = at;
    sf->first_pair = at;
    map_add(&f->by_pair, pair_hash(metric, sf), at);
}

static void pair_remove(struct forms *f, uint32_t at)
{
    struct form_pair *p = &f->pairs[at];
    if (p->prev_metric)
        f->pairs[p->prev_metric].next_metric = p->next_metric;
    else
        form_at(f, f->by_metric[p->metric])->bytes = p->next_metric;
    if (p->next_metric)
        f->pairs[p->next_metric].prev_metric = p->prev_metric;
    if (p->prev_scope)
        f->pairs[p->prev_scope].next_scope = p->next_scope;
    else
        p->scope->first_pair = p->next_scope;
    if (p->next_scope)
        f->pairs[p->next_scope].prev_scope = p->prev_scope;
    CHECK(map_remove(&f->by_pair, pair_hash(p->metric, p->scope), at));
    form_drop(f, p->form);
    *p = (struct form_pair){.next_metric = f->free_pair};
    f->free_pair = at;
    f->live_pairs--;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static void forget_metric(struct forms *f, uint32_t metric)
{
    uint32_t handle = f->by_metric[metric];
    if (handle >= SLAB_FIRST)
        form_drop(f, handle);
    else if (handle != SLAB_NONE)
        forms_unshare(f, handle);
    f->by_metric[metric] = SLAB_NONE;
}

static void keep_for_metric(struct forms *f, uint32_t metric, const struct form *made)
{
    uint32_t handle = made->kind == FORM_SERIES || made->kind == FORM_SCOPED ? 0 : forms_share(f, made);
    forget_metric(f, metric);
    f->by_metric[metric] = handle ? handle : keep(f, made);
}

static void make_scoped(struct forms *f, uint32_t metric)
{
    struct form head = {.kind = FORM_SCOPED};
    keep_for_metric(f, metric, &head);
}

static const struct form *find_pair(struct forms *f, const struct intern_view *view, uint32_t metric, struct scope *s)
{
    struct scope_form *sf = forms_scope(f, s);
    uint32_t at = pair_find(f, metric, sf);
    if (at)
        return form_at(f, f->pairs[at].form);

    bool one_scope;
    struct form *made = compile(f, view, metric, s, false, &one_scope);
    if (f->live_pairs >= f->max_pairs)
        return made;
    uint32_t handle = keep(f, made);
    pair_add(f, metric, sf, handle);
    return form_at(f, handle);
}

static const struct form *find(struct forms *f, const struct intern_view *view, uint32_t metric, struct scope *s,
                               bool compact)
{
    const struct form *known = forms_quick(f, metric);
    if (known && known->kind == FORM_SCOPED)
        return find_pair(f, view, metric, s);
    if (known && known->names != s->names) { /* made for another name set */
        make_scoped(f, metric);
        return find_pair(f, view, metric, s);
    }
    if (known && (compact || known->kind != FORM_COMPACT))
        return known;

    bool one_scope;
    struct form *made = compile(f, view, metric, s, compact, &one_scope);
    if (one_scope) {
        make_scoped(f, metric);
        return find_pair(f, view, metric, s);
    }
    made->names = s->names;
    if (!compact && !deserves_bytes(intern_get(view, metric)))
        return made; /* for this once */
    keep_for_metric(f, metric, made);
    return forms_quick(f, metric);
}

const struct form *forms_find(struct forms *f, const struct intern_view *view, uint32_t metric, struct scope *s)
{
    return find(f, view, metric, s, !deserves_bytes(intern_get(view, metric)));
}

const struct form *forms_find_encoded(struct forms *f, const struct intern_view *view, uint32_t metric, struct scope *s)
{
    return find(f, view, metric, s, false);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void metric_gone(struct forms *f, uint32_t metric)
{
    if (metric >= f->n_metrics || f->by_metric[metric] == SLAB_NONE)
        return;
    if (forms_quick(f, metric)->kind == FORM_SCOPED) {
        while (form_at(f, f->by_metric[metric])->bytes)
            pair_remove(f, form_at(f, f->by_metric[metric])->bytes);
    }
    forget_metric(f, metric);
}

static void metric_swept(void *ctx, uint32_t metric)
{
    struct forms *f = ctx;
    f->swept = true;
    metric_gone(f, metric);
}

static void scope_gone(void *ctx, void *form)
{
    struct forms *f = ctx;
    struct scope_form *sf = form;
    while (sf->first_pair)
        pair_remove(f, sf->first_pair);
    let_go_of_pairs(f, (const uint32_t *)(const void *)sf->encoded, sf->n);
    f->scope_bytes -= sizeof(*sf) + (sf->n + 1) * sizeof(uint32_t) + sf->offsets[sf->n];
    free(sf);
    f->swept = true;
}

static void settle(struct forms *f)
{
    slab_settle_begin(&f->slab);
    for (size_t i = 0; i < f->n_metrics; i++) {
        if (f->by_metric[i] >= SLAB_FIRST)
            f->by_metric[i] = slab_settle(&f->slab, f->by_metric[i], form_size(f, form_at(f, f->by_metric[i])));
    }
    for (size_t i = 1; i < f->n_pairs; i++) {
        if (f->pairs[i].form != SLAB_NONE)
            f->pairs[i].form = slab_settle(&f->slab, f->pairs[i].form, form_size(f, form_at(f, f->pairs[i].form)));
    }
    slab_settle_end(&f->slab);
}

static void resize(struct forms *f, size_t n)
{
    f->by_metric = mem_realloc(f->by_metric, n * sizeof(*f->by_metric));
    if (n > f->n_metrics)
        memset(f->by_metric + f->n_metrics, 0, (n - f->n_metrics) * sizeof(*f->by_metric));
    f->n_metrics = n;
}

void forms_prepare(struct forms *f)
{
    size_t top = intern_top(f->intern);
    if (f->swept) {
        f->swept = false;
        if (slab_wants_settle(&f->slab))
            settle(f);
        if (f->n_metrics > top + top / 2 + ROOM_LEAST) /* what is above top is free */
            resize(f, top + top / 8 + ROOM_LEAST);
    }
    if (top > f->n_metrics)
        resize(f, top + top / 8 + ROOM_LEAST);
}

static void forget(struct forms *f)
{
    slab_release(&f->slab);
    forms_unshare_all(f);
    free(f->by_metric);
    free(f->pairs);
    map_release(&f->by_pair);
    f->by_metric = NULL;
    f->pairs = NULL;
    f->n_metrics = f->n_pairs = f->cap_pairs = 0;
    f->free_pair = f->live_pairs = 0;
}

void forms_init(struct forms *f, struct intern *in, struct scope_table *scopes, int slot, struct labels externals,
                const struct relabel_rules *rules)
{
    *f = (struct forms){.intern = in, .scopes = scopes, .slot = slot, .max_pairs = MAX_PAIRS};
    forms_rebase(f, externals, rules);
    scope_table_slot(scopes, slot, scope_gone, f);
    intern_listen(in, metric_swept, f);
}

void forms_release(struct forms *f)
{
    intern_unlisten(f->intern, metric_swept, f);
    scope_table_slot(f->scopes, f->slot, NULL, NULL);
    forget(f);
    arena_release(&f->scratch);
}

void forms_rebase(struct forms *f, struct labels externals, const struct relabel_rules *rules)
{
    f->externals = externals;
    f->rules = rules && rules->n ? rules : NULL;
}

void forms_reset(struct forms *f, struct labels externals, const struct relabel_rules *rules, struct symbols *symbols)
{
    scope_table_slot(f->scopes, f->slot, NULL, NULL);
    forget(f);
    if (f->symbols)
        symbols_clear(f->symbols);
    f->symbols = symbols;
    forms_rebase(f, externals, rules);
    scope_table_slot(f->scopes, f->slot, scope_gone, f);
}

size_t forms_bytes(const struct forms *f)
{
    return f->slab.bytes + f->n_metrics * sizeof(*f->by_metric) + f->cap_pairs * sizeof(*f->pairs) +
           map_bytes(&f->by_pair) + f->cap_shared * sizeof(*f->shared) + map_bytes(&f->by_shape) + f->shared_bytes +
           f->scope_bytes;
}
