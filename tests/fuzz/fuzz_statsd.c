/* Any bytes as lines of StatsD: read inside their limits, tags sorted and unique, every line ends with its end or one
 * fault, and nothing is left that points beyond it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/statsd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t touch(struct str s)
{
    size_t sum = 0;

    for (size_t i = 0; i < s.n; i++)
        sum += (unsigned char)s.p[i];
    return sum;
}

static size_t read_line(struct statsd_line *l, struct str text)
{
    struct statsd_value v;
    enum err err = statsd_line_parse(l, text);
    size_t n = 0, sum = touch(l->name);

    for (uint32_t i = 0; i < l->n_tags; i++) {
        CHECK(l->tags[i].name.n > 0);
        CHECK(i == 0 || str_cmp(l->tags[i - 1].name, l->tags[i].name) < 0);
        sum += touch(l->tags[i].name) + touch(l->tags[i].value);
    }
    for (; !err; n += !err) {
        err = statsd_line_next(l, &v);
        if (err)
            break;
        CHECK(v.type < STATSD_TYPES && v.weight > 0 && isfinite(v.weight));
        sum += touch(v.text);
    }
    CHECK(err == ERR_EOF || (err == ERR_SYNTAX && l->fault != STATSD_FINE && l->fault < STATSD_FAULTS));
    CHECK(n <= text.n);
    CHECK(statsd_line_next(l, &v) == ERR_EOF);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct statsd_line l = {0};
    struct str rest = str_from((const char *)data, size), line;
    volatile size_t sum = 0;
    bool more = true;

    while (more) {
        more = str_cut(rest, '\n', &line, &rest);
        char *exact = malloc(line.n + 1);
        if (line.n)
            memcpy(exact, line.p, line.n);
        sum += read_line(&l, str_trim(str_from(exact, line.n)));
        free(exact);
    }
    (void)sum; /* its bytes were read */
    statsd_line_release(&l);
    return 0;
}
