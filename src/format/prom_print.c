/* prom_print: the way back of prom_text: what is printed here parses to the same labels and value.
 *
 *     name{a="b",c="d"} 1.5          classic names
 *     {"na.me",a="b","c.d"="e"} 1.5  a metric's name that needs quotes moves into the braces
 */
#include "format/prom_print.h"

#include "base/num.h"

static void escape(struct buf *out, struct str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' || (quotes && s.p[i] == '"'))
            buf_char(out, '\\');
        if (s.p[i] == '\n')
            buf_c(out, "\\n");
        else
            buf_char(out, s.p[i]);
    }
}

void prom_print_help(struct buf *out, struct str help)
{
    escape(out, help, false);
}

void prom_print_value(struct buf *out, struct str value)
{
    escape(out, value, true);
}

static void print_quoted(struct buf *out, struct str s)
{
    buf_char(out, '"');
    escape(out, s, true);
    buf_char(out, '"');
}

static void print_name(struct buf *out, struct str name, bool legacy)
{
    if (legacy)
        buf_str(out, name);
    else
        print_quoted(out, name);
}

static const char *type_word(enum metric_type t)
{
    switch (t) {
    case TYPE_UNKNOWN:
        return "untyped";
    case TYPE_COUNTER:
        return "counter";
    case TYPE_GAUGE:
    case TYPE_INFO:
    case TYPE_STATESET:
        return "gauge";
    case TYPE_HISTOGRAM:
    case TYPE_GAUGE_HISTOGRAM:
        return "histogram";
    case TYPE_SUMMARY:
        return "summary";
    }
    return "untyped";
}

void prom_print_family(struct buf *out, const struct family *f)
{
    bool legacy = metric_name_is_legacy(f->name);
    if (f->help.n > 0) {
        buf_c(out, "# HELP ");
        print_name(out, f->name, legacy);
        buf_char(out, ' ');
        prom_print_help(out, f->help);
        buf_char(out, '\n');
    }
    buf_c(out, "# TYPE ");
    print_name(out, f->name, legacy);
    buf_printf(out, " %s\n", type_word(f->type));
}

void prom_print_sample(struct buf *out, struct labels l, double value)
{
    struct str name = labels_get(l, LABEL_NAME);
    bool legacy = metric_name_is_legacy(name);
    size_t start = out->n;
    if (legacy)
        buf_str(out, name);
    buf_char(out, '{');
    if (!legacy && name.n > 0)
        print_quoted(out, name);
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i].name, LABEL_NAME))
            continue;
        if (out->p[out->n - 1] != '{')
            buf_char(out, ',');
        print_name(out, l.v[i].name, label_name_is_legacy(l.v[i].name));
        buf_char(out, '=');
        print_quoted(out, l.v[i].value);
    }
    if (legacy && out->p[out->n - 1] == '{' && out->n > start + 1)
        out->n--;
    else
        buf_char(out, '}');
    buf_char(out, ' ');
    buf_double(out, value);
    buf_char(out, '\n');
}
