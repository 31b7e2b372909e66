/* fuzz_json: the JSON reader. */
#include "fuzz/tree_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tree(tree_parse_json, data, size);
}
