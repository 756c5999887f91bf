"""One command starts the platform and one Ctrl-C ends it; what is wrong is said in one line."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from microservices.tests.running import PATIENCE_SECONDS, PROJECT
from tests.ports import free_ports

pytestmark = pytest.mark.slow

PORTS = 6
NOTHING = ({}, [])


def listening(first):
    open_ports = []
    for port in range(first, first + PORTS):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                open_ports.append(port)
    return open_ports


def processes():
    """Running processes: their parent, command line and environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if command:  # a zombie has none
            yield int(folder.name), parent, command, environment


def processes_of(first):
    """Command lines of the processes of a run, whose port is in their environment, and of their children."""
    mark = f"PLATFORM_PORT={first}\0".encode()
    running = sorted(processes())
    found = {}
    for pid, parent, command, environment in running:
        if mark in environment or parent in found:
            found[pid] = command
    return found


def left_of(commands):
    """The processes that ran before and still do."""
    return {pid: command for pid, _, command, _ in processes() if commands.get(pid) == command}


def remains(first, commands=MappingProxyType({})):
    """Processes and ports that a run leaves for good: what lost its parent to SIGKILL ends a moment later."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := (left_of(commands) | processes_of(first), listening(first))) != NOTHING and time.monotonic() < end:
        time.sleep(0.1)
    return found


class Run:
    def __init__(self, first, state, output):
        self.first, self.state, self.output = first, state, output
        with output.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "microservices.local"],
                cwd=PROJECT,
                env={**os.environ, "PLATFORM_PORT": str(first)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self):
        return self.output.read_text()

    def wait_until_ready(self):
        end = time.monotonic() + PATIENCE_SECONDS
        while "Admin:" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.1)

    def end(self, number):
        """Send a signal as a terminal does, to the whole group, and wait until all is over."""
        os.killpg(self.process.pid, number)
        self.process.wait(PATIENCE_SECONDS)

    def post(self, path, body, **headers):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.first}/api{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, json.load(answer)


def grant(first, email):
    done = subprocess.run(
        [sys.executable, "-m", "microservices.local", "grant-admin", email],
        cwd=PROJECT,
        env={**os.environ, "PLATFORM_PORT": str(first)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode, done.stdout


@contextmanager
def running(tmp_path):
    first = free_ports(PORTS)
    state = PROJECT / "instance" / f"platform-{first}"
    run = Run(first, state, tmp_path / f"{first}.log")
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.end(signal.SIGTERM)
        shutil.rmtree(state, ignore_errors=True)


def test_the_platform_starts_answers_and_leaves_nothing_after_ctrl_c(tmp_path):
    with running(tmp_path) as run:
        run.wait_until_ready()
        registered = run.post(
            "/auth/register", {"email": "test@example.com", "password": "password123", "name": "Test User"}
        )
        status, session = run.post("/auth/login", {"email": "test@example.com", "password": "password123"})
        admin = run.post("/auth/login", {"email": "admin@example.com", "password": "local-admin-1"})[1]
        granted = grant(run.first, "test@example.com"), grant(run.first, "nobody@example.com")
        started = processes_of(run.first)
        ports = listening(run.first)
        run.end(signal.SIGINT)

        assert registered == (201, {"message": "User created successfully", "userId": "test@example.com"})
        assert (status, session["user"]["name"], session["user"]["role"]) == (200, "Test User", "user")
        assert admin["user"]["role"] == "admin"
        assert granted == ((0, "test@example.com is an admin\n"), (1, "There is no user nobody@example.com\n"))
        # The supervisor, PostgreSQL's, the stand-in, the host, functions, gunicorn's three, thrice; the relay.
        assert len(started) >= 20
        assert ports == [*range(run.first, run.first + 6)]
        assert run.process.returncode == 0
        assert remains(run.first, started) == NOTHING
        steps = (
            "PostgreSQL",
            "The AWS stand-in",
            "Products",
            "The Lambda host",
            "The event source mapping",
            "The gateway",
        )
        for step in steps:
            assert re.search(rf"^{step}.* is ready \([\d.]+ s\)$", run.said, re.MULTILINE), step


def test_a_second_platform_beside_it_ends_by_itself_where_one_of_its_processes_dies(tmp_path):
    user = {"email": "both@example.com", "password": "password123", "name": "Both"}
    with running(tmp_path) as one, running(tmp_path) as other:
        one.wait_until_ready()
        other.wait_until_ready()
        assert one.post("/auth/register", user)[0] == other.post("/auth/register", user)[0] == 201
        os.kill(min(pid for pid, command in processes_of(other.first).items() if "bin/postgres" in command), 9)
        other.process.wait(PATIENCE_SECONDS)

        assert other.process.returncode == 1
        assert re.search(r"^PostgreSQL [\d.]+ has ended; .*postgres.log ends:\n    ", other.said, re.MULTILINE)
        assert remains(other.first) == NOTHING
        assert one.post("/auth/login", user)[0] == 200


def test_a_supervisor_that_is_killed_leaves_nothing(tmp_path):
    with running(tmp_path) as run:
        run.wait_until_ready()
        started = processes_of(run.first)
        run.process.kill()
        run.process.wait()

        assert len(started) >= 12
        assert remains(run.first, started) == NOTHING


@pytest.mark.parametrize("offset", [0, 4])
def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path, offset):
    first = free_ports(PORTS)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + offset))
        other.listen()
        run = Run(first, None, tmp_path / "log")
        run.process.wait(PATIENCE_SECONDS)

    assert run.process.returncode == 1
    assert re.fullmatch(
        rf"Port {first + offset}, for .+, is taken; choose others, as in PLATFORM_PORT=\d+ make platform\n", run.said
    )


@pytest.mark.parametrize("port", ["x", "80", "65531"])
def test_a_port_that_is_none_is_refused_in_one_line(tmp_path, port):
    run = Run(port, None, tmp_path / "log")
    run.process.wait(PATIENCE_SECONDS)

    assert (run.process.returncode, run.said.count("\n")) == (1, 1)
    assert run.said.startswith("PLATFORM_PORT: must be a port from 1024 to 65530")


def test_without_a_platform_nobody_becomes_an_admin():
    first = free_ports(PORTS)

    assert grant(first, "a@example.com") == (1, f"No platform runs on port {first}; start it with make platform\n")


def test_without_postgresql_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    run = Run(free_ports(PORTS), None, tmp_path / "log")
    run.process.wait(PATIENCE_SECONDS)

    assert run.process.returncode == 1
    assert run.said == ("No PostgreSQL 15 or newer: apt install postgresql, or name its binaries with PG_BIN\n")


def test_ctrl_c_while_it_starts_leaves_nothing_either(tmp_path):
    with running(tmp_path) as run:
        while "PostgreSQL" not in run.said or "is ready" not in run.said:
            assert run.process.poll() is None, run.said
            time.sleep(0.02)
        run.end(signal.SIGINT)

        assert remains(run.first) == NOTHING
