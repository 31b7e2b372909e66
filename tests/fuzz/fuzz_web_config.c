/* fuzz_web_config: any bytes as the file of --web.config.file: read or refused with a reason, never worse. */
#include <stdint.h>
#include <stdlib.h>

#include "net/web_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_config *c;
    struct diag d = {0};

    if (web_config_parse(str_from((const char *)data, size), "web.yml", STR("/etc"), &c, &d)) {
        CHECK(d.text[0]);
        return 0;
    }
    CHECK(c->min_version >= 10 && c->max_version <= 13);
    CHECK(!c->tls || ((c->cert.n || c->cert_file.n) && (c->key.n || c->key_file.n)));
    for (uint32_t i = 0; i < c->n_users; i++)
        CHECK(c->users[i].hash.n >= 59);
    for (uint32_t i = 0; i < c->n_headers; i++)
        CHECK(c->headers[i].name.n && c->headers[i].value.p);
    web_config_unref(c);
    return 0;
}
