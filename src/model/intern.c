/* intern: the table of metrics.
 *
 * Three allocations that grow with the number of metrics, and nothing per metric besides:
 *
 *   metrics[]   24 bytes each, dense, by id          grows by a quarter beyond 64 Ki entries
 *   map         8 bytes a slot: hash -> id           base/map, load 7/16 to 7/8
 *   slab        raw bytes and label table            blocks in units of 8 bytes
 *
 * A metric of 50 raw bytes and three labels costs about 24 + 12 + 64 = 100 bytes, all told. The hash is not kept:
 * growing the map needs no more than its tags, and what a sweep removes is hashed again.
 *
 * Label table. An entry is four numbers, offsets counted from the blob's start:
 *
 *   name offset | name length | value offset | value length       of 1, 2 or 4 bytes each
 *
 * and the length of a name that starts raw is one such number in front of the first: it would be found by searching
 * raw for its end too, but encoders read it once a sample.
 *
 * What the parser or the map hands in usually points into raw already; what does not is looked for in raw and in the
 * bytes appended before, and appended only when absent. `instance` hidden by an empty value thus costs 4 + 8 bytes.
 *
 * Ids. The lowest free id is given first. `next_free` is a lower bound of it that only a sweep resets, so that the
 * search costs one walk of the array per sweep, whatever the number of adds; there is no list of free ids.
 *
 * Sweep. References are counted by whoever holds ids, without a call into this file; the views carry a pointer to the
 * one counter of metrics that have none. A sweep walks the array once to free, and once more through the slab's settle
 * when enough bytes are dead. Then top falls to the highest live id, the array is cut to it, and the map is built anew
 * when it is at least twice as large as a fresh one, so that memory after a burst returns to what it was. Survivors
 * with high ids would keep the array long; a free id is all zero, so pages of it without a live id go back to the
 * system.
 *
 * Invariants: unreferenced = number of live ids with refs 0; n = number of live ids, all below top.
 * One worker, one thread.
 */
#include "model/intern.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define GROW_SLOWLY_FROM 65536u
#define SWEEP_AT_LEAST 1024u
#define HOLE_AT_LEAST 256u
#define SETTLE_AT_LEAST (64u << 10)
#define SEARCH_MAX 4096u /* blobs beyond this are not searched: many escaped labels would cost the square */

struct listener {
    intern_swept_fn *fn;
    void *ctx;
};

struct intern {
    struct metric *metrics;
    uint32_t top, cap;
    uint32_t n;
    uint32_t unreferenced;
    uint32_t next_free; /* no id below this is free */
    size_t hole_bytes;  /* given back in the middle of metrics and stamps, about */
    struct map map;
    struct slab slab;
    uint32_t *stamps;   /* NULL, or as many as cap */
    uint32_t generation;
    struct listener *listeners;
    size_t n_listeners, cap_listeners;
    struct buf blob;    /* the metric being added */
};

struct intern *intern_new(void)
{
    return NEW(struct intern);
}

void intern_free(struct intern *in)
{
    if (!in)
        return;
    map_release(&in->map);
    slab_release(&in->slab);
    buf_release(&in->blob);
    free(in->metrics);
    free(in->stamps);
    free(in->listeners);
    free(in);
}

uint64_t intern_hash(struct str raw)
{
    return hash_bytes(raw);
}

static uint64_t with_context(uint64_t hash, uint32_t context)
{
    uint64_t h = hash ^ ((uint64_t)context * 0x9e3779b97f4a7c15ULL);

    return context ? (h ^ h >> 29) * 0xbf58476d1ce4e5b9ULL : hash;
}

struct intern_view intern_view(struct intern *in)
{
    return (struct intern_view){in->metrics, &in->slab, &in->unreferenced};
}

static bool live(const struct metric *m)
{
    return m->flags & METRIC_LIVE;
}

static struct str raw_of(const struct intern *in, const struct metric *m)
{
    return m->raw_n ? str_from((const char *)slab_get(&in->slab, m->blob), m->raw_n) : STR_NONE;
}

struct key {
    const struct intern *in;
    struct str raw;
    uint32_t context;
};

static bool key_eq(const void *ctx, uint32_t index)
{
    const struct key *key = ctx;
    const struct metric *m = &key->in->metrics[index];

    return m->context == key->context && m->raw_n == key->raw.n && str_eq(raw_of(key->in, m), key->raw);
}

uint32_t intern_find(const struct intern *in, uint64_t hash, struct str raw, uint32_t context)
{
    uint32_t at = map_find(&in->map, with_context(hash, context), key_eq, &(struct key){in, raw, context});

    return at == MAP_NONE ? METRIC_NONE : at;
}

