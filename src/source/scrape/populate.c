/* populate: what a discovered item becomes.
 *
 *   group labels + target labels         the target's win, an empty one of the target's hides the group's
 *   + job, __scrape_interval__, ...      where absent: what the configuration says
 *   = discovered                         shown by /api/v1/targets
 *   -> relabelling -> checks             __address__, interval and timeout, classic histogram switches
 *   -> without __meta_*, with instance   decides offset and URL
 *   -> without __*                       = labels: what every series of the target carries
 *
 * Everything here is a function of its arguments. Messages are those of the original, since they end up in the same log
 * lines that people search for.
 */
#include "source/scrape/populate_int.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "base/units.h"
#include "net/http_client.h"
#include "shape/relabel.h"

#define ADDRESS      STR("__address__")
#define INTERVAL     STR("__scrape_interval__")
#define TIMEOUT      STR("__scrape_timeout__")
#define METRICS_PATH STR("__metrics_path__")
#define SCHEME       STR("__scheme__")
#define PARAM        STR("__param_")
#define META         STR("__meta_")
#define RESERVED     STR("__")

#define SERIES_LIMIT STR("__series_limit__") /* ours, and vmagent's */

static const struct histogram_switch {
    const char *name;
    const char *what;
    size_t config, out; /* the bool in struct plan_scrape and in struct scrape_histograms */
} histogram_switches[] = {
    {"__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb",
     offsetof(struct plan_scrape, convert_classic_histograms_to_nhcb), offsetof(struct scrape_histograms, convert)},
    {"__always_scrape_classic_histograms__", "always scrape classic histograms",
     offsetof(struct plan_scrape, always_scrape_classic_histograms), offsetof(struct scrape_histograms, classic_too)},
    {"__scrape_native_histograms__", "scrape native histograms", offsetof(struct plan_scrape, scrape_native_histograms),
     offsetof(struct scrape_histograms, native)},
};

static bool configured(const struct plan_scrape *config, const struct histogram_switch *s)
{
    return *(const bool *)((const char *)config + s->config);
}

static struct str buf_in_arena(struct buf *b, struct arena *a)
{
    struct str s = str_dup(a, buf_view(b));

    buf_clear(b);
    return s;
}

static void set_default(struct labels_builder *b, struct str name, struct str value)
{
    const struct labels_entry *e = labels_builder_find(b, name);

    if (!e || e->value.n == 0)
        labels_builder_set(b, name, value);
}

static struct str print_duration(int64_t ms, struct arena *a)
{
    AUTO_BUF text = {0};

    units_print_duration(&text, ms);
    return buf_in_arena(&text, a);
}

static void discover(const struct plan_scrape *config, struct labels group, struct labels target,
                     struct labels_builder *b, struct arena *a)
{
    labels_builder_set_all(b, target, false);
    for (uint32_t i = 0; i < group.n; i++) {
        if (!labels_has(target, group.v[i].name))
            labels_builder_set(b, group.v[i].name, group.v[i].value);
    }
    set_default(b, STR("job"), config->job_name);
    set_default(b, INTERVAL, print_duration(config->interval_ms, a));
    set_default(b, TIMEOUT, print_duration(config->timeout_ms, a));
    set_default(b, METRICS_PATH, config->metrics_path);
    set_default(b, SCHEME, config->scheme);
    for (size_t i = 0; i < COUNT_OF(histogram_switches); i++)
        set_default(b, str_c(histogram_switches[i].name),
                    configured(config, &histogram_switches[i]) ? STR("true") : STR("false"));
    for (uint32_t i = 0; i < config->n_params; i++) {
        const struct plan_param *p = &config->params[i];
        if (p->n_values > 0)
            set_default(b, str_c(arena_printf(a, "__param_%.*s", STR_ARGS(p->name))), p->values[0]);
    }
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static enum err check_duration(struct str text, const char *what, int64_t *out, struct diag *d)
{
    struct diag why = {0};

    if (units_parse_duration(text, out, &why) != OK)
        return diag_set(d, ERR_SYNTAX, "error parsing scrape %s: %s", what, why.text);
    if (*out == 0)
        return diag_set(d, ERR_SYNTAX, "scrape %s cannot be 0", what);
    return OK;
}

static enum err check_schedule(struct labels l, struct populated *out, struct diag *d)
{
    struct str interval = labels_get(l, INTERVAL);
    struct str timeout = labels_get(l, TIMEOUT);
    enum err err = check_duration(interval, "interval", &out->interval_ms, d);

