/* fetch: one HTTP exchange of a scrape: what is asked, and what of the answer is taken.
 *
 * The request is the original's to the byte: Accept with a weight for each protocol in the configured order (the first
 * gets 0.7), Accept-Encoding, X-Prometheus-Scrape-Timeout-Seconds; User-Agent is the client's. That protobuf stands
 * first where native histograms are wanted is the configuration's doing.
 *
 * Of the answer only status 200 is taken, as it is or gzip-ed. body_size_limit counts inflated bytes, and a body of
 * exactly the limit is too large already; the transport gets a limit of its own (a body does not grow by compressing
 * beyond what deflate's stored blocks add), so that nothing endless is ever received.
 *
 * Buffers. A flight is a request with its receive buffer. A few spare ones are kept, and only targets that answered
 * last time get a spare one: a target that hangs holds an empty buffer, not one that a large page has filled before.
 * The inflated body is in one buffer for the whole worker. Both are given back when nothing needed them for a while.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "source/scrape/scraper_int.h"

#define SPARE_FLIGHTS  8
#define SPARE_BODY_MAX (1u << 20)
#define INFLATED_KEEP  (256u << 10)
#define TRIM_EVERY     256u

/* ---- request ----------------------------------------------------------------------------------------------------- */

static const char *media_type(enum scrape_protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_PROTO:
        return "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    case PROTOCOL_TEXT_0_0_4:
        return "text/plain;version=0.0.4";
    case PROTOCOL_TEXT_1_0_0:
        return "text/plain;version=1.0.0";
    case PROTOCOL_OPENMETRICS_0_0_1:
        return "application/openmetrics-text;version=0.0.1";
    case PROTOCOL_OPENMETRICS_1_0_0:
        return "application/openmetrics-text;version=1.0.0";
    default:
        return NULL;
    }
}

static const char *escaping_name(enum name_escaping escaping)
{
    static const char *const names[] = {
        [ESCAPE_ALLOW_UTF8] = "allow-utf-8",
        [ESCAPE_UNDERSCORES] = "underscores",
        [ESCAPE_DOTS] = "dots",
        [ESCAPE_VALUES] = "values",
    };

    return names[escaping];
}

/* q falls by 0.1 from one above the number of protocols that the original knows (six), the wildcard's included. */
static char *print_accept(const struct plan_scrape *config)
{
    AUTO_BUF b = {0};
    int weight = 7;

    for (uint32_t i = 0; i < config->n_protocols; i++, weight--) {
        enum scrape_protocol protocol = config->protocols[i];
        const char *type = media_type(protocol);
        if (!type)
            continue;
        buf_c(&b, type);
        if (protocol == PROTOCOL_TEXT_1_0_0 || protocol == PROTOCOL_OPENMETRICS_1_0_0)
            buf_printf(&b, ";escaping=%s", escaping_name(config->name_escaping));
        buf_printf(&b, ";q=0.%d,", weight);
    }
    buf_printf(&b, "*/*;q=0.%d", weight);
    return mem_strndup(b.p, b.n);
}

static bool same_accept(const struct accept_form *f, const struct plan_scrape *config)
{
    return f->n_protocols == config->n_protocols && f->escaping == config->name_escaping &&
           memcmp(f->protocols, config->protocols, sizeof(f->protocols[0]) * f->n_protocols) == 0;
}

/* A handful of forms exist at most; they are kept. */
static struct str accept_text(struct scraper *s, const struct plan_scrape *config)
{
    for (size_t i = 0; i < s->n_accepts; i++) {
        if (same_accept(&s->accepts[i], config))
            return str_c(s->accepts[i].text);
    }
    s->accepts = mem_grow(s->accepts, &s->cap_accepts, s->n_accepts + 1, sizeof(*s->accepts));
    struct accept_form *f = &s->accepts[s->n_accepts++];
    *f = (struct accept_form){.n_protocols = config->n_protocols, .escaping = config->name_escaping};
    memcpy(f->protocols, config->protocols, sizeof(f->protocols[0]) * f->n_protocols);
    f->text = print_accept(config);
    return str_c(f->text);
}

static size_t inflated_max(const struct scraper *s, const struct plan_scrape *config)
{
    return config->body_size_limit && config->body_size_limit <= s->o.max_body ? config->body_size_limit - 1
                                                                               : s->o.max_body;
}