/* ---- the blob: encode ------------------------------------------------------------------------------------------ */

/* What a raw series name is: everything up to the brace or space that ends it. */
static size_t leading_name(struct str raw)
{
    size_t n = 0;

    while (n < raw.n && raw.p[n] != '{' && raw.p[n] != ' ' && raw.p[n] != '\t')
        n++;
    return n;
}

struct place {
    uint32_t at, n;
};

/* Where s is in the blob: in raw when it lies there or its bytes do, else appended. */
static struct place put_text(struct buf *blob, struct str raw, struct str s)
{
    uintptr_t from = (uintptr_t)s.p;
    uintptr_t start = (uintptr_t)raw.p;

    if (s.n == 0)
        return (struct place){0, 0};
    if (from >= start && from - start <= raw.n && s.n <= raw.n - (from - start))
        return (struct place){(uint32_t)(from - start), (uint32_t)s.n};
    const char *found = blob->n && blob->n <= SEARCH_MAX ? memmem(blob->p, blob->n, s.p, s.n) : NULL;
    if (found)
        return (struct place){(uint32_t)(found - blob->p), (uint32_t)s.n};
    buf_str(blob, s);
    return (struct place){(uint32_t)(blob->n - s.n), (uint32_t)s.n};
}

static void put_number(struct buf *blob, uint32_t v, size_t width)
{
    uint8_t one = (uint8_t)v;
    uint16_t two = (uint16_t)v;

    if (width == 1)
        buf_append(blob, &one, 1);
    else if (width == 2)
        buf_append(blob, &two, 2);
    else
        buf_append(blob, &v, 4);
}

/* Bytes of one number in the table. */
static size_t table_width(uint32_t flags)
{
    return flags & METRIC_TINY ? 1 : flags & METRIC_WIDE ? 4 : 2;
}

static bool takes_part(const struct label *l, uint16_t flags)
{
    return !(flags & METRIC_NAMED) || !str_eq(l->name, LABEL_NAME);
}

/* Bytes that labels add at most, or SIZE_MAX: beyond the limits. */
static size_t text_bound(struct str raw, struct labels labels)
{
    size_t n = raw.n;

    if (raw.n > INTERN_RAW_MAX || labels.n > INTERN_LABELS_MAX)
        return SIZE_MAX;
    for (uint32_t i = 0; i < labels.n; i++) {
        if (labels.v[i].name.n > INTERN_BLOB_MAX || labels.v[i].value.n > INTERN_BLOB_MAX)
            return SIZE_MAX;
        n += labels.v[i].name.n + labels.v[i].value.n;
    }
    n += 16 * (size_t)labels.n;
    return n > INTERN_BLOB_MAX ? SIZE_MAX : n;
}

/* Fills in->blob; the flags with those of the layout. */
static uint16_t encode(struct intern *in, struct str raw, struct labels labels, uint16_t flags)
{
    struct buf *blob = &in->blob;
    struct place few[64][2];
    struct place(*places)[2] = labels.n <= COUNT_OF(few) ? few : mem_alloc(sizeof(*places) * labels.n);
    struct str name = labels_get(labels, LABEL_NAME);

    flags &= (uint16_t)~(METRIC_WIDE | METRIC_TINY | METRIC_NAMED);
    if (name.n > 0 && str_eq(name, str_from(raw.p, leading_name(raw))))
        flags |= METRIC_NAMED;
    buf_clear(blob);
    buf_str(blob, raw);
    for (uint32_t i = 0; i < labels.n; i++) {
        if (!takes_part(&labels.v[i], flags))
            continue;
        places[i][0] = put_text(blob, raw, labels.v[i].name);
        places[i][1] = put_text(blob, raw, labels.v[i].value);
    }
    if (blob->n < 256)
        flags |= METRIC_TINY;
    else if (blob->n >= 65536)
        flags |= METRIC_WIDE;
    if (flags & METRIC_NAMED)
        put_number(blob, (uint32_t)name.n, table_width(flags));
    for (uint32_t i = 0; i < labels.n; i++) {
        for (int k = 0; k < 2 && takes_part(&labels.v[i], flags); k++) {
            put_number(blob, places[i][k].at, table_width(flags));
            put_number(blob, places[i][k].n, table_width(flags));
        }
    }
    if (places != few)
        free(places);
    return flags;
}

/* ---- the blob: decode ------------------------------------------------------------------------------------------ */

static struct str read_text(const struct intern_table *t, const uint8_t *entry)
{
    const uint8_t *from = t->blob + intern_table_number(entry, t->width);

