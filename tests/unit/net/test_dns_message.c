/* DNS answers byte by byte: names with pointers and odd bytes, records of each kind, and what must be refused. */
#include "unit.h"

#include "base/mem.h"
#include "net/dns_message.h"

/* A header, the question x.test (at byte 12), and these records; C literals make bytes countable. */
#define HEAD(flags, records) "\0\1" flags "\0\1\0" records "\0\0\0\0" QUESTION
#define QUESTION             "\1x\4test\0\0\1\0\1"
#define RECORD(type, length) "\300\14\0" type "\0\1\0\0\1\2\0" length

static void print(struct str message, struct buf *out)
{
    struct arena a = {0};
    struct dns_answer answer;
    struct diag d = {0};

    buf_clear(out);
    if (dns_answer_parse(message, &a, &answer, &d))
        buf_printf(out, "refused: %s", d.text);
    else
        buf_printf(out, "%u%s:", answer.rcode, answer.truncated ? " cut" : "");
    for (uint32_t i = 0; d.text[0] == '\0' && i < answer.n; i++)
        buf_printf(out, " %u %s %u %u;", answer.records[i].type,
                   answer.records[i].target.p ? answer.records[i].target.p : "-", answer.records[i].port,
                   answer.records[i].ttl_s);
    arena_release(&a);
}

static void reads(struct str message, const char *want)
{
    AUTO_BUF got = {0};

    print(message, &got);
    if (!strstr(got.p, want))
        fail_msg("got: %s\nwant: %s", got.p, want);
}

static void test_records(void **state)
{
    (void)state;
    reads(STR(HEAD("\201\200", "\1") RECORD("\1", "\4") "\300\0\2\1"), "0: 1 192.0.2.1 0 258;");
    reads(STR(HEAD("\201\200", "\1") RECORD("\34", "\20") "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"), "28 2001:db8::1 0");
    reads(STR(HEAD("\201\200", "\1") RECORD("\41", "\14") "\0\1\0\2\43\214\3abc\300\14"), "33 abc.x.test. 9100 258;");
    reads(STR(HEAD("\201\200", "\2") RECORD("\17", "\4") "\0\12\300\14" RECORD("\2", "\1") "\0"),
          "15 x.test. 0 258; 2 . 0 258;");
    reads(STR(HEAD("\201\200", "\1") RECORD("\20", "\2") "\1x"), "16 - 0");
    reads(STR(HEAD("\203\203", "\0")), "3 cut:");
}

static void test_odd_bytes_of_names_are_escaped(void **state)
{
    (void)state;
    reads(STR(HEAD("\201\200", "\1") RECORD("\2", "\12") "\5a.b\\ \2\377\t\0"), "2 a\\.b\\\\\\ .\\255\\009. 0");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    reads(STR("\0\1\201\200"), "refused: a DNS message of 4 bytes has no header");
    reads(STR("\0\1\201\200\0\1\0\0\0\0\0\0\77xy"), "in a question");
    reads(STR("\0\1\201\200\0\0\377\377\0\0\0\0"), "cannot hold 65535 records");
    reads(STR(HEAD("\201\200", "\2") RECORD("\1", "\4") "\300\0\2\1"
                                                        "\0\0\1\0\1\0\0\0\0\0\3"),
          "refused");                                                                     /* cut off */
    reads(STR(HEAD("\201\200", "\1") RECORD("\1", "\3") "\300\0\2"), "in record 1");      /* A of 3 bytes */
    reads(STR(HEAD("\201\200", "\1") RECORD("\2", "\2") "\300\60"), "in record 1");       /* points forward */
    reads(STR(HEAD("\201\200", "\1") RECORD("\2", "\4") "\1a\300\44"), "in record 1");    /* points to itself */
    reads(STR(HEAD("\201\200", "\1") RECORD("\2", "\3") "\101a\0"), "in record 1");       /* a kind of label of old */
    reads(STR(HEAD("\201\200", "\1") RECORD("\2", "\5") "\300\14\0\0\0"), "in record 1"); /* more data than name */
    reads(STR(HEAD("\201\200", "\1") RECORD("\41", "\10") "\0\1\0\2\43\214\300"), "in record 1"); /* cut off */
}

/* 255 bytes is a name, more is not. */
static void test_length_of_names(void **state)
{
    AUTO_BUF b = {0};

    (void)state;
    for (int labels = 127; labels <= 128; labels++) {
        buf_clear(&b);
        buf_append(&b, "\0\1\201\200\0\1\0\0\0\0\0\0", 12);
        for (int i = 0; i < labels; i++)
            buf_append(&b, "\1a", 2);
        buf_append(&b, "\0\0\1\0\1", 5);
        reads(buf_view(&b), labels == 127 ? "0:" : "refused");
    }
}

static void test_resolv_conf(void **state)
{
    static const struct {
        const char *text, *name, *want;
    } cases[] = {
        {"", "a", "a. "},
        {"", "a.", "a. "},
        {"search one two.test\n", "a", "a.one. a.two.test. a. "},
        {"search one two.test\n", "a.b", "a.b. a.b.one. a.b.two.test. "},
        {"search one\noptions timeout:1 ndots:2\n", "a.b", "a.b.one. a.b. "},
        {"search one\noptions ndots:0\n", "a", "a. a.one. "},
        {"search one\ndomain two\n", "a", "a.two. a. "},
        {"domain two\nsearch one three\n", "a", "a.one. a.three. a. "},
        {"#search one\n;search two\n  search\tthree \r\nnameserver 127.0.0.1", "a", "a.three. a. "},
        {"search . one.\n", "a", "a.one. a. "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = {0};
        struct dns_search s;
        struct str names[DNS_MAX_SEARCH + 1];
        AUTO_BUF got = {0};
        dns_search_parse(str_c(cases[i].text), &s);
        uint32_t n = dns_search_names(&s, str_c(cases[i].name), &a, names);
        for (uint32_t k = 0; k < n; k++)
            buf_printf(&got, "%s ", names[k].p);
        assert_string_equal(got.p, cases[i].want);
        arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),         cmocka_unit_test(test_odd_bytes_of_names_are_escaped),
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_length_of_names),
        cmocka_unit_test(test_resolv_conf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
