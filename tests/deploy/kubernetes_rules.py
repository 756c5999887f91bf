"""The rules that k8s/deployment.yaml keeps. Each yields what is wrong."""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from config import REQUIRED_IN_PRODUCTION, ConfigError, Settings, load_config
from post.database.schema import LOCK_SECONDS
from post.validators import UPLOAD_MAX_BYTES
from tests.deploy.checks import graceful_seconds, known_paths, seconds_of
from tests.deploy.manifest import KINDS, NAMESPACE, Manifest, mebibytes, millicores
from tests.servers import PROJECT

DEREGISTRATION_SECONDS = 120  # the comment at preStop has the source
REGISTRATION_SECONDS = 300  # that at ROLLOUT_TIMEOUT in buildspec-deploy.yml has it
PUBLIC_SUBNETS = 3  # of eight, the first: eksctl's layout of a VPC in three zones
DATABASE_TOLD_SECONDS = 2  # docs/operations.md, "The database is away"
SECRET_VALUES = {
    "DATABASE_URL": "mysql+pymysql://user:password@host:3306/postdb",
    "SECRET_KEY": "a-secret-of-the-tests-and-no-other",
    "COGNITO_USER_POOL_ID": "ap-northeast-2_nneGIIVuJ",
    "COGNITO_REGION": "ap-northeast-2",
    "COGNITO_CLIENT_ID": "client",
    "REDIS_URL": "rediss://host:6379/0",
}
PINNED_NGINX = re.compile(r"public\.ecr\.aws/nginx/nginx-unprivileged:\d+\.\d+\.\d+-alpine")
RBAC = "rbac.authorization.k8s.io"
RIGHTS = [  # what kubectl asks Kubernetes for in buildspec-deploy.yml
    ("apps", "deployments", ["post-service-deployment"], ["get", "list", "watch", "patch"]),
    ("apps", "replicasets", None, ["get", "list"]),
    ("", "pods", None, ["get", "list"]),
    ("", "pods/log", None, ["get"]),
    ("", "events", None, ["list"]),
]
SECRETS = {  # SPEC.md, "Kubernetes names"; and REDIS_URL, which may have a password
    "DATABASE_URL": {"name": "post-db-secret", "key": "database-url"},
    "SECRET_KEY": {"name": "post-secrets", "key": "secret-key"},
    "COGNITO_USER_POOL_ID": {"name": "post-secrets", "key": "cognito-user-pool-id"},
    "COGNITO_REGION": {"name": "post-secrets", "key": "cognito-region"},
    "COGNITO_CLIENT_ID": {"name": "post-secrets", "key": "cognito-client-id"},
    "REDIS_URL": {"name": "post-secrets", "key": "redis-url", "optional": True},
}


def configured(manifest: Manifest) -> Settings:
    """The settings that the pods start with."""
    return load_config({**manifest.settings, **{name: SECRET_VALUES[name] for name in manifest.secrets}})


def names(manifest: Manifest) -> Iterator[str]:
    if [document["kind"] for document in manifest.documents] != KINDS:
        yield "something is missing, or comes before what it needs"
    for document in manifest.documents[1:]:
        if document["metadata"].get("namespace") != NAMESPACE:
            yield f"{document['kind']} is in another namespace"
    spoken = {kind: manifest[kind]["metadata"]["name"] for kind in ("Namespace", "Deployment", "Service")}
    expected = {"Namespace": NAMESPACE, "Deployment": "post-service-deployment", "Service": "post-service"}
    if spoken != expected or [one["name"] for one in manifest.pod["containers"]] != ["post-service", "nginx"]:
        yield "names are not SPEC.md's, or not the pipeline's"