    return str_from((const char *)from, intern_table_number(entry + t->width, t->width));
}

struct labels intern_labels(const struct intern_view *v, uint32_t id, struct arena *a)
{
    const struct metric *m = &v->metrics[id];

    if (m->n_labels == 0)
        return (struct labels){NULL, 0};

    struct label *out = arena_alloc(a, sizeof(*out) * m->n_labels);
    struct intern_table t = intern_table(v, m);
    bool named = t.name_n > 0;
    struct label name = {LABEL_NAME, str_from((const char *)t.blob, t.name_n)};
    uint32_t n = 0;
    for (const uint8_t *entry = t.entries; entry < t.blob + m->blob_n; entry += 4 * t.width) {
        struct label l = {read_text(&t, entry), read_text(&t, entry + 2 * t.width)};
        if (named && str_cmp(name.name, l.name) < 0) {
            out[n++] = name;
            named = false;
        }
        out[n++] = l;
    }
    if (named)
        out[n++] = name;
    return (struct labels){out, n};
}

/* ---- adding ---------------------------------------------------------------------------------------------------- */

static void resize(struct intern *in, uint32_t cap)
{
    if (cap == 0) {
        free(in->metrics);
        free(in->stamps);
        in->metrics = NULL;
        in->stamps = NULL;
        in->cap = 0;
        return;
    }
    in->metrics = mem_realloc(in->metrics, sizeof(*in->metrics) * (size_t)cap);
    if (in->stamps) {
        in->stamps = mem_realloc(in->stamps, sizeof(*in->stamps) * (size_t)cap);
        if (cap > in->cap)
            memset(in->stamps + in->cap, 0, sizeof(*in->stamps) * (size_t)(cap - in->cap));
    }
    in->cap = cap;
}

static uint32_t take_id(struct intern *in)
{
    size_t each = sizeof(*in->metrics) + (in->stamps ? sizeof(*in->stamps) : 0);

    in->hole_bytes -= in->hole_bytes < each ? in->hole_bytes : each;
    if (in->n < in->top) {
        while (live(&in->metrics[in->next_free]))
            in->next_free++;
        return in->next_free++;
    }
    if (in->top == in->cap) {
        uint64_t cap = in->cap < GROW_SLOWLY_FROM ? (in->cap ? 2 * (uint64_t)in->cap : 64) : in->cap + in->cap / 4ULL;
        resize(in, cap < METRIC_NONE ? (uint32_t)cap : METRIC_NONE);
    }
    return in->top++;
}

uint32_t intern_add(struct intern *in, uint64_t hash, struct str raw, uint32_t context, struct labels labels,
                    uint16_t flags)
{
    if (text_bound(raw, labels) == SIZE_MAX || in->n >= METRIC_NONE - 1)
        return METRIC_NONE;

    flags = encode(in, raw, labels, flags);
    uint32_t handle = SLAB_NONE;
    if (in->blob.n > 0) {
        void *to;
        handle = slab_alloc(&in->slab, in->blob.n, &to);
        memcpy(to, in->blob.p, in->blob.n);
    }
    uint32_t id = take_id(in);
    in->metrics[id] = (struct metric){
        .blob = handle,
        .blob_n = (uint32_t)in->blob.n,
        .raw_n = (uint32_t)raw.n,
        .context = context,
        .n_labels = (uint16_t)labels.n,
        .flags = flags | METRIC_LIVE,
    };
    in->n++;
    in->unreferenced++;
    map_add(&in->map, with_context(hash, context), id);
    return id;
}

/* ---- sweep ----------------------------------------------------------------------------------------------------- */

bool intern_wants_sweep(const struct intern *in)
{
    return in->unreferenced >= SWEEP_AT_LEAST && in->unreferenced > in->n / 4;
}

static void forget(struct intern *in, uint32_t id)
{
    struct metric *m = &in->metrics[id];

    for (size_t i = 0; i < in->n_listeners; i++)
        in->listeners[i].fn(in->listeners[i].ctx, id);
    CHECK(map_remove(&in->map, with_context(intern_hash(raw_of(in, m)), m->context), id));
    if (m->blob != SLAB_NONE)
        slab_free(&in->slab, m->blob, m->blob_n);
    *m = (struct metric){0};
    in->n--;
    in->unreferenced--;
}

