"""The zips of the Lambda functions: what is in them, that they are the same each time, and that the host runs them."""

import fcntl
import json
import shutil
import threading
import time
import venv
from dataclasses import replace
from importlib.metadata import files
from zipfile import ZipFile

import boto3
import pytest

from microservices.deploy import package_lambda
from microservices.deploy.package_lambda import AWS_APIS, Target, build, here, packages, production
from microservices.local.lambda_host import LambdaHost, deployed_functions
from microservices.tests.callers import Http
from microservices.tests.deploy.conftest import shared_folder
from microservices.tests.running import PROJECT, running_gateway

pytestmark = pytest.mark.slow

MAX_BYTES = 25_000_000
AARCH64 = 183  # e_machine of an ELF file (elf(5))
# Modules of AWS's runtime besides Python's: the client, and its imports.
RUNTIME = ("awslambdaric", "snapshot-restore-py", "simplejson")


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """Every package's zip, for this machine; whichever process wants them first builds them."""
    folder = shared_folder(tmp_path_factory) / "zips"
    folder.mkdir(exist_ok=True)
    paths = {package: folder / f"{package}.zip" for package in packages()}
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package, path in paths.items():
            if not path.exists():
                build(package, here(), folder)
    return paths


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """A Python that has AWS's runtime client and no package of ours: what is missing in a zip is missed."""
    folder = tmp_path_factory.mktemp("runtime")
    venv.create(folder, with_pip=False, symlinks=True)
    [site_packages] = folder.glob("lib/*/site-packages")
    for file in (file for name in RUNTIME for file in files(name) if ".." not in file.parts):
        (site_packages / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.locate(), site_packages / file)
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def unpacked(zips, tmp_path_factory):
    """Folder with a folder of what is in each zip."""
    folder = tmp_path_factory.mktemp("unpacked")
    for package, path in zips.items():
        ZipFile(path).extractall(folder / package)
    return folder


@pytest.fixture
def host(aws, unpacked, runtime, tmp_path):
    """Address of a Lambda host whose functions are those that are deployed, from their zips."""
    functions = [
        replace(function, root=unpacked / function.handler.split(".")[0], interpreter=runtime)
        for function in deployed_functions(tmp_path / "logs")
    ]
    host = LambdaHost(functions)
    thread = threading.Thread(target=host.serve, daemon=True)
    thread.start()
    yield host.url
    host.close()
    thread.join()


def names_in(path):
    with ZipFile(path) as archive:
        return archive.namelist()


def test_a_zip_has_its_package_and_the_shared_room_and_no_other_service(zips):
    tops = {package: {name.split("/")[0] for name in names_in(path)} for package, path in zips.items()}

    services = {"auth", "users", "notifications", "products", "orders", "local", "tests"}
    assert {package: found & services for package, found in tops.items()} == {package: {package} for package in tops}
    assert all({"shared", "boto3", "aws_lambda_powertools"} <= found for found in tops.values())


def test_a_zip_is_compiled_and_names_nothing_of_the_machine_that_made_it(zips):
    for path in zips.values():
        names = names_in(path)
        sources = [name for name in names if name.endswith(".py")]
        assert len([name for name in names if name.endswith(".pyc")]) == len(sources)
        assert [name for name in names if name.startswith("bin/") or name.endswith("/RECORD")] == []
        with ZipFile(path) as archive:
            assert [name for name in names if str(PROJECT).encode() in archive.read(name)] == []


def test_a_zip_has_the_same_bytes_from_another_folder_at_another_time(zips, tmp_path, monkeypatch):
    monkeypatch.setattr(package_lambda.tempfile, "tempdir", str(tmp_path))

    again = build("users", here(), tmp_path / "again")

    assert again.read_bytes() == zips["users"].read_bytes()


def test_a_zip_has_at_most_25_megabytes(zips):
    sizes = {package: path.stat().st_size for package, path in zips.items()}
    print("\n  " + ", ".join(f"{package}.zip {size / 1e6:.1f} MB" for package, size in sizes.items()))

    assert max(sizes.values()) <= MAX_BYTES


def test_production_is_a_supported_runtime_on_arm64():
    assert production() == Target("3.13", "aarch64")


def test_a_zip_for_arm64_has_the_libraries_of_arm64(tmp_path):
    path = build("auth", Target(here().python, "aarch64"), tmp_path)

    with ZipFile(path) as archive:
        machines = {
            name: int.from_bytes(archive.read(name)[18:20], "little")
            for name in archive.namelist()
            if name.endswith(".so")
        }
    assert len(machines) >= 4
    assert set(machines.values()) == {AARCH64}
    assert path.stat().st_size <= MAX_BYTES


def test_a_zip_has_the_models_of_the_apis_that_functions_call(zips):
    for path in zips.values():
        names = (name.split("/") for name in names_in(path))
        assert {parts[2] for parts in names if parts[:2] == ["botocore", "data"] and len(parts) > 3} == AWS_APIS


def test_the_wheels_and_hashes_of_the_list_are_all_that_is_installed(tmp_path, monkeypatch):
    """Pip refuses a file whose hash the list does not have."""
    monkeypatch.setattr(package_lambda, "ROOT", tmp_path)
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "requirements.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(package_lambda.subprocess.CalledProcessError):
        build("users", here(), tmp_path)

    assert list(tmp_path.glob("*.zip")) == []


def invoke(client, name, event):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
    return json.load(answer["Payload"])


def test_every_function_starts_from_its_zip_and_a_cold_start_is_printed(host, tmp_path):
    client = boto3.client("lambda", endpoint_url=host, region_name="us-east-1")
    for function in deployed_functions(tmp_path):
        started = time.monotonic()
        answer = invoke(client, function.name, {})  # an event of no kind that it knows
        cold = time.monotonic() - started
        print(f"\n  {function.name}: cold start {cold:.2f} s, from its process's start to its first answer", end="")

        assert not answer.get("errorType", "").startswith("Runtime."), answer
    client.close()


def test_the_platform_runs_from_its_zips(host):
    with running_gateway(host) as url:
        api = Http(url)
        registered = api.register("zips@example.com")
        session = api.log_in("zips@example.com").json["sessionId"]
        verified = api("GET", "/auth/verify", token=session)
        shown = api("GET", "/users/zips@example.com", token=session)

    assert registered.status == 201
    assert verified.json["userId"] == "zips@example.com"
    assert (shown.status, shown.json["name"]) == (200, "Ana")