    if (err != OK)
        return err;
    err = check_duration(timeout, "timeout", &out->timeout_ms, d);
    if (err != OK)
        return err;
    if (out->timeout_ms > out->interval_ms)
        return diag_set(d, ERR_SYNTAX, "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
                        STR_ARGS(timeout), STR_ARGS(interval));
    return OK;
}

/* The spellings of Go's strconv.ParseBool. */
static bool parse_bool(struct str s, bool *out)
{
    static const char *const spellings[] = {"1", "t", "T", "TRUE",  "true",  "True",
                                            "0", "f", "F", "FALSE", "false", "False"};

    for (size_t i = 0; i < COUNT_OF(spellings); i++) {
        if (str_eq_c(s, spellings[i])) {
            *out = i < COUNT_OF(spellings) / 2;
            return true;
        }
    }
    return false;
}

static enum err check_address(struct str address, struct diag *d)
{
    if (address.n == 0)
        return diag_set(d, ERR_SYNTAX, "no address");
    if (str_contains(address, STR("/"))) {
        AUTO_BUF quoted = {0};
        buf_quote(&quoted, address);
        return diag_set(d, ERR_SYNTAX, "%s is not a valid hostname", quoted.p);
    }
    return OK;
}

static enum err check_values(struct labels l, struct diag *d)
{
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_is_utf8(l.v[i].value))
            continue;
        AUTO_BUF quoted = {0};
        buf_quote(&quoted, l.v[i].name);
        buf_c(&quoted, ": ");
        buf_quote(&quoted, l.v[i].value);
        return diag_set(d, ERR_SYNTAX, "invalid label value for %s", quoted.p);
    }
    return OK;
}

static enum err check_switches(const struct plan_scrape *config, struct labels l, struct populated *out, struct diag *d)
{
    for (size_t i = 0; i < COUNT_OF(histogram_switches); i++) {
        const struct histogram_switch *s = &histogram_switches[i];
        bool *to = (bool *)((char *)&out->histograms + s->out);
        struct str v = labels_get(l, str_c(s->name));
        *to = configured(config, s);
        if (v.n > 0 && !parse_bool(v, to))
            return diag_set(d, ERR_SYNTAX, "error parsing %s: strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                            s->what, STR_ARGS(v));
    }
    return OK;
}

static enum err check_series_limit(const struct plan_scrape *config, struct labels l, struct populated *out,
                                   struct diag *d)
{
    struct str v = labels_get(l, SERIES_LIMIT);

    out->series_limit = config->series_limit;
    if (v.n == 0 || num_parse_u64(v, &out->series_limit) == OK)
        return OK;
    AUTO_BUF quoted = {0};
    buf_quote(&quoted, v);
    return diag_set(d, ERR_SYNTAX, "error parsing series limit: %s is not a number", quoted.p);
}

static enum err check(const struct plan_scrape *config, struct labels l, struct populated *out, struct diag *d)
{
    enum err err = check_address(labels_get(l, ADDRESS), d);

    if (err == OK)
        err = check_schedule(l, out, d);
    if (err != OK)
        return err;
    err = check_switches(config, l, out, d);
    if (err == OK)
        err = check_series_limit(config, l, out, d);
    if (err != OK)
        return err;
    if (labels_has(l, STR("__unix_socket__")))
        return diag_set(d, ERR_UNSUPPORTED, "leadline does not scrape through Unix sockets (__unix_socket__)");
    return OK;
}

/* ---- the URL ---------------------------------------------------------------------------------------------------- */

static void append_escaped(struct buf *b, struct str s, const char *plain)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c && strchr(plain, c)))
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

struct query_value {
    struct str name, value;
    uint32_t order; /* of the values of one name */
};

static int compare_query(const void *a, const void *b)
{
    const struct query_value *x = a;
    const struct query_value *y = b;
    int c = str_cmp(x->name, y->name);

    return c ? c : (x->order > y->order) - (x->order < y->order);
}

