/* prometheus_flags: the command line of `leadline prometheus`: the original's flags, and ours. */
#ifndef CMD_PROMETHEUS_FLAGS_H
#define CMD_PROMETHEUS_FLAGS_H

#include "cmd/flags.h"

extern const struct flag_spec prometheus_flag_specs[];
extern const uint32_t prometheus_n_flag_specs;

#endif
