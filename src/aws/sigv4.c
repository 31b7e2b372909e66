/* sigv4: AWS Signature Version 4, in header fields or in the query.
 *
 *   canonical request            string to sign                       signature
 *   METHOD                       AWS4-HMAC-SHA256                     hex HMAC(day's key, string to sign)
 *   /path, escaped once more     20150830T123600Z
 *   a=1&b=2, sorted              20150830/us-east-1/service/aws4_request
 *   host:example.com             hex SHA-256(canonical request)       day's key: HMAC chain over
 *   x-amz-date:...                                                    "AWS4" secret, day, region, service,
 *   (empty line)                                                      "aws4_request"
 *   host;x-amz-date
 *   hex SHA-256(body)
 *
 * The specification leaves the details to its readers; where AWS' own signers differ, this one does as aws-c-auth:
 *  - path: dot segments and repeated slashes go, then every byte but the unreserved and the slash is escaped. The path
 *    is what goes over the wire, hence escaped already: an escape is escaped again. With keep_path (S3) it stays as it
 *    is;
 *  - query: each key and value is unescaped and escaped again, which leaves what is in canonical form as it is. A plus
 *    is a plus. A key without a value gets its "=". Empty components count for nothing;
 *  - fields: lower case, trimmed, runs of white space are one space, repeated ones are joined by commas in their order.
 *
 * Not signed are fields that proxies and clients change on the way. The list is the union of those of the AWS SDKs.
 *
 * Pure but for the key handed in, which keeps the day's key: of the six HMACs of a signature, five belong to it. Any
 * thread. What it costs is the hash of the body.
 */
#include "aws/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
    MAX_FIELDS = 256,
    MAX_QUERY_BYTES = 256 * 1024,
    HEX_BYTES = 64, /* of a SHA-256 */
    DATE_BYTES = sizeof("20150830T123600Z") - 1,
    DAY_BYTES = sizeof("20150830") - 1,
};

static const char algorithm[] = "AWS4-HMAC-SHA256";

static const char *const not_signed[] = {
    "authorization",
    "baggage",
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
    /* made here */
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
};

/* ---- hashes ---- */

static void sha256(struct str s, uint8_t out[32])
{
    CHECK(EVP_Digest(s.n ? s.p : "", s.n, out, NULL, EVP_sha256(), NULL) == 1);
}

static void hmac(const uint8_t *key, size_t key_bytes, struct str s, uint8_t out[32])
{
    unsigned n = 32;

    CHECK(HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)s.p, s.n, out, &n));
}

static void hex(const uint8_t in[32], char out[HEX_BYTES])
{
    for (size_t i = 0; i < 32; i++) {
        out[2 * i] = "0123456789abcdef"[in[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
    }
}

static void derive_key(struct sigv4_key *key, struct str secret, struct str day, struct str region, struct str service)
{
    uint64_t of = hash_bytes_seed(service, hash_bytes_seed(region, hash_bytes(secret)));
    if (key->day[0] && key->of == of && memcmp(key->day, day.p, DAY_BYTES) == 0)
        return;
    AUTO_BUF start = {0};

    buf_c(&start, "AWS4");
    buf_str(&start, secret);
    hmac((const uint8_t *)start.p, start.n, day, key->key);
    OPENSSL_cleanse(start.p, start.n);
    hmac(key->key, 32, region, key->key);
    hmac(key->key, 32, service, key->key);
    hmac(key->key, 32, STR("aws4_request"), key->key);
    memcpy(key->day, day.p, DAY_BYTES);
    key->day[DAY_BYTES] = '\0';
    key->of = of;
}

/* ---- escaping ---- */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static void escape_byte(struct buf *out, unsigned char c)
{
    char text[3] = {'%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};

    if (is_unreserved(c))
        buf_char(out, (char)c);
    else
        buf_append(out, text, 3);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The one form of text that may be escaped already. */
static void escape_once(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '%' && s.n - i > 2 && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
            escape_byte(out, (unsigned char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2])));
            i += 2;
        } else {
            escape_byte(out, c);
        }
    }
}

/* ---- the path ---- */

/* Segments are appended to out and taken back at "..": what is behind `from` is always /a/b. */
static void normal_path(struct buf *out, struct str path)
{
    size_t from = out->n;
    struct str rest = path, segment;
    bool ends_in_slash = path.n && path.p[path.n - 1] == '/';

    while (rest.n) {
        str_cut(rest, '/', &segment, &rest);
        if (segment.n == 0 || str_eq_c(segment, "."))
            continue;
        if (str_eq_c(segment, "..")) {
            while (out->n > from && out->p[--out->n] != '/')
                ;
            continue;
        }
        buf_char(out, '/');
        buf_str(out, segment);
    }
    if (out->n == from || ends_in_slash)
        buf_char(out, '/');
}

