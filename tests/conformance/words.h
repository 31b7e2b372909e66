/* words: what the comparison programs read: lines of words with a space between them, strings as x and hexadecimal
 * digits. They are written by the suites themselves, so what is wrong ends the program.
 */
#ifndef TESTS_CONFORMANCE_WORDS_H
#define TESTS_CONFORMANCE_WORDS_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/num.h"

static inline struct str words_next(struct str *line)
{
    struct str word;

    str_cut(*line, ' ', &word, line);
    return word;
}

static inline unsigned words_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static inline struct str words_string(struct str *line, struct arena *a)
{
    struct str word = words_next(line);
    size_t n = (word.n - 1) / 2;
    char *out = arena_zalloc(a, n + 1);

    CHECK(word.n % 2 == 1 && word.p[0] == 'x');
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(words_digit(word.p[1 + 2 * i]) << 4 | words_digit(word.p[2 + 2 * i]));
    return str_from(out, n);
}

static inline int64_t words_number(struct str *line)
{
    int64_t n;

    CHECK(num_parse_i64(words_next(line), &n) == OK);
    return n;
}

/* Calls fn with every line of standard input. */
static inline void words_each_line(void (*fn)(struct str line))
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0)
        fn(str_from(line, (size_t)n - 1));
    free(line);
}

#endif
