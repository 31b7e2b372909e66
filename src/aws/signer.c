/* signer: the fields that Prometheus' sigv4 round tripper sends: X-Amz-Date, X-Amz-Security-Token and Authorization
 * over all fields of the request but those that nobody signs. X-Amz-Content-Sha256 only for services that want it: it
 * would cost 86 bytes a request and say nothing that the signature does not.
 *
 * What it costs is the hash of the body, as compressed; the rest is a few small hashes, since the day's key is kept.
 *
 * The clock: a refusal whose Date is more than 4 minutes from the clock that signed corrects it for this destination.
 * Requests of other lanes that were under way with the old one come back refused as well; for a while such refusals are
 * not held against the credentials.
 */
#include "aws/signer.h"

#include <openssl/crypto.h>

#include "aws/aws_int.h"
#include "base/clock.h"
#include "base/mem.h"

enum { SETTLING_MS = 30000, REFUSED_EVERY_MS = 5000 };

struct aws_signer {
    struct http_signer http;
    char *service, *destination, *region;
    struct log *log;
    void (*refused)(void *ctx);
    void *ctx;
    struct aws_credentials *credentials;
    struct diag why;
    struct sigv4_key key;
    int64_t skew_ms;
    uint64_t skew_set_ms, refused_ms; /* monotonic; 0: never */
};

static bool wants_body_hash(const char *service)
{
    return str_starts(str_c(service), STR("s3")) || !strcmp(service, "aoss");
}

static enum err sign(struct http_signer *self, const char *method, const struct http_url *url,
                     const struct http_header *headers, int n_headers, struct str body, struct http_signature *out,
                     struct diag *d)
{
    struct aws_signer *s = CONTAINER_OF(self, struct aws_signer, http);

    if (!s->credentials)
        return diag_set(d, ERR_AGAIN, "%s", s->why.text);
    struct sigv4_request r = {.method = method,
                              .path = url->path,
                              .query = url->query,
                              .headers = headers,
                              .n_headers = n_headers,
                              .body = body,
                              .region = str_c(s->region),
                              .service = str_c(s->service),
                              .time_ms = clock_wall_ms() + s->skew_ms,
                              .keep_path = str_starts(str_c(s->service), STR("s3")),
                              .sign_body_header = wants_body_hash(s->service)};
    return sigv4_sign(&s->key, &r, s->credentials, &out->text, out->headers, &out->n_headers, d);
}

struct aws_signer *aws_signer_new(const struct aws_signer_options *o)
{
    struct aws_signer *s = NEW(struct aws_signer);

    s->http.sign = sign;
    s->service = str_to_c(o->service.n ? o->service : STR("aps"));
    s->destination = str_to_c(o->destination);
    s->log = o->log;
    s->refused = o->refused;
    s->ctx = o->ctx;
    aws_signer_set(s, NULL, STR_NONE, NULL);
    return s;
}

void aws_signer_free(struct aws_signer *s)
{
    if (!s)
        return;
    aws_credentials_unref(s->credentials);
    OPENSSL_cleanse(&s->key, sizeof(s->key));
    free(s->service);
    free(s->destination);
    free(s->region);
    free(s);
}

struct http_signer *aws_signer_http(struct aws_signer *s)
{
    return &s->http;
}

void aws_signer_set(struct aws_signer *s, struct aws_credentials *c, struct str region, const struct diag *why)
{
    if (c)
        aws_credentials_ref(c);
    aws_credentials_unref(s->credentials);
    s->credentials = c;
    if (region.n || !s->region) {
        char *copy = str_to_c(region);
        free(s->region);
        s->region = copy;
    }
    diag_reset(&s->why);
    diag_set(&s->why, ERR_AGAIN, "%s", why && why->text[0] ? why->text : "AWS credentials are still being looked for");
}

void aws_signer_refused(struct http_signer *self, struct str date, struct str words)
{
    struct aws_signer *s = CONTAINER_OF(self, struct aws_signer, http);
    uint64_t now = clock_mono_ms();
    int64_t skew_ms;

    if (aws_skew_measure(date, clock_wall_ms(), 0, s->skew_ms, &skew_ms)) {
        s->skew_ms = skew_ms;
        s->skew_set_ms = now;
        log_warn(s->log, "AWS refused a signature because of its time; requests are signed by its clock from now on",
                 F_C("destination", s->destination), F_INT("seconds_ahead", skew_ms / 1000), F_STR("date", date),
                 F_STR("answer", str_from(words.p, words.n < 200 ? words.n : 200)));
        return;
    }
    bool settling = s->skew_set_ms && now - s->skew_set_ms < SETTLING_MS;
    if (settling || (s->refused_ms && now - s->refused_ms < REFUSED_EVERY_MS))
        return;
    s->refused_ms = now;
    if (s->refused)
        s->refused(s->ctx);
}
