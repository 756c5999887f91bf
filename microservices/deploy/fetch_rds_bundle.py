"""Fetch of the certificates of RDS's authorities into an image: ``fetch_rds_bundle.py URL SHA256 FILE``."""

import hashlib
import sys
import urllib.request
from pathlib import Path

MAX_BYTES = 2 * 1024 * 1024  # AWS's bundle of all regions has 165 KB
TIMEOUT_SECONDS = 30


def fetch(url: str, digest: str, path: Path) -> None:
    """
    Write what an address has into a file, if it is what is expected.

    Args:
        url: Address of the bundle.
        digest: Its SHA-256 in hexadecimal, from the build's arguments.
        path: File to write.
    """
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the build names the address
        content = answer.read(MAX_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        sys.exit(f"RDS_BUNDLE_SHA256: is {digest or 'not set'}, but {url} has {found}")
    path.write_bytes(content)


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
