/* dump: the flags of `leadline prometheus`, a line each: name, kind, default or -, hidden or shown. */
#include <stdio.h>

#include "cmd/prometheus_flags.h"

int main(void)
{
    for (uint32_t i = 0; i < prometheus_n_flag_specs; i++) {
        const struct flag_spec *s = &prometheus_flag_specs[i];
        if (s->use != FLAG_OURS)
            printf("%s\t%s\t%s\t%s\n", s->name,
                   s->kind == FLAG_BOOL   ? "bool"
                   : s->kind == FLAG_LIST ? "list"
                                          : "value",
                   s->initial ? s->initial : "-", s->hidden ? "hidden" : "shown");
    }
    return 0;
}
