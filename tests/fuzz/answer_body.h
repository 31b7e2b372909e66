/* Reads an answer from a copy of the input that is then spoiled and gone: whatever the reader kept of it shows. */
#ifndef TESTS_FUZZ_ANSWER_BODY_H
#define TESTS_FUZZ_ANSWER_BODY_H

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct str body_copy(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (size)
        memcpy(text, data, size);
    return str_from(text, size);
}

static inline void body_spoil(struct str body)
{
    char *text = (char *)body.p;

    memset(text, 0xff, body.n + 1);
    free(text);
}

/* A string out of JSON. */
static inline void check_str(struct str s)
{
    CHECK(s.p && s.p[s.n] == '\0' && str_is_utf8(s));
}

#endif
