/* Any text as a file of target groups, in both formats: it is taken or refused at a place with a text; what is taken is
 * whole: sources are numbered, each target is one address, labels are sorted, valid and carry the file's path, and
 * nothing borrows from the text.
 */
#include <stdio.h>
#include "base/buf.h"
#include "discover/group_file.h"
#include "fuzz/answer_body.h"

static void check_labels(struct labels l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        CHECK(l.v[i].name.n > 0 && l.v[i].value.n > 0);
        CHECK(str_is_utf8(l.v[i].name) && str_is_utf8(l.v[i].value));
        CHECK(i == 0 || str_cmp(l.v[i - 1].name, l.v[i].name) < 0);
    }
}

static void check(const struct target_groups *g)
{
    char source[32];

    for (uint32_t i = 0; i < g->n; i++) {
        snprintf(source, sizeof(source), "fuzz:%u", i);
        CHECK(str_eq_c(g->groups[i].source, source));
        check_labels(g->groups[i].labels);
        CHECK(str_eq(labels_get(g->groups[i].labels, STR("__meta_filepath")), STR("path")));
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++) {
            CHECK(g->groups[i].targets[k].n == 1);
            CHECK(str_eq(g->groups[i].targets[k].v[0].name, STR("__address__")));
            CHECK(str_is_utf8(g->groups[i].targets[k].v[0].value));
        }
    }
}

static void parse(const uint8_t *data, size_t size, enum group_file_format format)
{
    const struct label meta = {STR("__meta_filepath"), STR("path")};
    struct target_groups *g = NULL;
    struct diag d = {0};
    struct str body = body_copy(data, size);
    enum err err = group_file_parse(body, format, "fuzz", meta, &g, &d);
    body_spoil(body);
    CHECK((err == OK) == (g != NULL));
    CHECK(err == OK || (d.text[0] && d.line > 0));
    if (g) {
        check(g);
        target_groups_free(g);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse(data, size, GROUP_FILE_JSON);
    parse(data, size, GROUP_FILE_YAML);
    return 0;
}
