/* fuzz_prom_text: the text exposition format, parsed and predicted. */
#include "fuzz/exposition_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_exposition(EXPOSITION_TEXT, data, size);
}
