"""What goes wrong in a browser that no assertion asks for: its console, errors of scripts, refused loads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Request, WebError

# Chromium's console says a violation in words of its own; this line has the directive and what it stopped.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`Content-Security-Policy: ${event.effectiveDirective} refused ${event.blockedURI || "inline"}`);
});
"""
STOPPED = "net::ERR_ABORTED"  # by the page itself, as for a search that another letter replaces, or by leaving it


class Faults:
    """The faults of a test's pages; the test fails at its end on each that it did not expect."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, *patterns: str) -> None:
        """
        Allow faults for the rest of the test, and require one for each pattern.

        Args:
            patterns: Regular expressions for a part of the fault's line, such as ``status of 412`` or
                ``ERR_INTERNET_DISCONNECTED``.
        """
        self._expected += map(re.compile, patterns)

    def watch(self, context: BrowserContext) -> None:
        """Collect the faults of a context's pages."""
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("requestfailed", self._note_request)

    def check(self) -> None:
        """Raise AssertionError for what was not expected, or was and did not come."""
        unexpected = [fault for fault in self.seen if not any(one.search(fault) for one in self._expected)]
        missing = [one.pattern for one in self._expected if not any(one.search(fault) for fault in self.seen)]
        assert not unexpected, "faults in the browser:\n" + "\n".join(unexpected)
        assert not missing, f"expected faults did not come: {missing}; these did: {self.seen}"

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.seen.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _note_error(self, error: WebError) -> None:
        self.seen.append(f"page error: {error.error}")

    def _note_request(self, request: Request) -> None:
        if request.failure != STOPPED:
            self.seen.append(f"failed request: {request.method} {request.url}: {request.failure}")
