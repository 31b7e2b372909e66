/* table: lines of a checked-in table, split at tabs or blanks. */
#ifndef TESTS_UNIT_BASE_TABLE_H
#define TESTS_UNIT_BASE_TABLE_H

#include "base/file.h"

struct table {
    struct buf bytes;
    struct str rest;
};

static inline struct table table_open(const char *name)
{
    char path[128];
    struct table t = {0};
    snprintf(path, sizeof(path), "tests/unit/base/data/%s", name);
    assert_int_equal(file_read(path, 1 << 20, &t.bytes, NULL), OK);
    t.rest = buf_view(&t.bytes);
    return t;
}

/* Up to n fields of the next line; how many there were, 0 at the end. */
static inline int table_next(struct table *t, char separator, struct str *fields, int n)
{
    struct str line;
    if (!t->rest.n)
        return 0;
    str_cut(t->rest, '\n', &line, &t->rest);
    int count = 0;
    while (count < n - 1 && str_cut(line, separator, &fields[count], &line))
        count++;
    if (count < n - 1)
        line = fields[count];
    fields[count] = line;
    return count + 1;
}

static inline uint64_t table_hex(struct str s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 4 | (uint64_t)(s.p[i] <= '9' ? s.p[i] - '0' : s.p[i] - 'a' + 10);
    return v;
}

#endif
