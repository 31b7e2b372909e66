/* fuzz_remote_write2: the reader of remote write 2.0 messages, and what says them anew in 1.0.
 *
 * Besides not crashing: what is said in 1.0 is a message of 1.0 with as many samples, histograms and exemplars, but for
 * histograms with custom buckets, and every label that it has was in the series.
 */
#include "format/remote_write2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_in_1(const struct remote_write2_series *s)
{
    AUTO_BUF out = {0};
    struct remote_write_counts counts;
    uint32_t custom = 0;
    remote_write2_append_as_1(s, &out, &custom);
    CHECK(custom <= s->n_histograms && remote_write_count(buf_view(&out), &counts) == OK);
    if (s->n_samples + s->n_histograms == custom) {
        CHECK(out.n == 0);
        return;
    }
    CHECK(counts.series == 1 && counts.samples == s->n_samples);
    CHECK(counts.histograms == s->n_histograms - custom && counts.exemplars == s->n_exemplars);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_write2_reader r;
    struct remote_write2_item item;
    struct arena table = {0}, a = {0};
    if (remote_write2_read(str_from((const char *)data, size), &table, &r) == OK) {
        while (remote_write2_next(&r, &item) == OK) {
            struct remote_write2_series s;
            arena_reset(&a);
            CHECK(item.at + item.field.n <= size && item.bytes.n < item.field.n);
            if (remote_write2_parse(&r, item.bytes, &a, &s) == OK)
                say_in_1(&s);
        }
    }
    arena_release(&a);
    arena_release(&table);
    return 0;
}
