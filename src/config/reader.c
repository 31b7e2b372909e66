/* reader: the typed, strict reading that every section of prometheus.yml is written with.
 *
 * The original decodes YAML into Go structs with go-yaml's strict mode. What a user can rely on there, and meets here:
 *
 *   - a key that the struct does not have is an error, as is a key twice (the tree refuses that one);
 *   - a scalar of any type is taken as a string ("job_name: 42" is the job 42), but only true, false, yes, no, on and
 * off are bools and only numbers are numbers (hexadecimal, octal, underscores and 1e3 included);
 *   - null is the zero value, not the default: `follow_redirects:` with nothing behind it means false;
 *   - a duration or size is read from the scalar's text.
 *
 * The original stops at the first broken section; here the walk goes on, each error is noted with its position, and the
 * caller skips only the checks that would judge a value which could not be read.
 *
 * Values are shown in messages where they are numbers, durations or names. A scalar where a mapping belongs is not
 * shown: it may well be a password written one level too high.
 *
 * Everything runs on the thread that loads the configuration; nothing is kept between calls.
 */
#include "config/reader_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/units.h"

enum { MAX_ERRORS = 1000, MAX_QUOTED = 200 };

/* ---- the frame ---- */

void reader_open(struct reader *r, struct reading *g, struct config_errors *errors)
{
    *g = (struct reading){.mine.arena = &g->own};
    r->plan = plan_new();
    r->arena = &r->plan->arena;
    r->tree = &g->tree;
    r->errors = errors ? errors : &g->mine;
    g->before = r->errors->n;
}

enum err reader_close(struct reader *r, struct reading *g, struct plan **out, struct diag *d)
{
    const struct config_errors *e = r->errors;
    enum err err = e->n > g->before ? e->codes[g->before] : OK;

    if (err != OK && d)
        *d = e->v[g->before];
    if (err != OK)
        plan_unref(r->plan);
    else
        *out = r->plan;
    arena_release(&g->tree);
    arena_release(&g->own);
    return err;
}

/* ---- errors and warnings ---- */

static struct diag *next_error(struct reader *r, enum err code)
{
    struct config_errors *e = r->errors;
    if (e->n == e->cap) {
        uint32_t cap = e->cap ? e->cap * 2 : 8;
        struct diag *v = ARENA_ARRAY(e->arena, struct diag, cap);
        enum err *codes = ARENA_ARRAY(e->arena, enum err, cap);
        if (e->n) {
            memcpy(v, e->v, e->n * sizeof(*v));
            memcpy(codes, e->codes, e->n * sizeof(*codes));
        }
        e->v = v;
        e->codes = codes;
        e->cap = cap;
    }
    e->codes[e->n] = code;
    return &e->v[e->n++];
}

void reader_add_diag(struct reader *r, const struct diag *d, enum err code)
{
    if (r->errors->n < MAX_ERRORS)
        *next_error(r, code) = *d;
}

__attribute__((format(printf, 5, 0))) static enum err error_at(struct reader *r, uint32_t line, uint32_t col,
                                                               enum err code, const char *fmt, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof(text), fmt, args);
    struct diag d;
    diag_reset(&d);
    (void)diag_at(&d, code, r->file, (int)line, (int)col, "%s", text);
    reader_add_diag(r, &d, code);
    return code;
}

enum err reader_error(struct reader *r, const struct node *at, enum err code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_at(r, at ? at->line : 1, at ? at->col : 1, code, fmt, args);
    va_end(args);
    return code;
}

enum err reader_error_key(struct reader *r, const struct node *mapping, const char *key, enum err code, const char *fmt,
                          ...)
{
    const struct node *child = !key ? mapping : mapping->kind == NODE_MAPPING ? node_find(mapping, key) : NULL;
    va_list args;
    va_start(args, fmt);
    if (child && child->key_line)
        error_at(r, child->key_line, child->key_col, code, fmt, args);
    else
        error_at(r, mapping->line, mapping->col, code, fmt, args);
    va_end(args);
    return code;
}

