/* Any text as the answer of a token server: it grants a token, or is refused with a text. The first byte chooses how
 * the answer came: its status and its kind.
 */
#include "base/err.h"
#include "net/oauth2_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oauth2_token g = {0};
    struct diag d;
    if (size == 0)
        return 0;
    diag_reset(&d);
    struct str kind = data[0] & 1 ? STR("application/x-www-form-urlencoded") : STR("application/json; charset=utf-8");
    enum err err = oauth2_answer_parse(data[0] & 2 ? 401 : 200, kind, str_from((const char *)data + 1, size - 1),
                                       (data[0] & 4) == 0, &g, &d);
    CHECK(err == OK ? g.authorization.n > 2 : d.text[0] != '\0');
    CHECK(err != OK || (data[0] & 2) == 0);
    CHECK(g.life_ms < UINT64_MAX / 4);
    oauth2_token_release(&g);
    return 0;
}
