/* encode2: batches become TimeSeries entries of a remote write 2.0 message, straight in the lane's open batch.
 *
 *   Request    = 22 00 { 22 LEN text | 2a LEN TimeSeries }        a text in front of the first entry that refers to it
 *   TimeSeries = 0a LEN refs 12 LEN Sample [ 2a LEN Metadata ]    one sample each, always
 *   Sample     = [ 10 timestamp ] [ 09 value ] [ 18 start ]
 *   Metadata   = [ 08 type ] [ 18 help ] [ 20 unit ]
 *
 * Most samples have no text that is new to the batch, and are written in place, in one go (write_known). The first that
 * has one is usually the first of a page that the batch has not seen: then the texts of all samples to come are written
 * first (write_ahead), and these go in one go as well. What is left is written in two passes: the first turns labels
 * into numbers, in a scratch buffer, and writes the texts that the batch does not have; the second writes the entry
 * behind them (write_entry). What a text costs is thus behind the decision whether the sample fits: before it, `bytes`
 * says what labels and metadata take at most if all of it is new. Nothing is ever taken back, but by beginning the
 * batch, and its dictionary, anew; at the end of a part there may be texts of samples that did not find room.
 *
 * The labels of a scope are turned once for each run and copied from then on, in the stretches that the form names. A
 * form with symbols costs an array load and a varint a text; a compact one (form.c) looks its texts up by content.
 *
 *   form   | op op | name, value | name, value |      scope   | refs of instance=.. | refs of job=.. |
 *
 * Metadata is that of the block of comments which the sample stands under (blocks.c). Samples of one name follow each
 * other, so the outcome is kept until block or name changes: 12 bytes to copy.
 *
 * The compressor finds an entry again in the scrape before, and each difference costs bytes and time. So what differs
 * is kept together and out of the way: texts stand in front of all entries of a page; a scope's own have numbers of the
 * same length in each scrape; the timestamp comes first in the sample, which protobuf leaves to the writer, since what
 * follows its changing digits is then the same in the sample before, value included. Measured with snappy on the
 * bench's pages, texts between the entries and values first: 81 ns and 19.9 bytes a sample; so: 60 ns, 17.3 bytes.
 *
 * Native histograms and exemplars go through a buffer of their own, the tail: they are few and large.
 *
 * On the worker's thread; nothing is allocated for a sample whose form exists.
 */
#include "format/remote_write.h"
#include "sink/remote_write/encode_int.h"
#include "sink/remote_write/remote_write_int.h"

#include <stdlib.h>

enum {
    ENTRY_SLACK = 128, /* above labels and metadata: headers, value, times, the symbols 0 and __name__, and what the
                          last copies write too much */
    LABEL_MAX = 2 * (SYMBOL_HEAD_MAX + SYMBOL_REF_MAX), /* of a label, besides its texts */
};

/* What a series says of its family; kept while block and name stay the same. Made and copied in words: what is written
 * byte by byte and then read in one piece waits until it has reached the cache. */
struct said {
    struct block *block; /* NULL: under none, or one that says nothing */
    uint32_t name;       /* number of the last name looked at; 0: none */
    uint32_t n;
    uint64_t bytes[2]; /* little endian */
};

struct run2 {
    struct encoder2 *e;
    struct dictionary *d;
    const struct scope_form *sf;
    const uint8_t *scope_refs; /* NULL: not made yet */
    uint32_t name_label;       /* number of __name__ */
    uint32_t name;             /* of the series at hand: number of its name; 0: none */
    uint32_t name_symbol;      /* the same by its symbol; 0: it has none */
    struct block *last;        /* the block that the last mark named */
    uint8_t *p;                /* where texts are written */
    bool ahead;                /* texts of samples to come were written */
    struct said said;
};

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* A Sample up to the value. */
struct stamp2 {
    uint8_t bytes[16];
    uint32_t n;
};

static inline struct stamp2 stamp2_of(int64_t ts_ms)
{
    struct stamp stamp = stamp_of(ts_ms);
    struct stamp2 s = {.bytes = {0x12, (uint8_t)(stamp.n + 9)}, .n = stamp.n + 3};
    memcpy(s.bytes + 2, stamp.bytes, stamp.n);
    s.bytes[stamp.n + 2] = 0x09;
    return s;
}

