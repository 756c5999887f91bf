"""Services under a supervisor: each leads a session of its own, and ends with the supervisor where Linux has a way."""

import signal
import sys

import pytest

from microservices.local.processes import Service, Supervisor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a signal of the parent's death")

# It names the signal of its parent's death (linux/prctl.h: PR_GET_PDEATHSIG is 2).
PROGRAM = """
import ctypes, os, signal
number = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(number))
print(os.getpid() == os.getsid(0), number.value, flush=True)
signal.pause()
"""


@pytest.fixture
def said(tmp_path):
    """Function that runs a service, and returns its words about itself."""

    def run(stop_signal):
        log, supervisor = tmp_path / "log", Supervisor()
        command = [sys.executable, "-c", PROGRAM]
        try:
            supervisor.start(Service("A", command, log, lambda: "\n" in log.read_text(), stop_signal=stop_signal))
        finally:
            supervisor.stop()
        return log.read_text().splitlines()[0]

    return run


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_service_gets_its_stop_signal_at_the_supervisors_death(said, stop_signal):
    assert said(stop_signal) == f"True {stop_signal.value}"


@pytest.mark.parametrize("has_setpriv", [False, True], ids=["no setpriv", "busybox's"])
def test_where_setpriv_cannot_do_that_a_service_starts_without_it(said, tmp_path, monkeypatch, has_setpriv):
    if has_setpriv:
        (tmp_path / "setpriv").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "setpriv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert said(signal.SIGTERM) == "True 0"
