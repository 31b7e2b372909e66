/* check_plan: the plan of a file, whichever dialect it is written in, for checks of plans. */
#ifndef CMD_CHECK_PLAN_H
#define CMD_CHECK_PLAN_H

#include "plan/plan.h"

/* Whether the CloudWatch agent's defaults are those of its container. */
enum check_container { CHECK_CONTAINER_HERE, CHECK_CONTAINER_YES, CHECK_CONTAINER_NO }; /* HERE: as where this runs */

struct check_plan_options {
    struct str cluster, region; /* of the task that the CloudWatch agent's file is for; empty: of leadline's own */
    enum check_container container;
    bool strict;        /* config_agent_options.strict */
    bool syntax_only;   /* the files that a configuration names are not looked at */
    uint32_t *n_errors; /* how many were said; NULL: nobody asks */
};

/* A file in the form of the CloudWatch agent, or a directory of such files. */
bool check_plan_is_agents(const char *path);

/* The caller owns the reference. NULL: the errors have been said on standard error, one a line. */
struct plan *check_plan_load(const char *path, const struct check_plan_options *o);

#endif