static inline __attribute__((always_inline)) uint8_t *put_sample(uint8_t *p, double value, const struct stamp2 *stamp)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    memcpy(p, stamp->bytes, sizeof(stamp->bytes));
    if (UNLIKELY(bits == 0)) {
        p[1] -= 9;
        return p + stamp->n - 1;
    }
    memcpy(p + stamp->n, &bits, sizeof(bits)); /* little endian: CHECKed in remote_write_new */
    return p + stamp->n + sizeof(bits);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) uint8_t *put_ref(uint8_t *p, uint32_t number)
{
    if (LIKELY(number < 128)) {
        *p = (uint8_t)number;
        return p + 1;
    }
    p[0] = (uint8_t)(number | 128);
    if (LIKELY(number < 128 * 128)) {
        p[1] = (uint8_t)(number >> 7);
        return p + 2;
    }
    p[1] = (uint8_t)(number >> 7 | 128);
    p[2] = (uint8_t)(number >> 14);
    return p + 3;
}

static const uint32_t *scope_symbols(const struct scope_form *sf)
{
    return (const uint32_t *)(const void *)sf->encoded;
}

/* The scope's labels as references, with the texts in front: the first thing of a run that takes room. */
static void make_scope_refs(struct run2 *r)
{
    struct encoder2 *e = r->e;
    const uint32_t *symbols = scope_symbols(r->sf);
    buf_clear(&e->scope_refs);
    buf_reserve(&e->scope_refs, 2 * SYMBOL_REF_MAX * (r->sf->n + (size_t)1) + 16); /* copies read no more than that */
    e->scope_offsets =
        mem_grow(e->scope_offsets, &e->cap_scope_offsets, r->sf->n + (size_t)1, sizeof(*e->scope_offsets));
    r->name_label = dictionary_symbol(&e->symbols, r->d, e->name, &r->p);
    uint8_t *begin = (uint8_t *)e->scope_refs.p;
    uint8_t *p = begin;
    for (uint32_t i = 0; i < r->sf->n; i++) {
        e->scope_offsets[i] = (uint32_t)(p - begin);
        p = put_ref(p, dictionary_symbol(&e->symbols, r->d, symbols[2 * i], &r->p));
        p = put_ref(p, dictionary_symbol(&e->symbols, r->d, symbols[2 * i + 1], &r->p));
    }
    e->scope_offsets[r->sf->n] = (uint32_t)(p - begin);
    r->scope_refs = begin;
}

static inline __attribute__((always_inline)) uint8_t *put_scope(const struct run2 *r, uint8_t *p, struct form_op op,
                                                                uint32_t *at)
{
    *at += op.skip;
    uint32_t from = r->e->scope_offsets[*at];
    *at += op.take;
    uint32_t n = r->e->scope_offsets[*at] - from;
    encode_copy(p, r->scope_refs + from, n);
    return p + n;
}

static inline __attribute__((always_inline)) uint8_t *put_symbols(struct run2 *r, uint8_t *p, const struct form *f)
{
    const struct symbols *symbols = &r->e->symbols;
    const uint32_t *own = form_symbols(f);
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        struct form_op op = f->ops[i];
        for (uint32_t k = 0; k < op.bytes; k++, own += 2) {
            uint32_t name = dictionary_symbol(symbols, r->d, own[0], &r->p);
            uint32_t value = dictionary_symbol(symbols, r->d, own[1], &r->p);
            if (name == r->name_label) {
                r->name = value;
                r->name_symbol = own[1];
            }
            p = put_ref(put_ref(p, name), value);
        }
        p = put_scope(r, p, op, &at);
    }
    return p;
}

