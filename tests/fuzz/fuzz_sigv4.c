/* fuzz_sigv4: whatever stands in a path, a query and fields is signed; canonical form is a fixed point of the query. */
#include "aws/sigv4.h"

static struct str cut(struct str *rest)
{
    struct str head;

    str_cut(*rest, '\n', &head, rest);
    return head;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_from((const char *)data + 1, size ? size - 1 : 0);
    struct http_header fields[8] = {{.name = STR("Host"), .value = STR("h")}}, out[4];
    struct aws_credentials c = {.access_key = STR("A"), .secret_key = STR("S")};
    struct sigv4_key key = {0};
    struct diag d = {0};
    struct buf text = {0}, canonical = {0};
    int n = 0;

    if (size == 0)
        return 0;
    struct sigv4_request r = {.method = "GET",
                              .region = STR("r"),
                              .service = STR("s"),
                              .headers = fields,
                              .n_headers = 1,
                              .keep_path = data[0] & 1};
    r.path = cut(&rest);
    r.query = cut(&rest);
    while (rest.n && r.n_headers < 8) {
        struct str line = cut(&rest);
        str_cut(line, ':', &fields[r.n_headers].name, &fields[r.n_headers].value);
        r.n_headers++;
    }
    if (sigv4_sign(&key, &r, &c, &text, out, &n, &d) == OK) {
        CHECK(n == 2);
        sigv4_canonical_request(&r, &c, &canonical);
        struct str lines = buf_view(&canonical), method, path, query;
        method = cut(&lines);
        path = cut(&lines);
        query = cut(&lines);
        CHECK(str_eq_c(method, "GET") && (r.keep_path || path.p[0] == '/'));
        struct buf again = {0};
        r.query = query;
        sigv4_canonical_request(&r, &c, &again);
        CHECK(str_eq(buf_view(&again), buf_view(&canonical)));
        buf_release(&again);
        CHECK(sigv4_presign(&key, &r, &c, 60, &text, &d) == OK);
    }
    buf_release(&text);
    buf_release(&canonical);
    return 0;
}
