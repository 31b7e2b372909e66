#!/usr/bin/env python3
"""ECS and EC2 with as many tasks as one likes, answered from memory: for what discovery costs at size.

  ecs_fake.py [--port 5001] [--clusters 3] [--services 200] [--tasks 5000]

Clusters cluster0, cluster1, ...; the services are spread over them, and the tasks over the services: half on Fargate, half on
EC2 in bridges with dynamic ports, 20 tasks a host. Checks the limits of the API (100, 10) and counts the calls. Signatures
are not checked. As a module: EcsFake(...) is a server in a thread; `stop_task` and `start_task` change it.
"""

import argparse
import collections
import http.server
import json
import threading
import urllib.parse

ARN = "arn:aws:ecs:eu-west-1:123456789012:"
PER_HOST = 20


class Refused(Exception):
    pass


class EcsFake:
    def __init__(self, clusters=3, services=200, tasks=5000, port=0):
        self.lock = threading.Lock()
        self.calls = collections.Counter()
        self.n_services = services
        self.clusters = [f"cluster{i}" for i in range(clusters)]
        self.services = {c: [] for c in self.clusters}
        self.tasks = {c: {} for c in self.clusters}
        for i in range(services):
            self.services[self.clusters[i % clusters]].append(i)
        self.next = 0
        for _ in range(tasks):
            self.start_task()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                owner.answer(self)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- the world ----

    def start_task(self):
        """The ARN of one more task, of the next service in turn."""
        i, self.next = self.next, self.next + 1
        service = i % self.n_services
        cluster = self.clusters[service % len(self.clusters)]
        arn = f"{ARN}task/{cluster}/{i:032x}"
        with self.lock:
            self.tasks[cluster][arn] = (i, service)
        return arn

    def stop_task(self, arn):
        with self.lock:
            del self.tasks[arn.split("/")[1]][arn]

    @staticmethod
    def on_fargate(service):
        return service % 2 == 0

    def task(self, cluster, arn):
        i, service = self.tasks[cluster][arn]
        name = f"service-{service}"
        task = {
            "taskArn": arn,
            "clusterArn": f"{ARN}cluster/{cluster}",
            "taskDefinitionArn": f"{ARN}task-definition/{name}:7",
            "group": f"service:{name}",
            "startedBy": f"ecs-svc/{service:019}",
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "healthStatus": "HEALTHY",
            "availabilityZone": "eu-west-1a",
            "connectivity": "CONNECTED",
            "createdAt": 1.7e9,
            "startedAt": 1.7e9,
            "cpu": "256",
            "memory": "512",
            "overrides": {"containerOverrides": [{"name": "app"}, {"name": "log-router"}], "inferenceAcceleratorOverrides": []},
            "tags": [{"key": "team", "value": f"team-{service % 17}"}, {"key": "aws:ecs:clusterName", "value": cluster}],
            "version": 3,
            "attachments": [],
        }
        bindings, interfaces = [], []
        if self.on_fargate(service):
            address = f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"
            details = {"subnetId": "subnet-0123456789abcdef0", "networkInterfaceId": f"eni-{i:017x}", "privateIPv4Address": address}
            details["macAddress"] = "0a:00:00:00:00:01"
            attachment = {"id": f"a-{i}", "type": "ElasticNetworkInterface", "status": "ATTACHED"}
            attachment["details"] = [{"name": k, "value": v} for k, v in details.items()]
            interfaces = [{"attachmentId": f"a-{i}", "privateIpv4Address": address}]
            task.update(launchType="FARGATE", platformFamily="Linux", platformVersion="1.4.0", attachments=[attachment])
        else:
            host = f"{ARN}container-instance/{cluster}/{i // PER_HOST:032x}"
            bindings = [{"bindIP": "0.0.0.0", "containerPort": 9404, "hostPort": 32768 + i % 20000, "protocol": "tcp"}]
            task.update(launchType="EC2", containerInstanceArn=host)
        task["containers"] = [
            {
                "containerArn": f"{ARN}container/{cluster}/{i:032x}/{k}",
                "taskArn": arn,
                "name": container,
                "image": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}:latest",
                "runtimeId": f"{i:032x}-{k}",
                "lastStatus": "RUNNING",
                "healthStatus": "HEALTHY",
                "networkBindings": bindings if container == "app" else [],
                "networkInterfaces": interfaces,
            }
            for k, container in enumerate(("app", "log-router"))
        ]
        return task

    def definition(self, arn):
        service = int(arn.split("service-")[1].split(":")[0])
        app = {"name": "app", "image": "app:latest", "essential": True, "memory": 256}
        app["dockerLabels"] = {"ECS_PROMETHEUS_EXPORTER_PORT": "9404", "team": f"team-{service % 17}"}
        app["portMappings"] = [{"containerPort": 9404, "hostPort": 9404 if self.on_fargate(service) else 0, "protocol": "tcp"}]
        app["environment"] = [{"name": f"VARIABLE_{i}", "value": "x" * 40} for i in range(20)]
        mode = "awsvpc" if self.on_fargate(service) else "bridge"
        family = f"service-{service}"
        router = {"name": "log-router", "image": "log-router:latest", "portMappings": []}
        answer = {"taskDefinitionArn": arn, "family": family, "revision": 7, "networkMode": mode, "status": "ACTIVE"}
        return {**answer, "containerDefinitions": [app, router]}

    # ---- the calls ----

    def page(self, member, items, request):
        start, size = int(request.get("nextToken") or 0), request.get("maxResults", 100)
        answer = {member: items[start : start + size]}
        if start + size < len(items):
            answer["nextToken"] = str(start + size)
        return answer

    @staticmethod
    def batch(request, member, most):
        if not 1 <= len(request[member]) <= most:
            raise Refused(f"{member}: {len(request[member])}")
        return request[member]

    def ecs(self, operation, request):
        cluster = request.get("cluster", "").rsplit("/")[-1]
        if operation == "ListTasks":
            return self.page("taskArns", sorted(self.tasks[cluster]), request)
        if operation == "ListServices":
            arns = [f"{ARN}service/{cluster}/service-{i}" for i in self.services[cluster]]
            return self.page("serviceArns", arns, request)
        if operation == "DescribeTasks":
            asked = self.batch(request, "tasks", 100)
            failures = [{"arn": a, "reason": "MISSING"} for a in asked if a not in self.tasks[cluster]]
            return {"tasks": [self.task(cluster, a) for a in asked if a in self.tasks[cluster]], "failures": failures}
        if operation == "DescribeServices":
            names = [s.rsplit("/")[-1] for s in self.batch(request, "services", 10)]
            deployment = lambda n: {"id": f"ecs-svc/{int(n.split('-')[1]):019}", "status": "PRIMARY"}
            arn = f"{ARN}service/{cluster}/"
            found = [{"serviceArn": arn + n, "serviceName": n, "status": "ACTIVE", "deployments": [deployment(n)]} for n in names]
            return {"services": found, "failures": []}
        if operation == "DescribeContainerInstances":
            asked = self.batch(request, "containerInstances", 100)
            found = [{"containerInstanceArn": a, "ec2InstanceId": "i-" + a[-17:], "status": "ACTIVE"} for a in asked]
            return {"containerInstances": found, "failures": []}
        if operation == "DescribeTaskDefinition":
            return {"taskDefinition": self.definition(request["taskDefinition"]), "tags": []}
        raise Refused(operation)

    @staticmethod
    def ec2(form):
        ids = [v for k, v in form if k.startswith("Filter.1.Value.")]
        if len(ids) > 200:
            raise Refused("a filter has 200 values at most")
        host = lambda i: int(i[2:], 16)
        item = lambda i: (
            f"<item><instanceId>{i}</instanceId><instanceType>m5.large</instanceType><privateIpAddress>10.200.{host(i) >> 8}."
            f"{host(i) & 255}</privateIpAddress><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId></item>"
        )
        items = "".join(item(i) for i in ids)
        return (
            "<DescribeInstancesResponse><reservationSet><item><ownerId>1</ownerId><instancesSet>"
            f"{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
        )

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        operation = handler.headers.get("X-Amz-Target", "").rsplit(".", 1)[-1]
        status, kind = 200, "application/x-amz-json-1.1"
        with self.lock:
            try:
                if operation:
                    text = json.dumps(self.ecs(operation, json.loads(body)))
                else:
                    form = urllib.parse.parse_qsl(body)
                    operation, kind, text = dict(form)["Action"], "text/xml", self.ec2(form)
            except Refused as e:
                status, text = 400, json.dumps({"__type": "InvalidParameterException", "message": str(e)})
            self.calls[operation] += 1
        data = text.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, initial in (("port", 5001), ("clusters", 3), ("services", 200), ("tasks", 5000)):
        p.add_argument(f"--{name}", type=int, default=initial)
    fake = EcsFake(**vars(p.parse_args()))
    print(f"AWS_ENDPOINT_URL={fake.url} LEADLINE_ECS_CLUSTERS={','.join(fake.clusters)}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print(dict(fake.calls))


if __name__ == "__main__":
    main()
