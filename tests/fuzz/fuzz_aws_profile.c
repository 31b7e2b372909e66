/* Shared profile files: both spellings of any text, the questions a search asks of them, and the plan made of them. */
#include <stddef.h>
#include <stdint.h>

#include "aws/chain_int.h"

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"default", "a", "prod"};
    struct arena arena = {0};
    struct profiles p = {0};
    struct aws_env env = {.getenv = no_variable};
    struct str text = {(const char *)data, size}, first = {(const char *)data, size / 2};

    if (profiles_parse(&p, PROFILE_CONFIG, text, &arena, NULL) == OK &&
        profiles_parse(&p, PROFILE_CREDENTIALS, first, &arena, NULL) == OK && p.n < 2000) {
        for (int i = 0; i < 3; i++) {
            struct aws_config config = {.profile = str_c(names[i])};
            struct chain_input in = {.config = &config, .env = &env, .profiles = &p, .files = STR("files")};
            struct chain chain;
            struct diag d = {0};
            if (chain_plan(&in, &arena, &chain, &d) == OK)
                CHECK(chain.source != CHAIN_NOTHING && chain.used < chain.n_steps);
            else
                CHECK(d.text[0]);
        }
    }
    profiles_release(&p);
    arena_release(&arena);
    return 0;
}