static void print_path(struct buf *out, const struct sigv4_request *r)
{
    AUTO_BUF normal = {0};

    if (r->path.n == 0) {
        buf_char(out, '/');
        return;
    }
    if (r->keep_path) {
        buf_str(out, r->path);
        return;
    }
    normal_path(&normal, r->path);
    for (size_t i = 0; i < normal.n; i++) {
        if (normal.p[i] == '/')
            buf_char(out, '/');
        else
            escape_byte(out, (unsigned char)normal.p[i]);
    }
}

/* ---- the query ---- */

struct param {
    size_t at, key_bytes, bytes; /* key=value in the text */
    const struct buf *text;
};

static int by_key_and_value(const void *a, const void *b)
{
    const struct param *x = a, *y = b;
    int c = str_cmp(str_from(x->text->p + x->at, x->key_bytes), str_from(y->text->p + y->at, y->key_bytes));

    return c ? c : str_cmp(str_from(x->text->p + x->at, x->bytes), str_from(y->text->p + y->at, y->bytes));
}

static void print_query(struct buf *out, struct str query)
{
    AUTO_BUF text = {0};
    struct param *params = NULL;
    size_t n = 0, cap = 0;
    struct str rest = query, part, key, value;

    while (rest.n) {
        str_cut(rest, '&', &part, &rest);
        if (part.n == 0)
            continue;
        str_cut(part, '=', &key, &value);
        params = mem_grow(params, &cap, n + 1, sizeof(*params));
        struct param *p = &params[n++];
        *p = (struct param){.at = text.n, .text = &text};
        escape_once(&text, key);
        p->key_bytes = text.n - p->at;
        buf_char(&text, '=');
        escape_once(&text, value);
        p->bytes = text.n - p->at;
    }
    if (n > 1)
        qsort(params, n, sizeof(*params), by_key_and_value);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, '&');
        buf_append(out, text.p + params[i].at, params[i].bytes);
    }
    free(params);
}

/* ---- the fields ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_names(struct str a, struct str b)
{
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        int c = (unsigned char)lower(a.p[i]) - (unsigned char)lower(b.p[i]);
        if (c)
            return c;
    }
    return (a.n > b.n) - (a.n < b.n);
}

static bool is_signed(struct str name)
{
    size_t from = 0, to = COUNT_OF(not_signed) - 3;

    for (size_t i = to; i < COUNT_OF(not_signed); i++) {
        if (compare_names(name, str_c(not_signed[i])) == 0)
            return false;
    }
    while (from < to) {
        size_t middle = (from + to) / 2;
        int c = compare_names(name, str_c(not_signed[middle]));
        if (c == 0)
            return false;
        if (c < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return true;
}

struct fields {
    struct http_header at[MAX_FIELDS]; /* sorted by name; those of one name in their order */
    int n;
};

static void add_field(struct fields *f, struct str name, struct str value)
{
    int at = f->n++;

    for (; at > 0 && compare_names(f->at[at - 1].name, name) > 0; at--)
        f->at[at] = f->at[at - 1];
    f->at[at] = (struct http_header){.name = name, .value = value};
}

static enum err take_fields(struct fields *f, const struct sigv4_request *r, struct diag *d)
{
    bool host = false;

