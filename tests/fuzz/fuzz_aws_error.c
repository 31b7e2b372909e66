/* fuzz_aws_error: error answers of AWS, in the protocol that the first byte chooses; the first line may be a header. */
#include "aws/aws_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_from((const char *)data + 1, size ? size - 1 : 0), line, body;
    struct http_header header = {0};
    struct aws_error e;
    struct buf text = {0};

    if (size == 0)
        return 0;
    bool has_header = data[0] & 0x80;
    if (has_header) {
        str_cut(all, '\n', &line, &body);
        str_cut(line, ':', &header.name, &header.value);
    } else {
        body = all;
    }
    aws_error_parse((enum aws_protocol)(data[0] % 5), 400 + data[0] % 200, &header, has_header, body, &text, &e);
    CHECK(e.code.n > 0 && e.code.n <= 128);
    for (size_t i = 0; i < e.code.n; i++)
        CHECK(e.code.p[i] > ' ' && e.code.p[i] <= '~');
    for (size_t i = 0; i < e.message.n; i++)
        CHECK((unsigned char)e.message.p[i] >= ' ');
    (void)aws_error_is_throttling(&aws_logs, e.code, 400);
    buf_release(&text);
    return 0;
}
