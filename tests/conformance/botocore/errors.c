/* errors: prints the codes and messages of the error answers it reads, for `run`.
 *
 * An answer a line, words with a space between them: protocol (a number of enum aws_protocol), status, number of
 * headers, then names, values and the body, each as x and hexadecimal digits. What is printed: code, tab, message.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws_int.h"
#include "base/num.h"

#include "../words.h"

static void answer(struct str line)
{
    struct http_header headers[16];
    struct aws_error e;
    struct arena a = {0};
    AUTO_BUF text = {0};
    enum aws_protocol protocol = (enum aws_protocol)words_number(&line);
    int status = (int)words_number(&line), n = (int)words_number(&line);

    CHECK(n <= 16);
    for (int i = 0; i < n; i++)
        headers[i] = (struct http_header){.name = words_string(&line, &a), .value = words_string(&line, &a)};
    aws_error_parse(protocol, status, headers, n, words_string(&line, &a), &text, &e);
    printf("%.*s\t%.*s\n", STR_ARGS(e.code), STR_ARGS(e.message));
    arena_release(&a);
}

int main(void)
{
    words_each_line(answer);
    return 0;
}
