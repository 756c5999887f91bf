"""The documents of k8s/deployment.yaml, by their kinds."""

from collections.abc import Iterator
from typing import Any

import yaml

NAMESPACE = "post-service"
KINDS = [
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "ConfigMap",
    "Deployment",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
]
NLB = "service.beta.kubernetes.io/aws-load-balancer-"


class Manifest:
    """What ``kubectl apply -f`` is given."""

    def __init__(self, text: str) -> None:
        self.documents: list[dict[str, Any]] = list(yaml.load_all(text, yaml.CSafeLoader))  # many times as fast

    def __getitem__(self, kind: str) -> dict[str, Any]:
        """The first document of a kind."""
        return next(document for document in self.documents if document["kind"] == kind)

    def spec(self, kind: str) -> dict[str, Any]:
        return self[kind]["spec"]

    @property
    def pod(self) -> dict[str, Any]:
        return self.spec("Deployment")["template"]["spec"]

    @property
    def labels(self) -> dict[str, str]:
        """What selectors find pods by."""
        return self.spec("Deployment")["template"]["metadata"]["labels"]

    @property
    def container(self) -> dict[str, Any]:
        """The service's own."""
        return self.pod["containers"][0]

    @property
    def nginx(self) -> dict[str, Any]:
        return self.pod["containers"][1]

    @property
    def nginx_files(self) -> dict[str, str]:
        """What nginx is configured by."""
        (found,) = (
            document
            for document in self.documents
            if document["kind"] == "ConfigMap" and document["metadata"]["name"] == "post-nginx"
        )
        return found["data"]

    @property
    def ports(self) -> dict[str, int]:
        containers = self.pod["containers"]
        return {port["name"]: port["containerPort"] for container in containers for port in container["ports"]}

    @property
    def settings(self) -> dict[str, str]:
        return self["ConfigMap"]["data"]

    @property
    def secrets(self) -> dict[str, dict[str, Any]]:
        """The variables that come from secrets, with where they are there."""
        return {one["name"]: one["valueFrom"]["secretKeyRef"] for one in self.container["env"]}

    @property
    def balancer(self) -> dict[str, str]:
        """The annotations by which the NLB is made, without what they all begin with."""
        annotations = self["Service"]["metadata"]["annotations"]
        return {name.removeprefix(NLB): value for name, value in annotations.items() if name.startswith(NLB)}

    def selectors(self) -> Iterator[dict[str, str]]:
        """Everything that must find the pods."""
        yield self.spec("Service")["selector"]
        yield self.spec("NetworkPolicy")["podSelector"]["matchLabels"]
        for kind in ("Deployment", "PodDisruptionBudget"):
            yield self.spec(kind)["selector"]["matchLabels"]
        for constraint in self.pod["topologySpreadConstraints"]:
            yield constraint["labelSelector"]["matchLabels"]

    def probes(self) -> dict[str, dict[str, Any]]:
        """The probes of the service's own container."""
        return {name: probe for name, probe in self.container.items() if name.endswith("Probe")}


def millicores(quantity: str) -> int:
    assert quantity.endswith("m")
    return int(quantity.removesuffix("m"))


def mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]