    f->n = 0;
    for (int i = 0; i < r->n_headers; i++) {
        if (!is_signed(r->headers[i].name))
            continue;
        if (f->n == MAX_FIELDS - 3)
            return diag_set(d, ERR_LIMIT, "signing: more than %d header fields", MAX_FIELDS - 3);
        add_field(f, r->headers[i].name, r->headers[i].value);
        host |= compare_names(r->headers[i].name, STR("host")) == 0;
    }
    return host ? OK : diag_set(d, ERR_SYNTAX, "signing: the request has no Host field");
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void print_value(struct buf *out, struct str value)
{
    size_t i = 0, end = value.n;

    while (end > 0 && is_space(value.p[end - 1]))
        end--;
    while (i < end && is_space(value.p[i]))
        i++;
    while (i < end) {
        size_t from = i;
        while (i < end && !is_space(value.p[i]))
            i++;
        buf_append(out, value.p + from, i - from);
        if (i < end)
            buf_char(out, ' ');
        while (i < end && is_space(value.p[i]))
            i++;
    }
}

static void print_lower(struct buf *out, struct str name)
{
    buf_str(out, name);
    for (size_t i = out->n - name.n; i < out->n; i++)
        out->p[i] = lower(out->p[i]);
}

static void print_fields(struct buf *out, const struct fields *f)
{
    for (int i = 0; i < f->n; i++) {
        bool repeated = i > 0 && compare_names(f->at[i].name, f->at[i - 1].name) == 0;
        if (repeated) {
            out->n--; /* the line's end */
            buf_char(out, ',');
        } else {
            print_lower(out, f->at[i].name);
            buf_char(out, ':');
        }
        print_value(out, f->at[i].value);
        buf_char(out, '\n');
    }
}

static void print_names(struct buf *out, const struct fields *f)
{
    for (int i = 0; i < f->n; i++) {
        if (i > 0 && compare_names(f->at[i].name, f->at[i - 1].name) == 0)
            continue;
        if (i > 0)
            buf_char(out, ';');
        print_lower(out, f->at[i].name);
    }
}

/* ---- one signature ---- */

struct signing {
    const struct sigv4_request *r;
    char date[DATE_BYTES + 1];
    char hash[HEX_BYTES]; /* of the body, unless it is not signed */
    struct str body_hash;
    struct fields fields;
};

static enum err begin(struct signing *s, const struct sigv4_request *r, const struct aws_credentials *c, struct diag *d)
{
    time_t seconds = (time_t)(r->time_ms / 1000);
    struct tm tm;

    s->r = r;
    if (r->query.n > MAX_QUERY_BYTES || r->path.n > MAX_QUERY_BYTES)
        return diag_set(d, ERR_LIMIT, "signing: the URL is longer than %d bytes", MAX_QUERY_BYTES);
    if (r->region.n == 0)
        return diag_set(d, ERR_SYNTAX, "signing: the AWS region is not known");
    if (c->access_key.n == 0 || c->secret_key.n == 0)
        return diag_set(d, ERR_AUTH, "signing: the AWS credentials have no key");
    if (!gmtime_r(&seconds, &tm) || strftime(s->date, sizeof(s->date), "%Y%m%dT%H%M%SZ", &tm) != DATE_BYTES)
        return diag_set(d, ERR_INTERNAL, "signing: no date for the time %lld", (long long)r->time_ms);
    s->body_hash = STR("UNSIGNED-PAYLOAD");
    if (!r->unsigned_body) {
        uint8_t raw[32];

        sha256(r->body, raw);
        hex(raw, s->hash);
        s->body_hash = str_from(s->hash, HEX_BYTES);
    }
    return take_fields(&s->fields, r, d);
}

static void add_signing_fields(struct signing *s, struct str token)
{
    add_field(&s->fields, STR("x-amz-date"), str_from(s->date, DATE_BYTES));
    if (token.n && !s->r->omit_session_token)
        add_field(&s->fields, STR("x-amz-security-token"), token);
    if (s->r->sign_body_header)
        add_field(&s->fields, STR("x-amz-content-sha256"), s->body_hash);
}

static void print_canonical(struct buf *out, const struct signing *s, struct str query)
{
    buf_c(out, s->r->method);
    buf_char(out, '\n');
    print_path(out, s->r);
    buf_char(out, '\n');
    print_query(out, query);
    buf_char(out, '\n');
    print_fields(out, &s->fields);
    buf_char(out, '\n');
    print_names(out, &s->fields);
    buf_char(out, '\n');
    buf_str(out, s->body_hash);
}

static void print_scope(struct buf *out, const struct signing *s)
{
    buf_append(out, s->date, DAY_BYTES);
    buf_char(out, '/');
    buf_str(out, s->r->region);
    buf_char(out, '/');
    buf_str(out, s->r->service);
    buf_char(out, '/');
    buf_c(out, "aws4_request");
}

static void print_signature(struct buf *out, const struct signing *s, struct sigv4_key *key, struct str secret,
                            struct str query)
{
    AUTO_BUF text = {0};
    uint8_t raw[32];
    char digits[HEX_BYTES];

    print_canonical(&text, s, query);
    sha256(buf_view(&text), raw);
    hex(raw, digits);
    buf_clear(&text);
    buf_c(&text, algorithm);
    buf_char(&text, '\n');
    buf_append(&text, s->date, DATE_BYTES);
    buf_char(&text, '\n');
    print_scope(&text, s);
    buf_char(&text, '\n');
    buf_append(&text, digits, HEX_BYTES);

