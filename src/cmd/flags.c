/* flags: see the header. One pass over the arguments; the table is searched linearly, it has tens of rows.
 *
 * Messages are kingpin's, since people paste them into searches: `unknown long flag '--x'`, `expected argument for flag
 * '--x'`, `unexpected y`.
 */
#include "cmd/flags.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/units.h"

enum { HELP_COLUMN = 33, HELP_WIDTH = 80 };

void flags_init(struct flags *f, const char *program, const char *summary, const struct flag_spec *specs,
                uint32_t n_specs, uint32_t max_rest)
{
    *f = (struct flags){
        .program = program, .summary = summary, .specs = specs, .n_specs = n_specs, .max_rest = max_rest};
    f->values = ARENA_ARRAY(&f->arena, struct flag_value, n_specs);
}

void flags_release(struct flags *f)
{
    arena_release(&f->arena);
}

static int find(const struct flags *f, struct str name)
{
    for (uint32_t i = 0; i < f->n_specs; i++)
        if (str_eq_c(name, f->specs[i].name))
            return (int)i;
    return -1;
}

static int must_find(const struct flags *f, const char *name)
{
    int i = find(f, str_c(name));
    CHECK(i >= 0);
    return i;
}

static bool is_choice(const char *choices, struct str value)
{
    struct str one, more = str_c(choices);

    do {
        str_cut(more, '|', &one, &more);
        if (str_eq(one, value))
            return true;
    } while (more.n);
    return false;
}

/* "snappy|zstd" with another separator. */
static void put_choices(struct buf *out, const char *choices, const char *separator)
{
    struct str one, more = str_c(choices);

    do {
        str_cut(more, '|', &one, &more);
        buf_str(out, one);
        buf_c(out, more.n ? separator : "");
    } while (more.n);
}

static enum err refuse_choice(const struct flag_spec *s, struct str value, struct diag *d)
{
    AUTO_BUF choices = {0};

    if (strcmp(s->name, "log.level") == 0 || strcmp(s->name, "log.format") == 0)
        return diag_set(d, ERR_SYNTAX, "unrecognized log %s %.*s", s->name + 4, STR_ARGS(value));
    put_choices(&choices, s->choices, ",");
    return diag_set(d, ERR_SYNTAX, "enum value must be one of %s, got '%.*s'", choices.p, STR_ARGS(value));
}

static enum err check_value(const struct flag_spec *s, struct str value, struct diag *d)
{
    int64_t i;
    uint64_t u;

    switch (s->kind) {
    case FLAG_DURATION:
        return units_parse_duration(value, &i, d);
    case FLAG_SIZE:
        return units_parse_size(value, &u, d);
    case FLAG_NUMBER:
        if (num_parse_i64(value, &i))
            return diag_set(d, ERR_SYNTAX, "--%s: expected a whole number, got \"%.*s\"", s->name, STR_ARGS(value));
        return OK;
    case FLAG_CHOICE:
        return is_choice(s->choices, value) ? OK : refuse_choice(s, value, d);
    case FLAG_BOOL: /* parse_long has seen to it */
    case FLAG_TEXT:
    case FLAG_LIST:
        break;
    }
    return OK;
}

static enum err take(struct flags *f, int i, struct str value, struct diag *d)
{
    struct flag_value *v = &f->values[i];
    enum err err = check_value(&f->specs[i], value, d);

    f->bad_value = true;
    if (err)
        return err;
    /* The original refuses a boolean given twice too; --agent after --no-agent leaves no doubt, so the last one counts.
     */
    if (v->n && f->specs[i].kind != FLAG_LIST && f->specs[i].kind != FLAG_BOOL)
        return diag_set(d, ERR_SYNTAX, "flag '%s' cannot be repeated", f->specs[i].name);
    struct str *given = ARENA_ARRAY(&f->arena, struct str, v->n + 1);
    if (v->n)
        memcpy(given, v->given, v->n * sizeof(*given));
    given[v->n++] = str_dup(&f->arena, value);
    v->given = given;
    v->order = v->order ? v->order : ++f->n_given;
    f->bad_value = false;
    return OK;
}

/* --name, --name=value, --no-name; *at is moved past a value that stands apart. */
static enum err parse_long(struct flags *f, int argc, char **argv, int *at, struct diag *d)
{
    struct str arg = str_from(argv[*at] + 2, strlen(argv[*at]) - 2), name, value;
    bool has_value = str_cut(arg, '=', &name, &value);
    int i = find(f, name);