void reader_warn(struct reader *r, const struct node *at, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    struct plan *p = r->plan;
    if (p->n_warnings >= MAX_ERRORS)
        return;
    if (p->n_warnings == r->cap_warnings) {
        uint32_t cap = r->cap_warnings ? r->cap_warnings * 2 : 8;
        struct str *v = ARENA_ARRAY(r->arena, struct str, cap);
        if (p->n_warnings)
            memcpy(v, p->warnings, p->n_warnings * sizeof(*v));
        p->warnings = v;
        r->cap_warnings = cap;
    }
    uint32_t line = at ? (at->key_line ? at->key_line : at->line) : 0;
    const char *c = line ? arena_printf(r->arena, "%s:%u: %s", r->file, line, text)
                         : arena_printf(r->arena, "%s: %s", r->file, text);
    p->warnings[p->n_warnings++] = str_c(c);
}

const char *reader_quote(struct reader *r, struct str s)
{
    AUTO_BUF b = {0};
    buf_quote(&b, str_from(s.p, s.n < MAX_QUOTED ? s.n : MAX_QUOTED));
    if (s.n > MAX_QUOTED)
        buf_c(&b, "...");
    return str_dup(r->arena, buf_view(&b)).p;
}

/* "key: " for what stands under a key, "" for an element of a list. */
static const char *key_prefix(struct reader *r, const struct node *n)
{
    if (n->key.n == 0)
        return "";
    return arena_printf(r->arena, "%.*s: ", STR_ARGS(n->key));
}

static const char *go_tag(const struct node *n)
{
    switch (n->kind) {
    case NODE_NULL:
        return "!!null";
    case NODE_BOOL:
        return "!!bool";
    case NODE_NUMBER:
        return n->text.n && memchr(n->text.p, '.', n->text.n) ? "!!float" : "!!int";
    case NODE_STRING:
        return "!!str";
    case NODE_SEQUENCE:
        return "!!seq";
    case NODE_MAPPING:
        return "!!map";
    }
    return "!!str";
}

void reader_type_error(struct reader *r, const struct node *n, const char *type)
{
    reader_error(r, n, ERR_SYNTAX, "%scannot unmarshal %s into %s", key_prefix(r, n), go_tag(n), type);
}

/* The value is shown, cut as go-yaml cuts it: numbers and switches are no secrets. */
static void type_error_value(struct reader *r, const struct node *n, const char *type)
{
    if (n->kind == NODE_SEQUENCE || n->kind == NODE_MAPPING) {
        reader_type_error(r, n, type);
        return;
    }
    bool cut = n->text.n > 10;
    reader_error(r, n, ERR_SYNTAX, "%scannot unmarshal %s `%.*s%s` into %s", key_prefix(r, n), go_tag(n),
                 cut ? 7 : (int)n->text.n, n->text.p ? n->text.p : "", cut ? "..." : "", type);
}

static void refuse(struct reader *r, const struct node *n, const char *what)
{
    reader_error_key(r, n, NULL, ERR_UNSUPPORTED, "%snot supported by leadline: %s", key_prefix(r, n), what);
}

/* ---- scalars ---- */

bool reader_is_null(const struct node *n)
{
    return n->kind == NODE_NULL;
}

bool reader_is_skipped(const struct node *n)
{
    return n->kind == NODE_NULL && !str_eq_c(n->text, "Null") && !str_eq_c(n->text, "NULL");
}

static bool is_scalar(const struct node *n)
{
    return n->kind != NODE_SEQUENCE && n->kind != NODE_MAPPING;
}

bool reader_string(struct reader *r, struct node *n, struct str *out)
{
    if (!is_scalar(n)) {
        reader_type_error(r, n, "string");
        return false;
    }
    *out = reader_is_null(n) ? STR("") : str_dup(r->arena, n->text);
    return true;
}

