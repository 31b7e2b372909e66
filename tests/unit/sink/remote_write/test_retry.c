/* The table of answers and the waits, as pure functions. */
#include "unit.h"

#include "base/mem.h"
#include "sink/remote_write/retry_int.h"

#define NOW 784111777000 /* Sun, 06 Nov 1994 08:49:37 GMT */

static void retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t want_ms;
    } t[] = {
        {"", 0},
        {"0", 0},
        {"1", 1000},
        {" 30 ", 30000},
        {"-5", 0},
        {"3600", 3600000},
        {"86400", 3600000},
        {"99999999999999999999", 0},
        {"1.5", 0},
        {"soon", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:38 GMT", 1000},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Mon, 07 Nov 1994 08:49:37 GMT", 3600000},
        {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:50:37 CET", 0},
        {"Sun, 06 Xyz 1994 08:50:37 GMT", 0},
        {"Sun, 0x Nov 1994 08:50:37 GMT", 0},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(http_retry_after_ms(str_c(t[i].header), NOW), t[i].want_ms);
    assert_int_equal(http_retry_after_ms(STR("Thu, 29 Feb 2024 00:00:10 GMT"), 1709164800000), 10000);
    assert_int_equal(http_retry_after_ms(STR("Fri, 01 Mar 2024 00:00:00 GMT"), 1709251190000), 10000);
}

static void waits_grow_and_are_bounded(void **state)
{
    (void)state;
    struct plan_queue q = {.min_backoff_ms = 30, .max_backoff_ms = 5000};
    struct unit_random r = unit_random_new();
    for (int round = 0; round < 200; round++) {
        uint64_t backoff = 0;
        uint64_t base = 30;
        for (int i = 0; i < 12; i++) {
            uint64_t wait = retry_wait_ms(&backoff, &q, 0, unit_random_u64(&r));
            assert_true(wait >= 30 && wait <= base && wait >= base / 2);
            base = base * 2 > 5000 ? 5000 : base * 2;
            assert_int_equal(backoff, base);
        }
    }
    uint64_t backoff = 0;
    assert_int_equal(retry_wait_ms(&backoff, &q, 1000, 7), 1000);
    assert_int_equal(backoff, 2000);
    assert_int_equal(retry_wait_ms(&backoff, &q, 60000, 7), 60000);
    assert_int_equal(backoff, 5000);
}

static void answers(void **state)
{
    (void)state;
    struct plan_queue unset = {0};
    struct plan_queue off = {.retry_on_http_429_set = true};
    struct plan_queue on = {.retry_on_http_429_set = true, .retry_on_http_429 = true};
    struct http_response r = {.status = 429};
    assert_int_equal(answer_of(&r, &unset), ANSWER_RETRY);
    assert_int_equal(answer_of(&r, &off), ANSWER_REFUSED);
    assert_int_equal(answer_of(&r, &on), ANSWER_RETRY);
    r.status = 200;
    assert_int_equal(answer_of(&r, &off), ANSWER_TAKEN);
    r = (struct http_response){.err = ERR_CANCELED};
    assert_int_equal(answer_of(&r, &off), ANSWER_CANCELED);
    static const enum err errors[] = {ERR_NET, ERR_TLS, ERR_TIMEOUT, ERR_SYNTAX, ERR_AUTH, ERR_LIMIT, ERR_NOT_FOUND};
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        r.err = errors[i];
        assert_int_equal(answer_of(&r, &off), ANSWER_RETRY);
    }
}

static void doubt(void **state)
{
    (void)state;
    struct http_response r = {.err = ERR_TIMEOUT, .connected = true};
    assert_true(answer_leaves_doubt(&r));
    r.connected = false;
    assert_false(answer_leaves_doubt(&r));
    r = (struct http_response){.err = ERR_LIMIT, .connected = true};
    assert_true(answer_leaves_doubt(&r)); /* an answer came, and nobody knows which */
    r = (struct http_response){.status = 500, .connected = true};
    assert_false(answer_leaves_doubt(&r));
    r.status = 504;
    assert_true(answer_leaves_doubt(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after),
        cmocka_unit_test(waits_grow_and_are_bounded),
        cmocka_unit_test(answers),
        cmocka_unit_test(doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
