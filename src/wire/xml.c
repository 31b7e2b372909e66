/* xml: the tree of an XML document, by expat.
 *
 * expat reads and calls back; here a stack of open elements becomes a tree. Text is gathered in one buffer and copied
 * to the arena at the end of an element that turned out to have no children. expat's own defences against entities that
 * grow are not needed: a document type, without which there are none, ends the parse.
 *
 * A text that ends early, or has more behind its root, is an error: half an answer is never taken for a whole one.
 */
#include "wire/xml.h"

#include <expat.h>

#include "base/buf.h"

struct reader {
    XML_Parser expat;
    struct arena *arena;
    struct xml_node *root;
    struct xml_node *open[XML_MAX_DEPTH], *last[XML_MAX_DEPTH]; /* elements from the root on, and their newest child */
    uint32_t depth, n_nodes;
    struct buf text;     /* of the innermost element */
    const char *refused; /* why the parse was stopped here */
    enum err err;
};

static void refuse(struct reader *r, enum err err, const char *why)
{
    if (!r->refused) {
        r->refused = why;
        r->err = err;
        XML_StopParser(r->expat, XML_FALSE);
    }
}

static struct str local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return str_c(colon ? colon + 1 : name);
}

static void XMLCALL on_start(void *ctx, const char *name, const char **attributes)
{
    struct reader *r = ctx;
    (void)attributes;

    if (r->depth == XML_MAX_DEPTH) {
        refuse(r, ERR_LIMIT, "elements are nested too deeply");
        return;
    }
    if (r->n_nodes++ == XML_MAX_NODES) {
        refuse(r, ERR_LIMIT, "too many elements");
        return;
    }
    struct xml_node *n = ARENA_NEW(r->arena, struct xml_node);
    n->name = str_dup(r->arena, local_name(name));
    if (r->depth == 0) {
        r->root = n;
    } else {
        struct xml_node *parent = r->open[r->depth - 1], *before = r->last[r->depth - 1];
        *(before ? &before->next : &parent->first) = n;
        r->last[r->depth - 1] = n;
        parent->n++;
    }
    r->open[r->depth] = n;
    r->last[r->depth++] = NULL;
    buf_clear(&r->text);
}

static void XMLCALL on_end(void *ctx, const char *name)
{
    struct reader *r = ctx;
    (void)name;

    if (r->refused || r->depth == 0)
        return;
    struct xml_node *n = r->open[--r->depth];
    n->text = n->first ? STR("") : str_dup(r->arena, buf_view(&r->text));
    buf_clear(&r->text);
}

static void XMLCALL on_text(void *ctx, const char *text, int n)
{
    struct reader *r = ctx;

    if (!r->refused)
        buf_append(&r->text, text, (size_t)n);
}

static void XMLCALL on_doctype(void *ctx, const char *name, const char *system, const char *public, int subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)subset;
    refuse(ctx, ERR_SYNTAX, "a document type is not taken");
}

enum err xml_parse(struct str text, struct arena *a, struct xml_node **root, struct diag *d)
{
    struct reader r = {.arena = a};

    *root = NULL;
    if (text.n > XML_MAX_BYTES)
        return diag_set(d, ERR_LIMIT, "XML: longer than %u bytes", XML_MAX_BYTES);
    r.expat = XML_ParserCreate(NULL);
    CHECK(r.expat != NULL);
    XML_SetUserData(r.expat, &r);
    XML_SetElementHandler(r.expat, on_start, on_end);
    XML_SetCharacterDataHandler(r.expat, on_text);
    XML_SetStartDoctypeDeclHandler(r.expat, on_doctype);
    enum err err = OK;
    if (XML_Parse(r.expat, text.n ? text.p : "", (int)text.n, 1) != XML_STATUS_OK) {
        err = r.refused ? r.err : ERR_SYNTAX;
        diag_set(d, err, "XML, line %lu, column %lu: %s", (unsigned long)XML_GetCurrentLineNumber(r.expat),
                 (unsigned long)XML_GetCurrentColumnNumber(r.expat) + 1,
                 r.refused ? r.refused : XML_ErrorString(XML_GetErrorCode(r.expat)));
    }
    XML_ParserFree(r.expat);
    buf_release(&r.text);
    if (err == OK)
        *root = r.root;
    return err;
}

struct xml_node *xml_find(const struct xml_node *n, const char *name)
{
    struct xml_node *child = n->first;

    while (child && !str_eq_c(child->name, name))
        child = child->next;
    return child;
}

struct str xml_text(const struct xml_node *n, const char *name)
{
    const struct xml_node *child = xml_find(n, name);

    return child ? child->text : STR_NONE;
}
