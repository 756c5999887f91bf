"""Rows of signals: a platform with traces and logs as in AWS, beside one without."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path

import accounts
import shop
from measuring import Measured, Row, ab, free_port, rate, running_platform

COLLECTOR = Path(__file__).with_name("collector.py")
BAR = 0.8
# X-Ray's own rule, but for the first trace of each second; the environment may say otherwise.
SAMPLING = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.05"}
# A rate of a platform, measured for some seconds.
Rate = Callable[["Platform", float], float]


class Platform:
    """
    One of the two platforms.

    Args:
        port: Port of its gateway.
        state: Folder of its data.
    """

    def __init__(self, port: int, state: Path) -> None:
        self._accounts = accounts.Platform(port)
        self._shop = shop.Shop(port, state, self._accounts.token)
        self._port = port

    def listed(self, seconds: float) -> float:
        """Lists of products a second, through the gateway."""
        return ab(self._port, shop.THROUGH, seconds)

    def verified(self, seconds: float) -> float:
        """Sessions that are checked a second, through the gateway."""
        return rate(self._accounts.verify, accounts.CLIENTS, seconds)

    def ordered(self, seconds: float) -> float:
        """Orders a second, through gateway and authorizer."""
        return self._shop.orders_of_all(seconds)


@contextmanager
def running(**environment: str) -> Iterator[Platform]:
    """Run a platform with settings."""
    with running_platform(**environment) as (port, state):
        yield Platform(port, state)


def rows(stack: ExitStack) -> list[Row]:
    """
    Return the rows; both platforms start with the first that is measured.

    Args:
        stack: Ends them.
    """

    @cache
    def platforms() -> tuple[Platform, Platform]:
        port = free_port()
        stack.enter_context(shop.serving([str(COLLECTOR), str(port)], port))
        collector = f"http://127.0.0.1:{port}"
        sampling = {name: os.environ.get(name, value) for name, value in SAMPLING.items()}
        full = stack.enter_context(running(OTEL_EXPORTER_OTLP_ENDPOINT=collector, LOG_LEVEL="INFO", **sampling))
        return full, stack.enter_context(running(LOG_LEVEL="ERROR"))

    def measured(side: Rate, seconds: float) -> tuple[float, float]:
        full, bare = platforms()
        return side(full, seconds), side(bare, seconds)

    def row(name: str, side: Rate) -> Row:
        beside: Measured = partial(measured, side)
        return Row(name, BAR, lambda: nullcontext(beside))

    return [
        row("traced list", Platform.listed),
        row("traced verify", Platform.verified),
        row("traced orders", Platform.ordered),
    ]
