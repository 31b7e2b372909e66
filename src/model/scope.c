/* scope: deduplicated label sets with counted references, and the numbers of their name sets.
 *
 *   labels -> struct scope         a map by labels_hash into an array of pointers; scopes never move
 *   names  -> number               a second map; the number is never given twice in the life of a table
 *
 * A scope and its labels are one block: the struct, the label array, the bytes. There are as many scopes as targets,
 * not as many as series, so this is where room may be spent: the sinks' prepared forms hang here.
 *
 * Numbers of name sets go into the intern table's contexts: a metric's form is shared by all scopes with equal names.
 * A number that came back with other names would give a metric the wrong form; hence they only ever rise, and a name
 * set that all scopes have left is forgotten with its number.
 *
 * One worker, one thread; no locks.
 */
#include "model/scope.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

struct name_set {
    uint64_t hash;
    struct buf joined; /* the names, each ended by 0xff */
    uint32_t number;
    uint32_t refs;     /* scopes */
};

struct slot {
    void (*fn)(void *ctx, void *form);
    void *ctx;
};

struct scope_table {
    struct map by_labels;
    struct scope **scopes; /* dense */
    size_t n, cap;
    struct map by_names;
    struct name_set *sets; /* dense */
    size_t n_sets, cap_sets;
    uint32_t last_number;
    struct slot slots[SCOPE_SLOTS];
};

struct scope_table *scope_table_new(void)
{
    return NEW(struct scope_table);
}

/* ---- name sets ------------------------------------------------------------------------------------------------- */

struct names_key {
    const struct scope_table *t;
    struct str joined;
};

static bool names_eq(const void *ctx, uint32_t index)
{
    const struct names_key *key = ctx;

    return str_eq(buf_view(&key->t->sets[index].joined), key->joined);
}

static void join_names(struct labels l, struct buf *out)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_str(out, l.v[i].name);
        buf_char(out, '\xff');
    }
}

static uint32_t names_ref(struct scope_table *t, struct labels l)
{
    AUTO_BUF joined = {0};

    join_names(l, &joined);
    uint64_t hash = hash_bytes(buf_view(&joined));
    uint32_t at = map_find(&t->by_names, hash, names_eq, &(struct names_key){t, buf_view(&joined)});
    if (at != MAP_NONE) {
        t->sets[at].refs++;
        return t->sets[at].number;
    }

    t->sets = mem_grow(t->sets, &t->cap_sets, t->n_sets + 1, sizeof(*t->sets));
    CHECK(t->last_number < UINT32_MAX);
    struct name_set *set = &t->sets[t->n_sets];
    *set = (struct name_set){.hash = hash, .number = ++t->last_number, .refs = 1};
    buf_take(&joined, &set->joined);
    map_add(&t->by_names, hash, (uint32_t)t->n_sets++);
    return set->number;
}

static void names_unref(struct scope_table *t, struct labels l)
{
    AUTO_BUF joined = {0};

    join_names(l, &joined);
    uint64_t hash = hash_bytes(buf_view(&joined));
    uint32_t at = map_find(&t->by_names, hash, names_eq, &(struct names_key){t, buf_view(&joined)});
    CHECK(at != MAP_NONE);
    if (--t->sets[at].refs > 0)
        return;

    uint32_t last = (uint32_t)--t->n_sets;
    buf_release(&t->sets[at].joined);
    CHECK(map_remove(&t->by_names, hash, at));
    if (at != last) {
        t->sets[at] = t->sets[last];
        CHECK(map_replace(&t->by_names, t->sets[at].hash, last, at));
    }
}

/* ---- scopes ---------------------------------------------------------------------------------------------------- */

static bool belongs(struct label l)
{
    return l.value.n > 0 && !str_eq(l.name, LABEL_NAME);
}

static char *put(char *to, struct str s, struct str *view)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    *view = str_from(to, s.n);
    return to + s.n;
}

