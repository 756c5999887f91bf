"""
Zips of the Lambda functions, one a package: its code, ``shared/`` and what both need, compiled.

The same sources give the same bytes, so a hash tells whether there is anything to deploy.
"""

import argparse
import base64
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from microservices.local.terraform import deployed

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT.parent / "instance" / "zips"
# Of botocore's 400 models of AWS APIs, which are most of its bytes, those that functions call.
AWS_APIS = {"dynamodb", "s3"}
# 2.26 is the C library of Amazon Linux 2, which the oldest runtime, python3.11, is made of.
WHEELS = ("manylinux2014", "manylinux_2_26")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's names, and those of wheels
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip has no earlier time


@dataclass(frozen=True)
class Target:
    """Python's version, such as 3.13, and the machine, such as aarch64, that a zip is for."""

    python: str
    machine: str


def production() -> Target:
    """The runtime and the machine that the Terraform files name."""
    runtime, architecture = (deployed().value(f"${{var.lambda_{name}}}") for name in ("runtime", "architecture"))
    return Target(runtime.removeprefix("python"), MACHINES[architecture])


def here() -> Target:
    """This interpreter on this machine, for the local Lambda host."""
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine())


def packages() -> list[str]:
    """Packages that the deployed functions are in."""
    return sorted({settings["handler"].split(".")[0] for settings in deployed().local("lambdas").values()})


def build(package: str, target: Target, output: Path) -> Path:
    """
    Write the zip of a package.

    Args:
        package: Name of its folder, such as ``auth``.
        target: Python and machine that it is for.
        output: Folder that the zip is put into.

    Returns:
        Path of the zip.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        install(package, target, root)
        copy_sources(package, root)
        compile_sources(target, root)
        return pack(root, output / f"{package}.zip")


def install(package: str, target: Target, root: Path) -> None:
    """Install what a package needs, by hash and from wheels alone; leave out what no function uses."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp"]
    command += [f"--platform={wheel}_{target.machine}" for wheel in WHEELS]
    pins = ROOT / package / "requirements.txt"
    subprocess.run(  # noqa: S603 - our own interpreter and arguments
        [*command, f"--python-version={target.python}", f"--target={root}", f"--requirement={pins}"], check=True
    )
    unused = [path for path in (root / "botocore" / "data").iterdir() if path.is_dir() and path.name not in AWS_APIS]
    for path in (root / "bin", *unused):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob("*.dist-info/RECORD"):  # it has the hashes of bin/, whose files name this machine's Python
        path.unlink()


def copy_sources(package: str, root: Path) -> None:
    """Copy a package's code, and the shared room, which imports nothing above it."""
    for source in (path for name in (package, "shared") for path in sorted((ROOT / name).rglob("*.py"))):
        copy = root / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def compile_sources(target: Target, root: Path) -> None:
    """Compile everything where this machine can; a function cannot keep bytecode, so its cold starts would compile."""
    interpreter = interpreter_of(target)
    if interpreter is None:
        sys.stdout.write(f"not compiled, since python{target.python} is not here: cold starts take twice as long\n")
        return
    command = [interpreter, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    subprocess.run([*command, f"-s{root}", "-p/var/task", str(root)], check=True)  # noqa: S603 - as above


def interpreter_of(target: Target) -> str | None:
    """Command of the target's Python, whose bytecode no other version reads; None if it is not here."""
    if target.python == here().python:
        return sys.executable
    found = shutil.which(f"python{target.python}")  # of pyenv, it may be there and name no Python
    if found is None or subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode:  # noqa: S603 - a Python
        return None
    return found


def pack(root: Path, path: Path) -> Path:
    """Write a folder's files into a zip, in order, without times and rights of this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as archive:
        for file in sorted(one for one in root.rglob("*") if one.is_file()):
            info = ZipInfo(str(file.relative_to(root)), EARLIEST)
            info.compress_type, info.create_system, info.external_attr = ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(info, file.read_bytes())
    return path


def main() -> None:
    """Write every package's zip; print its size, and its hash as Lambda and Terraform write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the zips (instance/zips)")
    parser.add_argument("--here", action="store_true", help="for this Python and machine, not those of production")
    options = parser.parse_args()
    for package in packages():
        content = build(package, here() if options.here else production(), options.output).read_bytes()
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        sys.stdout.write(f"{package}.zip  {len(content) / 1e6:.1f} MB  {digest}\n")


if __name__ == "__main__":
    main()