def references(manifest: Manifest) -> Iterator[str]:
    if any(not selector or not selector.items() <= manifest.labels.items() for selector in manifest.selectors()):
        yield "a selector finds no pods"
    target = manifest.spec("HorizontalPodAutoscaler")["scaleTargetRef"]
    if (target["kind"], target["name"]) != ("Deployment", manifest["Deployment"]["metadata"]["name"]):
        yield "what is scaled is not there"
    if manifest.pod["serviceAccountName"] != manifest["ServiceAccount"]["metadata"]["name"]:
        yield "there is no such account"
    if manifest.container["envFrom"] != [{"configMapRef": {"name": manifest["ConfigMap"]["metadata"]["name"]}}]:
        yield "the settings are not read"
    mounted = [mount["name"] for container in manifest.pod["containers"] for mount in container["volumeMounts"]]
    if sorted(one["name"] for one in manifest.pod["volumes"]) != sorted(mounted):
        yield "a volume is not mounted, or not there, or both containers write to it"


def ports(manifest: Manifest) -> Iterator[str]:
    settings = configured(manifest)
    if manifest.ports != {"http": Settings().port, "gunicorn": settings.port, "metrics": settings.metrics_port}:
        yield "the service listens elsewhere"
    if f" listen {manifest.ports['http']};" not in manifest.nginx_files["nginx.conf"]:
        yield "nginx listens elsewhere"
    if {*re.findall(r"server 127\.0\.0\.1:(\d+)", manifest.nginx_files["nginx.conf"])} != {str(settings.port)}:
        yield "nginx asks elsewhere"
    service = manifest.spec("Service")["ports"]
    if {port["port"]: port["targetPort"] for port in service} != {80: "http", 443: "http"}:
        yield "80 and 443 do not lead to the service"
    if manifest.balancer["ssl-ports"] != "443":
        yield "TLS ends elsewhere"
    if {probe["httpGet"]["port"] for probe in manifest.probes().values()} != {"gunicorn"}:
        yield "a probe asks elsewhere"
    if manifest.nginx["livenessProbe"]["tcpSocket"]["port"] != "http":
        yield "nginx is restarted for gunicorn's sake"
    if manifest.nginx["readinessProbe"]["httpGet"] != {"path": "/health/ready", "port": "http"}:
        yield "nobody looks whether nginx finds gunicorn"
    annotations = manifest.spec("Deployment")["template"]["metadata"]["annotations"]
    if annotations["prometheus.io/port"] != str(settings.metrics_port):
        yield "metrics are looked for elsewhere"


def private_metrics(manifest: Manifest) -> Iterator[str]:
    metrics = {"metrics", manifest.ports["metrics"]}
    if metrics & {port[end] for port in manifest.spec("Service")["ports"] for end in ("port", "targetPort")}:
        yield "the NLB shows the metrics to everybody"
    for rule in manifest.spec("NetworkPolicy")["ingress"]:
        is_wide = any("ipBlock" in side or "podSelector" not in side for side in rule["from"])
        if is_wide and metrics & {port["port"] for port in rule["ports"]}:
            yield "more than the scraper reach the metrics"


def settings(manifest: Manifest) -> Iterator[str]:
    given = {*manifest.settings, *manifest.secrets}
    known = {name.upper(): field for name, field in Settings.model_fields.items()}
    if given - set(known):
        yield f"nobody reads {given - set(known)}"
    if any(not known[name].repr for name in set(manifest.settings) & set(known)):
        yield "a secret is in the ConfigMap"
    if manifest.settings.get("FLASK_ENV") != "production":
        yield "not for production"
    if "COGNITO_DOMAIN" not in manifest.settings:
        yield "nobody can sign in on the site"
    try:
        load_config(
            {**manifest.settings, **{name: SECRET_VALUES[name] for name in manifest.secrets if name in SECRETS}}
        )
    except ConfigError as exc:
        yield f"it does not start: {exc}"


def secrets(manifest: Manifest) -> Iterator[str]:
    if manifest.secrets != SECRETS:
        yield "other secrets than SPEC.md's"
    if not set(REQUIRED_IN_PRODUCTION) <= {name for name, at in manifest.secrets.items() if not at.get("optional")}:
        yield "it may start without what it needs"


