"""k8s/deployment.yaml: that Kubernetes takes it, that its parts fit together, and that they fit the service."""

import kubernetes_validate
import pytest

from tests.deploy.kubernetes_rules import RULES
from tests.deploy.manifest import Manifest
from tests.deploy.mutations import broken, mutations
from tests.servers import PROJECT

TEXT = (PROJECT / "k8s" / "deployment.yaml").read_text()
# The first release in which an action that sleeps is stable, and the newest whose schema there is.
RELEASES = ("1.34", "1.37")
# The end of a container's securityContext, by which one is told from the other.
OWN = "\n            capabilities:\n              drop: [ALL]\n          volumeMounts:\n            - name: tmp"
VOLUMES = "\n          volumeMounts:\n            - name: tmp"
NGINX = OWN.replace("tmp", "nginx-tmp")


@pytest.mark.parametrize("rule", RULES)
def test_the_manifest_keeps_the_rule(rule):
    assert list(RULES[rule](Manifest(TEXT))) == []


@mutations(
    ("no budget", "kind: PodDisruptionBudget", "kind: Budget", "names"),
    ("default namespace", "name: post-config\n  namespace: post-service\n", "name: post-config\n", "names"),
    ("pipeline's container", "        - name: post-service\n", "        - name: web\n", "names"),
    ("another deployment", "name: post-service-deployment\n  namespace:", "name: board\n  namespace:", "names"),
    ("pods unfound", "Ports: false\n  selector:\n", "Ports: false\n  selector:\n    app: post\n", "references"),
    ("scales nothing", "name: post-service-deployment\n  minReplicas", "name: board\n  minReplicas", "references"),
    ("no account", "serviceAccountName: post-service", "serviceAccountName: default", "references"),
    ("settings unread", "                name: post-config", "                name: post-settings", "references"),
    ("no volume", "            - name: tmp\n", "            - name: temporary\n", "references"),
    ("another port", "containerPort: 8082", "containerPort: 8080", "ports"),
    ("PORT moved", 'PORT: "8083"', 'PORT: "8084"', "ports"),
    (
        "past nginx",
        "path: /health/ready\n              port: http",
        "path: /health/ready\n              port: gunicorn",
        "ports",
    ),
    ("nginx asks elsewhere", "upstream gunicorn {", "upstream gunicorn {\n            server 127.0.0.1:8080;", "ports"),
    ("no such name", "port: 443\n      targetPort: http", "port: 443\n      targetPort: https", "ports"),
    ("TLS elsewhere", 'ssl-ports: "443"', 'ssl-ports: "8443"', "ports"),
    ("scraped elsewhere", 'prometheus.io/port: "9102"', 'prometheus.io/port: "9100"', "ports"),
    ("metrics by name", "80\n      targetPort: http", "80\n      targetPort: metrics", "private_metrics"),
    ("metrics by number", "80\n      targetPort: http", "80\n      targetPort: 9102", "private_metrics"),
    ("metrics for the VPC", "- port: 8082\n", "- port: 8082\n        - port: 9102\n", "private_metrics"),
    ("misspelt", "  S3_FOLDER_PREFIX:", "  S3_PREFIX:", "settings"),
    ("misspelt secret", "            - name: REDIS_URL", "            - name: CACHE_URL", "settings"),
    ("wrong value", 'TRUSTED_PROXY_HOPS: "3"', 'TRUSTED_PROXY_HOPS: "two"', "settings"),
    ("plain secret", "  LOG_LEVEL: INFO", "  LOG_LEVEL: INFO\n  AWS_SESSION_TOKEN: abc", "settings"),
    ("development", "FLASK_ENV: production", "FLASK_ENV: development", "settings"),
    (
        "no sign-in",
        "  COGNITO_DOMAIN: https://post-123456789012.auth.ap-northeast-2.amazoncognito.com\n",
        "",
        "settings",
    ),
    ("CDN without bucket", "  S3_BUCKET_NAME: post-service-images-123456789012\n", "", "settings"),
    ("another key", "key: database-url", "key: url", "secrets"),
    ("another secret", "name: post-db-secret", "name: db-secret", "secrets"),
    ("optional key", "key: secret-key", "key: secret-key\n                  optional: true", "secrets"),
    ("Redis wanted", "                  optional: true\n", "", "secrets"),
    (
        "restarted",
        "livenessProbe:\n            httpGet:\n              path: /health\n",
        "livenessProbe:\n            httpGet:\n              path: /health/ready\n",
        "probes",
    ),
    (
        "never ready",
        "path: /health/ready\n              port: gunicorn",
        "path: /ready\n              port: gunicorn",
        "probes",
    ),
    ("NLB's path", "healthcheck-path: /health", "healthcheck-path: /healthz", "probes"),
    ("killed at the start", "failureThreshold: 150", "failureThreshold: 15", "probes"),
    (
        "impatient",
        "port: gunicorn\n            periodSeconds: 5\n            timeoutSeconds: 3",
        "port: gunicorn\n            periodSeconds: 5\n            timeoutSeconds: 1",
        "probes",
    ),
    ("another nginx", "client_body_timeout 10s", "client_body_timeout 60s", "proxy"),
    ("any nginx", "nginx-unprivileged:1.28.0-alpine", "nginx-unprivileged:alpine", "proxy"),
    ("other settings", "            name: post-nginx", "            name: post-config", "proxy"),
    ("no HTTP API's header", "TRUSTED_PROXY_HEADER: forwarded", "TRUSTED_PROXY_HEADER: x-forwarded-for", "proxy"),
    ("another site's", "  CORS_ORIGINS: https://hhottdogg.shop,", "  CORS_ORIGINS: https://example.com,", "proxy"),
    ("default origins", "  CORS_ORIGINS: https://hhottdogg.shop,https://www.hhottdogg.shop\n", "", "proxy"),
    ("short-lived", 'TRUSTED_PROXY_HOPS: "3"', 'KEEPALIVE_SECONDS: "30"\n  TRUSTED_PROXY_HOPS: "3"', "proxy"),
    ("everybody one", 'TRUSTED_PROXY_HOPS: "3"', 'TRUSTED_PROXY_HOPS: "0"', "proxy"),
    ("gone too early", "&& sleep 120", "&& sleep 5", "stopping"),
    ("kept alive", "touch /tmp/stopping && ", "", "stopping"),
    ("gunicorn first", "                seconds: 155", "                seconds: 120", "stopping"),
    ("killed", "terminationGracePeriodSeconds: 195", "terminationGracePeriodSeconds: 185", "stopping"),
    ("kept for longer", "timeout_seconds=120", "timeout_seconds=300", "stopping"),
    ("more memory", "memory: 928Mi", "memory: 1Gi", "resources"),
    ("more than allowed", "cpu: 450m", "cpu: 800m", "resources"),
    ("small disk", "sizeLimit: 1500Mi", "sizeLimit: 500Mi", "resources"),
    ("small disk for bodies", "sizeLimit: 4608Mi", "sizeLimit: 2Gi", "resources"),
    ("more threads", "  LOG_LEVEL: INFO", '  LOG_LEVEL: INFO\n  WEB_THREADS: "24"', "resources"),
    ("fewer pods", "maxUnavailable: 0", "maxUnavailable: 1", "rollout"),
    ("replicas", "  revisionHistoryLimit: 5", "  replicas: 1\n  revisionHistoryLimit: 5", "rollout"),
    ("given up", "progressDeadlineSeconds: 900", "progressDeadlineSeconds: 600", "rollout"),
    ("no gate", "    elbv2.k8s.aws/pod-readiness-gate-inject: enabled\n", "", "rollout"),
    ("rights elsewhere", "  kind: Role\n", "  kind: ClusterRole\n", "pipeline"),
    ("another's rights", "    name: post-service-deploy\n", "    name: post-service-developers\n", "pipeline"),
    ("no log", "resources: [pods/log]", "resources: [pods/exec]", "pipeline"),
    ("commands in pods", "resources: [pods]", "resources: [pods, pods/exec]", "pipeline"),
    ("any deployment", "    resourceNames: [post-service-deployment]\n", "", "pipeline"),
    ("no image", "verbs: [get, list, watch, patch]", "verbs: [get, list, watch]", "pipeline"),
    ("writes", f"readOnlyRootFilesystem: true{OWN}", f"readOnlyRootFilesystem: false{OWN}", "hardening"),
    ("nginx writes", f"readOnlyRootFilesystem: true{NGINX}", f"readOnlyRootFilesystem: false{NGINX}", "hardening"),
    ("capabilities", f"drop: [ALL]{VOLUMES}", f"drop: [NET_RAW]{VOLUMES}", "hardening"),
    ("another user", "runAsUser: 10001", "runAsUser: 10002", "hardening"),
    ("system calls", "type: RuntimeDefault", "type: Unconfined", "hardening"),
    ("token", "      automountServiceAccountToken: false\n", "", "hardening"),
    ("account's token", "\nautomountServiceAccountToken: false", "\nautomountServiceAccountToken: true", "hardening"),
    ("links", "enableServiceLinks: false", "enableServiceLinks: true", "hardening"),
    ("any pod", "enforce: restricted", "enforce: privileged", "hardening"),
    (
        "no /tmp",
        "name: tmp\n              mountPath: /tmp",
        "name: tmp\n              mountPath: /app/tmp",
        "hardening",
    ),
    ("CAs to be written to", "database-ca\n              readOnly: true\n", "database-ca\n", "hardening"),
    ("CAs elsewhere", "/etc/post-service/database-ca", "/etc/ssl/database", "hardening"),
    ("nodes", "nlb-target-type: ip", "nlb-target-type: instance", "balancer"),
    ("one zone", "cross_zone.enabled=true", "cross_zone.enabled=false", "balancer"),
    ("TCP check", "healthcheck-protocol: http", "healthcheck-protocol: tcp", "balancer"),
    ("old TLS", "ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-2016-08", "balancer"),
    ("CDN's certificate", "arn:aws:acm:ap-northeast-2", "arn:aws:acm:us-east-1", "balancer"),
    ("clients' addresses", "preserve_client_ip.enabled=false", "preserve_client_ip.enabled=true", "balancer"),
    ("ten pods", "maxReplicas: 3", "maxReplicas: 10", "scaling"),
    ("throttled", "averageUtilization: 70", "averageUtilization: 130", "scaling"),
    ("restless", "stabilizationWindowSeconds: 300", "stabilizationWindowSeconds: 0", "scaling"),
    ("undrainable", "  maxUnavailable: 1\n", "  minAvailable: 1\n", "scaling"),
    ("one zone for all", "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "spread"),
    ("way out", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", "network"),
    ("from anywhere", "10.0.32.0/19", "0.0.0.0/0", "network"),
    ("from the VPC", "10.0.32.0/19", "10.0.0.0/16", "network"),
    ("from private subnets", "10.0.32.0/19", "10.0.96.0/19", "network"),
    ("another door", "        - port: 8082\n", "        - port: 8080\n", "network"),
    ("past nginx", "        - port: 8082\n", "        - port: 8083\n", "network"),
    ("no database", "        - port: 3306\n          protocol: TCP\n", "", "network"),
    ("HTTP out", "        - port: 443\n", "        - port: 80\n", "network"),
    ("database outside", "- port: 443\n", "- port: 443\n        - port: 3306\n", "network"),
    ("another account", "123456789012:role", "210987654321:role", "account"),
    ("another account's pool", "https://post-123456789012", "https://post-210987654321", "account"),
    ("another image", "amazonaws.com/post-service:latest", "amazonaws.com/board:latest", "account"),
    (
        "another VPC",
        "10.0.0.0/16\n      ports:\n        - port: 3306",
        "10.1.0.0/16\n      ports:\n        - port: 3306",
        "network",
    ),
)
def test_a_rule_refuses_a_broken_manifest(old, new, check):
    assert list(RULES[check](Manifest(broken(TEXT, (old, new))))) != []


def refused(text: str, release: str) -> set[str]:
    """The kinds of the documents that are not as Kubernetes' schema has them."""
    kinds = set()
    for document in Manifest(text).documents:
        try:
            kubernetes_validate.validate(document, release, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError):
            kinds.add(document["kind"])
    return kinds


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_schema_is_kept(release):
    assert refused(TEXT, release) == set()


@mutations(
    ("misspelt", "terminationGracePeriodSeconds:", "terminationGraceSeconds:", "Deployment"),
    ("number as text", "containerPort: 8082", 'containerPort: "8082"', "Deployment"),
    ("text as number", 'TRUSTED_PROXY_HOPS: "3"', "TRUSTED_PROXY_HOPS: 3", "ConfigMap"),
    ("nothing scaled", "  scaleTargetRef:", "  scaleTarget:", "HorizontalPodAutoscaler"),
    ("old version", "apiVersion: autoscaling/v2", "apiVersion: autoscaling/v2beta2", "HorizontalPodAutoscaler"),
    ("misplaced", "  allocateLoadBalancerNodePorts: false", "  automountServiceAccountToken: false", "Service"),
)
@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_schema_refuses_a_broken_copy(old, new, check, release):
    assert refused(broken(TEXT, (old, new)), release) == {check}
