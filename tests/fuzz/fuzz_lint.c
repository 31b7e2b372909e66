/* fuzz_lint: any bytes through the three ways of linting. Findings and errors have positions inside the text. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "format/lint.h"

static void check_positions(const struct lint_report *r, struct str text)
{
    uint32_t lines = 2;

    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    for (size_t i = 0; i < r->n; i++) {
        CHECK(r->v[i].line >= 1 && r->v[i].line <= lines);
        CHECK(r->v[i].col >= 1 && r->v[i].col <= text.n + 1);
        CHECK(r->v[i].text.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF text = {0};
    struct arena a = {0};
    struct lint_report r;
    struct diag d = {0};

    buf_append(&text, data, size);
    if (lint_text(buf_view(&text), size & 1, &a, &r, &d) == OK)
        check_positions(&r, buf_view(&text));
    else
        CHECK(d.line >= 1 && d.col >= 1 && d.text[0]);
    lint_report_release(&r);
    lint_strict(buf_view(&text), &a, &r);
    check_positions(&r, buf_view(&text));
    lint_report_release(&r);
    diag_reset(&d);
    if (lint_openmetrics(buf_view(&text), &a, &r, &d) == OK)
        check_positions(&r, buf_view(&text));
    else
        CHECK(d.line >= 1 && d.col >= 1 && d.text[0]);
    lint_report_release(&r);
    arena_release(&a);
    return 0;
}
