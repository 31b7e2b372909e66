/* fuzz_emf_event: the scanner for an event's destination takes exactly what the JSON reader takes as an object. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/emf_event.h"
#include "wire/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from((const char *)data, size);
    struct emf_event e = {0};
    struct arena a = {0};
    struct node *root = NULL;
    struct diag d = {0};
    enum err got = emf_event_read(&e, text, &d);
    enum err want = tree_parse_json(text, "event", &a, &root, NULL);

    if (want != ERR_LIMIT) {
        bool object = want == OK && root && root->kind == NODE_MAPPING;
        bool is_about_names = str_contains(str_c(d.text), STR(" is no string")) ||
                              str_contains(str_c(d.text), STR("_aws is no object"));
        if (got == OK && !object)
            abort();
        if (got != OK && object && !is_about_names)
            abort();
    }
    if (got != OK && !d.text[0])
        abort();
    emf_event_release(&e);
    arena_release(&a);
    return 0;
}
