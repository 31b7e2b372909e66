/* errors: prints the codes and messages of the error answers it reads, for `run`.
 *
 * An answer a line, words with a space between them: protocol (a number of enum aws_protocol), status, number of
 * headers, then names, values and the body, each as x and hexadecimal digits. What is printed: code, tab, message.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws_int.h"
#include "base/num.h"

static struct str word(struct str *line)
{
    struct str w;

    str_cut(*line, ' ', &w, line);
    return w;
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct str string(struct str *line, struct arena *a)
{
    struct str w = word(line);
    size_t n = (w.n - 1) / 2;
    char *out = arena_zalloc(a, n + 1);

    CHECK(w.n % 2 == 1 && w.p[0] == 'x');
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(digit(w.p[1 + 2 * i]) << 4 | digit(w.p[2 + 2 * i]));
    return str_from(out, n);
}

static int number(struct str *line)
{
    int64_t n;

    CHECK(num_parse_i64(word(line), &n) == OK);
    return (int)n;
}

static void answer(struct str line)
{
    struct http_header headers[16];
    struct aws_error e;
    struct arena a = {0};
    AUTO_BUF text = {0};
    enum aws_protocol protocol = (enum aws_protocol)number(&line);
    int status = number(&line), n = number(&line);

    CHECK(n <= 16);
    for (int i = 0; i < n; i++)
        headers[i] = (struct http_header){.name = string(&line, &a), .value = string(&line, &a)};
    aws_error_parse(protocol, status, headers, n, string(&line, &a), &text, &e);
    printf("%.*s\t%.*s\n", STR_ARGS(e.code), STR_ARGS(e.message));
    arena_release(&a);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0)
        answer(str_from(line, (size_t)n - 1));
    free(line);
    return 0;
}
