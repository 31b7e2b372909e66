/* cloudmap: what is scraped of the instances of AWS Cloud Map services (aws-samples/prometheus-for-ecs, pkg/aws): the
 * tags of a service say at which ports and paths. A group per service, a target per instance and path.
 *
 *   METRICS_PATH                         the application's target; its port is METRICS_PORT, else the instance's
 *                                        AWS_INSTANCE_PORT, else 80
 *   ECS_METRICS_PATH, ECS_METRICS_PORT   both: a second target of each instance
 */
#ifndef DISCOVER_CLOUDMAP_H
#define DISCOVER_CLOUDMAP_H

#include "discover/cloudmap_client.h"
#include "discover/discoverer.h"

enum cloudmap_reason {
    CLOUDMAP_NO_NAMESPACE, /* there is none of this name */
    CLOUDMAP_NO_TAGS,      /* a service whose tags ask for nothing */
    CLOUDMAP_BAD_PORT,     /* of a tag or an attribute: no number from 1 to 65535 */
    CLOUDMAP_NO_ADDRESS,   /* an instance without an IP address, or with a malformed one */
    CLOUDMAP_REASONS,
};
const char *cloudmap_reason_name(enum cloudmap_reason reason); /* "no_tags": for labels */

/* Something that was looked at and gives no target, and why. */
struct cloudmap_skip {
    enum cloudmap_reason reason;
    struct str namespace_name, service, instance; /* empty: the whole service, the whole namespace */
    struct str text;                              /* for people */
};

struct cloudmap_findings {
    struct cloudmap_skip *skips;
    uint32_t n_skips, by_reason[CLOUDMAP_REASONS];
};

/* Pure. Groups go into out, skips into a; neither points into the result. */
void cloudmap_find(const struct plan_cloudmap_sd *config, const struct cloudmap_client_result *r,
                   struct target_groups *out, struct arena *a, struct cloudmap_findings *findings);
/* Its tags ask for a target: cloudmap_client_options.wanted. */
bool cloudmap_is_scraped(const struct cloudmap_service *s);

/* The sidecar's list of targets, as file_sd_configs and http_sd_configs read it: a JSON array, indented by three
 * spaces, without __meta_* labels. */
void cloudmap_print(const struct target_groups *g, struct buf *out);

/* Other namespaces than those of the configuration from the next refresh on, which begins at once unless one is under
 * way. Of a discoverer made by discover_cloudmap_new. */
void cloudmap_set_namespaces(struct discoverer *d, const struct str *names, uint32_t n);

#endif
