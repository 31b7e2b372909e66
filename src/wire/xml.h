/* xml: what an XML text says, as a tree of elements: those of AWS' query and EC2 protocols.
 *
 * Names come without their prefixes: namespaces tell nothing there. Attributes, comments and processing instructions
 * are passed over; an element has children or a text, white space between children counts for nothing. A document type
 * is refused, and with it every entity but the five of XML itself.
 *
 * Everything lives in the caller's arena and is immutable afterwards. Limited in depth, elements and bytes.
 */
#ifndef WIRE_XML_H
#define WIRE_XML_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define XML_MAX_DEPTH 64
#define XML_MAX_NODES (1u << 20)
#define XML_MAX_BYTES (64u << 20)

struct xml_node {
    struct str name;        /* NUL-terminated beyond n, as is text */
    struct str text;        /* of an element without children: as written, entities and CDATA resolved */
    struct xml_node *first; /* children in order */
    struct xml_node *next;  /* sibling */
    uint32_t n;             /* children */
};

/* ERR_SYNTAX: not one whole, well-formed document. ERR_LIMIT. The diag names line and column. */
enum err xml_parse(struct str text, struct arena *a, struct xml_node **root, struct diag *d) MUST_USE;

struct xml_node *xml_find(const struct xml_node *n, const char *name); /* the first child of that name, or NULL */
struct str xml_text(const struct xml_node *n, const char *name);       /* the text of that child; empty when absent */

#endif
