/* error: what AWS says when it refuses, in the shapes of its protocols, and what follows from it.
 *
 *   JSON          header x-amzn-errortype, else __type, else code       message, Message
 *   REST JSON     the header, else code, Code, else __type              the same; error_description (sign-in)
 *   query         <ErrorResponse><Error><Code/><Message/></Error><RequestId/></ErrorResponse>
 *   EC2           <Response><Errors><Error>...</Error></Errors><RequestID/></Response>
 *
 * A code may come as "com.amazon.coral.service#FooException:http://...": the name in the middle is it. To requests with
 * x-amzn-query-mode (CloudWatch) the code of the older protocol comes in x-amzn-query-error and is what people know.
 *
 * Which codes mean what is the union of the lists of botocore and aws-sdk-go-v2. Pure; any thread.
 */
#include "aws/aws_int.h"
#include "base/mem.h"
#include "base/num.h"
#include "wire/tree.h"
#include "wire/xml.h"

enum { MAX_BODY = 1 << 20, MAX_CODE = 128, MAX_MESSAGE = 2048 };

static const char *const throttling[] = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    NULL,
};
static const char *const transient[] = {
    "RequestTimeout", "RequestTimeoutException", "IDPCommunicationError", "InternalFailure",
    "InternalError",  "ServiceUnavailable",      "InvalidIdentityToken",  NULL,
};
static const char *const refused[] = {
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "InvalidClientTokenId",
    "InvalidToken", "InvalidAccessKeyId",    "AuthFailure",    "InvalidTokenException",       NULL,
};
static const char *const skewed[] = {
    "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure",        "RequestTimeTooSkewed",
    "AccessDeniedException",     "RequestExpired",        "RequestInTheFuture", NULL,
};

static bool is_one_of(struct str code, const char *const *list)
{
    for (; *list; list++) {
        if (str_eq_c(code, *list))
            return true;
    }
    return false;
}

bool aws_error_is_throttling(const struct aws_service *service, struct str code, int status)
{
    /* there it means that there are too many log groups: waiting does not help */
    if (service == &aws_logs && str_eq_c(code, "LimitExceededException"))
        return false;
    return status == 429 || is_one_of(code, throttling);
}

bool aws_error_is_transient(struct str code, int status)
{
    return status == 500 || status == 502 || status == 503 || status == 504 || is_one_of(code, transient);
}

bool aws_error_is_refused(struct str code)
{
    return is_one_of(code, refused);
}

bool aws_error_is_skew(struct str code)
{
    return is_one_of(code, skewed);
}

/* ---- reading ---- */

static struct str field(const struct http_header *headers, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (str_eq_nocase(headers[i].name, str_c(name)))
            return headers[i].value;
    }
    return STR_NONE;
}

static struct str first_of(const struct node *object, const char *a, const char *b, const char *c)
{
    const char *names[] = {a, b, c};

    for (size_t i = 0; i < COUNT_OF(names) && object->kind == NODE_MAPPING; i++) {
        const struct node *n = names[i] ? node_find(object, names[i]) : NULL;
        if (n && n->kind == NODE_STRING && n->text.n)
            return n->text;
    }
    return STR_NONE;
}

/* "Code;Sender" of x-amzn-query-error: both parts must be there. */
static struct str query_error(const struct http_header *headers, int n)
{
    struct str code, type, rest;
    bool cut = str_cut(field(headers, n, "x-amzn-query-error"), ';', &code, &rest);

    str_cut(rest, ';', &type, &rest);
    return cut && type.n && rest.n == 0 ? code : STR_NONE;
}

static void read_headers(const struct http_header *headers, int n, struct aws_error *out)
{
    out->code = query_error(headers, n);
    if (!out->code.n)
        out->code = field(headers, n, "x-amzn-errortype");
    out->request_id = field(headers, n, "x-amzn-requestid");
}

static void read_json(enum aws_protocol protocol, struct str body, struct arena *a, struct aws_error *out)
{
    struct node *root = NULL;

    if (tree_parse_json(body, "", a, &root, NULL) != OK || !root)
        return;
    out->message = first_of(root, "message", "Message", "error_description");
    if (out->code.n)
        return;
    if (protocol == AWS_REST_JSON)
        out->code = first_of(root, "code", "Code", "__type");
    else
        out->code = first_of(root, "__type", "code", NULL);
    if (!out->code.n)
        out->code = first_of(root, "error", NULL, NULL);
}

static void read_xml(struct str body, struct arena *a, struct aws_error *out)
{
    struct xml_node *root = NULL;

    if (xml_parse(body, a, &root, NULL) != OK)
        return;
    const struct xml_node *errors = xml_find(root, "Errors");
    const struct xml_node *error = errors ? xml_find(errors, "Error") : xml_find(root, "Error");
    if (!error && str_eq_c(root->name, "Error"))
        error = root;
    if (!error)
        return;
    if (!out->code.n)
        out->code = xml_text(error, "Code");
    out->message = xml_text(error, "Message");
    struct str id = xml_text(root, xml_find(root, "RequestId") ? "RequestId" : "RequestID");
    if (id.n)
        out->request_id = id;
}

static struct str plain_code(struct str code)
{
    struct str rest;

    str_cut(str_trim(code), ':', &code, &rest);
    const char *hash = code.n ? memrchr(code.p, '#', code.n) : NULL;
    if (hash)
        code = str_from(hash + 1, code.n - (size_t)(hash - code.p) - 1);
    for (size_t i = 0; i < code.n; i++) {
        if (code.p[i] <= ' ' || code.p[i] > '~')
            return STR_NONE;
    }
    return code.n <= MAX_CODE ? code : STR_NONE;
}

/* Messages end up in logs and pages: one line, no more than is read. */
static void append_line(struct buf *out, struct str s)
{
    s = str_trim(s);
    size_t n = s.n < MAX_MESSAGE ? s.n : MAX_MESSAGE;

    while (n < s.n && n > 0 && (s.p[n] & 0xC0) == 0x80)
        n--;
    size_t from = out->n;
    for (size_t i = 0; i < n; i++)
        buf_char(out, (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? ' ' : s.p[i]);
    while (out->n > from && out->p[out->n - 1] == ' ')
        out->n--;
}

void aws_error_parse(enum aws_protocol protocol, int status, const struct http_header *headers, int n_headers,
                     struct str body, struct buf *text, struct aws_error *out)
{
    struct aws_error raw = {0};
    struct arena a = {0};
    struct str content = body.n <= MAX_BODY ? str_trim(body) : STR_NONE;

    /* by what it is: what stands in front of a service need not speak its protocol */
    read_headers(headers, n_headers, &raw);
    if (content.n && content.p[0] == '<')
        read_xml(content, &a, &raw);
    else
        read_json(protocol, content, &a, &raw);
    size_t at[4] = {text->n};
    raw.code = plain_code(raw.code);
    if (raw.code.n)
        buf_str(text, raw.code);
    else
        buf_u64(text, (uint64_t)(status > 0 ? status : 0));
    at[1] = text->n;
    append_line(text, raw.message);
    at[2] = text->n;
    buf_str(text, plain_code(raw.request_id));
    at[3] = text->n;
    out->code = str_from(text->p + at[0], at[1] - at[0]);
    out->message = str_from(text->p + at[1], at[2] - at[1]);
    out->request_id = str_from(text->p + at[2], at[3] - at[2]);
    arena_release(&a);
}