    derive_key(key, secret, str_from(s->date, DAY_BYTES), s->r->region, s->r->service);
    hmac(key->key, 32, buf_view(&text), raw);
    hex(raw, digits);
    buf_append(out, digits, HEX_BYTES);
}

static struct str since(const struct buf *text, size_t at)
{
    return str_from(text->p + at, text->n - at);
}

enum err sigv4_sign(struct sigv4_key *key, const struct sigv4_request *r, const struct aws_credentials *c,
                    struct buf *text, struct http_header headers[4], int *n_headers, struct diag *d)
{
    struct signing s;
    AUTO_BUF value = {0};

    *n_headers = 0;
    enum err err = begin(&s, r, c, d);
    if (err != OK)
        return err;
    add_signing_fields(&s, c->session_token);
    buf_c(&value, algorithm);
    buf_c(&value, " Credential=");
    buf_str(&value, c->access_key);
    buf_char(&value, '/');
    print_scope(&value, &s);
    buf_c(&value, ", SignedHeaders=");
    print_names(&value, &s.fields);
    buf_c(&value, ", Signature=");
    print_signature(&value, &s, key, c->secret_key, r->query);

    buf_reserve(text, value.n + DATE_BYTES + c->session_token.n + s.body_hash.n);
    size_t at = text->n;
    buf_append(text, s.date, DATE_BYTES);
    headers[(*n_headers)++] = (struct http_header){.name = STR("X-Amz-Date"), .value = since(text, at)};
    if (c->session_token.n) {
        at = text->n;
        buf_str(text, c->session_token);
        headers[(*n_headers)++] =
            (struct http_header){.name = STR("X-Amz-Security-Token"), .value = since(text, at), .secret = true};
    }
    if (r->sign_body_header) {
        at = text->n;
        buf_str(text, s.body_hash);
        headers[(*n_headers)++] = (struct http_header){.name = STR("X-Amz-Content-Sha256"), .value = since(text, at)};
    }
    at = text->n;
    buf_str(text, buf_view(&value));
    headers[(*n_headers)++] =
        (struct http_header){.name = STR("Authorization"), .value = since(text, at), .secret = true};
    return OK;
}

static void add_param(struct buf *query, const char *name, struct str value)
{
    if (query->n)
        buf_char(query, '&');
    buf_c(query, name);
    buf_char(query, '=');
    for (size_t i = 0; i < value.n; i++)
        escape_byte(query, (unsigned char)value.p[i]);
}

enum err sigv4_presign(struct sigv4_key *key, const struct sigv4_request *r, const struct aws_credentials *c,
                       uint32_t expires_s, struct buf *out, struct diag *d)
{
    struct signing s;
    AUTO_BUF query = {0};
    AUTO_BUF value = {0};

    enum err err = begin(&s, r, c, d);
    if (err != OK)
        return err;
    buf_str(&query, r->query);
    add_param(&query, "X-Amz-Algorithm", str_c(algorithm));
    buf_str(&value, c->access_key);
    buf_char(&value, '/');
    print_scope(&value, &s);
    add_param(&query, "X-Amz-Credential", buf_view(&value));
    add_param(&query, "X-Amz-Date", str_from(s.date, DATE_BYTES));
    buf_printf(&query, "&X-Amz-Expires=%u", expires_s);
    buf_clear(&value);
    print_names(&value, &s.fields);
    add_param(&query, "X-Amz-SignedHeaders", buf_view(&value));
    if (c->session_token.n && !r->omit_session_token)
        add_param(&query, "X-Amz-Security-Token", c->session_token);
    print_query(out, buf_view(&query));
    buf_c(out, "&X-Amz-Signature=");
    print_signature(out, &s, key, c->secret_key, buf_view(&query));
    if (c->session_token.n && r->omit_session_token) {
        buf_c(out, "&X-Amz-Security-Token=");
        for (size_t i = 0; i < c->session_token.n; i++)
            escape_byte(out, (unsigned char)c->session_token.p[i]);
    }
    return OK;
}

void sigv4_canonical_request(const struct sigv4_request *r, const struct aws_credentials *c, struct buf *out)
{
    struct signing s;
    struct diag d = {0};

    if (begin(&s, r, c, &d) != OK) {
        buf_c(out, d.text);
        return;
    }
    add_signing_fields(&s, c->session_token.n ? STR("<session token>") : STR_NONE);
    print_canonical(out, &s, r->query);
}
