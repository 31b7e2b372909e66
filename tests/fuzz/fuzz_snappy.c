/* fuzz_snappy: decompression stays within its limit, whatever comes in; and any bytes survive the way there and back.
 */
#include "wire/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct compressor c = {0};
    struct str in = str_from((const char *)data, size);
    AUTO_BUF out = {0};
    AUTO_BUF packed = {0};
    if (compress_decode(&c, COMPRESS_SNAPPY, in, OUT_MAX, &out) == OK)
        CHECK(out.n <= OUT_MAX && out.p[out.n] == '\0');
    CHECK(compress_encode(&c, COMPRESS_SNAPPY, in, &packed) == OK);
    CHECK(compress_decode(&c, COMPRESS_SNAPPY, buf_view(&packed), size, &out) == OK && str_eq(buf_view(&out), in));
    compressor_release(&c);
    return 0;
}
