"""The distribution, before botocore's own model of CloudFront's API, and what the site needs of it."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape
from botocore.validate import ParamValidator

from config import SITE_ORIGINS
from post.images.storage import CACHE_CONTROL
from tests.servers import PROJECT

FILE = PROJECT / "cloudfront-config.json"
MODEL = botocore.session.get_session().get_service_model("cloudfront")

# Amazon CloudFront Developer Guide: "Use managed cache policies", and the same of origin requests and headers.
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"
# Of the pages, which the service's own policy is for: docs/deployment.md creates it.
SITE_HEADERS = "22222222-2222-2222-2222-222222222222"
ALL_METHODS = {"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
# The most that CachingOptimized keeps what its origin lets it keep.
MAX_TTL_SECONDS = 31_536_000


def config() -> dict[str, Any]:
    return json.loads(FILE.read_text())


# What CloudFront's API itself would refuse


def quantities(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        if "Quantity" in value and value["Quantity"] != len(value.get("Items", [])):
            yield f"{path}: Quantity is {value['Quantity']}, of {len(value.get('Items', []))}"
        for name, inner in value.items():
            yield from quantities(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from quantities(inner, f"{path}[{number}]")


def values(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Yield what is not of its enumeration, or not of its pattern: which botocore leaves to the server."""
    if isinstance(shape, StructureShape):
        for name in value.keys() & shape.members.keys():
            yield from values(value[name], shape.members[name], f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for number, inner in enumerate(value):
            yield from values(inner, shape.member, f"{path}[{number}]")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value} is none of {shape.enum}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{path}: {value} is not {pattern}"


def refused_by_the_model(found: dict[str, Any]) -> list[str]:
    parameters = {"DistributionConfig": found}
    report = ParamValidator().validate(parameters, MODEL.operation_model("CreateDistribution").input_shape)
    return [line for line in report.generate_report().splitlines() if line]


# What the site needs. Each yields what is wrong.


