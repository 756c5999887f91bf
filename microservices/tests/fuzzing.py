"""
Contract fuzzing: schemathesis asks the gateway by the document, for the services that are built.

``python -m microservices.tests.fuzzing --cases 3000`` starts a stand-in, host and gateway, and asks at least so often.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests

from microservices.local.aws import connect, grant_admin, make_resources
from microservices.local.database import Database
from microservices.local.gateway.document import METHODS, PATH, render
from microservices.local.gateway.server import variables
from microservices.local.terraform import deployed
from microservices.tests.databases import running_containers, running_database
from microservices.tests.running import NOBODY, PATIENCE_SECONDS, PROJECT, free_port, process_on, running_platform

PASSWORD = "password123"
VICTIMS = 100
SECONDS_PER_EXAMPLE = 40  # of each operation and phase: never a measure
PRODUCTS = 100
ORDERS = [f"00000000-0000-7000-8000-0000000000{number:02}" for number in range(100)]
NOTIFICATIONS = [f"82326769543{number:02}-00000000-0000-7000-8000-0000000000{number:02}" for number in range(100)]


def document_of(services: set[str], url: str) -> dict[str, Any]:
    """The document's part for some services, with what API Gateway alone understands left out."""
    tree = render(PATH.read_text(), variables(NOBODY, NOBODY))
    tree["servers"] = [{"url": url}]
    tree["paths"] = {
        path: {
            key: operation
            for key, operation in item.items()
            if key == "parameters" or (key in METHODS and set(operation["tags"]) & services)
        }
        for path, item in tree["paths"].items()
        if any(set(item.get(method, {}).get("tags", ())) & services for method in METHODS)
    }
    return {key: value for key, value in tree.items() if not key.startswith("x-")}


def make_users(url: str, stand_in: str) -> str:
    """Register an admin with notifications, a user, and those that the cases change and delete; the admin's token."""
    for name in ("admin", "user"):
        user = {"email": f"{name}@example.com", "password": PASSWORD, "name": name}
        requests.post(f"{url}/auth/register", json=user, timeout=PATIENCE_SECONDS).raise_for_status()
    assert grant_admin(stand_in, "admin@example.com")
    users = connect("dynamodb", stand_in)
    table = deployed().value("${aws_dynamodb_table.users.name}")
    item = users.get_item(TableName=table, Key={"userId": {"S": "user@example.com"}})["Item"]
    for number in range(VICTIMS):  # past the brake of registrations
        users.put_item(TableName=table, Item={**item, "userId": {"S": f"victim{number}@example.com"}})
    users.close()
    admin = {"email": "admin@example.com", "password": PASSWORD}
    session = requests.post(f"{url}/auth/login", json=admin, timeout=PATIENCE_SECONDS).json()
    make_notifications(stand_in, session["user"]["accountId"])
    token: str = session["sessionId"]
    return token


def make_notifications(stand_in: str, account_id: str) -> None:
    """Write an account's notifications, which the cases read and delete."""
    storage = connect("s3", stand_in)
    bucket = deployed().value("${aws_s3_bucket.notifications.bucket}")
    for identifier in NOTIFICATIONS:
        notification = {
            "id": identifier,
            "type": "order.confirmed",
            "title": "Order confirmed",
            "order_id": identifier.partition("-")[2],
            "created_at": "2026-01-02T03:04:05.678Z",
            "body": "Your order is confirmed.",
        }
        key = f"notifications/{account_id}/{identifier}.json"
        storage.put_object(Bucket=bucket, Key=key, Body=json.dumps(notification))
    storage.close()


def make_products(database: Database) -> None:
    """Write the products that the cases read and change, with the numbers from 2 on."""
    with database.connect(database.name) as connection:
        connection.execute(
            "INSERT INTO products.products (name, price, stock)"
            " SELECT 'Product ' || i, i, i FROM generate_series(1, %s) AS i",
            [PRODUCTS],
        )


def make_orders(database: Database) -> None:
    """Write the confirmed orders that the cases read, cancel and fulfil."""
    with database.connect(database.name) as connection:
        connection.cursor().executemany(
            "INSERT INTO orders.orders (id, account_id, idempotency_key, request_id, status, lines,"
            " created_at, updated_at, decided_at) VALUES (%s, %s, %s, 'r', 'confirmed',"
            """ '[{"product_id": 1, "quantity": 1, "name": "A", "unit_price": "1.50"}]', now(), now(), now())""",
            [(order_id, order_id, order_id) for order_id in ORDERS],
        )


def fuzz(examples: int, folder: Path, seed: int = 1) -> tuple[int, int, str]:
    """
    Run schemathesis once.

    Args:
        examples: Examples of each operation and phase, at most.
        folder: Where logs and the document go.
        seed: Seed of what is generated.

    Returns:
        Exit status, number of cases that were asked, and what was printed.
    """
    port = free_port()
    with process_on(port, "-m", "microservices.local.aws", str(port)):
        stand_in = f"http://127.0.0.1:{port}"
        make_resources(stand_in)
        with (
            running_database() as database,
            running_containers(database) as containers,
            running_platform(stand_in, folder, **containers) as url,
        ):
            make_products(database)
            make_orders(database)
            document = folder / "openapi.json"
            document.write_text(json.dumps(document_of({"auth", "users", "products", "orders", "notifications"}, url)))
            given = {"FUZZ_URL": url, "FUZZ_ADMIN": make_users(url, stand_in)}
            command = [
                str(Path(sys.executable).parent / "schemathesis"), "run", str(document), "--url", url,
                "--max-examples", str(examples), "--seed", str(seed), "--no-color", "--generation-database", "none",
                "--request-timeout", str(int(PATIENCE_SECONDS)), "--workers", "1", "--continue-on-failure",
                # Another case deletes and re-makes the users that a case has met.
                "--exclude-checks", "use_after_free,ensure_resource_availability",
            ]  # fmt: skip
            env = {**os.environ, **given, "SCHEMATHESIS_HOOKS": "microservices.tests.fuzzing_hooks"}
            env["PYTHONPATH"] = str(PROJECT)
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=folder,
                env=env,
                check=False,
                timeout=SECONDS_PER_EXAMPLE * examples,
            )
    return done.returncode, cases_of(done.stdout), done.stdout + done.stderr


def cases_of(output: str) -> int:
    """Number of cases that schemathesis says it has generated."""
    found = re.search(r"^\s*(\d[\d,]*) generated", output, re.MULTILINE)
    return int(found[1].replace(",", "")) if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=3_000)
    options = parser.parse_args()
    total, seed = 0, 0
    while total < options.cases:
        seed += 1
        with tempfile.TemporaryDirectory() as folder:
            status, cases, output = fuzz(200, Path(folder), seed)
        total += cases
        sys.stdout.write(f"{output}\n{total} cases so far\n")
        if status or not cases:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