    if (i < 0 && str_starts(name, STR("no-")) && !has_value) {
        i = find(f, str_from(name.p + 3, name.n - 3));
        if (i >= 0 && f->specs[i].kind == FLAG_BOOL)
            return take(f, i, STR("false"), d);
        i = -1;
    }
    if (i < 0)
        return diag_set(d, ERR_SYNTAX, "unknown long flag '--%.*s'", STR_ARGS(name));
    if (f->specs[i].kind == FLAG_BOOL) {
        if (has_value && !str_eq(value, STR("true")) && !str_eq(value, STR("false")))
            return diag_set(d, ERR_SYNTAX, "unexpected %.*s", STR_ARGS(value));
        return take(f, i, has_value ? value : STR("true"), d);
    }
    if (!has_value) {
        if (*at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0)
            return diag_set(d, ERR_SYNTAX, "expected argument for flag '--%.*s'", STR_ARGS(name));
        value = str_c(argv[++*at]);
    }
    return take(f, i, value, d);
}

static enum err take_rest(struct flags *f, const char *arg, struct diag *d)
{
    if (f->n_rest >= f->max_rest)
        return diag_set(d, ERR_SYNTAX, "unexpected %s", arg);
    struct str *rest = ARENA_ARRAY(&f->arena, struct str, f->n_rest + 1);
    if (f->n_rest)
        memcpy(rest, f->rest, f->n_rest * sizeof(*rest));
    rest[f->n_rest++] = str_dup(&f->arena, str_c(arg));
    f->rest = rest;
    return OK;
}

enum err flags_parse(struct flags *f, int argc, char **argv, struct diag *d)
{
    bool only_rest = false;

    for (int at = 0; at < argc; at++) {
        const char *arg = argv[at];
        enum err err;
        if (only_rest || arg[0] != '-' || arg[1] == '\0') {
            err = take_rest(f, arg, d);
        } else if (strcmp(arg, "--") == 0) {
            only_rest = true;
            continue;
        } else if (arg[1] == '-') {
            err = parse_long(f, argc, argv, &at, d);
        } else {
            err = diag_set(d, ERR_SYNTAX, "unknown short flag '%s'", arg);
            for (uint32_t i = 0; i < f->n_specs; i++)
                if (f->specs[i].letter && arg[1] == f->specs[i].letter && arg[2] == '\0')
                    err = take(f, (int)i, STR("true"), d);
        }
        if (err)
            return err;
    }
    return OK;
}

bool flags_given(const struct flags *f, const char *name)
{
    return f->values[must_find(f, name)].n > 0;
}

struct str flags_text(const struct flags *f, const char *name)
{
    int i = must_find(f, name);
    const struct flag_value *v = &f->values[i];

    return v->n ? v->given[v->n - 1] : str_c(f->specs[i].initial ? f->specs[i].initial : "");
}

bool flags_bool(const struct flags *f, const char *name)
{
    return str_eq(flags_text(f, name), STR("true"));
}

struct str flags_shown(const struct flags *f, const char *name, struct arena *a)
{
    int i = must_find(f, name);
    const struct flag_value *v = &f->values[i];
    const struct flag_spec *s = &f->specs[i];
    AUTO_BUF text = {0};

    if (v->n == 0 && !s->initial)
        return s->kind == FLAG_DURATION ? STR("0s") : s->kind == FLAG_SIZE ? STR("0B") : STR("");
    if (v->n == 0 || s->kind != FLAG_LIST)
        return flags_text(f, name);
    for (uint32_t k = 0; k < v->n; k++) {
        buf_c(&text, k ? "," : "");
        buf_str(&text, v->given[k]);
    }
    return str_dup(a, buf_view(&text));
}

uint32_t flags_list(const struct flags *f, const char *name, const struct str **out)
{
    int i = must_find(f, name);
    struct flag_value *v = &f->values[i];

    if (v->n == 0 && f->specs[i].initial) {
        struct str *one = ARENA_NEW(&((struct flags *)f)->arena, struct str);
        *one = str_c(f->specs[i].initial);
        *out = one;
        return 1;
    }
    *out = v->given;
    return v->n;
}

int64_t flags_duration_ms(const struct flags *f, const char *name)
{
    int64_t ms = 0;
    CHECK(units_parse_duration(flags_text(f, name), &ms, NULL) == OK);
    return ms;
}

uint64_t flags_size(const struct flags *f, const char *name)
{
    uint64_t n = 0;
    CHECK(units_parse_size(flags_text(f, name), &n, NULL) == OK);
    return n;
}

int64_t flags_number(const struct flags *f, const char *name)
{
    int64_t n = 0;
    CHECK(num_parse_i64(flags_text(f, name), &n) == OK);
    return n;
}

