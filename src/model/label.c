/* label: label sets and the builder.
 *
 * A set is an array of (name, value) views sorted bytewise, the way Go compares strings and Prometheus sorts labels; so
 * `Zone` stands before `__name__`, which stands before `job`. Lookups are binary searches: sets have 2 to 30 labels,
 * and anything with more structure than a sorted array costs more than it saves at that size.
 *
 * The builder is the same array with room to grow, in an arena:
 *
 *   name      value        from_scope  order
 *   __name__  up           no          0        base: the metric's own labels
 *   instance  10.0.0.1:80  yes         1        set afterwards: the scope's labels ...
 *   job       node         yes         2
 *   exported_job  x        no          3        ... and what a map made of them
 *
 * `order` reproduces the original's two lists (base, added): a base label that is set anew counts as added from then
 * on, an added label that is set again keeps its place, a deleted one loses it. Only labelmap looks at it.
 *
 * `read_scope` is the builder's one observation: whether anyone asked for a value that is still the scope's own. If
 * nobody did, the outcome is the same for every scope that has the same label names, and may be shared.
 *
 * The hash is XXH64 over name, 0xff, value, 0xff for each label: the number that Prometheus' slice build of labels has,
 * independent of our memory layout, and stable across restarts (lanes are chosen by it).
 *
 * No global state; a builder has one owner.
 */
#include "model/label.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/quote.h"

#define HASH_ON_STACK 1024
#define BUILDER_FIRST 32

/* ---- sets ------------------------------------------------------------------------------------------------------ */

static const struct label *find_label(struct labels l, struct str name)
{
    uint32_t low = 0;
    uint32_t high = l.n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int c = str_cmp(l.v[mid].name, name);
        if (c == 0)
            return &l.v[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

struct str labels_get(struct labels l, struct str name)
{
    const struct label *found = find_label(l, name);

    return found ? found->value : STR_NONE;
}

bool labels_has(struct labels l, struct str name)
{
    return find_label(l, name) != NULL;
}

bool labels_eq(struct labels a, struct labels b)
{
    if (a.n != b.n)
        return false;
    for (uint32_t i = 0; i < a.n; i++) {
        if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value))
            return false;
    }
    return true;
}

int labels_cmp(struct labels a, struct labels b)
{
    uint32_t n = a.n < b.n ? a.n : b.n;

    for (uint32_t i = 0; i < n; i++) {
        int c = str_cmp(a.v[i].name, b.v[i].name);
        if (c == 0)
            c = str_cmp(a.v[i].value, b.v[i].value);
        if (c != 0)
            return c;
    }
    return (a.n > b.n) - (a.n < b.n);
}

static size_t text_bytes(struct labels l)
{
    size_t n = 0;

    for (uint32_t i = 0; i < l.n; i++)
        n += l.v[i].name.n + l.v[i].value.n;
    return n;
}

