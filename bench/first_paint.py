"""
Measure when the board's pages show their list, in Chromium on a slow network.

The service runs behind nginx, as in production, with demo posts, some of them with pictures. In each round a browser
without a cache opens the list, on each network and with each processor. It notes the first paint, the paint with the
list's rows, the largest paint, and the requests until the rows. The medians are printed, as rows of a table; with
``--waterfall`` also each request of a load.

The exit status is 1 if the list is painted later than its limit.

Run it as ``python bench/first_paint.py``, after ``make site``; it needs nginx and Chromium.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.remove(str(Path(__file__).resolve().parent))  # its limits.py would be taken for the package of that name

from post.web.site import is_current
from tests.browser.conftest import DIST, READER
from tests.chromium import CHROMIUM, FLAGS
from tests.demo_board import running_demo_board
from tests.nginx import running_nginx
from tests.servers import HANG_SECONDS, free_port

BYTES_PER_MBIT = 1_000_000 / 8


class Network(NamedTuple):
    """
    A network as Chromium's ``Network.emulateNetworkConditions`` makes it.

    Attributes:
        name: For the table.
        down_mbit: Mbit/s to the browser, shared by its requests.
        up_mbit: Mbit/s from it.
        latency_ms: From a request to the first byte of its answer, at least. Connections cost nothing.
        limit_ms: The list must be painted by then; None without a limit.
    """

    name: str
    down_mbit: float
    up_mbit: float
    latency_ms: int
    limit_ms: int | None = None


NETWORKS = (
    # DevTools' "Fast 4G": 9 Mbit/s and 60 ms, of which it makes 165 ms for a request.
    Network("4G", 9, 1.5, 165, limit_ms=1000),
    # Lighthouse's "slow 4G": 1.6 Mbit/s and 150 ms.
    Network("slow 4G", 1.6, 0.75, 150),
    Network("unthrottled", 1000, 1000, 0),
)
SLOWDOWNS = (1, 4)  # of the processor; the limit is for the first

# In the page before its own scripts: the time of the frame that has the list's rows.
WATCH = """
window.listPainted = new Promise((resolve) => {
  const look = () => {
    if (!document.querySelector(".post-list > li")) return false;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    return true;
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { childList: true, subtree: true });
});
window.firstPaint = new Promise((resolve) => {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntriesByName("first-contentful-paint")) resolve(entry.startTime);
  }).observe({ type: "paint", buffered: true });
});
window.largestPaint = new Promise((resolve) => {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.largest = entry.startTime;
    resolve();
  }).observe({ type: "largest-contentful-paint", buffered: true });
});
"""
READ = """
async () => {
  const painted = await window.listPainted;
  await window.largestPaint;
  const requests = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((entry) => entry.startTime < painted)
    .map((entry) => [
      new URL(entry.name).pathname, entry.startTime, entry.responseStart, entry.responseEnd, entry.encodedBodySize,
    ]);
  return {
    first_ms: await window.firstPaint,
    list_ms: painted,
    largest_ms: window.largest,
    waterfall: requests,
  };
}
"""
Request = tuple[str, float, float, float, int]


class Load(NamedTuple):
    """
    One load of the list.

    Attributes:
        first_ms: The first paint (FCP).
        list_ms: The paint with the list's rows.
        largest_ms: The largest paint (LCP).
        waterfall: The requests that began until the list's paint: path, start, first byte, end, bytes of the body.
    """

    first_ms: float
    list_ms: float
    largest_ms: float
    waterfall: Sequence[Request]

    @property
    def requests(self) -> int:
        """Their number, the page's own among them."""
        return len(self.waterfall)

    @property
    def script_bytes(self) -> int:
        """Bytes of JavaScript among them, as they were sent."""
        return sum(size for path, *_, size in self.waterfall if path.endswith(".js"))


def load_list(browser: Browser, url: str, network: Network, slowdown: int) -> Load:
    """Open the list in a browser without a cache."""
    context = browser.new_context(**READER)
    context.set_default_timeout(HANG_SECONDS * 1000)
    page = context.new_page()
    page.add_init_script(WATCH)
    session = context.new_cdp_session(page)
    conditions = {
        "offline": False,
        "latency": network.latency_ms,
        "downloadThroughput": network.down_mbit * BYTES_PER_MBIT,
        "uploadThroughput": network.up_mbit * BYTES_PER_MBIT,
    }
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", conditions)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    page.goto(url, wait_until="networkidle")
    found: dict[str, Any] = page.evaluate(READ)
    context.close()
    return Load(**found)


def measure(rounds: int) -> dict[tuple[Network, int], list[Load]]:
    """Return the loads of each network and processor, measured in turns."""
    port = free_port()
    loads: dict[tuple[Network, int], list[Load]] = {(each, slow): [] for each in NETWORKS for slow in SLOWDOWNS}
    with tempfile.TemporaryDirectory() as folder, running_nginx(port) as nginx, ExitStack() as running:
        settings = {"PORT": str(port), "PUBLIC_URL": nginx.url, "TRUSTED_PROXY_HOPS": "1"}
        running.enter_context(running_demo_board(Path(folder), DIST, **settings))
        chromium = running.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        load_list(browser, nginx.url, NETWORKS[0], 1)  # what the first load of a process costs is not measured
        for number in range(1, rounds + 1):
            print(f"Round {number} of {rounds}", flush=True)
            for (network, slowdown), measured in loads.items():
                measured.append(load_list(browser, nginx.url, network, slowdown))
        browser.close()
    return loads


def show(loads: dict[tuple[Network, int], list[Load]]) -> None:
    """Print the medians as rows of a table, with the least and the greatest."""
    print("| network | processor | first paint | list | largest paint | requests | JavaScript |")
    print("| :-- | --: | --: | --: | --: | --: | --: |")
    for (network, slowdown), measured in loads.items():
        times = [
            f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"
            for values in zip(*((load.first_ms, load.list_ms, load.largest_ms) for load in measured), strict=True)
        ]
        one = measured[-1]
        sums = [str(one.requests), f"{one.script_bytes / 1024:.0f} KB"]
        print("| " + " | ".join([network.name, f"{slowdown}×", *times, *sums]) + " |")


def show_waterfall(load: Load) -> None:
    """Print each request of a load: milliseconds of its start, first byte and end, and the bytes of its body."""
    for path, start, first, end, size in sorted(load.waterfall, key=lambda request: request[1]):
        print(f"{start:6.0f} {first:6.0f} {end:6.0f} {size:8,}  {path[:60]}")


def main() -> int:
    """Measure and print; return 1 if a list came later than its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--waterfall", action="store_true", help="print the requests of the last load on each network")
    options = parser.parse_args()
    if not is_current(DIST):
        raise SystemExit("the pages are not built: make site")
    loads = measure(options.rounds)
    show(loads)
    late = False
    for (network, slowdown), measured in loads.items():
        if slowdown != SLOWDOWNS[0]:
            continue
        if options.waterfall:
            print(f"\n{network.name}")
            show_waterfall(measured[-1])
        median = statistics.median(load.list_ms for load in measured)
        if network.limit_ms is not None and median > network.limit_ms:
            print(f"missed: the list on {network.name}, {median:,.0f} ms of {network.limit_ms:,}")
            late = True
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
