"""
Picture of the architecture, drawn from openapi.yaml and the Terraform files: ``python -m microservices.docs.draw``.

It writes Mermaid, which GitHub shows as a picture, into the pages that have one.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

from microservices.local.gateway.document import HOLE, PATH, Document, Route, render
from microservices.local.terraform import FOLDER, OPTIONS

PAGES = [Path(__file__).with_name("README.md"), Path(__file__).with_name("README.ko.md")]
PICTURE = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
REFERENCE = re.compile(r"\b(aws_dynamodb_table|aws_s3_bucket|aws_sns_topic|aws_sqs_queue)\.(\w+)")
# Shapes of Mermaid, by the kind of thing: a store is a cylinder, a queue leans.
SHAPES = {
    "aws_dynamodb_table": "[({})]",
    "aws_s3_bucket": "[({})]",
    "aws_sns_topic": "[/{}/]",
    "aws_sqs_queue": "[/{}/]",
}
WORDS = {
    "aws_dynamodb_table": "DynamoDB",
    "aws_s3_bucket": "S3",
    "aws_sns_topic": "SNS",
    "aws_sqs_queue": "SQS",
}


class Files:
    """Blocks of the Terraform files, as they are written."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(folder.glob("*.tf"))
        self._files = [hcl2.loads(path.read_text(), serialization_options=OPTIONS) for path in paths]

    def resources(self, kind: str) -> dict[str, Any]:
        """Return the resources of a type, by name."""
        blocks = (block for file in self._files for block in file.get("resource", []) if kind in block)
        return {name: body for block in blocks for name, body in block[kind].items()}

    def local(self, name: str) -> Any:
        """Return a local value."""
        return next(block[name] for file in self._files for block in file.get("locals", []) if name in block)


def node(kind: str, name: str) -> str:
    """Return a thing's name within the picture."""
    return f"{WORDS[kind].lower()}_{name}"


def routes() -> Iterator[tuple[str, Route]]:
    """Yield each route of the document with its back: the hole of its integration's address, such as ``auth``."""
    text = PATH.read_text()
    document = Document(render(text, {hole: "0" if "seconds" in hole else f"<{hole}>" for hole in HOLE.findall(text)}))
    for route in document.routes:
        back = re.match(r"<(\w+)_(?:uri|url)>", route.integration.uri)
        if back and route.method != "ANY":
            yield back[1], route


def edge_of_the_api(files: Files) -> Iterator[str]:
    """Yield the way to the API and to the site."""
    (distribution,) = files.resources("aws_cloudfront_distribution").values()
    yield "    client([browser, curl]) --> cloudfront[CloudFront]"
    behaviour = distribution["ordered_cache_behavior"][0]
    for origin in distribution["origin"]:
        found = REFERENCE.search(origin["domain_name"])
        paths = behaviour["path_pattern"] if behaviour["target_origin_id"] == origin["origin_id"] else "the rest"
        yield f'    cloudfront -- "{paths}" --> {node(*found.groups()) if found else "api[API Gateway]"}'


def ways_of_the_api() -> Iterator[str]:
    """Yield the ways from the API to its backs, with the number of routes, and the authorizer's."""
    backs, guarded = Counter(back for back, _ in routes()), sum(bool(route.authorizer) for _, route in routes())
    containers = {back for back, route in routes() if route.integration.type == "http_proxy"}
    yield f'    api -. "{guarded} of {sum(backs.values())} routes: who is it?" .-> authorizer'
    for back, number in sorted(backs.items()):
        label = f"/{back}: {number} route{'s' * (number > 1)}"
        yield f'    {"alb" if back in containers else "api"} -- "{label}" --> {back}'
    if containers:
        yield "    api -- VPC link --> alb[load balancer]"


def functions(files: Files) -> Iterator[str]:
    """Yield the functions, and what each one's environment names."""
    lambdas = files.local("lambdas")
    yield "    subgraph lambda [Lambda]"
    yield from (f"        {name}" for name in lambdas)
    yield "    end"
    for name, settings in lambdas.items():
        for found in dict.fromkeys(REFERENCE.findall(str(settings["environment"]))):
            yield f"    {name} --> {node(*found)}"


def containers(files: Files) -> Iterator[str]:
    """Yield the services of ECS, and what each one's environment names; all have the database."""
    services = files.local("services")
    yield "    subgraph ecs [ECS on Fargate]"
    yield from (f"        {name}" for name in services)
    yield "    end"
    yield "    rds[(RDS PostgreSQL)]"
    for name, settings in services.items():
        yield f"    {name} --> rds"
        other = re.search(r"http://([\w-]+):", settings["environment"].get("PRODUCTS_URL", ""))
        if other:
            yield f"    {name} -- Service Connect --> {other[1]}"
        yield from (f"    {name} --> {node(*found)}" for found in REFERENCE.findall(str(settings["environment"])))


def events(files: Files) -> Iterator[str]:
    """Yield the way of an event: topic, queue, function, and the queue of those that failed."""
    for subscription in files.resources("aws_sns_topic_subscription").values():
        ends = [REFERENCE.search(subscription[name]) for name in ("topic_arn", "endpoint")]
        if all(ends):
            yield "    " + " --> ".join(node(*end.groups()) for end in ends if end)
    for mapping in files.resources("aws_lambda_event_source_mapping").values():
        (queue,) = REFERENCE.findall(mapping["event_source_arn"])
        (function,) = re.findall(r"(?:local\.name\}-|\[\")([\w-]+)", mapping["function_name"])
        yield f"    {node(*queue)} --> {function}"
    for name, queue in files.resources("aws_sqs_queue").items():
        policy = str(queue.get("redrive_policy", ""))
        for dead, tries in zip(REFERENCE.findall(policy), re.findall(r"maxReceiveCount\W+(\d+)", policy), strict=True):
            yield f'    {node("aws_sqs_queue", name)} -. "after {tries} tries" .-> {node(*dead)}'


def stores(files: Files, drawn: list[str]) -> Iterator[str]:
    """Yield the things that lines lead to, each in its shape."""
    text = "\n".join(drawn)
    for kind, shape in SHAPES.items():
        for name in files.resources(kind):
            if re.search(rf"\b{node(kind, name)}\b", text):
                yield f"    {node(kind, name)}{shape.format(WORDS[kind] + ' ' + name.replace('_', '-'))}"


def picture() -> str:
    """Return the picture."""
    files = Files()
    parts = (edge_of_the_api(files), ways_of_the_api(), functions(files), containers(files), events(files))
    drawn = [line for part in parts for line in part]
    return "\n".join(["flowchart LR", *drawn, *stores(files, drawn)]) + "\n"


def main() -> None:
    """Write the picture into the pages."""
    drawn = picture()
    for page in PAGES:
        page.write_text(PICTURE.sub(lambda _: drawn, page.read_text(), count=1))


if __name__ == "__main__":
    main()
