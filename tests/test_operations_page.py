"""The page for operators names every event, metric and limit, and none that there is not."""

import ast
import re

from prometheus_client import Counter, Gauge, Histogram

from post.telemetry import metrics
from tests.pages import section as section_of
from tests.servers import PROJECT

PAGE = (PROJECT / "docs" / "operations.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "exception", "log"}
NAME = re.compile(r"[a-z]+(_[a-z]+)+")
FAMILIES = [
    family
    for metric in vars(metrics).values()
    if isinstance(metric, Counter | Gauge | Histogram)
    for family in metric.describe()
]
# Parsed at import: beside threads Python 3.11 now and then refuses to (SystemError: recursion depth mismatch).
TREES = [ast.parse(path.read_text()) for path in PROJECT.glob("post/**/*.py")]
METRICS = {f"{family.name}_total" if family.type == "counter" else family.name for family in FAMILIES}
METRICS.add("post_service_info")
SUFFIXES = re.compile(r"_(bucket|count|sum)$")


def events() -> set[str]:
    """What the service logs by name: the constant first arguments of the calls of its loggers."""
    calls = [
        node
        for tree in TREES
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
    ]
    said = {arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)}
    servers = ("database", "replica", "redis")
    circuits = {f"{server}_{what}" for server in servers for what in ("lost", "back", "probe_failed")}
    return {name for name in said if isinstance(name, str) and NAME.fullmatch(name)} | circuits


def section(title: str) -> str:
    return section_of(PAGE, title)


def first_cells(text: str) -> set[str]:
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_table_of_events_is_what_is_logged():
    assert first_cells(section("The log").partition("| event |")[2]) == events()


def test_the_table_of_metrics_is_what_is_counted():
    assert first_cells(section("Metrics")) == METRICS


def test_alerts_look_at_metrics_that_there_are():
    named = {SUFFIXES.sub("", name) for name in re.findall(r"\bpost_\w+", section("Alerts"))}

    assert len(named) > 5
    assert named <= METRICS
