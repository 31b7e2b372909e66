/* fuzz_cloudwatch_note: what stands in front of a request's body is read, whatever it is; and a batch of any bytes is
 * sealed, or refused: then its parts are whole documents, and together hold every record.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "sink/cloudwatch/answer_int.h"
#include "wire/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t records_of(struct compressor *c, struct str gzip, enum cloudwatch_kind kind)
{
    AUTO_BUF document = {0};
    struct arena a = {0};
    struct node *root = NULL;
    uint32_t n;
    CHECK(compress_decode(c, COMPRESS_GZIP, gzip, CW_DOCUMENT_MAX, &document) == OK);
    if (kind == CLOUDWATCH_METRICS) { /* its records are what they are */
        return UINT32_MAX;
    }
    CHECK(tree_parse_json(buf_view(&document), "", &a, &root, NULL) == OK && root);
    n = node_member(root, "logEvents", NODE_SEQUENCE)->n;
    arena_release(&a);
    return n;
}

static void look_at(const struct cw_note *note, struct compressor *c, bool ours)
{
    AUTO_BUF part = {0};
    struct cw_note_reader r = cw_note_read(note);
    struct cw_note_record v;
    enum err err;
    uint32_t n = 0, all, halves[2];
    while ((err = cw_note_next(&r, &v)) == OK)
        n++;
    CHECK(!ours || (err == ERR_EOF && n == note->n));
    if (err != ERR_EOF)
        return;
    bool fits = cw_note_samples(note, 0, n, &all) == OK;
    if (fits && n > 1) {
        CHECK(cw_note_samples(note, 0, n / 2, &halves[0]) == OK && cw_note_samples(note, n / 2, n, &halves[1]) == OK);
        CHECK(halves[0] + halves[1] == all);
    }
    for (uint32_t from = 0; from < n; from += n / 3 + 1) {
        uint32_t to = from + n / 3 + 1 < n ? from + n / 3 + 1 : n;
        err = cw_body_cut(note, from, to, c, &part);
        CHECK(!ours || err == OK);
        if (ours && note->kind == CLOUDWATCH_LOGS)
            CHECK(records_of(c, buf_view(&part), note->kind) == to - from);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct compressor c;
    AUTO_BUF sealed = {0};
    struct cw_note note;
    struct cw_rejected rejected;
    if (size == 0 || size > 1 << 16)
        return 0;
    enum cloudwatch_kind kind = data[0] & 1 ? CLOUDWATCH_METRICS : CLOUDWATCH_LOGS;
    struct str rest = str_from((const char *)data + 1, size - 1);
    if (data[0] & 2) {
        if (cw_note_parse(rest, &note) == OK)
            look_at(&note, &c, false);
        return 0;
    }
    if (data[0] & 4) {
        uint32_t n = data[0] >> 3;
        if (cw_read_rejected(rest, n, &rejected))
            CHECK(rejected.too_old_to <= rejected.expired_to && rejected.expired_to <= rejected.too_new_from &&
                  rejected.too_new_from <= n);
        return 0;
    }
    const struct spool_sealer *s = cloudwatch_sealer(kind);
    if (s->seal(s, &c, rest, &sealed) != OK)
        return 0;
    CHECK(cw_note_parse(buf_view(&sealed), &note) == OK && note.kind == kind);
    if (note.n)
        CHECK(records_of(&c, note.body, kind) == (kind == CLOUDWATCH_METRICS ? UINT32_MAX : note.n));
    look_at(&note, &c, true);
    return 0;
}
