/* fuzz_remote_write: the reader of remote write messages, on the protobuf reader.
 *
 * Besides not crashing: counting and parsing agree, the fields of a message that is in order join to a message with the
 * same counts, and a series that is written again reads back the same.
 */
#include "format/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct remote_write_series *s, struct arena *a)
{
    AUTO_BUF labels = {0};
    AUTO_BUF out = {0};
    struct remote_write_item item;
    struct remote_write_series back;
    if (s->n_samples == 0)
        return;
    for (uint32_t i = 0; i < s->labels.n; i++)
        remote_write_append_label(&labels, s->labels.v[i].name, s->labels.v[i].value);
    struct str segment = buf_view(&labels);
    remote_write_append_series(&out, &segment, 1, s->samples[0].value, s->samples[0].ts_ms);
    struct remote_write_reader r = remote_write_read(buf_view(&out));
    CHECK(remote_write_next(&r, &item) == OK && remote_write_parse_series(item.bytes, a, &back) == OK);
    CHECK(labels_eq(back.labels, s->labels) && back.samples[0].ts_ms == s->samples[0].ts_ms);
    CHECK(memcmp(&back.samples[0].value, &s->samples[0].value, sizeof(double)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str message = str_from((const char *)data, size);
    struct remote_write_counts counts, again;
    struct remote_write_reader r = remote_write_read(message);
    struct remote_write_item item;
    struct arena a = {0};
    AUTO_BUF joined = {0};
    uint64_t series = 0, samples = 0;
    enum err counted = remote_write_count(message, &counts);
    while (remote_write_next(&r, &item) == OK) {
        struct remote_write_series s;
        struct family f;
        buf_str(&joined, item.field);
        if (item.kind == REMOTE_WRITE_METADATA) {
            (void)!remote_write_parse_metadata(item.bytes, &f);
            continue;
        }
        if (remote_write_parse_series(item.bytes, &a, &s) == OK) {
            series++;
            samples += s.n_samples;
            write_again(&s, &a);
        }
    }
    if (counted == OK) {
        CHECK(series <= counts.series && samples <= counts.samples);
        CHECK(remote_write_count(buf_view(&joined), &again) == OK && memcmp(&again, &counts, sizeof(again)) == 0);
    }
    arena_release(&a);
    return 0;
}