/* ---- help ---- */

static void put_upper(struct buf *out, const char *name)
{
    for (; *name; name++)
        buf_char(out, *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name);
}

/* A text that is a number for the original ("0.9", "5e7") stands without quotes. */
static bool is_number(const char *text)
{
    double v;
    return num_parse_double(str_c(text), &v) == OK;
}

static void print_head(const struct flag_spec *s, struct buf *out)
{
    if (s->letter)
        buf_printf(out, "  -%c, --", s->letter);
    else
        buf_c(out, "      --");
    if (s->kind == FLAG_BOOL) {
        buf_printf(out, "[no-]%s", s->name);
        return;
    }
    buf_printf(out, "%s=", s->name);
    if (s->kind != FLAG_CHOICE && s->choices)
        buf_c(out, s->choices);
    else if (!s->initial)
        put_upper(out, s->name);
    else if (s->kind == FLAG_TEXT && !is_number(s->initial))
        buf_printf(out, "\"%s\"", s->initial);
    else
        buf_c(out, s->initial);
    buf_c(out, s->kind == FLAG_LIST ? " ..." : "");
}

/* Wraps the text into the column at the right, as the original's help does. */
static void print_text(struct str text, size_t head, struct buf *out)
{
    size_t room = HELP_WIDTH - HELP_COLUMN, used = 0;
    struct str word;

    if (head + 2 > HELP_COLUMN) {
        buf_c(out, "  \n");
        head = 0;
    }
    buf_printf(out, "%*s", (int)(HELP_COLUMN - head), "");
    while (text.n) {
        str_cut(text, ' ', &word, &text);
        if (used && used + 1 + word.n > room) {
            buf_printf(out, "\n%*s", HELP_COLUMN, "");
            used = 0;
        }
        if (used)
            buf_char(out, ' ');
        buf_str(out, word);
        used += word.n + (used ? 1 : 0);
    }
    buf_char(out, '\n');
}

static const char *use_note(enum flag_use use)
{
    switch (use) {
    case FLAG_AGENT_ONLY:
        return " Use with agent mode only.";
    case FLAG_AGENT_NO_EFFECT:
        return " Taken, without effect. Use with agent mode only.";
    case FLAG_SERVER_ONLY:
        return " Taken with a warning, without effect. Use with server mode only.";
    case FLAG_SERVER_USED:
        return " Use with server mode only.";
    case FLAG_NO_EFFECT:
        return " Taken, without effect.";
    case FLAG_REFUSED:
        return " Not in this version: an error.";
    case FLAG_OURS:
    case FLAG_USED:
        break;
    }
    return "";
}

static void print_flags(const struct flags *f, bool ours, struct buf *out)
{
    for (uint32_t i = 0; i < f->n_specs; i++) {
        const struct flag_spec *s = &f->specs[i];
        AUTO_BUF text = {0};
        size_t start = out->n;
        if (s->hidden || (s->use == FLAG_OURS) != ours)
            continue;
        buf_c(&text, s->help);
        if (s->kind == FLAG_CHOICE) {
            buf_c(&text, " One of: [");
            put_choices(&text, s->choices, ", ");
            buf_char(&text, ']');
        }
        buf_c(&text, use_note(s->use));
        print_head(s, out);
        print_text(buf_view(&text), out->n - start, out);
    }
}

void flags_print_help(const struct flags *f, struct buf *out)
{
    bool ours = false;

    for (uint32_t i = 0; i < f->n_specs; i++)
        ours |= f->specs[i].use == FLAG_OURS;
    buf_printf(out, "usage: %s [<flags>]%s\n\n%s\n\n\nFlags:\n", f->program, f->max_rest ? " [<args> ...]" : "",
               f->summary);
    print_flags(f, false, out);
    if (ours) {
        buf_c(out, "\nleadline's own:\n");
        print_flags(f, true, out);
    }
}

int flags_run(const struct flags_command *c, int argc, char **argv)
{
    struct flags f;
    struct diag d = {0};
    AUTO_BUF help = {0};
    int status = 0;

    flags_init(&f, c->program, c->summary, c->specs, c->n_specs, c->max_rest);
    if (flags_parse(&f, argc, argv, &d)) {
        fprintf(stderr, "%s: error: %s, try --help\n", c->program, d.text);
        status = c->bad_usage;
    } else if (flags_bool(&f, "help")) {
        flags_print_help(&f, &help);
        fputs(help.p, stdout);
    } else {
        status = c->run(&f);
    }
    flags_release(&f);
    return status;
}