static struct scope *scope_new(struct labels l)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < l.n; i++)
        bytes += l.v[i].name.n + l.v[i].value.n;
    struct scope *s = mem_zalloc(sizeof(*s) + sizeof(struct label) * l.n + bytes);
    struct label *v = (struct label *)(s + 1);
    char *to = (char *)(v + l.n);
    for (uint32_t i = 0; i < l.n; i++) {
        to = put(to, l.v[i].name, &v[i].name);
        to = put(to, l.v[i].value, &v[i].value);
    }
    s->labels = (struct labels){v, l.n};
    s->refs = 1;
    return s;
}

struct labels_key {
    const struct scope_table *t;
    struct labels labels;
};

static bool labels_key_eq(const void *ctx, uint32_t index)
{
    const struct labels_key *key = ctx;

    return labels_eq(key->t->scopes[index]->labels, key->labels);
}

static struct scope *get_clean(struct scope_table *t, struct labels l)
{
    uint64_t hash = labels_hash(l);
    uint32_t at = map_find(&t->by_labels, hash, labels_key_eq, &(struct labels_key){t, l});

    if (at != MAP_NONE)
        return scope_ref(t->scopes[at]);

    t->scopes = mem_grow(t->scopes, &t->cap, t->n + 1, sizeof(struct scope *));
    struct scope *s = scope_new(l);
    s->hash = hash;
    s->names = names_ref(t, l);
    map_add(&t->by_labels, hash, (uint32_t)t->n);
    t->scopes[t->n++] = s;
    return s;
}

struct scope *scope_get(struct scope_table *t, struct labels labels)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < labels.n; i++)
        n += belongs(labels.v[i]);
    if (n == labels.n)
        return get_clean(t, labels);

    struct label *v = mem_alloc(sizeof(*v) * (n + 1));
    n = 0;
    for (uint32_t i = 0; i < labels.n; i++) {
        if (belongs(labels.v[i]))
            v[n++] = labels.v[i];
    }
    struct scope *s = get_clean(t, (struct labels){v, n});
    free(v);
    return s;
}

struct scope *scope_ref(struct scope *s)
{
    s->refs++;
    return s;
}

static void scope_free(struct scope_table *t, struct scope *s)
{
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        if (s->forms[i] && t->slots[i].fn)
            t->slots[i].fn(t->slots[i].ctx, s->forms[i]);
    }
    free(s);
}

void scope_unref(struct scope_table *t, struct scope *s)
{
    if (!s)
        return;
    CHECK(s->refs > 0);
    if (--s->refs > 0)
        return;

    uint32_t at = map_find(&t->by_labels, s->hash, labels_key_eq, &(struct labels_key){t, s->labels});
    CHECK(at != MAP_NONE && t->scopes[at] == s);
    CHECK(map_remove(&t->by_labels, s->hash, at));
    uint32_t last = (uint32_t)--t->n;
    if (at != last) {
        t->scopes[at] = t->scopes[last];
        CHECK(map_replace(&t->by_labels, t->scopes[at]->hash, last, at));
    }
    names_unref(t, s->labels);
    scope_free(t, s);
}

void scope_table_slot(struct scope_table *t, int slot, void (*fn)(void *ctx, void *form), void *ctx)
{
    CHECK(slot >= 0 && slot < SCOPE_SLOTS);
    for (size_t i = 0; i < t->n; i++) {
        struct scope *s = t->scopes[i];
        if (s->forms[slot] && t->slots[slot].fn)
            t->slots[slot].fn(t->slots[slot].ctx, s->forms[slot]);
        s->forms[slot] = NULL;
    }
    t->slots[slot] = (struct slot){fn, ctx};
}

uint32_t scope_count(const struct scope_table *t)
{
    return (uint32_t)t->n;
}

void scope_table_free(struct scope_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        scope_free(t, t->scopes[i]);
    for (size_t i = 0; i < t->n_sets; i++)
        buf_release(&t->sets[i].joined);
    map_release(&t->by_labels);
    map_release(&t->by_names);
    free(t->scopes);
    free(t->sets);
    free(t);
}