/* The same where the batch has all texts; NULL: it does not. */
static inline __attribute__((always_inline)) uint8_t *put_known(struct run2 *r, uint8_t *p, const struct form *f)
{
    /* Kept in registers: for all that the compiler knows the bytes that are written may be any of these. */
    const uint32_t *by_id = r->d->by_id, *own = form_symbols(f), *offsets = r->e->scope_offsets;
    const uint8_t *scope_refs = r->scope_refs;
    const uint32_t generation = r->d->generation, name_label = r->name_label, n_ops = f->n_ops;
    const uint32_t number_mask = (1u << SYMBOL_NUMBER_BITS) - 1;
    uint32_t name_value = 0, name_symbol = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n_ops; i++) {
        struct form_op op = f->ops[i];
        for (uint32_t k = op.bytes; k > 0; k--, own += 2) {
            uint32_t name = by_id[own[0]], value = by_id[own[1]];
            if (UNLIKELY(name >> SYMBOL_NUMBER_BITS != generation || value >> SYMBOL_NUMBER_BITS != generation))
                return NULL;
            name &= number_mask;
            value &= number_mask;
            if (name == name_label) {
                name_value = value;
                name_symbol = own[1];
            }
            p = put_ref(put_ref(p, name), value);
        }
        at += op.skip;
        uint32_t from = offsets[at];
        at += op.take;
        uint32_t n = offsets[at] - from;
        encode_copy(p, scope_refs + from, n);
        p += n;
    }
    r->name = name_value;
    r->name_symbol = name_symbol;
    return p;
}

static inline __attribute__((always_inline)) uint32_t number_of(struct run2 *r, const uint8_t *text, uint32_t n)
{
    struct str s = str_from((const char *)text, n);
    return dictionary_text(&r->e->symbols, r->d, s, &r->p);
}

/* By a compact form, out of the intern table's blob; see put_interned of encode.c. */
static inline __attribute__((always_inline)) uint8_t *put_interned(struct run2 *r, uint8_t *p, const struct form *f,
                                                                   const struct intern_table *t, uint32_t width)
{
    const uint8_t *entry = t->entries;
    uint32_t to_name = f->bytes;
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        struct form_op op = f->ops[i];
        for (uint32_t k = (uint32_t)op.pass + op.own; k > 0; k--) {
            bool write = k <= op.own;
            if (to_name-- == 0) {
                if (write) {
                    r->name = number_of(r, t->blob, t->name_n);
                    p = put_ref(put_ref(p, r->name_label), r->name);
                }
                continue;
            }
            if (write) {
                uint32_t name = number_of(r, t->blob + intern_table_number(entry, width),
                                          intern_table_number(entry + width, width));
                uint32_t value = number_of(r, t->blob + intern_table_number(entry + 2 * width, width),
                                           intern_table_number(entry + 3 * width, width));
                if (name == r->name_label)
                    r->name = value;
                p = put_ref(put_ref(p, name), value);
            }
            entry += 4 * width;
        }
        p = put_scope(r, p, op, &at);
    }
    return p;
}

