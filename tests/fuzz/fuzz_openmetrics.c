/* fuzz_openmetrics: OpenMetrics text, parsed and predicted. */
#include "fuzz/exposition_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_exposition(EXPOSITION_OPENMETRICS, data, size);
}
