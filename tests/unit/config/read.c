/* read: see read.h. */
#include "unit/config/read.h"

struct reading read_text(const char *text, bool agent)
{
    struct reading r = {0};
    struct arena *a = &r.arena;
    struct config_options o = {.agent = agent};
    struct diag d;
    diag_reset(&d);
    struct config_errors errors = {.arena = a};
    enum err err = config_parse_prometheus(str_c(text), "p.yml", "conf", &o, &r.plan, &errors, &d);
    assert_int_equal(err == OK, r.plan != NULL);
    assert_int_equal(err == OK, errors.n == 0);
    if (errors.n)
        assert_string_equal(d.text, errors.v[0].text);
    r.errors = errors;
    return r;
}

void reading_release(struct reading *r)
{
    plan_unref(r->plan);
    arena_release(&r->arena);
}

static void append_error(struct buf *out, const struct diag *d)
{
    assert_string_equal(d->file, "p.yml");
    buf_printf(out, "%d:%d: %s\n", d->line, d->col, d->text);
}

struct plan *read_good(const char *text)
{
    struct reading r = read_text(text, true);
    AUTO_BUF all = {0};
    for (uint32_t i = 0; i < r.errors.n; i++)
        append_error(&all, &r.errors.v[i]);
    if (!r.plan)
        fail_msg("refused: %s", all.p);
    arena_release(&r.arena);
    return r.plan;
}

void assert_errors(const char *text, const char *expected)
{
    struct reading r = read_text(text, true);
    AUTO_BUF all = {0};
    buf_c(&all, "");
    for (uint32_t i = 0; i < r.errors.n; i++)
        append_error(&all, &r.errors.v[i]);
    assert_str(buf_view(&all), str_c(expected));
    reading_release(&r);
}

void assert_error(const char *text, enum err code, const char *words)
{
    struct reading r = read_text(text, true);
    AUTO_BUF all = {0};
    if (r.errors.n == 0)
        fail_msg("taken: %s", text);
    append_error(&all, &r.errors.v[0]);
    if (!str_contains(buf_view(&all), str_c(words)))
        fail_msg("got \"%s\", want \"%s\" for:\n%s", all.p, words, text);
    assert_int_equal(r.errors.codes[0], code);
    reading_release(&r);
}
