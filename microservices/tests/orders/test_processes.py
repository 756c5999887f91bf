"""The service's two processes: what they need to start, how the relay ends, and where fault points are refused."""

import json
import signal
import subprocess
import sys

import pytest

from microservices.tests.running import NOBODY, PATIENCE_SECONDS, PROJECT, process_of
from tests.servers import wait_until

ROOT = PROJECT / "microservices"


@pytest.fixture
def settings(database, stand_in):
    """All that the relay needs."""
    return {
        "PYTHONPATH": str(ROOT),
        "PRODUCTS_URL": NOBODY,
        "ORDER_EVENTS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:microservices-order-events",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": stand_in,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        **database.settings("orders_app"),
    }


def unsent(shop):
    return shop.rows("SELECT count(*) FROM orders.outbox WHERE sent_at IS NULL")[0][0]


def test_the_relay_publishes_and_sweeps_until_sigterm(shop, settings, products_url, connect_to):
    pen = shop.sell()
    shop.order((pen, 1))
    connect_to(NOBODY)
    shop.order((pen, 1))

    changes = {"PRODUCTS_URL": products_url, "SWEEP_AFTER_SECONDS": "1"}
    with process_of("-m", "orders.relay", **{**settings, **changes}) as relay:
        wait_until(lambda: shop.events() == ["order.confirmed"] * 2 and unsent(shop) == 0, what="not all is published")
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(PATIENCE_SECONDS) == 0


def test_the_relay_waits_for_sns_and_ends_meanwhile(shop, settings, tmp_path):
    shop.order((shop.sell(), 1))
    log = tmp_path / "log"

    with log.open("wb") as output:
        environment = {**settings, "AWS_ENDPOINT_URL": NOBODY}
        relay = subprocess.Popen([sys.executable, "-m", "orders.relay"], cwd=ROOT, env=environment, stdout=output)
    wait_until(lambda: log.read_text().count("relay_waits") >= 3, what="the relay does not wait")
    relay.send_signal(signal.SIGTERM)

    assert relay.wait(PATIENCE_SECONDS) == 0
    pauses = [line["seconds"] for line in map(json.loads, log.read_text().splitlines()) if "seconds" in line]
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert unsent(shop) == 1


@pytest.mark.parametrize("name", ["PRODUCTS_URL", "ORDER_EVENTS_TOPIC_ARN", "AWS_REGION", "DB_HOST", "DB_PASSWORD"])
def test_a_missing_setting_stops_the_relay_and_is_named(settings, name):
    environment = {key: value for key, value in settings.items() if key != name}

    done = subprocess.run(
        [sys.executable, "-m", "orders.relay"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert done.returncode == 1
    assert f"{name} is not set" in done.stderr


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"FAULT_POINT": "reserved", "DB_HOST": "db.example.com"}, "with a database on this machine"),
        ({"FAULT_POINT": "somewhere", "DB_HOST": "127.0.0.1"}, "none of begun, inserted"),
        ({"CANCEL_WINDOW_SECONDS": "0"}, "CANCEL_WINDOW_SECONDS is not a positive integer"),
        ({"PRODUCTS_URL": ""}, "PRODUCTS_URL is not set"),
    ],
)
def test_a_wrong_setting_stops_the_service_and_is_named(monkeypatch, connect_to, settings, reason):
    from orders.app import create_app
    from shared.settings import SettingInvalid

    connect_to(NOBODY)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingInvalid, match=reason):
        create_app()


def test_no_deployment_sets_a_fault_point():
    deployed = [*ROOT.glob("terraform/*.tf"), *ROOT.glob("*/Dockerfile"), *ROOT.glob("local/*.py")]

    assert len(deployed) > 10
    assert [path.name for path in deployed if "FAULT_POINT" in path.read_text()] == []