static __attribute__((noinline)) uint8_t *put_compact(struct run2 *r, uint8_t *p, const struct form *f,
                                                      const struct intern_view *view, uint32_t metric)
{
    const struct metric *m = intern_get(view, metric);
    if (m->n_labels == 0)
        return put_symbols(r, p, f); /* the scope's alone: `own` is nowhere more than 0 */
    struct intern_table t = intern_table(view, m);
    return t.width == 1   ? put_interned(r, p, f, &t, 1)
           : t.width == 2 ? put_interned(r, p, f, &t, 2)
                          : put_interned(r, p, f, &t, 4);
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

static size_t compact_bound(const struct intern_view *view, uint32_t metric, bool exact)
{
    const struct metric *m = intern_get(view, metric);
    if (m->n_labels == 0)
        return 0;
    if (m->flags & METRIC_TINY && !exact)
        return (size_t)m->n_labels * (LABEL_MAX + 2 * UINT8_MAX);
    struct intern_table t = intern_table(view, m);
    size_t n = t.name_n + (size_t)m->n_labels * (LABEL_MAX + sizeof("__name__"));
    for (const uint8_t *e = t.entries; e < t.blob + m->blob_n; e += 4 * (size_t)t.width)
        n += intern_table_number(e + t.width, t.width) + intern_table_number(e + 3 * t.width, t.width);
    return n;
}

static __attribute__((noinline)) const struct form *other_form(struct forms *forms, const struct form *f,
                                                               const struct intern_view *view, uint32_t metric,
                                                               struct scope *s, size_t *bytes)
{
    bool compact = f && f->names == s->names && f->kind == FORM_COMPACT;
    if (!compact || UNLIKELY(intern_get(view, metric)->refs >= FORM_SHARED_BY))
        f = forms_find(forms, view, metric, s);
    *bytes = f->kind == FORM_COMPACT ? compact_bound(view, metric, false) : f->bytes;
    return f;
}

static size_t side_bound(const struct remote_write *rw, const struct batch *b, const struct sample_side *side)
{
    size_t n = side->histogram == SIDE_NONE ? 0 : remote_write_histogram_bound(&b->histograms[side->histogram]);
    for (uint32_t i = 0; rw->config->send_exemplars && i < side->n_exemplars; i++) {
        const struct labels *l = &b->exemplars[side->exemplar + i].labels;
        n += 64;
        for (uint32_t k = 0; k < l->n; k++)
            n += l->v[k].name.n + l->v[k].value.n + LABEL_MAX + 2 * SYMBOL_REF_MAX;
    }
    return n;
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

/* A field of a number that is not 0, as up to four bytes. */
static inline uint32_t number_field(uint32_t tag, uint32_t number, uint32_t *n)
{
    if (LIKELY(number < 128)) {
        *n = 2;
        return tag | number << 8;
    }
    uint32_t low = tag | (number & 127) << 8 | 1 << 15;
    if (LIKELY(number < 128 * 128)) {
        *n = 3;
        return low | number >> 7 << 16;
    }
    *n = 4;
    return low | (number >> 7 & 127) << 16 | 1 << 23 | number >> 14 << 24;
}

static inline void add_number(struct said *said, uint32_t tag, uint32_t number)
{
    uint32_t n;
    if (number == 0)
        return;
    uint64_t field = number_field(tag, number, &n);
    uint32_t at = said->n;
    if (at < 8)
        said->bytes[0] |= field << 8 * at;
    if (at >= 8)
        said->bytes[1] |= field << (8 * at - 64);
    else if (at + n > 8)
        said->bytes[1] |= field >> (64 - 8 * at);
    said->n += n;
}

static inline const struct block_said *family_of(struct run2 *r)
{
    const struct block *block = r->said.block;
    if (!r->name)
        return NULL;
    if (LIKELY(r->name_symbol && block->names[0].symbol == r->name_symbol && block->names[0].family == 0))
        return &block->first;
    return block_said_of(&r->e->blocks, r->said.block, r->name_symbol, dictionary_text_of(r->d, r->name));
}

/* From here on series have the name of the one at hand. */
static inline void say_family(struct run2 *r, const struct block_said *f)
{
    const struct symbols *symbols = &r->e->symbols;
    r->said.name = r->name;
    r->said.n = 0;
    if (!f)
        return;
    uint32_t help = f->help ? dictionary_symbol(symbols, r->d, f->help, &r->p) : 0;
    uint32_t unit = f->unit ? dictionary_symbol(symbols, r->d, f->unit, &r->p) : 0;
    struct said said = {.block = r->said.block, .name = r->name, .n = 2};
    add_number(&said, 0x08, (uint32_t)f->type); /* numbered as enum metric_type is */
    add_number(&said, 0x18, help);
    add_number(&said, 0x20, unit);
    said.bytes[0] |= 0x2a | (said.n - 2) << 8;
    r->said = said;
}

static __attribute__((noinline)) void say(struct run2 *r)
{
    say_family(r, family_of(r));
}

/* The same unless it would write a text. */
static bool say_known(struct run2 *r)
{
    const struct block_said *f = family_of(r);
    if (f && ((f->help && !dictionary_knows(r->d, f->help)) || (f->unit && !dictionary_knows(r->d, f->unit))))
        return false;
    say_family(r, f);
    return true;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static void append_exemplar(struct run2 *r, struct buf *out, const struct exemplar *e, int64_t ts_ms)
{
    AUTO_BUF refs = {0};
    AUTO_BUF message = {0};
    for (uint32_t i = 0; i < e->labels.n; i++) {
        const struct label *l = &e->labels.v[i];
        if (!l->name.n || !l->value.n)
            continue;
        proto_append_varint(&refs, number_of(r, (const uint8_t *)l->name.p, (uint32_t)l->name.n));
        proto_append_varint(&refs, number_of(r, (const uint8_t *)l->value.p, (uint32_t)l->value.n));
    }
    if (refs.n)
        proto_append_bytes(&message, 1, buf_view(&refs));
    proto_append_double(&message, 2, e->value);
    proto_append_u64(&message, 3, (uint64_t)(e->has_ts ? e->ts_ms : ts_ms));
    proto_append_bytes(out, 4, buf_view(&message));
}

/* The sample or histogram and its exemplars, for what has a side; texts first. */
static __attribute__((noinline)) void make_tail(struct remote_write *rw, struct run2 *r, const struct batch *b,
                                                const struct sample *s, struct part *part)
{
    const struct sample_side *side = &b->sides[s->side];
    struct buf *out = &rw->two.tail;
    buf_clear(out);
    encode_note_time(&part->counts, side->ts_ms);
    if (side->histogram != SIDE_NONE) {
        remote_write_append_histogram(out, 3, &b->histograms[side->histogram], side->ts_ms, side->start_ms);
        part->histograms++;
    } else {
        struct stamp2 stamp = stamp2_of(side->ts_ms);
        buf_reserve(out, ENTRY_SLACK);
        uint8_t *p = put_sample((uint8_t *)out->p, s->value, &stamp);
        if (side->start_ms) {
            *p++ = 0x18;
            p = proto_put_varint(p, (uint64_t)side->start_ms);
            out->p[1] = (char)(p - (uint8_t *)out->p - 2);
        }
        out->n = (size_t)((char *)p - out->p);
    }
    for (uint32_t i = 0; rw->config->send_exemplars && i < side->n_exemplars; i++) {
        append_exemplar(r, out, &b->exemplars[side->exemplar + i], side->ts_ms);
        part->exemplars++;
    }
}

/* Puts the entry's header in front of its body, which begins at entry + 2. */
static inline __attribute__((always_inline)) uint8_t *close_entry(uint8_t *entry, uint8_t *p)
{
    size_t n = (size_t)(p - (entry + 2));
    entry[0] = 0x2a;
    if (LIKELY(n < 128)) {
        entry[1] = (uint8_t)n;
        return p;
    }
    int size = proto_varint_size(n);
    memmove(entry + 1 + size, entry + 2, n);
    proto_put_varint(entry + 1, n);
    return entry + 1 + size + n;
}

static inline __attribute__((always_inline)) uint8_t *put_said(uint8_t *p, const struct said *said)
{
    memcpy(p, &said->bytes[0], sizeof(said->bytes[0]));
    memcpy(p + 8, &said->bytes[1], sizeof(said->bytes[1]));
    return p + said->n;
}

static inline void note_batch_time(struct part *part, int64_t ts_ms)
{
    if (part->counts.samples == 0 || part->counts.last_ms < ts_ms || part->counts.first_ms > ts_ms)
        encode_note_time(&part->counts, ts_ms);
}

/* The last of the marks in front of this sample, of which `mark` is one. */
static inline const struct batch_block *last_mark(const struct batch_block *mark, const struct batch_block *no_more,
                                                  uint32_t sample)
{
    while (mark + 1 != no_more && mark[1].first <= sample)
        mark++;
    return mark;
}

/* From here on samples stand under another block. */
static void enter_block(struct run2 *r, const struct batch *b, uint32_t metric)
{
    r->last = metric == METRIC_NONE ? NULL : blocks_get(&r->e->blocks, b->metrics, metric, r->last);
    r->said = (struct said){.block = r->last && r->last->n ? r->last : NULL};
}

/* Two passes. */
static __attribute__((noinline)) uint8_t *write_entry(struct remote_write *rw, struct run2 *r, const struct batch *b,
                                                      const struct sample *s, const struct form *f, size_t bytes,
                                                      struct part *part)
{
    struct buf *refs = &rw->two.refs;
    r->p = part->p;
    if (UNLIKELY(!r->scope_refs))
        make_scope_refs(r);
    if (UNLIKELY(refs->cap < bytes))
        buf_reserve(refs, bytes);
    uint8_t *begin = (uint8_t *)refs->p;
    r->name = r->name_symbol = 0;
    uint8_t *end = f->kind == FORM_SERIES ? put_symbols(r, begin, f) : put_compact(r, begin, f, b->metrics, s->metric);
    if (r->said.block && r->name != r->said.name)
        say(r);
    if (s->side != SIDE_NONE)
        make_tail(rw, r, b, s, part);
    size_t n = (size_t)(end - begin);
    uint8_t *p = r->p + 2;
    *p++ = 0x0a;
    p = proto_put_varint(p, n);
    encode_copy(p, begin, n);
    p += n;
    if (s->side == SIDE_NONE) {
        struct stamp2 stamp = stamp2_of(b->ts_ms);
        p = put_sample(p, s->value, &stamp);
    } else {
        memcpy(p, rw->two.tail.p, rw->two.tail.n);
        p += rw->two.tail.n;
    }
    return close_entry(r->p, put_said(p, &r->said));
}

/* In place; NULL: something is new to the batch, or unusual, and nothing was written that counts. */
static inline __attribute__((always_inline)) uint8_t *
write_known(struct run2 *r, const struct sample *s, const struct form *f, struct part *part, const struct stamp2 *stamp)
{
    uint8_t *entry = part->p, *refs = entry + 4;
    uint8_t *p = put_known(r, refs, f);
    if (UNLIKELY(!p || p - refs >= 128))
        return NULL;
    if (r->said.block && r->name != r->said.name && !say_known(r))
        return NULL;
    entry[2] = 0x0a;
    entry[3] = (uint8_t)(p - refs);
    p = put_sample(p, s->value, stamp);
    return close_entry(entry, put_said(p, &r->said));
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static bool knows_texts(const struct run2 *r, const struct form *f)
{
    const uint32_t *own = form_symbols(f);
    for (uint32_t i = 0; i < f->n_ops; i++) {
        for (uint32_t k = 0; k < 2u * f->ops[i].bytes; k++, own++) {
            if (!dictionary_knows(r->d, *own))
                return false;
        }
    }
    return true;
}

/* Returns how many labels there are. */
static uint32_t put_texts(struct run2 *r, const struct form *f)
{
    const struct symbols *symbols = &r->e->symbols;
    const uint32_t *own = form_symbols(f);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        n += f->ops[i].bytes + f->ops[i].take;
        for (uint32_t k = 0; k < 2u * f->ops[i].bytes; k++, own++)
            dictionary_symbol(symbols, r->d, *own, &r->p);
    }
    return n;
}

/* Of a block with several families only those are said that have samples: that is seen later. */
static void put_block_texts(struct run2 *r, const struct block *block)
{
    if (block->n == 1 && block->first.help)
        dictionary_symbol(&r->e->symbols, r->d, block->first.help, &r->p);
    if (block->n == 1 && block->first.unit)
        dictionary_symbol(&r->e->symbols, r->d, block->first.unit, &r->p);
}

/* Texts of the samples from i on, as far as these and their entries have room beside what the first takes at most; its
 * block is entered, and `next` the mark behind. */
static __attribute__((noinline)) void write_ahead(const struct remote_write *rw, struct run2 *r, const struct batch *b,
                                                  const struct batch_run *run, uint32_t i,
                                                  const struct batch_block *next, size_t bytes, struct part *part)
{
    const struct batch_block *no_more = rw->config->metadata_send ? b->blocks + run->first_block + run->n_blocks : next;
    struct block *block = r->last;
    bool said = false;
    uint32_t end = run->n - i < part->samples_left ? run->n : i + part->samples_left;
    size_t room = (size_t)(part->end - part->p);
    room = room > bytes ? room - bytes : 0; /* texts of the scope may have been written */
    r->p = part->p;
    r->ahead = true;
    for (; i < end; i++) {
        const struct form *f = forms_quick(&rw->forms, b->samples[run->first + i].metric);
        if (next != no_more && next->first <= run->first + i) {
            next = last_mark(next, no_more, run->first + i);
            block = next->metric == METRIC_NONE ? NULL : blocks_get(&r->e->blocks, b->metrics, next->metric, block);
            said = false;
            next++;
        }
        if (!f || f->names != run->scope->names || f->kind != FORM_SERIES)
            continue;
        if (room < (size_t)f->bytes + r->sf->bytes + ENTRY_SLACK + (block ? block->bound : 0))
            break;
        const uint8_t *before = r->p;
        if (block && !said)
            put_block_texts(r, block);
        said = true;
        room -= ENTRY_SLACK + 2 * SYMBOL_REF_MAX * put_texts(r, f);
        room -= (size_t)(r->p - before);
    }
    part->p = r->p;
}

/* The texts of what follows, and those of the scope. What is this scope's alone stands behind all others: the first
 * scrape of a batch then has a number for it that is as long as in the next, and its entries the same lengths. */
static __attribute__((noinline)) void begin_run(const struct remote_write *rw, struct run2 *r, const struct batch *b,
                                                const struct batch_run *run, uint32_t i, const struct batch_block *next,
                                                const struct form *f, size_t bytes, struct part *part)
{
    const struct symbols *symbols = &r->e->symbols;
    const uint32_t *own = scope_symbols(r->sf);
    r->p = part->p;
    dictionary_symbol(symbols, r->d, r->e->name, &r->p);
    for (uint32_t k = 0; k < 2 * r->sf->n; k++) {
        if (symbols->v[own[k]].refs > 1)
            dictionary_symbol(symbols, r->d, own[k], &r->p);
    }
    part->p = r->p;
    if (!knows_texts(r, f))
        write_ahead(rw, r, b, run, i, next, bytes, part);
    r->p = part->p;
    make_scope_refs(r);
    part->p = r->p;
}

bool encode2_run(struct remote_write *rw, struct dictionary *d, const struct batch *b, const struct batch_run *run,
                 uint32_t *at, struct part *part)
{
    struct forms *forms = &rw->forms;
    struct run2 r = {.e = &rw->two, .d = d, .sf = forms_scope(forms, run->scope)};
    const struct batch_block *next = b->blocks + run->first_block, *no_more = next + run->n_blocks;
    const struct sample *samples = b->samples + run->first;
    struct stamp2 batch_stamp = stamp2_of(b->ts_ms);
    uint32_t names = run->scope->names;
    size_t around = (size_t)r.sf->bytes + ENTRY_SLACK;
    uint32_t i = *at;
    if (!rw->config->metadata_send)
        next = no_more;
    for (; i < run->n; i++) {
        const struct sample *s = &samples[i];
        const struct form *f = forms_quick(forms, s->metric);
        size_t bytes;
        if (LIKELY(f && f->names == names && f->kind == FORM_SERIES))
            bytes = f->bytes;
        else
            f = other_form(forms, f, b->metrics, s->metric, run->scope, &bytes);
        if (UNLIKELY(next != no_more && next->first <= run->first + i)) {
            next = last_mark(next, no_more, run->first + i);
            enter_block(&r, b, next++->metric);
            around = (size_t)r.sf->bytes + ENTRY_SLACK + (r.said.block ? r.said.block->bound : 0);
        }
        bytes += around;
        if (UNLIKELY(s->side != SIDE_NONE))
            bytes += side_bound(rw, b, &b->sides[s->side]);
        if (UNLIKELY(f->kind > FORM_COMPACT || part->samples_left == 0 || bytes > (size_t)(part->end - part->p))) {
            if (f->kind == FORM_COMPACT)
                bytes += compact_bound(b->metrics, s->metric, true) - compact_bound(b->metrics, s->metric, false);
            enum verdict v = encode_judge(f, bytes, part);
            if (v == VERDICT_FULL)
                break;
            if (v == VERDICT_GONE)
                continue;
        }

        uint8_t *p = NULL;
        if (UNLIKELY(!r.scope_refs && f->kind == FORM_SERIES))
            begin_run(rw, &r, b, run, i, next, f, bytes, part);
        while (LIKELY(f->kind == FORM_SERIES && s->side == SIDE_NONE)) {
            p = write_known(&r, s, f, part, &batch_stamp);
            if (LIKELY(p) || r.ahead)
                break;
            write_ahead(rw, &r, b, run, i, next, bytes, part);
        }
        if (LIKELY(s->side == SIDE_NONE))
            note_batch_time(part, b->ts_ms);
        part->p = p ? p : write_entry(rw, &r, b, s, f, bytes, part);
        part->counts.samples++;
        part->samples_left--;
        part->counts.read++;
    }
    *at = i;
    return i == run->n;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

void encoder2_start(struct encoder2 *e, struct intern *in)
{
    blocks_init(&e->blocks, in, &e->symbols);
    e->name = symbols_get(&e->symbols, LABEL_NAME);
    symbols_ref(&e->symbols, e->name);
}

void encoder2_stop(struct encoder2 *e)
{
    blocks_release(&e->blocks);
    symbols_release(&e->symbols);
    buf_release(&e->refs);
    buf_release(&e->scope_refs);
    buf_release(&e->tail);
    free(e->scope_offsets);
    *e = (struct encoder2){0};
}

size_t encoder2_bytes(const struct encoder2 *e)
{
    return symbols_bytes(&e->symbols) + e->blocks.bytes + e->refs.cap + e->scope_refs.cap + e->tail.cap;
}