/* The configured parameters; the first value of each gives way to the label __param_NAME, which may also add a name. */
static uint32_t collect_query(const struct plan_scrape *config, struct labels l, struct arena *a,
                              struct query_value **out)
{
    uint32_t n = 0;
    uint32_t most = l.n;

    for (uint32_t i = 0; i < config->n_params; i++)
        most += config->params[i].n_values;
    struct query_value *v = ARENA_ARRAY(a, struct query_value, most + 1);
    for (uint32_t i = 0; i < config->n_params; i++) {
        for (uint32_t k = 0; k < config->params[i].n_values; k++)
            v[n++] = (struct query_value){config->params[i].name, config->params[i].values[k], k};
    }
    for (uint32_t i = 0; i < l.n; i++) {
        if (!str_starts(l.v[i].name, PARAM))
            continue;
        struct str name = str_from(l.v[i].name.p + PARAM.n, l.v[i].name.n - PARAM.n);
        uint32_t at = 0;
        while (at < n && !(v[at].order == 0 && str_eq(v[at].name, name)))
            at++;
        v[at] = (struct query_value){name, l.v[i].value, 0};
        if (at == n)
            n++;
    }
    qsort(v, n, sizeof(*v), compare_query);
    *out = v;
    return n;
}

/* As Go's url.URL prints scheme, host, path and values.Encode(). */
static struct str build_url(const struct plan_scrape *config, struct labels l, struct arena *a)
{
    AUTO_BUF url = {0};
    struct str scheme = labels_get(l, SCHEME);
    struct str path = labels_get(l, METRICS_PATH);
    struct query_value *query;
    uint32_t n = collect_query(config, l, a, &query);

    buf_str(&url, scheme);
    buf_c(&url, scheme.n ? "://" : "//");
    append_escaped(&url, labels_get(l, ADDRESS), "!\"$&'()*+,-.:;<=>[]_~");
    if (path.n > 0 && path.p[0] != '/')
        buf_char(&url, '/');
    append_escaped(&url, path, "$&+,-./:;=@_~");
    for (uint32_t i = 0; i < n; i++) {
        buf_char(&url, i == 0 ? '?' : '&');
        http_query_escape(&url, query[i].name);
        buf_char(&url, '=');
        http_query_escape(&url, query[i].value);
    }
    return buf_in_arena(&url, a);
}

/* ---- the parts together ----------------------------------------------------------------------------------------- */

static struct labels without_reserved(struct labels l, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, l.n + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < l.n; i++) {
        if (!str_starts(l.v[i].name, RESERVED))
            v[n++] = l.v[i];
    }
    return (struct labels){v, n};
}

static struct labels without_meta(struct labels l, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, l.n + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < l.n; i++) {
        if (!str_starts(l.v[i].name, META))
            v[n++] = l.v[i];
    }
    return (struct labels){v, n};
}

static void identify(const struct plan_scrape *config, struct labels all, struct populated *out)
{
    AUTO_BUF text = {0};

    buf_printf(&text, "%016llu", (unsigned long long)labels_hash(all));
    out->offset_hash = hash_fnv1a64(out->url, hash_fnv1a64(buf_view(&text), HASH_FNV1A64_INIT));
    out->identity =
        hash_bytes_seed(out->url, hash_bytes_seed(config->job_name, labels_hash(out->labels) + config->pipeline));
}

enum populate_result populate(const struct plan_scrape *config, struct labels group, struct labels target,
                              struct arena *a, struct populated *out, struct diag *d)
{
    struct labels_builder b;

    *out = (struct populated){0};
    labels_builder_init(&b, a);
    discover(config, group, target, &b, a);
    out->discovered = labels_builder_labels(&b);
    if (config->relabel && !relabel_run(config->relabel, &b))
        return POPULATE_DROPPED;

    struct labels relabelled = labels_builder_labels(&b);
    if (check(config, relabelled, out, d) != OK)
        return POPULATE_FAILED;
    struct str address = labels_get(relabelled, ADDRESS);
    if (labels_get(relabelled, STR("instance")).n == 0)
        labels_builder_set(&b, STR("instance"), address);

    struct labels all = without_meta(labels_builder_labels(&b), a);
    if (check_values(all, d) != OK)
        return POPULATE_FAILED;
    out->labels = without_reserved(all, a);
    out->url = build_url(config, all, a);
    identify(config, all, out);
    return POPULATE_OK;
}
