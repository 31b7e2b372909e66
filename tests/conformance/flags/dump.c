/* dump: the flags of `leadline prometheus`, a line each: name, kind, default or -, hidden or shown, what leadline does
 * with it in the words of docs/compatibility.md, help. */
#include <stdio.h>

#include "cmd/prometheus_flags.h"

static const char *const uses[] = {
    [FLAG_USED] = "yes",
    [FLAG_AGENT_ONLY] = "yes, with `--agent` only",
    [FLAG_SERVER_ONLY] = "no effect, without `--agent` only",
    [FLAG_SERVER_USED] = "yes, without `--agent` only",
    [FLAG_NO_EFFECT] = "no effect",
    [FLAG_AGENT_NO_EFFECT] = "no effect, with `--agent` only",
    [FLAG_REFUSED] = "error",
    [FLAG_OURS] = "ours",
};

int main(void)
{
    for (uint32_t i = 0; i < prometheus_n_flag_specs; i++) {
        const struct flag_spec *s = &prometheus_flag_specs[i];
        printf("%s\t%s\t%s\t%s\t%s\t%s\n", s->name,
                   s->kind == FLAG_BOOL   ? "bool"
                   : s->kind == FLAG_LIST ? "list"
                                          : "value",
                   s->initial ? s->initial : "-", s->hidden ? "hidden" : "shown", uses[s->use], s->help);
    }
    return 0;
}