static char *put(char *to, struct str s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

uint64_t labels_hash(struct labels l)
{
    char stack[HASH_ON_STACK];
    size_t n = text_bytes(l) + 2 * (size_t)l.n;
    char *bytes = n <= sizeof(stack) ? stack : mem_alloc(n);
    char *to = bytes;

    for (uint32_t i = 0; i < l.n; i++) {
        to = put(to, l.v[i].name);
        *to++ = '\xff';
        to = put(to, l.v[i].value);
        *to++ = '\xff';
    }
    uint64_t hash = hash_xxh64(str_from(bytes, n));
    if (bytes != stack)
        free(bytes);
    return hash;
}

struct labels labels_copy(struct labels l, struct arena *a)
{
    if (l.n == 0)
        return (struct labels){NULL, 0};

    struct label *v = ARENA_ARRAY(a, struct label, l.n);
    char *to = arena_alloc(a, text_bytes(l) + 1);
    for (uint32_t i = 0; i < l.n; i++) {
        v[i].name = str_from(to, l.v[i].name.n);
        to = put(to, l.v[i].name);
        v[i].value = str_from(to, l.v[i].value.n);
        to = put(to, l.v[i].value);
    }
    return (struct labels){v, l.n};
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static bool is_name(struct str name, bool colon)
{
    if (name.n == 0)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
        if (!letter && !(c >= '0' && c <= '9' && i > 0))
            return false;
    }
    return true;
}

bool label_name_is_legacy(struct str name)
{
    return is_name(name, false);
}

bool metric_name_is_legacy(struct str name)
{
    return is_name(name, true);
}

void labels_print(struct labels l, struct buf *out)
{
    buf_char(out, '{');
    for (uint32_t i = 0; i < l.n; i++) {
        if (i > 0)
            buf_c(out, ", ");
        if (label_name_is_legacy(l.v[i].name))
            buf_str(out, l.v[i].name);
        else
            buf_quote(out, l.v[i].name);
        buf_char(out, '=');
        buf_quote(out, l.v[i].value);
    }
    buf_char(out, '}');
}

/* ---- the builder ----------------------------------------------------------------------------------------------- */

void labels_builder_init(struct labels_builder *b, struct arena *a)
{
    *b = (struct labels_builder){.arena = a};
}

/* Where name is, or where it belongs. */
static uint32_t place(const struct labels_builder *b, struct str name, bool *found)
{
    uint32_t low = 0;
    uint32_t high = b->n;

    *found = false;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int c = str_cmp(b->v[mid].name, name);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void reserve(struct labels_builder *b, uint32_t need)
{
    if (need <= b->cap)
        return;

    uint32_t cap = b->cap ? b->cap : BUILDER_FIRST;
    while (cap < need)
        cap *= 2;
    struct labels_entry *v = arena_alloc(b->arena, sizeof(*v) * cap);
    if (b->n)
        memcpy(v, b->v, sizeof(*v) * b->n);
    b->v = v;
    b->cap = cap;
}

static void set_entry(struct labels_builder *b, struct str name, struct str value, bool from_scope)
{
    bool found;
    uint32_t at = place(b, name, &found);

    if (found) {
        struct labels_entry *e = &b->v[at];
        e->value = value;
        e->from_scope = from_scope;
        if (e->order == 0)
            e->order = ++b->last_order;
        return;
    }
    reserve(b, b->n + 1);
    memmove(&b->v[at + 1], &b->v[at], sizeof(*b->v) * (b->n - at));
    b->v[at] = (struct labels_entry){name, value, from_scope, ++b->last_order};
    b->n++;
}

void labels_builder_set_all(struct labels_builder *b, struct labels l, bool from_scope)
{
    bool base = !b->begun && b->n == 0;

    b->begun = true;
    reserve(b, b->n + l.n);
    for (uint32_t i = 0; i < l.n; i++) {
        struct label at = l.v[i];
        if (at.value.n == 0) {
            labels_builder_del(b, at.name);
        } else if (base) {
            if (b->n == 0 || !str_eq(b->v[b->n - 1].name, at.name))
                b->v[b->n++] = (struct labels_entry){at.name, at.value, from_scope, 0};
        } else {
            set_entry(b, at.name, at.value, from_scope);
        }
    }
}

const struct labels_entry *labels_builder_find(const struct labels_builder *b, struct str name)
{
    bool found;
    uint32_t at = place(b, name, &found);

    return found ? &b->v[at] : NULL;
}

struct str labels_builder_get(struct labels_builder *b, struct str name)
{
    const struct labels_entry *e = labels_builder_find(b, name);

    if (!e)
        return STR_NONE;
    if (e->from_scope)
        b->read_scope = true;
    return e->value;
}

bool labels_builder_has(const struct labels_builder *b, struct str name)
{
    return labels_builder_find(b, name) != NULL;
}

void labels_builder_set(struct labels_builder *b, struct str name, struct str value)
{
    if (value.n == 0)
        labels_builder_del(b, name);
    else
        set_entry(b, name, value, false);
}

void labels_builder_del(struct labels_builder *b, struct str name)
{
    bool found;
    uint32_t at = place(b, name, &found);

    if (!found)
        return;
    b->n--;
    memmove(&b->v[at], &b->v[at + 1], sizeof(*b->v) * (b->n - at));
}

struct labels labels_builder_labels(struct labels_builder *b)
{
    if (b->n == 0)
        return (struct labels){NULL, 0};

    struct label *v = arena_alloc(b->arena, sizeof(*v) * b->n);
    for (uint32_t i = 0; i < b->n; i++)
        v[i] = (struct label){b->v[i].name, b->v[i].value};
    return (struct labels){v, b->n};
}