static void settle(struct intern *in)
{
    /* Sooner than slab_wants_settle: the walk is paid for by the sweep's own, and memory has to come back to within
     * 10 %. */
    if (in->slab.used - in->slab.live < SETTLE_AT_LEAST || in->slab.used - in->slab.live < in->slab.bytes / 16)
        return;
    slab_settle_begin(&in->slab);
    for (uint32_t id = 0; id < in->top; id++) {
        struct metric *m = &in->metrics[id];
        if (live(m) && m->blob != SLAB_NONE)
            m->blob = slab_settle(&in->slab, m->blob, m->blob_n);
    }
    slab_settle_end(&in->slab);
}

static void shrink_map(struct intern *in)
{
    uint64_t fresh = 16;

    while (fresh * 7 / 8 < in->n)
        fresh *= 2;
    if (map_bytes(&in->map) < 2 * fresh * sizeof(struct map_slot))
        return;
    map_release(&in->map);
    for (uint32_t id = 0; id < in->top; id++) {
        const struct metric *m = &in->metrics[id];
        if (live(m))
            map_add(&in->map, with_context(intern_hash(raw_of(in, m)), m->context), id);
    }
}

static void shrink_arrays(struct intern *in)
{
    while (in->top > 0 && !live(&in->metrics[in->top - 1]))
        in->top--;

    uint64_t fit = in->top + in->top / 8ULL;
    if (in->top == 0)
        resize(in, 0);
    else if (in->cap > 64 && fit + fit / 4 < in->cap)
        resize(in, (uint32_t)(fit < 64 ? 64 : fit));
    in->next_free = 0;
}

/* Gives back the whole pages of entries [from, to), all free; they read as zero afterwards. */
static void give_back(struct intern *in, void *array, size_t each, uint32_t from, uint32_t to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)array + from * each + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)array + to * each) & ~(page - 1);

    if (end > start && madvise((void *)start, end - start, MADV_DONTNEED) == 0)
        in->hole_bytes += end - start;
}

static void give_back_holes(struct intern *in)
{
    uint32_t from = 0;

    in->hole_bytes = 0;
    for (uint32_t id = 0; id <= in->top; id++) {
        if (id < in->top && !live(&in->metrics[id]))
            continue;
        uint32_t to = id < in->top ? id : in->cap;
        if (to - from >= HOLE_AT_LEAST) {
            give_back(in, in->metrics, sizeof(*in->metrics), from, to);
            if (in->stamps)
                give_back(in, in->stamps, sizeof(*in->stamps), from, to);
        }
        from = id + 1;
    }
}

void intern_sweep(struct intern *in)
{
    if (in->unreferenced == 0)
        return;
    for (uint32_t id = 0; id < in->top; id++) {
        if (live(&in->metrics[id]) && in->metrics[id].refs == 0)
            forget(in, id);
    }
    settle(in);
    shrink_arrays(in);
    shrink_map(in);
    give_back_holes(in);
}

void intern_listen(struct intern *in, intern_swept_fn *fn, void *ctx)
{
    in->listeners = mem_grow(in->listeners, &in->cap_listeners, in->n_listeners + 1, sizeof(*in->listeners));
    in->listeners[in->n_listeners++] = (struct listener){fn, ctx};
}

void intern_unlisten(struct intern *in, intern_swept_fn *fn, void *ctx)
{
    for (size_t i = 0; i < in->n_listeners; i++) {
        if (in->listeners[i].fn != fn || in->listeners[i].ctx != ctx)
            continue;
        in->n_listeners--;
        memmove(&in->listeners[i], &in->listeners[i + 1], sizeof(*in->listeners) * (in->n_listeners - i));
        return;
    }
}

/* ---- accounts -------------------------------------------------------------------------------------------------- */

uint32_t intern_top(const struct intern *in)
{
    return in->top;
}

uint32_t intern_count(const struct intern *in)
{
    return in->n;
}

uint32_t intern_unreferenced(const struct intern *in)
{
    return in->unreferenced;
}

size_t intern_bytes(const struct intern *in)
{
    size_t each = sizeof(*in->metrics) + (in->stamps ? sizeof(*in->stamps) : 0);

    return sizeof(*in) + each * in->cap + map_bytes(&in->map) + in->slab.bytes + in->blob.cap +
           sizeof(*in->listeners) * in->cap_listeners - in->hole_bytes;
}

uint32_t *intern_stamps(struct intern *in, uint32_t *generation)
{
    if (!in->stamps)
        in->stamps = mem_zalloc(sizeof(*in->stamps) * ((size_t)in->cap + 1));
    if (++in->generation == 0) {
        memset(in->stamps, 0, sizeof(*in->stamps) * in->cap);
        in->generation = 1;
    }
    *generation = in->generation;
    return in->stamps;
}