def probes(manifest: Manifest) -> Iterator[str]:
    found = manifest.probes()
    paths = {name: probe["httpGet"]["path"] for name, probe in found.items()}
    if paths != {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/health/ready"}:
        yield "a pod would be restarted for its database's sake, or asked while it is not ready"
    if not {*paths.values(), manifest.balancer["healthcheck-path"]} <= known_paths():
        yield "the service has no such path"
    start = found["startupProbe"]
    if start["periodSeconds"] * start["failureThreshold"] < 2 * LOCK_SECONDS:
        yield "it is killed while another pod changes the schema, or while it does"
    if found["readinessProbe"]["timeoutSeconds"] <= DATABASE_TOLD_SECONDS:
        yield "it is not waited for until it can say that the database is away"


def proxy(manifest: Manifest) -> Iterator[str]:
    files = {name: (PROJECT / "k8s" / name).read_text() for name in ("nginx.conf", "origins.conf")}
    if manifest.nginx_files != files:
        yield "nginx is configured by another text than the tests'"
    origins = re.findall(r"^(https\S+) \$http_origin;$", files["origins.conf"], re.M)
    if manifest.settings.get("CORS_ORIGINS") != ",".join(origins):
        yield "nginx and the service let in other pages, or those of another environment"
    mounts = {mount["mountPath"]: mount["name"] for mount in manifest.nginx["volumeMounts"]}
    volumes = {one["name"]: one for one in manifest.pod["volumes"]}
    if volumes[mounts["/etc/nginx"]]["configMap"]["name"] != "post-nginx":
        yield "nginx does not read it"
    settings = configured(manifest)
    if settings.trusted_proxy_hops < 1 or settings.trusted_proxy_header != "forwarded":  # the page makes an HTTP API
        yield "everybody has nginx's address"
    _, to_gunicorn = (int(one) for one in re.findall(r" keepalive_timeout (\d+)s;", files["nginx.conf"]))
    if to_gunicorn >= settings.keepalive_seconds:
        yield "gunicorn ends connections that nginx is about to use"
    if manifest.nginx["command"] != ["nginx", "-g", "daemon off;"] or not PINNED_NGINX.fullmatch(
        manifest.nginx["image"]
    ):
        yield "nginx is another one each time, or changed as it starts"


def stopping(manifest: Manifest) -> Iterator[str]:
    hook = " ".join(manifest.nginx["lifecycle"]["preStop"]["exec"]["command"])
    found = re.fullmatch(r"sh -c touch /tmp/stopping && sleep (\d+)", hook)
    if found is None:
        yield "nginx is not told that it will stop"
        return
    sleep = int(found[1])
    if sleep < DEREGISTRATION_SECONDS:
        yield "the NLB still opens connections when it stops"
    nginx_ends = sleep + seconds_of(manifest.nginx_files["nginx.conf"], "worker_shutdown_timeout")
    waits = manifest.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    if waits < nginx_ends:
        yield "gunicorn stops while nginx still asks it"
    last = waits + graceful_seconds()
    if manifest.pod["terminationGracePeriodSeconds"] < last + 5:
        yield f"it is killed while it still answers, for up to {last} s"
    if f"deregistration_delay.timeout_seconds={sleep}" not in manifest.balancer["target-group-attributes"]:
        yield "the NLB keeps connections for another time than the pod"


def resources(manifest: Manifest) -> Iterator[str]:
    both = (manifest.container, manifest.nginx)
    cpu = sum(millicores(one["resources"]["limits"]["cpu"]) for one in both)
    memory = sum(mebibytes(one["resources"]["limits"]["memory"]) for one in both)
    if (cpu, memory) != (700, 1024):
        yield "limits are not SPEC.md's"
    for one in both:
        limits, requests = (one["resources"][kind] for kind in ("limits", "requests"))
        for name, read in {"cpu": millicores, "memory": mebibytes, "ephemeral-storage": mebibytes}.items():
            if not 0 < read(requests[name]) <= read(limits[name]):
                yield f"more {name} is asked for than allowed"
    sizes = {
        one["name"]: mebibytes(one["emptyDir"]["sizeLimit"]) for one in manifest.pod["volumes"] if "emptyDir" in one
    }
    threads = configured(manifest).web_concurrency * configured(manifest).web_threads
    (uploads,) = re.findall(r" limit_conn uploads (\d+);", manifest.nginx_files["nginx.conf"])
    for one, count, name in ((manifest.container, threads, "tmp"), (manifest.nginx, int(uploads), "nginx-tmp")):
        disk = mebibytes(one["resources"]["limits"]["ephemeral-storage"])
        if not count * UPLOAD_MAX_BYTES / 1024**2 < sizes[name] < disk:
            yield "uploads could have the pod evicted"


def rollout(manifest: Manifest) -> Iterator[str]:
    spec = manifest.spec("Deployment")
    if spec["strategy"] != {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}:
        yield "a rolling update takes capacity away"
    if "replicas" in spec:
        yield "each apply takes back what the HPA has set"
    start = manifest.probes()["startupProbe"]
    ready = start["periodSeconds"] * start["failureThreshold"] + REGISTRATION_SECONDS + spec["minReadySeconds"]
    if spec["progressDeadlineSeconds"] < ready:
        yield "a rollout is given up while a pod may still start, or the NLB register it"
    labels = manifest["Namespace"]["metadata"]["labels"]
    if labels.get("elbv2.k8s.aws/pod-readiness-gate-inject") != "enabled":
        yield "old pods go before the NLB has the new ones"


def longest_rollout(manifest: Manifest) -> int:
    """How many seconds a rollout that ends well may take: its pods go one after the other."""
    each = LOCK_SECONDS + REGISTRATION_SECONDS + manifest.spec("Deployment")["minReadySeconds"]
    return manifest.spec("HorizontalPodAutoscaler")["maxReplicas"] * each


def pipeline(manifest: Manifest) -> Iterator[str]:
    role, binding = manifest["Role"], manifest["RoleBinding"]
    if binding["roleRef"] != {"apiGroup": RBAC, "kind": "Role", "name": role["metadata"]["name"]}:
        yield "the pipeline gets other rights"
    (group,) = re.findall(r'kubernetes_groups = \["(.+)"\]', (PROJECT / "post-cicd.tf").read_text())
    if binding["subjects"] != [{"apiGroup": RBAC, "kind": "Group", "name": group}]:
        yield "others than the pipeline get its rights"
    rights = [
        (group, resource, rule.get("resourceNames"), rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    if rights != RIGHTS:
        yield "the pipeline may do more than it does, or less"


def hardening(manifest: Manifest) -> Iterator[str]:
    pod = manifest.pod["securityContext"]
    least = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    if [one["securityContext"] for one in manifest.pod["containers"]] != [least] * 2:
        yield "a container may do more than it needs"
    numbers = ":".join(str(pod[name]) for name in ("runAsUser", "runAsGroup"))
    if not pod["runAsNonRoot"] or f"\nUSER {numbers}\n" not in (PROJECT / "Dockerfile").read_text():
        yield "another user than the image's"
    if pod["seccompProfile"] != {"type": "RuntimeDefault"}:
        yield "any system call"
    if any(one.get("automountServiceAccountToken") is not False for one in (manifest.pod, manifest["ServiceAccount"])):
        yield "a token for Kubernetes' own API"
    if manifest.pod.get("enableServiceLinks") is not False:
        yield "the environment has more than the settings"
    if manifest["Namespace"]["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "other pods of the namespace may do anything"
    for one in manifest.pod["containers"]:
        if [mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")] != ["/tmp"]:
            yield "nowhere for uploads while they are read, or more that can be written to"
    mounts = {mount["name"]: mount for mount in manifest.container["volumeMounts"]}
    if f"?ssl_ca={mounts['database-ca']['mountPath']}/" not in (PROJECT / "docs" / "deployment.md").read_text():
        yield "the database's certificate is not checked"


def balancer(manifest: Manifest) -> Iterator[str]:
    found = manifest.balancer
    kind = (found["type"], found["nlb-target-type"], manifest.spec("Service")["type"])
    if kind != ("external", "ip", "LoadBalancer"):
        yield "no NLB that leads to pods"
    if "load_balancing.cross_zone.enabled=true" not in found["attributes"].split(","):
        yield "a zone's clients get that zone's pods alone"
    if (found["healthcheck-protocol"], found["healthcheck-path"]) != ("http", "/health"):
        yield "the NLB asks for something else"
    if not re.match(r"ELBSecurityPolicy-TLS13-1-[23]-", found["ssl-negotiation-policy"]):
        yield "TLS below 1.2"
    region = configured(manifest).s3_region
    if not re.fullmatch(rf"arn:aws:acm:{region}:\d{{12}}:certificate/[0-9a-f-]{{36}}", found["ssl-cert"]):
        yield "no certificate of the region"
    if "preserve_client_ip.enabled=false" not in found["target-group-attributes"].split(","):
        yield "the NetworkPolicy sees addresses of the internet"


def scaling(manifest: Manifest) -> Iterator[str]:
    spec = manifest.spec("HorizontalPodAutoscaler")
    (metric,) = spec["metrics"]
    if (spec["minReplicas"], spec["maxReplicas"], metric["resource"]["name"]) != (1, 3, "cpu"):
        yield "not 1 to 3 by CPU"
    asked, allowed = (
        sum(millicores(one["resources"][kind]["cpu"]) for one in manifest.pod["containers"])
        for kind in ("requests", "limits")
    )
    if asked * metric["resource"]["target"]["averageUtilization"] / 100 > 0.8 * allowed:
        yield "pods are throttled before there are more"
    if spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] < 300:
        yield "pods go as soon as it is quiet"
    budget = manifest.spec("PodDisruptionBudget")
    if budget.get("maxUnavailable") != 1 or "minAvailable" in budget:
        yield "a node with the only pod cannot be drained, or all pods may go at once"


def spread(manifest: Manifest) -> Iterator[str]:
    found = {one["topologyKey"]: one["maxSkew"] for one in manifest.pod["topologySpreadConstraints"]}
    if found.get("topology.kubernetes.io/zone") != 1:
        yield "pods may share a zone while another is free"
    if any(one["whenUnsatisfiable"] != "ScheduleAnyway" for one in manifest.pod["topologySpreadConstraints"]):
        yield "a pod waits for a zone that is away"


def cidrs(rules: list[dict[str, Any]], side: str) -> list[str]:
    """The blocks of addresses that rules of a direction name."""
    return [one["ipBlock"]["cidr"] for rule in rules for one in rule.get(side, []) if "ipBlock" in one]


def network(manifest: Manifest) -> Iterator[str]:
    spec = manifest.spec("NetworkPolicy")
    if spec["policyTypes"] != ["Ingress", "Egress"]:
        yield "a direction is open"
    if not all(rule.get("from") for rule in spec["ingress"]):
        yield "anybody comes in"
    vpcs = {*cidrs(spec["egress"], "to")} - {"0.0.0.0/0"}
    public = [str(one) for vpc in vpcs for one in [*ip_network(vpc).subnets(prefixlen_diff=3)][:PUBLIC_SUBNETS]]
    if cidrs(spec["ingress"], "from") != public:
        yield "more than the public subnets, where the NLB is, come in"
    opened = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
    if opened != {manifest.ports["http"], manifest.ports["metrics"]}:
        yield "other ports than the service's, or gunicorn's past nginx"
    out = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
    if out != {53, 3306, 6379, 443}:
        yield f"it may speak to {out}"
    if not all(rule.get("to") for rule in spec["egress"]):
        yield "to anywhere"
    wide = [r for r in spec["egress"] if any(t.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for t in r["to"])]
    if [[port["port"] for port in rule["ports"]] for rule in wide] != [[443]]:
        yield "more than HTTPS leaves the VPC"


def account(manifest: Manifest) -> Iterator[str]:
    """What is to be filled in is the same everywhere."""
    role = manifest["ServiceAccount"]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    image, certificate = manifest.container["image"], manifest.balancer["ssl-cert"]
    if not re.fullmatch(r"\d{12}\.dkr\.ecr\.[\w-]+\.amazonaws\.com/post-service:latest", image):
        yield "not the image that the pipeline pushes"
    if len({*re.findall(r"\d{12}", f"{role} {image} {certificate.rpartition(':')[0]} {manifest.settings}")}) != 1:
        yield "several accounts"


RULES = {
    rule.__name__: rule
    for rule in (
        names, references, ports, private_metrics, settings, secrets, probes, proxy, stopping, resources, rollout,
        pipeline, hardening, balancer, scaling, spread, network, account,
    )
}  # fmt: skip
