"""nginx before the service, as the pod has it: k8s/nginx.conf, on free ports and in a folder of its own."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.servers import (
    HANG_SECONDS,
    PROJECT,
    SBIN,
    Service,
    accepts_tcp,
    free_port,
    running_service,
    stop,
    wait_until,
)

CONFIGURATION = PROJECT / "k8s" / "nginx.conf"
POD_USER = 10001
NO_CHANGES: Mapping[str, str] = {}
# Longer than a test lets a body stall, on a busy machine too.
PATIENT_WITH_BODIES = {
    "client_body_timeout 10s": "client_body_timeout 60s",
    "client_body_timeout 20s": "client_body_timeout 120s",
}


def as_pod_user(folder: Path) -> list[str]:
    """What to begin a command with, so that it runs as in the pod: no root, no capability; ``folder`` is its own."""
    if os.geteuid() != 0:
        return []
    folder.chmod(0o755)
    os.chown(folder, POD_USER, POD_USER)
    return ["setpriv", f"--reuid={POD_USER}", f"--regid={POD_USER}", *WITHOUT_CAPABILITIES, "--clear-groups"]


WITHOUT_CAPABILITIES = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


class Nginx:
    """A running nginx, before whatever listens on ``upstream_port``."""

    def __init__(self, folder: Path, upstream_port: int, changes: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = CONFIGURATION.read_text()
        for directive, other in changes.items():
            assert directive in text
            text = text.replace(directive, other)
        ports = {"8082": str(self.port), "8083": str(upstream_port)}
        text = re.sub("|".join(ports), lambda found: ports[found[0]], text)  # at once: a free port may hold the other
        text = text.replace("/tmp/", f"{folder}/").replace("/dev/stdout", f"{folder}/nginx.log")
        (folder / "nginx.conf").write_text(text)
        shutil.copy(CONFIGURATION.with_name("origins.conf"), folder)
        self._errors = folder / "errors.log"

    def start(self) -> None:
        program = shutil.which("nginx", path=SBIN)
        assert program, "nginx is needed (Debian: apt install nginx)"
        command = [program, "-p", str(self.folder), "-e", "stderr", "-c", f"{self.folder}/nginx.conf"]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*as_pod_user(self.folder), *command, "-g", "daemon off;"], stdout=errors, stderr=errors
            )
        wait_until(lambda: accepts_tcp(self.port) or self.process.poll(), what="nginx does not start")
        assert self.process.poll() is None, self.errors

    @property
    def log(self) -> str:
        """Its lines on requests."""
        return (self.folder / "nginx.log").read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def begin_stop(self) -> None:
        """Do what its container's preStop hook does first: it is not ready, and keeps no connection alive."""
        (self.folder / "stopping").touch()

    def quit(self) -> int:
        """End it as its container ends: what is under way is answered. Returns its exit code."""
        self.process.send_signal(signal.SIGQUIT)
        return self.process.wait(timeout=HANG_SECONDS)


@contextmanager
def running_nginx(upstream_port: int, changes: Mapping[str, str] = NO_CHANGES) -> Iterator[Nginx]:
    """
    Run nginx in a folder of its own; yields it.

    Args:
        upstream_port: Where the service listens, or whatever stands for it.
        changes: Directives to have in place of the pod's, by those.
    """
    with tempfile.TemporaryDirectory(prefix="post-service-nginx-") as folder:  # pytest's own is root's alone
        nginx = Nginx(Path(folder), upstream_port, changes)
        try:
            nginx.start()
            yield nginx
        finally:
            stop(nginx.process)


class Proxied(NamedTuple):
    """The service, and nginx before it, whose address is the one that clients use."""

    service: Service
    nginx: Nginx

    @property
    def url(self) -> str:
        return self.nginx.url


@contextmanager
def proxied_service(
    folder: Path, *, changes: Mapping[str, str] = NO_CHANGES, prefix: Sequence[str] = (), **settings: str
) -> Iterator[Proxied]:
    """Run the service behind nginx; yields both. Arguments as for ``running_nginx`` and ``running_service``."""
    settings = {"TRUSTED_PROXY_HOPS": "1", **settings}
    with running_service(folder, prefix=prefix, **settings) as service:
        port = int(service.url.rpartition(":")[2])
        with running_nginx(port, changes) as nginx:
            yield Proxied(service, nginx)
