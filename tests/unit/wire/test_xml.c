/* The XML reader: what AWS answers, and what is refused. */
#include "unit.h"

#include "base/mem.h"
#include "wire/xml.h"

static void test_answer(void **state)
{
    (void)state;
    struct arena a = {0};
    struct xml_node *root;
    struct diag d = {0};

    assert_int_equal(
        xml_parse(STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<r:DescribeInstancesResponse xmlns:r=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n"
                      "  <requestId>8f7724cf</requestId> <!-- nothing -->\n"
                      "  <reservationSet>\n"
                      "    <item kind=\"x\"><ownerId>1</ownerId></item>\n"
                      "    <item><ownerId>a&lt;b&#x20;<![CDATA[<c>]]></ownerId></item>\n"
                      "    <item/>\n"
                      "  </reservationSet>\n"
                      "</r:DescribeInstancesResponse>\n"),
                  &a, &root, &d),
        OK);
    assert_str_c(root->name, "DescribeInstancesResponse");
    assert_int_equal(root->n, 2);
    assert_str_c(root->text, "");
    assert_str_c(xml_text(root, "requestId"), "8f7724cf");
    assert_str(xml_text(root, "absent"), STR_NONE);
    assert_null(xml_find(root, "ownerId"));
    const struct xml_node *set = xml_find(root, "reservationSet");
    assert_int_equal(set->n, 3);
    assert_str_c(xml_text(set->first, "ownerId"), "1");
    assert_str_c(xml_text(set->first->next, "ownerId"), "a<b <c>");
    assert_str_c(set->first->next->next->text, "");
    assert_null(set->first->next->next->next);
    arena_release(&a);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        enum err err;
    } table[] = {
        {"", "XML, line 1, column 1: no element found", ERR_SYNTAX},
        {"<a>", "XML, line 1, column 4: no element found", ERR_SYNTAX},
        {"<a></b>", "XML, line 1, column 6: mismatched tag", ERR_SYNTAX},
        {"<a/>\n<b/>", "XML, line 2, column 1: junk after document element", ERR_SYNTAX},
        {"not xml", "XML, line 1, column 1: syntax error", ERR_SYNTAX},
        {"{\"json\": 1}", "XML, line 1, column 1: not well-formed (invalid token)", ERR_SYNTAX},
        {"<a>&b;</a>", "XML, line 1, column 4: undefined entity", ERR_SYNTAX},
        {"<a>\xff</a>", "XML, line 1, column 4: not well-formed (invalid token)", ERR_SYNTAX},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "a document type is not taken", ERR_SYNTAX},
        {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "a document type is not taken", ERR_SYNTAX},
    };
    struct arena a = {0};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct xml_node *root = (struct xml_node *)&a;
        struct diag d = {0};
        assert_int_equal(xml_parse(str_c(table[i].text), &a, &root, &d), table[i].err);
        assert_null(root);
        assert_true(str_ends(str_c(d.text), str_c(table[i].want)));
    }
    arena_release(&a);
}

static void test_limits(void **state)
{
    (void)state;
    struct arena a = {0};
    struct xml_node *root;
    struct diag d = {0};
    AUTO_BUF text = {0};

    for (int depth = XML_MAX_DEPTH; depth <= XML_MAX_DEPTH + 1; depth++) {
        buf_clear(&text);
        for (int i = 0; i < depth; i++)
            buf_c(&text, "<a>");
        for (int i = 0; i < depth; i++)
            buf_c(&text, "</a>");
        enum err err = xml_parse(buf_view(&text), &a, &root, &d);
        assert_int_equal(err, depth == XML_MAX_DEPTH ? OK : ERR_LIMIT);
    }
    assert_true(str_ends(str_c(d.text), STR("elements are nested too deeply")));
    buf_clear(&text);
    buf_c(&text, "<a>");
    for (uint32_t i = 0; i < XML_MAX_NODES; i++)
        buf_c(&text, "<b/>");
    buf_c(&text, "</a>");
    assert_int_equal(xml_parse(buf_view(&text), &a, &root, NULL), ERR_LIMIT);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
