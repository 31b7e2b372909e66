/* sign: signs the requests it reads and prints the signatures, for `run`.
 *
 * One request a line, words with a space between them, strings as x and hexadecimal digits:
 *
 *   flags time_ms expires_s access secret token region service method path query body n (name value)*n
 *
 * flags: letters of k (keep_path), b (sign_body_header), u (unsigned_body), o (omit_session_token), or -. Answers, each
 * on its line: the Authorization field's value, the presigned query, the canonical request as hexadecimal digits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/num.h"

#include "../words.h"

static void answer(struct sigv4_key *key, struct str line, struct arena *a)
{
    struct str flags = words_next(&line);
    struct sigv4_request r = {.time_ms = words_number(&line)};
    uint32_t expires_s = (uint32_t)words_number(&line);
    struct aws_credentials c = {.access_key = words_string(&line, a)};
    struct http_header signed_as[4], *headers;
    struct diag d = {0};
    AUTO_BUF text = {0};
    AUTO_BUF query = {0};
    AUTO_BUF canonical = {0};
    int n = 0;

    c.secret_key = words_string(&line, a);
    c.session_token = words_string(&line, a);
    r.region = words_string(&line, a);
    r.service = words_string(&line, a);
    r.method = words_string(&line, a).p;
    r.path = words_string(&line, a);
    r.query = words_string(&line, a);
    r.body = words_string(&line, a);
    r.n_headers = (int)words_number(&line);
    r.headers = headers = arena_zalloc(a, sizeof(*headers) * (size_t)(r.n_headers + 1));
    for (int i = 0; i < r.n_headers; i++) {
        headers[i].name = words_string(&line, a);
        headers[i].value = words_string(&line, a);
    }
    r.keep_path = str_contains(flags, STR("k"));
    r.sign_body_header = str_contains(flags, STR("b"));
    r.unsigned_body = str_contains(flags, STR("u"));
    r.omit_session_token = str_contains(flags, STR("o"));
    if (sigv4_sign(key, &r, &c, &text, signed_as, &n, &d) != OK)
        printf("error: %s\n", d.text);
    else
        printf("%.*s\n", STR_ARGS(signed_as[n - 1].value));
    if (sigv4_presign(key, &r, &c, expires_s, &query, &d) != OK)
        printf("error: %s\n", d.text);
    else
        printf("%.*s\n", STR_ARGS(buf_view(&query)));
    sigv4_canonical_request(&r, &c, &canonical);
    for (size_t i = 0; i < canonical.n; i++)
        printf("%02x", (unsigned char)canonical.p[i]);
    printf("\n");
}

int main(void)
{
    struct sigv4_key key = {0};
    struct arena a = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        arena_reset(&a);
        answer(&key, str_trim(str_from(line, (size_t)n)), &a);
    }
    fflush(stdout);
    free(line);
    arena_release(&a);
    return 0;
}