bool reader_strings(struct reader *r, struct node *n, const char *type, struct str **out, uint32_t *n_out)
{
    *out = NULL;
    *n_out = 0;
    if (!reader_sequence(r, n, type))
        return reader_is_null(n) || n->kind == NODE_SEQUENCE;
    struct str *v = ARENA_ARRAY(r->arena, struct str, n->n);
    uint32_t i = 0;
    bool ok = true;
    for (struct node *e = n->first; e; e = e->next)
        ok = reader_string(r, e, &v[i++]) && ok;
    *out = v;
    *n_out = i;
    return ok;
}

bool reader_bool(struct reader *r, const struct node *n, bool *out)
{
    if (reader_is_null(n)) {
        *out = false;
        return true;
    }
    if (n->kind != NODE_BOOL) {
        type_error_value(r, n, "bool");
        return false;
    }
    *out = n->truth;
    return true;
}

bool reader_duration(struct reader *r, const struct node *n, int64_t *out_ms)
{
    *out_ms = 0;
    if (reader_is_skipped(n))
        return true;
    if (!is_scalar(n)) {
        reader_type_error(r, n, "string");
        return false;
    }
    struct diag d;
    diag_reset(&d);
    enum err err = units_parse_duration(reader_is_null(n) ? STR("") : n->text, out_ms, &d);
    if (err != OK)
        reader_error(r, n, ERR_SYNTAX, "%s%s", key_prefix(r, n), d.text);
    return err == OK;
}

bool reader_uint(struct reader *r, const struct node *n, uint64_t *out)
{
    *out = 0;
    if (reader_is_null(n) || (n->kind == NODE_NUMBER && node_u64(n, out)))
        return true;
    *out = 0;
    type_error_value(r, n, "uint");
    return false;
}

bool reader_int(struct reader *r, const struct node *n, int64_t *out)
{
    *out = 0;
    if (reader_is_null(n) || (n->kind == NODE_NUMBER && node_i64(n, out)))
        return true;
    *out = 0;
    type_error_value(r, n, "int");
    return false;
}

static bool read_float(struct reader *r, const struct node *n, double *out)
{
    *out = 0;
    if (reader_is_null(n) || (n->kind == NODE_NUMBER && node_double(n, out)))
        return true;
    *out = 0;
    type_error_value(r, n, "float64");
    return false;
}

/* The original takes a negative size and then applies no limit. */
static bool read_size(struct reader *r, const struct node *n, uint64_t *out)
{
    *out = 0;
    if (reader_is_null(n))
        return true;
    if (!is_scalar(n)) {
        reader_type_error(r, n, "units.Base2Bytes");
        return false;
    }
    struct str text = n->text;
    bool negative = text.n && text.p[0] == '-';
    if (text.n && (text.p[0] == '-' || text.p[0] == '+'))
        text = str_from(text.p + 1, text.n - 1);
    struct diag d;
    diag_reset(&d);
    if (units_parse_size(text, out, &d) != OK) {
        reader_error(r, n, ERR_SYNTAX, "%s%s", key_prefix(r, n), d.text);
        return false;
    }
    if (negative && *out)
        *out = UINT64_MAX;
    return true;
}

static bool read_url(struct reader *r, struct node *n, struct str *out)
{
    if (!reader_string(r, n, out))
        return false;
    const char *why;
    if (go_url_check(*out, &why) != OK) {
        reader_error(r, n, ERR_SYNTAX, "%s%s", key_prefix(r, n), why);
        return false;
    }
    struct str shown = go_url_redacted(r->arena, *out);
    if (shown.p != out->p)
        reader_show(r, n, shown);
    return true;
}

void reader_show(struct reader *r, struct node *n, struct str text)
{
    struct shown *s = ARENA_NEW(r->tree, struct shown);
    *s = (struct shown){.node = n, .text = text, .next = r->shown};
    r->shown = s;
}

void reader_redact(struct reader *r, struct node *n)
{
    if (is_scalar(n) && !reader_is_null(n) && n->text.n)
        reader_show(r, n, STR("<secret>"));
}

struct str reader_path(struct reader *r, struct str path)
{
    if (path.n == 0 || path.p[0] == '/')
        return path;
    return go_path_join(r->arena, r->dir, path);
}

/* ---- mappings ---- */

