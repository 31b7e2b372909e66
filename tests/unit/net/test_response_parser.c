/* response_parser: framing, limits, and the words of what is wrong, without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/response_parser.h"

struct parsed {
    struct response_parser p;
    struct buf head, body;
    struct http_head fields;
    struct diag diag;
    size_t used;
};

static enum err parse(struct parsed *r, const char *text, size_t max_body)
{
    struct str in = str_c(text);
    buf_clear(&r->head);
    buf_clear(&r->body);
    diag_reset(&r->diag);
    r->p = (struct response_parser){.head = &r->head, .fields = &r->fields, .body = &r->body, .max_body = max_body};
    enum err err = response_parser_feed(&r->p, in, &r->used, &r->diag);
    return err == ERR_AGAIN ? response_parser_eof(&r->p, &r->diag) : err;
}

static void release(struct parsed *r)
{
    buf_release(&r->head);
    buf_release(&r->body);
    http_head_release(&r->fields);
}

struct good {
    const char *text, *body;
    int status;
    bool keep_alive;
    size_t left; /* bytes behind the response */
};

static void takes_every_framing(void **state)
{
    static const struct good cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 200, true, 0},
        {"HTTP/1.1 200\r\ncontent-length:2\r\n\r\nokHTTP", "ok", 200, true, 4},
        {"HTTP/1.1 503 Busy\r\nConnection: x , CLOSE\r\nContent-Length: 0\r\n\r\n", "", 503, false, 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 200, false, 0},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", 200, true, 0},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nabc", "abc", 200, false, 0},
        {"HTTP/1.1 200 OK\n\nto the end", "to the end", 200, false, 0},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", 304, true, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
         "0123456789", 200, true, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n001 ; x=\"y\"\na\n00\nX: y\nZ: w\n\n", "a", 200, true,
         0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\nx", "x", 200, true, 0},
        {"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", 200, true, 0},
    };
    struct parsed r = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct good *c = &cases[i];
        if (parse(&r, c->text, 100) != OK) {
            fail_msg("case %zu: %s", i, r.diag.text);
        }
        assert_int_equal(r.fields.status, c->status);
        assert_true(str_eq_c(buf_view(&r.body), c->body));
        assert_int_equal(r.p.keep_alive, c->keep_alive);
        assert_int_equal(strlen(c->text) - r.used, c->left);
    }
    release(&r);
}

struct bad {
    const char *text;
    enum err err;
    const char *words;
};

static void refuses_what_is_wrong(void **state)
{
    static const struct bad cases[] = {
        {"", ERR_NET, "EOF"},
        {"HTTP/1.1 200 OK\r\n", ERR_NET, "unexpected EOF"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", ERR_NET, "unexpected EOF"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", ERR_NET, "unexpected EOF"},
        {"nonsense", ERR_SYNTAX, "malformed HTTP response \"nonsense\""},
        {"HTTP/2.0 200 OK\r\n\r\n", ERR_SYNTAX, "malformed HTTP version"},
        {"HTTP/1.1 20 OK\r\n\r\n", ERR_SYNTAX, "malformed HTTP status code \"20 OK\""},
        {"HTTP/1.1 2000 OK\r\n\r\n", ERR_SYNTAX, "malformed HTTP status code"},
        {"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx", ERR_SYNTAX, "malformed MIME header line"},
        {"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", ERR_SYNTAX, "bad Content-Length \"+1\""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", ERR_SYNTAX, "bad Content-Length"},
        {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nx", ERR_SYNTAX, "bad Content-Length"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx", ERR_SYNTAX, "bad Content-Length"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", ERR_SYNTAX, "multiple Content-Length"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", ERR_SYNTAX, "unsupported transfer encoding: \"gzip\""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ERR_SYNTAX,
         "unsupported transfer encoding"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", ERR_SYNTAX, "invalid byte in chunk length"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", ERR_SYNTAX, "invalid byte in chunk length"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n", ERR_SYNTAX,
         "malformed chunked encoding"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", ERR_LIMIT,
         "chunk length too large"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", ERR_LIMIT, "body size limit exceeded"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", ERR_LIMIT, "body size limit exceeded"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ERR_SYNTAX, "101"},
    };
    struct parsed r = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum err err = parse(&r, cases[i].text, 100);
        if (err != cases[i].err || !strstr(r.diag.text, cases[i].words)) {
            fail_msg("case %zu: %s: \"%s\"", i, err_name(err), r.diag.text);
        }
    }
    release(&r);
}

static void bounds_the_memory_it_takes(void **state)
{
    struct parsed r = {0};
    struct buf text = {0};
    (void)state;
    buf_c(&text, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 101; i++) {
        buf_char(&text, 'x');
    }
    assert_int_equal(parse(&r, text.p, 100), ERR_LIMIT); /* until close */
    text.n--;
    text.p[text.n] = '\0';
    assert_int_equal(parse(&r, text.p, 100), OK);
    assert_int_equal(parse(&r, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", 2000000000), ERR_NET);
    assert_true(r.body.cap <= 2 << 20); /* a promise is no reason to allocate it all */

    buf_clear(&text);
    buf_c(&text, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 1001; i++) {
        buf_c(&text, "a: b\r\n");
    }
    buf_c(&text, "\r\n");
    assert_int_equal(parse(&r, text.p, 100), ERR_LIMIT);
    buf_clear(&text);
    buf_c(&text, "HTTP/1.1 200 OK\r\nX: ");
    while (text.n < HTTP_HEAD_MAX + 10000) {
        buf_c(&text, "0123456789");
    }
    assert_int_equal(parse(&r, text.p, 100), ERR_LIMIT);
    assert_true(r.head.n < HTTP_HEAD_MAX + 10000);
    buf_clear(&text);
    buf_c(&text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    while (text.n < 6000) {
        buf_c(&text, "0123456789");
    }
    assert_int_equal(parse(&r, text.p, 100), ERR_LIMIT);
    buf_clear(&text);
    for (int i = 0; i < 6; i++) {
        buf_c(&text, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    assert_int_equal(parse(&r, text.p, 100), ERR_LIMIT);
    buf_release(&text);
    release(&r);
}

static void reads_fields(void **state)
{
    struct parsed r = {0};
    (void)state;
    assert_int_equal(parse(&r, "HTTP/1.1 200 OK\r\nA: 1\r\nB:\t two \r\nLong: x,\r\n  y\r\nB: 3\r\nE:\r\n\r\n", 100),
                     OK);
    assert_int_equal(r.fields.n_fields, 5);
    assert_true(str_eq_c(http_head_get(&r.fields, STR("b")), "two"));
    assert_true(str_eq_c(http_head_get(&r.fields, STR("LONG")), "x,    y"));
    assert_true(http_head_has_token(&r.fields, STR("long"), STR("Y")));
    assert_true(http_head_has_token(&r.fields, STR("b"), STR("3")));
    assert_false(http_head_has_token(&r.fields, STR("b"), STR("tw")));
    assert_int_equal(http_head_get(&r.fields, STR("none")).n, 0);
    release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_framing),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(bounds_the_memory_it_takes),
        cmocka_unit_test(reads_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