static struct flight *take_flight(struct scraped *t)
{
    struct scraper *s = t->s;

    if (!s->spare || t->health != HEALTH_UP)
        return NEW(struct flight);
    struct flight *f = s->spare;
    s->spare = f->next;
    s->n_spare--;
    f->next = NULL;
    return f;
}

static void flight_free(struct flight *f)
{
    buf_release(&f->body);
    free(f);
}

/* Shortest decimals, as Go's 'f' format with precision -1. */
static struct str print_seconds(int64_t ms, char out[32])
{
    char digits[4];
    int n = snprintf(out, 32, "%lld", (long long)(ms / 1000));

    if (ms % 1000 == 0)
        return str_from(out, (size_t)n);
    int decimals = snprintf(digits, sizeof(digits), "%03d", (int)(ms % 1000));
    while (digits[decimals - 1] == '0')
        decimals--;
    n += snprintf(out + n, 32 - (size_t)n, ".%.*s", decimals, digits);
    return str_from(out, (size_t)n);
}

void fetch_start(struct scraped *t, int64_t ts_ms, http_done_fn *done)
{
    struct scraper *s = t->s;
    const struct plan_scrape *config = t->target->config;
    struct flight *f = take_flight(t);
    size_t max = inflated_max(s, config);

    t->flight = f;
    f->t = t;
    f->start_ns = t->last_start_ns;
    f->ts_ms = ts_ms;
    f->headers[0] = (struct http_header){.name = STR("Accept"), .value = accept_text(s, config)};
    f->headers[1] = (struct http_header){
        .name = STR("Accept-Encoding"),
        .value = config->enable_compression ? STR("gzip") : STR("identity"),
    };
    f->headers[2] = (struct http_header){
        .name = STR("X-Prometheus-Scrape-Timeout-Seconds"),
        .value = print_seconds(t->target->timeout_ms, f->timeout),
    };
    f->request = (struct http_request){
        .method = "GET",
        .headers = f->headers,
        .n_headers = 3,
        .timeout_ms = (uint32_t)(t->target->timeout_ms < UINT32_MAX ? t->target->timeout_ms : UINT32_MAX),
        .max_body = max + max / 1024 + 1024,
        .response_body = &f->body,
        .done = done,
    };
    http_start(t->peer, &f->request);
}

void fetch_end(struct scraped *t)
{
    struct scraper *s = t->s;
    struct flight *f = t->flight;

    t->flight = NULL;
    if (!f)
        return;
    if (s->n_spare >= SPARE_FLIGHTS || f->body.cap > SPARE_BODY_MAX || f->body.cap == 0) {
        flight_free(f);
        return;
    }
    f->t = NULL;
    f->next = s->spare;
    s->spare = f;
    s->n_spare++;
}

void fetch_release(struct scraper *s)
{
    while (s->spare) {
        struct flight *next = s->spare->next;
        flight_free(s->spare);
        s->spare = next;
    }
    for (size_t i = 0; i < s->n_accepts; i++)
        free(s->accepts[i].text);
    free(s->accepts);
    buf_release(&s->inflated);
    compressor_release(&s->compressor);
}

/* ---- answer ------------------------------------------------------------------------------------------------------ */

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } phrases[] = {
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {413, "Request Entity Too Large"},
        {414, "Request URI Too Long"},
        {415, "Unsupported Media Type"},
        {418, "I'm a Teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Entity"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < COUNT_OF(phrases); i++) {
        if (phrases[i].status == status)
            return phrases[i].text;
    }
    return "";
}

static enum err over_body_size(struct scraper *s, const struct plan_scrape *config, int64_t *body_size, struct diag *d)
{
    counter_inc(s->counters.over_body_size);
    *body_size = -1;
    diag_reset(d);
    if (!config->body_size_limit || config->body_size_limit > s->o.max_body)
        return diag_set(d, ERR_LIMIT, "body size limit exceeded (leadline takes at most %zu bytes)", s->o.max_body);
    return diag_set(d, ERR_LIMIT, "body size limit exceeded");
}

/* Before a body is taken: once it is, the buffer is in use. */
static void trim(struct scraper *s)
{
    if (++s->bodies < TRIM_EVERY)
        return;
    if (s->inflated.cap > INFLATED_KEEP && s->inflated.cap / 4 > s->largest_body) {
        buf_release(&s->inflated);
        s->compressor.last_size = 0;
    }
    s->bodies = 0;
    s->largest_body = 0;
}

