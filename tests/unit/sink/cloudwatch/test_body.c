/* The sealer: raw batches to notes and documents; parts of them; escaping. Pure. */
#include "unit.h"

#include "base/mem.h"
#include "sink/cloudwatch/note_int.h"

static struct compressor compressor;

struct made {
    struct buf raw, sealed, document;
    struct cw_note note;
};

static void begin(struct made *m, const char *group, const char *stream)
{
    const struct cw_place place = {str_c(group), str_c(stream)};
    buf_reserve(&m->raw, cw_raw_place_bytes(&place));
    m->raw.n = (size_t)(cw_raw_put_place((uint8_t *)m->raw.p, &place) - (uint8_t *)m->raw.p);
}

static void add(struct made *m, int64_t ts_ms, uint32_t samples, struct str text)
{
    const struct cw_record r = {.ts_ms = ts_ms, .samples = samples};
    buf_reserve(&m->raw, CW_EVENT_OVERHEAD + text.n);
    m->raw.n = (size_t)(cw_raw_put_record((uint8_t *)m->raw.p + m->raw.n, &r, text) - (uint8_t *)m->raw.p);
}

static void seal(struct made *m, enum cloudwatch_kind kind)
{
    const struct spool_sealer *s = cloudwatch_sealer(kind);
    buf_clear(&m->sealed);
    assert_int_equal(s->seal(s, &compressor, buf_view(&m->raw), &m->sealed), OK);
    assert_int_equal(cw_note_parse(buf_view(&m->sealed), &m->note), OK);
    assert_int_equal(compress_decode(&compressor, COMPRESS_GZIP, m->note.body, 16 << 20, &m->document), OK);
}

static void release(struct made *m)
{
    buf_release(&m->raw);
    buf_release(&m->sealed);
    buf_release(&m->document);
}

static void events_become_a_document(void **state)
{
    (void)state;
    struct made m = {0};
    begin(&m, "/a/g", "st\"r");
    add(&m, 30, 3, STR("{\"x\":1}"));
    add(&m, 10, 1, STR("first"));
    add(&m, 30, 4, STR("behind"));
    add(&m, -5, 2, STR("before the epoch"));
    seal(&m, CLOUDWATCH_LOGS);
    assert_str_c(buf_view(&m.document),
                 "{\"logGroupName\":\"/a/g\",\"logStreamName\":\"st\\\"r\",\"logEvents\":["
                 "{\"timestamp\":-5,\"message\":\"before the epoch\"},{\"timestamp\":10,\"message\":\"first\"},"
                 "{\"timestamp\":30,\"message\":\"{\\\"x\\\":1}\"},{\"timestamp\":30,\"message\":\"behind\"}]}");
    assert_str_c(m.note.place.group, "/a/g");
    assert_str_c(m.note.place.stream, "st\"r");
    static const struct cw_note_record want[] = {{-5, 2, 47}, {10, 1, 36}, {30, 3, 42}, {30, 4, 37}};
    struct cw_note_reader r = cw_note_read(&m.note);
    struct cw_note_record v;
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(cw_note_next(&r, &v), OK);
        assert_int_equal(v.ts_ms, want[i].ts_ms);
        assert_int_equal(v.samples, want[i].samples);
    }
    assert_int_equal(cw_note_next(&r, &v), ERR_EOF);
    uint32_t samples;
    assert_int_equal(cw_note_samples(&m.note, 1, 3, &samples), OK);
    assert_int_equal(samples, 4);
    assert_int_equal(cw_note_samples(&m.note, 1, 5, &samples), ERR_CORRUPT);

    /* the same again, byte for byte */
    AUTO_BUF again = {0};
    const struct spool_sealer *s = cloudwatch_sealer(CLOUDWATCH_LOGS);
    assert_int_equal(s->seal(s, &compressor, buf_view(&m.raw), &again), OK);
    assert_str(buf_view(&again), buf_view(&m.sealed));
    release(&m);
}

static void data_become_a_document(void **state)
{
    (void)state;
    struct made m = {0};
    begin(&m, "CW\nAgent", "");
    add(&m, 2, 1, STR("{\"MetricName\":\"b\"}"));
    add(&m, 1, 1, STR("{\"MetricName\":\"a\"}"));
    seal(&m, CLOUDWATCH_METRICS);
    assert_str_c(buf_view(&m.document),
                 "{\"Namespace\":\"CW\\nAgent\",\"MetricData\":[{\"MetricName\":\"a\"},{\"MetricName\":\"b\"}]}");
    release(&m);
}