bool reader_sequence(struct reader *r, const struct node *n, const char *type)
{
    if (reader_is_null(n))
        return false;
    if (n->kind != NODE_SEQUENCE) {
        reader_type_error(r, n, type);
        return false;
    }
    return n->n > 0;
}

static void read_refused(struct reader *r, const struct field *f, struct node *n)
{
    bool on = false;
    if (reader_is_null(n))
        return;
    switch (f->kind) {
    case FIELD_REFUSED_BOOL:
        if (!reader_bool(r, n, &on))
            return;
        break;
    case FIELD_REFUSED_STRING:
        if (!is_scalar(n)) {
            reader_type_error(r, n, "string");
            return;
        }
        on = n->text.n > 0;
        break;
    case FIELD_REFUSED_LIST:
        on = reader_sequence(r, n, "list");
        break;
    case FIELD_REFUSED_MAP:
        if (n->kind != NODE_MAPPING) {
            reader_type_error(r, n, "map");
            return;
        }
        on = n->n > 0;
        break;
    default:
        on = true;
    }
    if (on)
        refuse(r, n, f->text);
}

void reader_field(struct reader *r, const struct field *f, struct node *n, void *base)
{
    void *out = (char *)base + f->offset;
    bool truth;
    switch (f->kind) {
    case FIELD_STRING:
        reader_string(r, n, out);
        return;
    case FIELD_SECRET:
        if (reader_string(r, n, out))
            reader_redact(r, n);
        return;
    case FIELD_PATH:
        if (reader_string(r, n, out))
            *(struct str *)out = reader_path(r, *(struct str *)out);
        return;
    case FIELD_URL:
        read_url(r, n, out);
        return;
    case FIELD_BOOL:
        reader_bool(r, n, out);
        return;
    case FIELD_TRISTATE:
        if (!reader_is_null(n) && reader_bool(r, n, &truth))
            *(int8_t *)out = truth;
        return;
    case FIELD_DURATION:
        reader_duration(r, n, out);
        return;
    case FIELD_UINT:
        reader_uint(r, n, out);
        return;
    case FIELD_INT:
        reader_int(r, n, out);
        return;
    case FIELD_FLOAT:
        read_float(r, n, out);
        return;
    case FIELD_SIZE:
        read_size(r, n, out);
        return;
    case FIELD_NODE:
        *(struct node **)out = reader_is_null(n) ? NULL : n;
        return;
    case FIELD_CALL:
        f->fn(r, n, out);
        return;
    case FIELD_INLINE:
        return;
    default:
        read_refused(r, f, n);
    }
}

/* Looks in the schema and in what it inlines; *base moves to where an inlined struct lies. */
static const struct field *find_field(const struct schema *s, struct str key, char **base)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind != FIELD_INLINE) {
            if (str_eq_c(key, f->key))
                return f;
            continue;
        }
        char *inner = *base + f->offset;
        const struct field *found = find_field(f->schema, key, &inner);
        if (found) {
            *base = inner;
            return found;
        }
    }
    return NULL;
}

bool reader_mapping(struct reader *r, struct node *n, const struct schema *schema, void *out)
{
    if (reader_is_null(n))
        return true;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, schema->type);
        return false;
    }
    for (struct node *c = n->first; c; c = c->next) {
        char *base = out;
        const struct field *f = find_field(schema, c->key, &base);
        if (f)
            reader_field(r, f, c, base);
        else
            reader_error_key(r, c, NULL, ERR_SYNTAX, "field %.*s not found in type %s", STR_ARGS(c->key), schema->type);
    }
    return true;
}

/* ---- regular expressions ---- */

static void free_regex(void *p)
{
    regex_free(p);
}

struct regex *reader_regex(struct reader *r, const struct node *at, const char *what, struct str pattern)
{
    struct regex *re;
    struct diag d;
    diag_reset(&d);
    if (regex_new(pattern, &re, &d) != OK) {
        reader_error(r, at, ERR_SYNTAX, "%s: %s", what, d.text);
        return NULL;
    }
    plan_on_release(r->plan, free_regex, re);
    return re;
}
