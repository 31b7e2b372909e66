/* message: reads remote write messages, of 1.0 and 2.0, by a decoder of the tests' own. */
#ifndef TESTS_SINK_MESSAGE_H
#define TESTS_SINK_MESSAGE_H

#include "unit.h"

#include "base/arena.h"
#include "model/label.h"
#include "wire/proto.h"

/* "a=1,b=2" sorted by the caller; "b=" is an empty value. */
static inline struct labels labels_of(struct arena *a, const char *text)
{
    struct label *v = ARENA_ARRAY(a, struct label, 32);
    uint32_t n = 0;
    struct str rest = str_dup(a, str_c(text)), item;
    while (rest.n) {
        str_cut(rest, ',', &item, &rest);
        str_cut(item, '=', &v[n].name, &v[n].value);
        n++;
    }
    return (struct labels){v, n};
}

struct decoded {
    struct labels labels;
    uint64_t bits;
    int64_t ts_ms, start_ms;
    struct str histogram;    /* its message; empty: a sample */
    struct str exemplars[4]; /* their messages */
    uint32_t n_exemplars;
    uint64_t type;
    struct str help, unit; /* 2.0 */
};

struct message_read {
    struct proto_reader r;
    struct arena *arena;
    struct str *symbols; /* of a 2.0 message, as far as it was read */
    uint32_t n_symbols, cap_symbols;
};

static inline struct label read_label(struct str s)
{
    struct proto_reader r = proto_read(s);
    struct proto_field f;
    struct label l = {0};
    while (proto_next(&r, &f) == OK) {
        if (f.number == 1)
            l.name = f.bytes;
        else
            l.value = f.bytes;
    }
    return l;
}

static inline void read_sample(struct str s, struct decoded *d)
{
    struct proto_reader r = proto_read(s);
    struct proto_field f;
    enum err err;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == 1)
            d->bits = f.value;
        else
            *(f.number == 2 ? &d->ts_ms : &d->start_ms) = (int64_t)f.value;
    }
    assert_int_equal(err, ERR_EOF);
}

/* 2.0: each text once, the empty one first. */
static inline void read_symbol(struct message_read *m, struct str text)
{
    assert_int_equal(m->n_symbols == 0, text.n == 0);
    for (uint32_t i = 0; i < m->n_symbols && m->n_symbols < 500; i++)
        assert_false(str_eq(m->symbols[i], text));
    if (m->n_symbols == m->cap_symbols) {
        m->cap_symbols = m->cap_symbols * 2 + 64;
        struct str *more = ARENA_ARRAY(m->arena, struct str, m->cap_symbols);
        if (m->n_symbols)
            memcpy(more, m->symbols, m->n_symbols * sizeof(*more));
        m->symbols = more;
    }
    m->symbols[m->n_symbols++] = text;
}

static inline struct str symbol_at(const struct message_read *m, uint64_t number)
{
    assert_true(number < m->n_symbols); /* a definition precedes its use */
    return m->symbols[number];
}

static inline uint32_t read_refs(struct message_read *m, struct str s, struct label *v)
{
    struct proto_reader r = proto_read(s);
    uint64_t name, value;
    uint32_t n = 0;
    while (r.p < r.end) {
        assert_int_equal(proto_varint(&r, &name), OK);
        assert_int_equal(proto_varint(&r, &value), OK);
        assert_true(n < 64);
        v[n++] = (struct label){symbol_at(m, name), symbol_at(m, value)};
    }
    return n;
}

static inline void read_metadata(struct message_read *m, struct str s, struct decoded *d)
{
    struct proto_reader r = proto_read(s);
    struct proto_field f;
    while (proto_next(&r, &f) == OK) {
        if (f.number == 1)
            d->type = f.value;
        else
            *(f.number == 3 ? &d->help : &d->unit) = symbol_at(m, f.value);
    }
}

/* Symbols up to the next series; false: there is none. */
static inline bool message_entry(struct message_read *m, struct proto_field *f, bool *two)
{
    enum err err;
    while ((err = proto_next(&m->r, f)) == OK && f->number == 4)
        read_symbol(m, f->bytes);
    if (err == ERR_EOF)
        return false;
    assert_int_equal(err, OK);
    *two = m->n_symbols > 0;
    assert_int_equal(f->number, *two ? 5 : 1);
    return true;
}

/* The next series of a message, its labels in the arena. */
static inline bool message_next(struct message_read *m, struct decoded *d)
{
    struct proto_field f;
    enum err err;
    bool two;
    if (!message_entry(m, &f, &two))
        return false;
    struct proto_reader r = proto_read(f.bytes);
    struct label *v = ARENA_ARRAY(m->arena, struct label, 64);
    uint32_t n = 0;
    uint32_t n_samples = 0;
    *d = (struct decoded){0};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == 1 && two) {
            n = read_refs(m, f.bytes, v);
        } else if (f.number == 1) {
            assert_true(n < 64);
            v[n++] = read_label(f.bytes);
        } else if (f.number == 2) {
            read_sample(f.bytes, d);
            n_samples++;
        } else if (f.number == (two ? 3 : 4)) {
            d->histogram = f.bytes;
            n_samples++;
        } else if (f.number == (two ? 4 : 3)) {
            assert_true(d->n_exemplars < 4);
            d->exemplars[d->n_exemplars++] = f.bytes;
        } else {
            assert_true(two && f.number == 5);
            read_metadata(m, f.bytes, d);
        }
    }
    assert_int_equal(err, ERR_EOF);
    assert_int_equal(n_samples, 1);
    d->labels = (struct labels){v, n};
    return true;
}

#endif
