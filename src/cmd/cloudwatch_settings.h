/* cloudwatch_settings: what leadline offers beyond the CloudWatch agent: each by a flag and by a variable; a flag that
 * is given beats its variable.
 */
#ifndef CMD_CLOUDWATCH_SETTINGS_H
#define CMD_CLOUDWATCH_SETTINGS_H

#include "cmd/flags.h"
#include "config/config.h"

/* Views of the flags and of the environment. f NULL: variables alone. */
void cloudwatch_settings_read(const struct flags *f, struct config_agent_ours *out);

#endif