def behaviours(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    others = {behaviour["PathPattern"]: behaviour for behaviour in found["CacheBehaviors"]["Items"]}
    return {"*": found["DefaultCacheBehavior"], **others}


def origins(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {origin["Id"]: origin for origin in found["Origins"]["Items"]}


def functions(found: dict[str, Any]) -> list[dict[str, Any]]:
    return found["DefaultCacheBehavior"].get("FunctionAssociations", {}).get("Items", [])


def targets(found: dict[str, Any]) -> Iterator[str]:
    of_the_service = dict.fromkeys(("/api/*", "/posts/*", "/feed.atom"), "api")
    expected = {"*": "site", "/post-images/*": "images", **of_the_service}
    if {path: one["TargetOriginId"] for path, one in behaviours(found).items()} != expected:
        yield "a path leads elsewhere"
    if set(origins(found)) != set(expected.values()):
        yield "other origins"


def buckets(found: dict[str, Any]) -> Iterator[str]:
    for name in ("site", "images"):
        origin = origins(found)[name]
        if not re.fullmatch(r"\S+\.s3\.ap-northeast-2\.amazonaws\.com", origin["DomainName"]):
            yield f"{name} is no bucket's regional name, which alone OAC can sign for"
        if origin.get("S3OriginConfig") != {"OriginAccessIdentity": ""} or not origin.get("OriginAccessControlId"):
            yield f"{name} is not reached by OAC"


def custom(found: dict[str, Any]) -> dict[str, Any]:
    return origins(found)["api"]["CustomOriginConfig"]


def api_origin(found: dict[str, Any]) -> Iterator[str]:
    origin = custom(found)
    if origin["OriginProtocolPolicy"] != "https-only" or origin["OriginSslProtocols"]["Items"] != ["TLSv1.2"]:
        yield "the API is reached without TLS 1.2"


def api(found: dict[str, Any]) -> Iterator[str]:
    for path in ("/api/*", "/posts/*", "/feed.atom"):
        behaviour = behaviours(found)[path]
        if set(behaviour["AllowedMethods"]["Items"]) != (ALL_METHODS if path == "/api/*" else {"GET", "HEAD"}):
            yield f"{path}: not all methods, or too many"
        if behaviour["CachePolicyId"] != CACHING_DISABLED:
            yield f"{path}: answers are cached"
        if behaviour.get("OriginRequestPolicyId") != ALL_VIEWER_EXCEPT_HOST_HEADER:
            yield f"{path}: the viewer's headers do not pass, or Host does, which API Gateway would refuse"
    if found["CustomErrorResponses"]["Quantity"] != 0:
        yield "the API's own errors would become pages of the site"


def images(found: dict[str, Any]) -> Iterator[str]:
    behaviour = behaviours(found)["/post-images/*"]
    if behaviour["CachePolicyId"] != CACHING_OPTIMIZED or f"max-age={MAX_TTL_SECONDS}" not in CACHE_CONTROL:
        yield "images are not cached for a year"
    if set(behaviour["AllowedMethods"]["Items"]) != {"GET", "HEAD"}:
        yield "images can be written"


def viewers(found: dict[str, Any]) -> Iterator[str]:
    for path, behaviour in behaviours(found).items():
        if behaviour["ViewerProtocolPolicy"] != "redirect-to-https":
            yield f"{path} is served without TLS"
        # CachingDisabled compresses nothing, whatever is said here ("Serve compressed files", same guide).
        if behaviour["Compress"] is (behaviour["CachePolicyId"] == CACHING_DISABLED):
            yield f"{path} is not compressed, or is said to be"
        expected = SITE_HEADERS if path in ("*", "/posts/*") else SECURITY_HEADERS
        if behaviour.get("ResponseHeadersPolicyId") != expected:
            yield f"{path} has no security headers, or others"


def certificate(found: dict[str, Any]) -> Iterator[str]:
    given = found["ViewerCertificate"]
    if (given["MinimumProtocolVersion"], given["SSLSupportMethod"]) != ("TLSv1.2_2021", "sni-only"):
        yield "another TLS"
    if not given["ACMCertificateArn"].startswith("arn:aws:acm:us-east-1:"):
        yield "CloudFront takes certificates of us-east-1 alone"


def names(found: dict[str, Any]) -> Iterator[str]:
    if [f"https://{alias}" for alias in found["Aliases"]["Items"]] != list(SITE_ORIGINS):
        yield "other aliases than the service's CORS origins"


def http(found: dict[str, Any]) -> Iterator[str]:
    if found["HttpVersion"] != "http2and3" or found["IsIPV6Enabled"] is not True:
        yield "no HTTP/2, HTTP/3 or IPv6"


def pages(found: dict[str, Any]) -> Iterator[str]:
    if found["DefaultRootObject"] != "index.html" or [one["EventType"] for one in functions(found)] != [
        "viewer-request"
    ]:
        yield "the site's own routes are not found"
    if any("FunctionAssociations" in behaviour for path, behaviour in behaviours(found).items() if path != "*"):
        yield "the API's routes become pages of the site"


def policies(found: dict[str, Any]) -> list[str]:
    """Policies other than the managed ones and that of the pages, which nothing here creates."""
    placeholder = found["ViewerCertificate"]["ACMCertificateArn"].rpartition("/")[2]
    managed = {CACHING_OPTIMIZED, CACHING_DISABLED, ALL_VIEWER_EXCEPT_HOST_HEADER, SECURITY_HEADERS}
    given = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", json.dumps(found))
    return [policy for policy in given if policy not in managed | {placeholder, SITE_HEADERS}]


def model_values(found: dict[str, Any]) -> Iterator[str]:
    return values(found, MODEL.shape_for("DistributionConfig"))


NEEDS = [targets, buckets, api_origin, api, images, viewers, certificate, names, http, pages, policies]
CHECKS = [refused_by_the_model, model_values, quantities, *NEEDS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_distribution_is_as_it_must_be(check):
    assert list(check(config())) == []


def broken_by(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    found = copy.deepcopy(config())
    change(found)
    assert found != config()
    return found


@pytest.mark.parametrize(
    ("check", "change"),
    [
        (refused_by_the_model, lambda found: found.pop("CallerReference")),
        (refused_by_the_model, lambda found: found.update(Compression=True)),
        (refused_by_the_model, lambda found: found.update(Enabled="true")),
        (refused_by_the_model, lambda found: found["Origins"]["Items"][0].update(OriginPath=None)),
        (refused_by_the_model, lambda found: found["Origins"].update(Items=[])),
        (model_values, lambda found: found.update(HttpVersion="http2-and-3")),
        (model_values, lambda found: found["ViewerCertificate"].update(MinimumProtocolVersion="TLSv1.2")),
        (model_values, lambda found: behaviours(found)["/api/*"]["AllowedMethods"]["Items"].append("TRACE")),
        (model_values, lambda found: functions(found)[0].update(FunctionARN="site")),
        (quantities, lambda found: found["Aliases"].update(Quantity=1)),
        (quantities, lambda found: behaviours(found)["/api/*"]["AllowedMethods"]["CachedMethods"]["Items"].pop()),
        (targets, lambda found: behaviours(found)["/api/*"].update(PathPattern="/api")),
        (targets, lambda found: behaviours(found)["/posts/*"].update(TargetOriginId="site")),
        (targets, lambda found: behaviours(found)["/feed.atom"].update(PathPattern="/feed")),
        (buckets, lambda found: origins(found)["images"].pop("OriginAccessControlId")),
        (buckets, lambda found: origins(found)["site"].update(DomainName="site.s3-website.amazonaws.com")),
        (api_origin, lambda found: custom(found).update(OriginProtocolPolicy="match-viewer")),
        (api_origin, lambda found: custom(found)["OriginSslProtocols"]["Items"].append("TLSv1.1")),
        (api, lambda found: behaviours(found)["/api/*"]["AllowedMethods"]["Items"].remove("PATCH")),
        (api, lambda found: behaviours(found)["/api/*"].update(CachePolicyId=CACHING_OPTIMIZED)),
        (api, lambda found: behaviours(found)["/api/*"].pop("OriginRequestPolicyId")),
        (api, lambda found: behaviours(found)["/posts/*"]["AllowedMethods"]["Items"].append("POST")),
        (api, lambda found: behaviours(found)["/posts/*"].update(CachePolicyId=CACHING_OPTIMIZED)),
        (api, lambda found: behaviours(found)["/feed.atom"].pop("OriginRequestPolicyId")),
        (api, lambda found: found.update(CustomErrorResponses={"Quantity": 1, "Items": [{"ErrorCode": 404}]})),
        (images, lambda found: behaviours(found)["/post-images/*"].update(CachePolicyId=CACHING_DISABLED)),
        (images, lambda found: behaviours(found)["/post-images/*"]["AllowedMethods"]["Items"].append("PUT")),
        (viewers, lambda found: found["DefaultCacheBehavior"].update(ViewerProtocolPolicy="allow-all")),
        (viewers, lambda found: found["DefaultCacheBehavior"].update(Compress=False)),
        (viewers, lambda found: behaviours(found)["/api/*"].update(Compress=True)),
        (viewers, lambda found: behaviours(found)["/api/*"].pop("ResponseHeadersPolicyId")),
        (viewers, lambda found: behaviours(found)["*"].update(ResponseHeadersPolicyId=SECURITY_HEADERS)),
        (certificate, lambda found: found["ViewerCertificate"].update(MinimumProtocolVersion="TLSv1.2_2019")),
        (certificate, lambda found: found["ViewerCertificate"].update(ACMCertificateArn="arn:aws:acm:us-east-2:1:c")),
        (names, lambda found: found["Aliases"].update(Items=["hhottdogg.shop", "api.hhottdogg.shop"])),
        (http, lambda found: found.update(HttpVersion="http2")),
        (pages, lambda found: found["DefaultCacheBehavior"].pop("FunctionAssociations")),
        (policies, lambda found: behaviours(found)["*"].update(CachePolicyId=CACHING_OPTIMIZED.replace("f6", "f7"))),
    ],
)  # fmt: skip
def test_a_broken_copy_is_refused(check, change):
    assert list(check(broken_by(change))) != []