static void parts_are_whole_documents(void **state)
{
    (void)state;
    struct made m = {0};
    AUTO_BUF part = {0};
    AUTO_BUF document = {0};
    begin(&m, "g", "s");
    for (int i = 0; i < 5; i++)
        add(&m, i, 1, str_from(&"abcde"[i], 1));
    seal(&m, CLOUDWATCH_LOGS);
    static const struct {
        uint32_t from, to;
        const char *want;
    } t[] = {
        {0, 5,
         "{\"timestamp\":0,\"message\":\"a\"},{\"timestamp\":1,\"message\":\"b\"},{\"timestamp\":2,\"message\":\"c\"},"
         "{\"timestamp\":3,\"message\":\"d\"},{\"timestamp\":4,\"message\":\"e\"}"},
        {0, 1, "{\"timestamp\":0,\"message\":\"a\"}"},
        {1, 3, "{\"timestamp\":1,\"message\":\"b\"},{\"timestamp\":2,\"message\":\"c\"}"},
        {4, 5, "{\"timestamp\":4,\"message\":\"e\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        AUTO_BUF want = {0};
        buf_printf(&want, "{\"logGroupName\":\"g\",\"logStreamName\":\"s\",\"logEvents\":[%s]}", t[i].want);
        assert_int_equal(cw_body_cut(&m.note, t[i].from, t[i].to, &compressor, &part), OK);
        assert_int_equal(compress_decode(&compressor, COMPRESS_GZIP, buf_view(&part), 1 << 20, &document), OK);
        assert_str(buf_view(&document), buf_view(&want));
    }
    assert_int_equal(cw_body_cut(&m.note, 2, 2, &compressor, &part), ERR_CORRUPT);
    assert_int_equal(cw_body_cut(&m.note, 2, 6, &compressor, &part), ERR_CORRUPT);
    release(&m);
}

static void escaping(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *want;
    } t[] = {
        {{"", 0}, ""},
        {{"plain", 5}, "plain"},
        {{"a\"b\\c/d", 7}, "a\\\"b\\\\c/d"},
        {{"\0\1\x1f \x7f", 5}, "\\u0000\\u0001\\u001f \x7f"},
        {{"\b\t\n\v\f\r", 6}, "\\b\\t\\n\\u000b\\f\\r"},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {{"\xc3", 1}, "\xef\xbf\xbd"},
        {{"a\xff\xfe"
          "b",
          4},
         "a\xef\xbf\xbd\xef\xbf\xbd"
         "b"},
        {{"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {{"12345678\"", 9}, "12345678\\\""},
        {{"\"2345678", 8}, "\\\"2345678"},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        AUTO_BUF out = {0};
        cw_escape(&out, t[i].in);
        assert_str_c(buf_view(&out), t[i].want);
    }
}

/* Byte by byte, as the reader's mirror. */
static void escape_slowly(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        AUTO_BUF one = {0};
        size_t n = 1;
        while (i + n < s.n && (s.p[i] & 0x80) && (s.p[i + n] & 0xC0) == 0x80 && n < 4 &&
               !str_is_utf8(str_from(s.p + i, n)))
            n++;
        if (!str_is_utf8(str_from(s.p + i, n)))
            n = 1;
        cw_escape(&one, str_from(s.p + i, n));
        buf_str(out, buf_view(&one));
        i += n;
    }
}

static void escaping_in_runs_is_escaping_in_bytes(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    static const char *const pieces[] = {"plain and long enough",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "\xc3\xa9",
                                         "\xff",
                                         "\xe2\x82",
                                         "x",
                                         "\x7f",
                                         "\xf0\x9f\x98\x80",
                                         "{\"name\":\"value\"}"};
    for (int round = 0; round < 200; round++) {
        AUTO_BUF in = {0};
        AUTO_BUF fast = {0};
        AUTO_BUF slow = {0};
        size_t size = unit_random_below(&r, round % 10 ? 60 : 20000);
        while (in.n < size)
            buf_c(&in, pieces[unit_random_below(&r, COUNT_OF(pieces))]);
        cw_escape(&fast, buf_view(&in));
        escape_slowly(&slow, buf_view(&in));
        assert_str(buf_view(&fast), buf_view(&slow));
    }
}

static void what_is_not_ours_is_refused(void **state)
{
    (void)state;
    struct made m = {0};
    AUTO_BUF out = {0};
    const struct spool_sealer *s = cloudwatch_sealer(CLOUDWATCH_LOGS);
    begin(&m, "g", "s");
    add(&m, 1, 1, STR("text"));
    for (size_t n = 0; n < m.raw.n; n++) {
        bool border = n == 6; /* the place alone */
        assert_int_equal(s->seal(s, &compressor, str_from(m.raw.p, n), &out), border ? OK : ERR_CORRUPT);
    }
    seal(&m, CLOUDWATCH_LOGS);
    size_t note = m.sealed.n - m.note.body.n;
    for (size_t n = 0; n < note; n++) {
        struct cw_note v;
        assert_int_equal(cw_note_parse(str_from(m.sealed.p, n), &v), ERR_CORRUPT);
    }
    m.sealed.p[0] = 'X';
    assert_int_equal(cw_note_parse(buf_view(&m.sealed), &m.note), ERR_CORRUPT);
    release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_become_a_document),
        cmocka_unit_test(data_become_a_document),
        cmocka_unit_test(parts_are_whole_documents),
        cmocka_unit_test(escaping),
        cmocka_unit_test(escaping_in_runs_is_escaping_in_bytes),
        cmocka_unit_test(what_is_not_ours_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    compressor_release(&compressor);
    return failed;
}
