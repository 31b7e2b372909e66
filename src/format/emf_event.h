/* emf_event: where a finished event of the embedded metric format is to go. Pure; the text itself is not changed.
 *
 *   v1   {"_aws": {"LogGroupName": "g", "LogStreamName": "s", ...}, ...}
 *   v0   {"log_group_name": "g", "log_stream_name": "s", ...}
 *
 * What v1 says wins over v0; keys are matched without regard to ASCII case, and of equal ones the last counts, as in
 * the CloudWatch agent (awscloudwatchlogs exporter). Nothing else of the format is looked at.
 */
#ifndef FORMAT_EMF_EVENT_H
#define FORMAT_EMF_EVENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { EMF_EVENT_MAX_DEPTH = 1000 };

struct emf_event {
    struct buf group, stream; /* unescaped; empty: it names none */
};

/* The whole text must be one JSON object (RFC 8259; bytes that are not UTF-8 are let through in strings). ERR_SYNTAX:
 * it is none, or a name is no string; ERR_LIMIT: nested too deep. The diag says at which byte. e may be used again. */
enum err emf_event_read(struct emf_event *e, struct str text, struct diag *d) MUST_USE;
void emf_event_release(struct emf_event *e);

#endif
