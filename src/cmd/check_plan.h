/* check_plan: the plan of a file, whichever dialect it is written in, for checks of plans. */
#ifndef CMD_CHECK_PLAN_H
#define CMD_CHECK_PLAN_H

#include "plan/plan.h"

struct check_plan_options {
    struct str cluster, region; /* of the task that the CloudWatch agent's file is for; empty: of leadline's own */
};

/* The caller owns the reference. NULL: the errors have been said on standard error, one a line. */
struct plan *check_plan_load(const char *path, const struct check_plan_options *o);

#endif
