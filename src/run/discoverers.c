/* discoverers: see the header. The one place that knows every kind:
 *
 *   number   0              static_configs, one discoverer for all of them
 *            1, 2, ...      file, http, dns, ecs_task, cloudmap, aws: one for each item of a list
 *
 * A reload gives the input of a number to the new discoverer of that number, so the order is the same each time.
 */
#include "run/discoverers.h"

uint32_t discoverers_count(const struct plan_discovery *d)
{
    return (d->n_static > 0) + d->n_file_sd + d->n_http_sd + d->n_dns_sd + d->n_aws_sd + d->n_ecs_task_sd +
           d->n_cloudmap_sd;
}

void discoverers_start(const struct discover_env *env, struct plan *plan, const struct plan_discovery *d,
                       struct target_consumer *(*input)(void *ctx, uint32_t n), void *ctx, struct discoverer **out)
{
    uint32_t n = 0;

    if (d->n_static) {
        out[n] = discover_static_new(env, plan, d, input(ctx, n));
        n++;
    }
    for (uint32_t i = 0; i < d->n_file_sd; i++, n++)
        out[n] = discover_file_new(env, plan, &d->file_sd[i], input(ctx, n));
    for (uint32_t i = 0; i < d->n_http_sd; i++, n++)
        out[n] = discover_http_new(env, plan, &d->http_sd[i], input(ctx, n));
    for (uint32_t i = 0; i < d->n_dns_sd; i++, n++)
        out[n] = discover_dns_new(env, plan, &d->dns_sd[i], input(ctx, n));
    for (uint32_t i = 0; i < d->n_ecs_task_sd; i++, n++)
        out[n] = discover_ecs_task_new(env, plan, &d->ecs_task_sd[i], input(ctx, n));
    for (uint32_t i = 0; i < d->n_cloudmap_sd; i++, n++)
        out[n] = discover_cloudmap_new(env, plan, &d->cloudmap_sd[i], input(ctx, n));
    for (uint32_t i = 0; i < d->n_aws_sd; i++, n++)
        out[n] = d->aws_sd[i].role == AWS_SD_EC2 ? discover_ec2_new(env, plan, &d->aws_sd[i], input(ctx, n))
                                                 : discover_ecs_new(env, plan, &d->aws_sd[i], input(ctx, n));
}
