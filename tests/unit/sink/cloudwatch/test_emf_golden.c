/* The deployments that the CloudWatch agent's templates and tutorials are for, as their exporters expose them, with the
 * declarations that ship: golden/NAME.prom and then NAME_later.prom are scraped, and NAME.json is the events of the
 * second scrape, a line each.
 *
 * UPDATE_GOLDEN=1 writes the files of what is expected: look at the difference before they are kept.
 */
#include "unit/sink/cloudwatch/emf_world.h"

#include "base/file.h"

#define GOLDEN "tests/unit/sink/cloudwatch/golden/"
#define CF     "ClusterName,TaskDefinitionFamily"

static const struct {
    const char *source_labels, *matcher, *sets, *selectors;
} declarations[] = {
    {"container_name", "^envoy$", CF,
     "^envoy_http_downstream_rq_(total|xx)$ ^envoy_cluster_upstream_cx_(r|t)x_bytes_total$ "
     "^envoy_cluster_membership_(healthy|total)$ ^envoy_server_memory_(allocated|heap_size)$ "
     "^envoy_cluster_upstream_cx_(connect_timeout|destroy_local_with_active_rq)$ "
     "^envoy_cluster_upstream_rq_(pending_failure_eject|pending_overflow|timeout|per_try_timeout|rx_reset|"
     "maintenance_mode)$ ^envoy_http_downstream_cx_destroy_remote_active_rq$ "
     "^envoy_cluster_upstream_flow_control_(paused_reading_total|resumed_reading_total|backed_up_total|drained_total)$ "
     "^envoy_cluster_upstream_rq_retry$ ^envoy_cluster_upstream_rq_retry_(success|overflow)$ "
     "^envoy_server_(version|uptime|live)$"},
    {"container_name", "^envoy$", CF ",envoy_http_conn_manager_prefix,envoy_response_code_class",
     "^envoy_http_downstream_rq_xx$"},
    {"Java_EMF_Metrics", "^true$", CF,
     "^jvm_threads_(current|daemon)$ ^jvm_classes_loaded$ "
     "^java_lang_operatingsystem_(freephysicalmemorysize|totalphysicalmemorysize|freeswapspacesize|totalswapspacesize|"
     "systemcpuload|processcpuload|availableprocessors|openfiledescriptorcount)$ "
     "^catalina_manager_(rejectedsessions|activesessions)$ ^jvm_gc_collection_seconds_(count|sum)$ "
     "^catalina_globalrequestprocessor_(bytesreceived|bytessent|requestcount|errorcount|processingtime)$"},
    {"Java_EMF_Metrics", "^true$", CF ",area", "^jvm_memory_bytes_used$"},
    {"Java_EMF_Metrics", "^true$", CF ",pool", "^jvm_memory_pool_bytes_used$"},
    {"job", ".*nginx.*", "ClusterName,ServiceName,TaskDefinitionFamily", "^nginx_.*$"},
    {"container_name", "memcached-exporter-.*", CF,
     "^memcached_current_(bytes|items|connections)$ ^memcached_items_(reclaimed|evicted)_total$ "
     "^memcached_(written|read)_bytes_total$ ^memcached_limit_bytes$ ^memcached_commands_total$"},
    {"container_name", "memcached-exporter-.*", "ClusterName,TaskDefinitionFamily,command,status|" CF ",command",
     "^memcached_commands_total$"},
    {"container_name", "^redis-exporter-.*$", CF,
     "^redis_net_(in|out)put_bytes_total$ ^redis_(expired|evicted)_keys_total$ ^redis_keyspace_(hits|misses)_total$ "
     "^redis_memory_used_bytes$ ^redis_connected_clients$"},
    {"container_name", "^redis-exporter-.*$", CF ",cmd", "^redis_commands_total$"},
    {"container_name", "^redis-exporter-.*$", CF ",db", "^redis_db_keys$"},
};

#define TASK                                                                                                           \
    "LaunchType=FARGATE,StartedBy=ecs-svc/0123456789,TaskClusterName=c1,TaskId=6f9a0c1d2e3b4a5f,TaskRevision=3,"

static const struct {
    const char *name, *labels;
} deployments[] = {
    {"java", TASK "Java_EMF_Metrics=true,TaskDefinitionFamily=tomcat,TaskGroup=service:tomcat,container_name=tomcat,"
                  "instance=10.0.1.5:9404,job=cwagent-ecs-file-sd-config"},
    {"nginx", TASK "ServiceName=nginx-service,TaskDefinitionFamily=nginx,TaskGroup=service:nginx-service,"
                   "container_name=nginx-prometheus-exporter,instance=10.0.1.6:9113,job=nginx-prometheus-exporter"},
    {"envoy", TASK "TaskDefinitionFamily=mesh-ColorTeller-white,TaskGroup=service:white,container_name=envoy,"
                   "instance=10.0.1.7:9901,job=ecs-appmesh-colors"},
    {"memcached",
     TASK "TaskDefinitionFamily=memcached-prometheus-demo,TaskGroup=family:memcached,app_x=memcached_exporter,"
          "container_name=memcached-exporter-0,instance=10.0.1.8:9150,job=prometheus-memcached"},
    {"redis", TASK "TaskDefinitionFamily=redis-prometheus-demo,TaskGroup=family:redis,app_x=redis_exporter,"
                   "container_name=redis-exporter-0,instance=10.0.1.9:9121,job=prometheus-redis"},
};

static void read_file(const char *name, const char *suffix, struct buf *out)
{
    char path[200];

    snprintf(path, sizeof(path), GOLDEN "%s%s", name, suffix);
    assert_int_equal(file_read(path, 1 << 20, out, NULL), OK);
    buf_c(out, "");
}

static void one(const char *name, const char *labels)
{
    AUTO_BUF first = {0};
    AUTO_BUF later = {0};
    AUTO_BUF want = {0};
    char path[200];
    struct world w;

    world_open(&w);
    for (size_t i = 0; i < COUNT_OF(declarations); i++)
        world_declare(&w, declarations[i].source_labels, declarations[i].matcher, declarations[i].sets,
                      declarations[i].selectors);
    world_start(&w);
    struct scope *scope = world_scope(&w, labels);
    read_file(name, ".prom", &first);
    read_file(name, "_later.prom", &later);
    world_scrape(&w, scope, first.p);
    world_scrape(&w, scope, later.p);
    snprintf(path, sizeof(path), GOLDEN "%s.json", name);
    if (getenv("UPDATE_GOLDEN"))
        assert_int_equal(file_replace(path, world_text(&w, 0), NULL), OK);
    read_file(name, ".json", &want);
    if (!str_eq(world_text(&w, 0), buf_view(&want)))
        fail_msg("%s: got\n%.*s", path, STR_ARGS(world_text(&w, 0)));
    scope_unref(w.scopes, scope);
    world_close(&w);
}

static void every_deployment(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(deployments); i++)
        one(deployments[i].name, deployments[i].labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_deployment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