static enum err gunzip(struct scraper *s, struct str in, size_t max, struct str *body, struct diag *d)
{
    if (in.n == 0)
        return diag_set(d, ERR_SYNTAX, "EOF");
    enum err err = compress_gunzip(&s->compressor, in, max, &s->inflated);
    if (err == ERR_LIMIT)
        return err;
    if (err != OK) {
        bool magic = in.n >= 2 && (unsigned char)in.p[0] == 0x1f && (unsigned char)in.p[1] == 0x8b;
        return diag_set(d, ERR_SYNTAX, magic ? "gzip: the body is damaged or cut off" : "gzip: invalid header");
    }
    *body = buf_view(&s->inflated);
    return OK;
}

/* As Go's client: what went wrong before there was an answer is told with the request. */
static enum err no_body(struct str url, const struct http_response *response, struct diag *d)
{
    if (response->status == 0)
        return diag_set(d, response->err, "Get \"%.*s\": %s", STR_ARGS(url), response->diag.text);
    *d = response->diag;
    return response->err;
}

enum err fetch_body(struct scraper *s, const struct scrape_target *target, const struct http_response *response,
                    struct str *body, int64_t *body_size, struct diag *d)
{
    const struct plan_scrape *config = target->config;
    size_t max = inflated_max(s, config);
    enum err err = OK;

    *body_size = 0;
    if (response->err == ERR_LIMIT && str_eq_c(STR("body size limit exceeded"), response->diag.text))
        return over_body_size(s, config, body_size, d);
    if (response->err != OK)
        return no_body(target->url, response, d);
    if (response->status != 200)
        return diag_set(d, ERR_NET, "server returned HTTP status %d %s", response->status,
                        reason_phrase(response->status));
    trim(s);
    *body = buf_view(response->body);
    counter_add(s->counters.received, body->n);
    if (str_eq_c(response->content_encoding, "gzip"))
        err = gunzip(s, *body, max, body, d);
    else if (str_eq_c(response->content_encoding, "zstd"))
        return diag_set(d, ERR_UNSUPPORTED, "received a zstd-compressed response, but zstd was not asked for");
    if (err == ERR_LIMIT || (err == OK && body->n > max))
        return over_body_size(s, config, body_size, d);
    if (err != OK)
        return err;
    counter_add(s->counters.inflated, body->n);
    if (body->n > s->largest_body)
        s->largest_body = body->n;
    *body_size = (int64_t)body->n;
    return OK;
}

/* ---- format ------------------------------------------------------------------------------------------------------ */

enum err fetch_kind(struct scraper *s, const struct scrape_target *target, struct str content_type,
                    enum exposition_kind *out, struct diag *d)
{
    static const struct str media_types[] = {
        [PROTOCOL_PROTO] = {"application/vnd.google.protobuf", 31},
        [PROTOCOL_TEXT_0_0_4] = {"text/plain", 10},
        [PROTOCOL_TEXT_1_0_0] = {"text/plain", 10},
        [PROTOCOL_OPENMETRICS_0_0_1] = {"application/openmetrics-text", 28},
        [PROTOCOL_OPENMETRICS_1_0_0] = {"application/openmetrics-text", 28},
        [PROTOCOL_NONE] = {NULL, 0},
    };
    struct str fallback = media_types[target->config->fallback_protocol];
    struct diag why = {0};
    enum err err = exposition_kind_of_content_type(content_type, fallback, out, &why);
    uint32_t swallowed;

    if (err == OK) {
        if (why.text[0])
            log_debug(s->o.log, "Invalid content type on scrape, using fallback setting.", F_STR("target", target->url),
                      F_STR("content_type", content_type), F_STR("fallback_media_type", fallback),
                      F_C("err", why.text));
        return OK;
    }
    if (log_allow(&s->type_limit, 60000, &swallowed))
        log_error(s->o.log, "Failed to determine correct type of scrape target.", F_STR("target", target->url),
                  F_STR("content_type", content_type), F_STR("fallback_media_type", fallback), F_C("err", why.text),
                  F_INT("suppressed", swallowed));
    *d = why;
    return err;
}
