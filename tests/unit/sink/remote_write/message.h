/* message: reads remote write 1.0 messages, by a decoder of the tests' own. */
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
    int64_t ts_ms;
};

struct message_read {
    struct proto_reader r;
    struct arena *arena;
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
            d->ts_ms = (int64_t)f.value;
    }
    assert_int_equal(err, ERR_EOF);
}

/* The next series of a message, its labels in the arena. */
static inline bool message_next(struct message_read *m, struct decoded *d)
{
    struct proto_field f;
    enum err err = proto_next(&m->r, &f);
    if (err == ERR_EOF)
        return false;
    assert_int_equal(err, OK);
    assert_int_equal(f.number, 1);
    struct proto_reader r = proto_read(f.bytes);
    struct label *v = ARENA_ARRAY(m->arena, struct label, 64);
    uint32_t n = 0;
    uint32_t n_samples = 0;
    *d = (struct decoded){0};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == 1) {
            assert_true(n < 64);
            v[n++] = read_label(f.bytes);
        } else {
            assert_int_equal(f.number, 2);
            read_sample(f.bytes, d);
            n_samples++;
        }
    }
    assert_int_equal(err, ERR_EOF);
    assert_int_equal(n_samples, 1);
    d->labels = (struct labels){v, n};
    return true;
}

#endif
