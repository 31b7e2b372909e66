/* Answers of the sources of credentials: the first byte says which. What is taken for keys must fit into header fields.
 */
#include <stddef.h>
#include <stdint.h>

#include "aws/answers_int.h"
#include "aws/fetch_int.h"
#include "base/clock.h"
#include "wire/tree.h"

static void check_keys(enum err err, const struct answer_keys *k)
{
    if (err)
        return;
    CHECK(k->access_key.n && answer_is_printable(k->access_key));
    CHECK(k->secret_key.n && answer_is_printable(k->secret_key));
    CHECK(answer_is_printable(k->session_token) && answer_is_printable(k->account));
}

static void renew(struct str body, struct arena *a)
{
    struct sso_token t;
    AUTO_BUF out = {0};

    if (answer_sso_file(body, a, &t, NULL))
        return;
    CHECK(t.access_token.n);
    if (answer_sso_renewed(STR("{\"accessToken\":\"n\",\"expiresIn\":60}"), 0, a, &t, NULL) == OK) {
        struct sso_token again;
        tree_print_json(t.tree, &out);
        CHECK(answer_sso_file(buf_view(&out), a, &again, NULL) == OK && str_eq_c(again.access_token, "n"));
    }
}

static void others(struct str body, struct arena *a)
{
    struct sso_token t = {.tree = ARENA_NEW(a, struct node)};
    struct str one, two;
    char **argv;
    int64_t ms;

    t.tree->kind = NODE_MAPPING;
    if (answer_task_region(body, a, &one, NULL) == OK)
        CHECK(one.n);
    if (aws_identity_parse(body, a, &one, &two, NULL) == OK)
        CHECK(one.n && two.n);
    if (answer_sso_renewed(body, 0, a, &t, NULL) == OK)
        CHECK(t.access_token.n);
    if (provider_process_split(body, a, &argv, NULL) == OK)
        CHECK(argv[0][0]);
    if (clock_parse_iso(body, &ms))
        CHECK(ms < INT64_C(300000000000000));
    one = answer_metadata_error(body, a);
    for (size_t i = 0; i < one.n; i++)
        CHECK((unsigned char)one.p[i] >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct answer_keys k;

    if (size == 0)
        return 0;
    struct str body = {(const char *)data + 1, size - 1};
    switch (data[0] % 6) {
    case 0:
        check_keys(answer_metadata(body, &a, &k, NULL), &k);
        break;
    case 1:
        check_keys(answer_process(body, &a, &k, NULL), &k);
        break;
    case 2:
        check_keys(answer_sso_keys(body, &a, &k, NULL), &k);
        break;
    case 3:
        check_keys(answer_sts(body, &a, &k, NULL), &k);
        break;
    case 4:
        renew(body, &a);
        break;
    default:
        others(body, &a);
        break;
    }
    arena_release(&a);
    return 0;
}
