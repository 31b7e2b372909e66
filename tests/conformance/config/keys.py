"""Every row of the tables of docs/compatibility.md, as a configuration.

A table stands under a heading that names a section of prometheus.yml. For each of its keys there is a value here that
asks for something; the file made of it is given to leadline and to promtool, and the row's words say what has to come
out:

  yes ...           both take it
  no effect ...     both take it, and leadline warns, naming the key (or the section)
  error: `text`     leadline refuses it with that text (KEY is the key); promtool takes it
  ours ...          leadline takes it, promtool refuses it

Every other form of a row is a failure, as is a key without a value here, a value without a row, and a key that the
original's structure has and the table has not.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]

HTTP_PLACES = {
    "scrape_configs": "scrape_configs:\n- job_name: x\n  @\n",
    "remote_write": "remote_write:\n- url: http://x\n  @\n",
    "http_sd_configs": "scrape_configs:\n- job_name: x\n  http_sd_configs:\n  - url: http://x\n    @\n",
    "ec2_sd_configs": "scrape_configs:\n- job_name: x\n  ec2_sd_configs:\n  - region: r\n    @\n",
    "ecs_sd_configs": "scrape_configs:\n- job_name: x\n  ecs_sd_configs:\n  - region: r\n    @\n",
    "aws_sd_configs": "scrape_configs:\n- job_name: x\n  aws_sd_configs:\n  - role: ec2\n    @\n",
}
JOB = ["scrape_configs:\n- job_name: x\n  @\n"]
JWT = "client_id: a, token_url: 'http://x', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'"
LIMITS = {"body_size_limit": "1MB", "sample_limit": 1, "target_limit": 2, "label_limit": 3,
          "label_name_length_limit": 4, "label_value_length_limit": 5, "keep_dropped_targets": 6}
HISTOGRAMS = {"scrape_native_histograms": "true", "convert_classic_histograms_to_nhcb": "true",
              "always_scrape_classic_histograms": "true", "extra_scrape_metrics": "true"}
NAMES = {"metric_name_validation_scheme": "legacy", "metric_name_escaping_scheme": "dots"}
AWS = {"region": "eu-central-1", "endpoint": "http://aws:1", "access_key": "a", "secret_key": "b", "profile": "p",
       "role_arn": "arn:aws:iam::1:role/x", "external_id": "e", "port": 9100, "refresh_interval": "5m"}
OTHER_SD = {
    "azure": "subscription_id: a, tenant_id: b, client_id: c, client_secret: d", "consul": "server: 'x:1'",
    "digitalocean": "port: 1", "docker": "host: 'unix:///x'", "dockerswarm": "host: 'unix:///x', role: tasks",
    "elasticache": "region: r", "eureka": "server: 'http://x'", "gce": "project: a, zone: b",
    "hetzner": "role: robot, basic_auth: {username: a, password: b}",
    "ionos": "datacenter_id: a", "kubernetes": "role: pod", "kuma": "server: 'http://x'", "lightsail": "region: r",
    "linode": "port: 1", "marathon": "servers: ['http://x']", "msk": "region: r",
    "nerve": "servers: [x], paths: [/a]", "nomad": "server: 'http://x'",
    "oci": "compartment_id: a, tenancy: b, user: c, fingerprint: d, key_file: e, region: f",
    "openstack": "role: instance, region: r",
    "outscale": "region: r, access_key: a, secret_key: b",
    "ovhcloud": "application_key: a, application_secret: b, consumer_key: c, service: vps, endpoint: ovh-eu",
    "puppetdb": "url: 'http://x', query: q", "rds": "region: r",
    "scaleway": "role: instance, project_id: 11111111-1111-1111-1111-111111111112, access_key: SCWXXXXXXXXXXXXXXXXX, "
                "secret_key: 11111111-1111-1111-1111-111111111111",
    "serverset": "servers: [x], paths: [/a]", "stackit": "project: a, service_account_key: b",
    "triton": "account: a, dns_suffix: b, endpoint: c", "uyuni": "server: 'http://x', username: a, password: b",
    "vultr": "port: 1",
}

# heading -> (where a key is put, at the @; {key: value and the company that it needs}; the original's structures)
# A callable gives the whole file.
SECTIONS = {
    "Top level": (["@\n"], {
        "global": "{scrape_interval: 30s}", "runtime": "{gogc: 50}", "alerting": "{alertmanagers: [{}]}",
        "rule_files": "[rules.yml]", "scrape_config_files": "[none*.yml]", "scrape_configs": "[{job_name: a}]",
        "storage": "{tsdb: {out_of_order_time_window: 30m}}", "tracing": "{endpoint: 'x:1'}",
        "remote_write": "[{url: 'http://x'}]", "remote_read": "[{url: 'http://x'}]",
        "otlp": "{promote_resource_attributes: [a]}"}, [("config/config.go", "Config")]),
    "global": (["global:\n  @\n"], {
        "scrape_interval": "30s", "scrape_timeout": "5s", "scrape_protocols": "[PrometheusProto]",
        "evaluation_interval": "30s", "rule_query_offset": "1s", "query_log_file": "q", "scrape_failure_log_file": "f",
        "external_labels": "{a: b}", **LIMITS, **NAMES, **HISTOGRAMS}, [("config/config.go", "GlobalConfig")]),
    "scrape_configs": (JOB, {
        "job_name": lambda: "scrape_configs:\n- job_name: x\n", "honor_labels": "true", "honor_timestamps": "false",
        "track_timestamps_staleness": "true", "params": "{a: [b]}", "scrape_interval": "30s", "scrape_timeout": "5s",
        "scrape_protocols": "[PrometheusProto]", "fallback_scrape_protocol": "PrometheusProto",
        "scrape_failure_log_file": "f", "metrics_path": "/x", "scheme": "https", "enable_compression": "false",
        "native_histogram_bucket_limit": 10, "native_histogram_min_bucket_factor": 1.5, "series_limit": 100,
        "relabel_configs": "[{action: keep, source_labels: [a]}]",
        "metric_relabel_configs": "[{action: drop, source_labels: [a]}]", **LIMITS, **NAMES, **HISTOGRAMS,
        "static_configs": "[{targets: ['a:1']}]", "file_sd_configs": "[{files: [a.json]}]",
        "http_sd_configs": "[{url: 'http://x'}]", "dns_sd_configs": "[{names: [a]}]",
        "ecs_task_sd_configs": "[{refresh_interval: 1m}]", "cloudmap_sd_configs": "[{namespaces: [a]}]",
        "ec2_sd_configs": "[{region: r}]", "ecs_sd_configs": "[{region: r}]", "aws_sd_configs": "[{role: ec2}]",
        **{f"{k}_sd_configs": f"[{{{v}}}]" for k, v in OTHER_SD.items()}}, [("config/config.go", "ScrapeConfig")]),
    "static_configs": (["scrape_configs:\n- job_name: x\n  static_configs:\n  - @\n"],
                       {"targets": "['a:1']", "labels": "{a: b}"}, []),
    "file_sd_configs": (["scrape_configs:\n- job_name: x\n  file_sd_configs:\n  - @\n"],
                        {"files": "[a.json]", "refresh_interval": "1m\n    files: [a.json]"},
                        [("discovery/file/file.go", "SDConfig")]),
    "http_sd_configs": (["scrape_configs:\n- job_name: x\n  http_sd_configs:\n  - @\n"],
                        {"url": "http://x", "refresh_interval": "1m\n    url: http://x"},
                        [("discovery/http/http.go", "SDConfig")]),
    "dns_sd_configs": (["scrape_configs:\n- job_name: x\n  dns_sd_configs:\n  - names: [a]\n    @\n"],
                       {"names": lambda: "scrape_configs:\n- job_name: x\n  dns_sd_configs: [{names: [a, b]}]\n",
                        "type": "A\n    port: 1", "port": 9100, "refresh_interval": "1m"},
                       [("discovery/dns/dns.go", "SDConfig")]),
    "ec2_sd_configs": (["scrape_configs:\n- job_name: x\n  ec2_sd_configs:\n  - @\n"],
                       {**AWS, "filters": "[{name: a, values: [b]}]"}, [("discovery/aws/ec2.go", "EC2SDConfig")]),
    "ecs_sd_configs": (["scrape_configs:\n- job_name: x\n  ecs_sd_configs:\n  - @\n"],
                       {**AWS, "clusters": "[a]", "request_concurrency": 3}, [("discovery/aws/ecs.go", "ECSSDConfig")]),
    "aws_sd_configs": (["scrape_configs:\n- job_name: x\n  aws_sd_configs:\n  - role: ecs\n    @\n",
                        "scrape_configs:\n- job_name: x\n  aws_sd_configs:\n  - role: ec2\n    @\n"],
                       {**AWS, "role": lambda: "scrape_configs:\n- job_name: x\n  aws_sd_configs: [{role: ecs}]\n",
                        "filters": "[{name: a, values: [b]}]", "clusters": "[a]"},
                       [("discovery/aws/aws.go", "SDConfig")]),
    "ecs_task_sd_configs": (["scrape_configs:\n- job_name: x\n  ecs_task_sd_configs:\n  - {@}\n"],
                            {"refresh_interval": "1m", "port_label": "a", "metrics_path_label": "b",
                             "containers": "[{ports: [1]}]"}, [("ours:prometheus_ours.c", "task_fields")]),
    "ecs_task_sd_configs: containers": (
        ["scrape_configs:\n- job_name: x\n  ecs_task_sd_configs:\n  - containers: [{@}]\n"],
        {"name": "a.*, ports: [1]", "ports": "[1, 2]", "metrics_path": "/m, ports: [1]"},
        [("ours:prometheus_ours.c", "containers_fields")]),
    "cloudmap_sd_configs": (["scrape_configs:\n- job_name: x\n  cloudmap_sd_configs:\n  - {@}\n"], {
        "namespaces": "[a, b]", **{k: f"{v}, namespaces: [a]" for k, v in {
            "refresh_interval": "1m", "health_status": "HEALTHY", "request_concurrency": 3, "region": "r",
            "endpoint": "http://aws", "access_key": "a, secret_key: b", "secret_key": "b, access_key: a",
            "profile": "p", "role_arn": "a", "external_id": "e"}.items()}},
        [("ours:prometheus_ours.c", "cloudmap_fields")]),
    "relabel_configs": (["scrape_configs:\n- job_name: x\n  relabel_configs:\n  - @\n",
                         "scrape_configs:\n- job_name: x\n  metric_relabel_configs:\n  - @\n",
                         "remote_write:\n- url: http://x\n  write_relabel_configs:\n  - @\n"],
                        {"source_labels": "[a]\n    action: keep", "separator": "','\n    target_label: x",
                         "regex": "'x.*'\n    action: labeldrop", "target_label": "x", "action": "keep",
                         "modulus": "4\n    action: hashmod\n    target_label: x\n    source_labels: [a]",
                         "replacement": "y\n    target_label: x"}, [("model/relabel/relabel.go", "Config")]),
    "HTTP client": (list(HTTP_PLACES.values()), {
        "basic_auth": "{username: a, password: b}", "authorization": "{credentials: a}",
        "oauth2": "{client_id: a, client_secret: b, token_url: 'http://x'}", "bearer_token": "a",
        "bearer_token_file": "a", "tls_config": "{insecure_skip_verify: true}", "follow_redirects": "false",
        "enable_http2": "false", "proxy_url": "http://x", "no_proxy": "x\n    proxy_url: http://x",
        "proxy_from_environment": "true", "proxy_connect_header": "{A: [b]}\n    proxy_url: http://x",
        "http_headers": "{A: {values: [b], secrets: [c], files: [d]}}"},
        [("common:config/http_config.go", "HTTPClientConfig"), ("common:config/http_config.go", "ProxyConfig")]),
    "basic_auth": ([p.replace("@", "basic_auth: {@}") for p in HTTP_PLACES.values()],
                   {k: "a" for k in ("username", "username_file", "username_ref", "password", "password_file",
                                     "password_ref")}, [("common:config/http_config.go", "BasicAuth")]),
    "authorization": ([p.replace("@", "authorization: {@}") for p in HTTP_PLACES.values()],
                      {"type": "Token", "credentials": "a", "credentials_file": "a", "credentials_ref": "a"},
                      [("common:config/http_config.go", "Authorization")]),
    "tls_config": ([p.replace("@", "tls_config: {@}") for p in HTTP_PLACES.values()], {
        "ca": "a", "ca_file": "a", "ca_ref": "a", "cert": "a, key: b", "cert_file": "a, key_file: b",
        "cert_ref": "a, key: b", "key": "a, cert: b", "key_file": "a, cert_file: b", "key_ref": "a, cert: b",
        "server_name": "a", "insecure_skip_verify": "true", "min_version": "TLS12", "max_version": "TLS13"},
        [("common:config/http_config.go", "TLSConfig")]),
    "oauth2": ([p.replace("@", "oauth2: {@}") for p in HTTP_PLACES.values()], {
        **{k: f"{v}, client_id: a, token_url: 'http://x'" for k, v in {
            "client_secret": "a", "client_secret_file": "a", "client_secret_ref": "a", "scopes": "[a]",
            "endpoint_params": "{a: b}", "tls_config": "{insecure_skip_verify: true}", "proxy_url": "http://x",
            "no_proxy": "a, proxy_url: 'http://x'", "proxy_from_environment": "true",
            "grant_type": "client_credentials",
            "proxy_connect_header": "{A: [b]}, proxy_url: 'http://x'"}.items()},
        "client_id": "a, token_url: 'http://x'", "token_url": "'http://x', client_id: a",
        **{k: f"{v}, {JWT}" for k, v in {
            "client_certificate_key": "a", "client_certificate_key_id": "a", "client_certificate_key_file": "a",
            "client_certificate_key_ref": "a", "signature_algorithm": "RS512", "iss": "a", "audience": "a",
            "claims": "{a: {b: [1]}}"}.items()}},
        [("common:config/http_config.go", "OAuth2"), ("common:config/http_config.go", "ProxyConfig")]),
    "remote_write": (["remote_write:\n- url: http://x\n  @\n"], {
        "url": lambda: "remote_write:\n- url: https://x/y\n", "remote_timeout": "5s", "headers": "{A: b}",
        "write_relabel_configs": "[{action: drop, source_labels: [a]}]", "name": "a", "send_exemplars": "true",
        "send_native_histograms": "true", "round_robin_dns": "true",
        "protobuf_message": "io.prometheus.write.v2.Request", "failed_request_logging": "true",
        "queue_config": "{max_shards: 2}", "metadata_config": "{send: false}", "sigv4": "{region: r}",
        "azuread": "{cloud: AzurePublic, managed_identity: {client_id: 11111111-1111-1111-1111-111111111111}}",
        "google_iam": "{credentials_file: x}"}, [("config/config.go", "RemoteWriteConfig")]),
    "queue_config": (["remote_write:\n- url: http://x\n  queue_config: {@}\n"], {
        "capacity": 100, "max_shards": 3, "min_shards": 2, "max_samples_per_send": 5, "batch_send_deadline": "1s",
        "min_backoff": "1s", "max_backoff": "9s", "retry_on_http_429": "true", "sample_age_limit": "1h"},
        [("config/config.go", "QueueConfig")]),
    "metadata_config": (["remote_write:\n- url: http://x\n  metadata_config: {@}\n"],
                        {"send": "false", "send_interval": "5m", "max_samples_per_send": 7},
                        [("config/config.go", "MetadataConfig")]),
    "sigv4": (["remote_write:\n- url: http://x\n  sigv4: {@}\n"], {
        "region": "r", "access_key": "a, secret_key: b", "secret_key": "b, access_key: a", "profile": "a",
        "role_arn": "a", "external_id": "a, role_arn: b", "session_name": "abc, role_arn: b",
        "tags": "{a: b}, role_arn: c", "use_fips_sts_endpoint": "true", "service_name": "aps"},
        [("sigv4:sigv4_config.go", "SigV4Config")]),
}


def read_tables(problem):
    """{heading: {key: the row's words}} of the document's part about prometheus.yml"""
    text = (ROOT / "docs" / "compatibility.md").read_text()
    text = text[text.index("## prometheus.yml"):text.index("### Environment and secrets")]
    tables, heading = {}, None
    for line in text.splitlines():
        if line.startswith("### "):
            heading = line[4:].strip()
            tables[heading] = {}
        row = re.fullmatch(r"\| (.+?) \| (.+) \|", line)
        if not row or row.group(1) == "key":
            continue
        keys = re.findall(r"`([a-z0-9_]+)`", row.group(1))
        if re.sub(r"`[a-z0-9_]+`(, )?", "", row.group(1)) or not keys:
            problem(f"{heading}: a row whose keys cannot be read: {row.group(1)}")
        for key in keys:
            if key in tables[heading]:
                problem(f"{heading}: {key} has two rows")
            tables[heading][key] = row.group(2)
    return tables


def original_keys(modules, structures):
    """The keys that the tags of these Go structures give; for what is ours, those of our own tables of fields."""
    keys = set()
    for where, name in structures:
        module, _, path = where.rpartition(":")
        if module == "ours":
            text = (ROOT / "src" / "config" / path).read_text()
            body = re.search(name + r"\[\] = \{\n(.*?)\n\};", text, re.S).group(1)
            keys |= set(re.findall(r'\.key = "([a-z0-9_]+)"', body))
            continue
        text = (modules[module or "prometheus"] / path).read_text()
        body = re.search(r"\ntype " + name + r" struct \{[^\n]*\n(.*?)\n\}", text, re.S).group(1)
        keys |= {k for k in re.findall(r'yaml:"([a-z0-9_]+)', body)}
    return keys


def discoveries(prometheus):
    names = set()
    for path in (prometheus / "discovery").rglob("*.go"):
        if not path.name.endswith("_test.go"):
            names |= set(re.findall(r'SDConfig\) Name\(\) string +\{ return "([a-z0-9]+)" \}', path.read_text()))
    return {f"{n}_sd_configs" for n in names - {"static", "stub", "mock"}} | {"static_configs"}


def place(where, key, value):
    if callable(value):
        return value()
    line = next(l for l in where.splitlines() if "@" in l)
    return where.replace("@", f"{key}: {value}".replace("\n    ", "\n" + " " * line.index("@")))


def rows(problem, modules):
    """(heading, key, words, text) of every row in every place where its key may stand"""
    tables = read_tables(problem)
    for heading in set(tables) ^ set(SECTIONS):
        problem(f"{heading}: a table without values here, or values without a table")
    for heading, (places, values, structures) in SECTIONS.items():
        table = tables.get(heading, {})
        known = original_keys(modules, structures)
        if heading == "scrape_configs":
            known |= discoveries(modules["prometheus"])
        for key in sorted(known - set(table)):
            problem(f"{heading}: {key} has no row")
        for key in sorted(set(table) ^ set(values)):
            problem(f"{heading}: {key} has a row and no value here, or the other way about")
        for key in sorted(set(table) & set(values)):
            for where in places:
                yield heading, key, table[key], place(where, key, values[key])


def expected(words, key):
    """(leadline takes it, promtool takes it, the text of its message or None, a warning is due)"""
    if re.match(r"yes(\b)", words):
        return True, True, None, False
    if re.match(r"no effect\b", words):
        return True, True, None, True
    if re.match(r"ours\b", words):
        return True, False, None, False
    error = re.match(r"error: `([^`]+)`", words)
    return (False, True, error.group(1).replace("KEY", key), False) if error else None


def judge(row, ours, theirs):
    """None, or what is wrong"""
    heading, key, words, _ = row
    want = expected(words, key)
    if not want:
        return f"a row of an unknown form: {words}"
    takes, original_takes, text, warning = want
    verdict, messages = ours
    if takes != (verdict == "ok"):
        return f"{verdict}, and the row says: {words}\n" + "\n".join(messages)
    # A promtool may be built without the discoveries that leadline has not; the original's source has them.
    left_out = key.endswith("_sd_configs") and any(f"field {key} not found" in w for w in theirs[1])
    if original_takes != theirs[0] and not left_out:
        return f"promtool {'takes' if theirs[0] else 'refuses'} it, and the row says: {words}\n" + "\n".join(theirs[1])
    if text and not any(text in m for m in messages):
        return f"the message is not {text}\n" + "\n".join(messages)
    if warning and not any(m.startswith("warning: ") and (key in m or heading in m) for m in messages):
        return "no warning names it\n" + "\n".join(messages)
    return None
