/* fuzz_xml: the XML reader; every element is walked. */
#include "wire/xml.h"

static size_t walk(const struct xml_node *n)
{
    size_t bytes = n->name.n + n->text.n + (n->first ? xml_text(n, "Code").n : 0);
    uint32_t children = 0;

    for (const struct xml_node *c = n->first; c; c = c->next, children++)
        bytes += walk(c);
    CHECK(children == n->n);
    CHECK(strlen(n->name.p) == n->name.n);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct xml_node *root;
    struct diag d = {0};

    if (xml_parse(str_from((const char *)data, size), &a, &root, &d) == OK)
        CHECK(walk(root) <= size * 4 + 16);
    else
        CHECK(d.text[0] && !root);
    arena_release(&a);
    return 0;
}
