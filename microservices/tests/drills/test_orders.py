"""Orders while parts of the platform are killed, hang or are away: none lost, none placed twice, nothing oversold."""

import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from uuid import uuid4

import pytest
from urllib3.exceptions import HTTPError

from microservices.tests.callers import Answer
from microservices.tests.orders.shop import Trade, race_for_the_last_unit, send_one_key_many_times
from microservices.tests.running import PATIENCE_SECONDS
from tests.load import BUSIER_THAN_CALM
from tests.servers import wait_until

# What is wrong where a wait has no end.
UNDECIDED, UNPUBLISHED, UNNOTIFIED = "orders stay pending", "events stay unsent", "notifications do not come"
NOT_BACK = "no order succeeds again"


@dataclass
class Sent:
    """One order that a customer has sent, and what came back; None if no answer came."""

    key: str
    at: float
    seconds: float
    answer: Answer | None

    @property
    def status(self):
        return self.answer.status if self.answer else 0


class Customers:
    """Threads that order one unit each time; after an error they wait a moment."""

    def __init__(self, shop, product_id, account, number=8, pause=0.0):
        self.shop, self.product_id, self.account, self.pause = shop, product_id, account, pause
        self.sent = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._buy) for _ in range(number)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _buy(self):
        while not self._end.is_set():
            one = send(self.shop, self.product_id, self.account)
            self.sent.append(one)
            self._end.wait(self.pause if one.status == 201 else 0.3)

    def by_status(self):
        return Counter(one.status for one in self.sent)

    def wait_for_calm(self, seconds):
        """Order for a while in which nothing breaks, until each thread had an answer; the moment after it."""
        time.sleep(seconds)
        wait_until(lambda: len(self.sent) >= len(self._threads), what="nobody orders")
        return time.monotonic()

    def busier(self, until):
        """Seconds by which this machine may pass a promise: many times the slowest answer before anything broke."""
        return BUSIER_THAN_CALM * max(one.seconds for one in self.sent if one.at + one.seconds <= until)


def send(shop, product_id, account, key=None):
    key, started = key or str(uuid4()), time.monotonic()
    try:
        answer = shop.order((product_id, 1), key=key, account=account)
    except HTTPError:
        answer = None
    return Sent(key, started, time.monotonic() - started, answer)


def pending(shop):
    return shop.rows("SELECT count(*) FROM orders.orders WHERE status = 'pending'")[0][0]


def unsent(shop):
    return shop.rows("SELECT count(*) FROM orders.outbox WHERE sent_at IS NULL")[0][0]


def check_account(shop, product_id, account, stock):
    """Every order of the account is decided, once, with one event; the stock is what is left. The number of orders."""
    assert pending(shop) == 0
    shop.check_balance()
    orders = dict(shop.rows("SELECT idempotency_key, status FROM orders.orders WHERE account_id = %s", account))
    events = shop.rows(
        "SELECT event::json #>> '{order,id}' FROM orders.outbox WHERE event::json #>> '{order,account_id}' = %s",
        account,
    )
    assert len(set(events)) == len(events) == len(orders)
    assert shop.stock(product_id) == stock - sum(status == "confirmed" for status in orders.values())
    return orders


@pytest.fixture
def report(capsys):
    def write(text):
        with capsys.disabled():
            print(f"\n  {text}", flush=True)

    return write


@pytest.fixture
def shop(platform_run):
    platform_run.start_what_is_dead()  # a drill that failed may have left something so
    return platform_run.shop


POINTS = ("begun", "inserted", "reserved", "decided")


def test_orders_are_killed_at_each_step(platform_run, shop, report):
    """Invariant 7. At the fifth step, the relay's, an event is published, and not yet marked."""
    pen, account, stock = shop.sell(stock=1000), str(uuid4()), 1000
    platform_run.kill("The orders relay")  # until what the crashes have left is seen
    killed = {point: platform_run.start_beside(f"Orders, killed when {point}", FAULT_POINT=point) for point in POINTS}
    sent = {point: [] for point in POINTS}

    def crash(point):
        sent[point] += [send(killed[point], pen, account) for _ in range(3)]

    threads = [threading.Thread(target=crash, args=(point,)) for point in POINTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for point in POINTS:
        platform_run.kill(f"Orders, killed when {point}")
    found = {point: [kept(shop, one.key) for one in sent[point]] for point in POINTS}

    assert {one.status for point in POINTS for one in sent[point]} == {0}
    assert found == {
        "begun": [None] * 3,
        "inserted": [("pending", None)] * 3,
        "reserved": [("pending", "reserved")] * 3,
        "decided": [("confirmed", "reserved")] * 3,
    }
    shop.check_balance()
    platform_run.start("The orders relay")
    seconds = wait_until(lambda: pending(shop) == 0, what=UNDECIDED)
    again = [send(shop, pen, account, key=one.key) for point in POINTS for one in sent[point]]
    assert {one.status for one in again} == {201}
    assert ["idempotency-replayed" in one.answer.headers for one in again] == [False] * 3 + [True] * 9
    assert set(check_account(shop, pen, account, stock).values()) == {"confirmed"}

    wait_until(lambda: unsent(shop) == 0, what=UNPUBLISHED)
    platform_run.kill("The orders relay")
    more = [send(shop, pen, account) for _ in range(3)]
    platform_run.start("The orders relay", FAULT_POINT="published")
    platform_run.process("The orders relay").wait(PATIENCE_SECONDS)
    assert unsent(shop) == len(more)
    platform_run.kill("The orders relay")
    platform_run.start("The orders relay")
    arrived = wait_until(lambda: len(platform_run.notified(account)) >= 15, what=UNNOTIFIED)
    time.sleep(1)
    assert len(set(platform_run.notified(account))) == len(platform_run.notified(account)) == 15
    report(
        f"killed at 5 steps: 12 orders, the 6 pending ones decided {seconds:.1f} s later, each once; "
        f"3 events published twice were 3 notifications, {arrived:.1f} s after the relay's start"
    )


def kept(shop, key):
    """Status of the order with a key, and of its reservation."""
    found = shop.rows(
        "SELECT o.status, r.status FROM orders.orders AS o LEFT JOIN products.reservations AS r ON order_id = id"
        " WHERE idempotency_key = %s",
        key,
    )
    return found[0] if found else None


def test_products_hang_and_die_under_load(platform_run, shop, report):
    """Invariant 8: five seconds without an answer, five without a process."""
    pen, account, stock = shop.sell(stock=1_000_000), str(uuid4()), 1_000_000
    with Customers(shop, pen, account) as customers:
        stopped = customers.wait_for_calm(1)
        platform_run.send("Products", signal.SIGSTOP)
        time.sleep(5)
        platform_run.kill("Products")
        time.sleep(5)
        platform_run.start("Products")
        started = time.monotonic()
        wait_until(lambda: any(one.at > started and one.status == 201 for one in customers.sent), what=NOT_BACK)
    during = [one for one in customers.sent if stopped <= one.at < started]
    statuses, slowest = customers.by_status(), max(one.seconds for one in customers.sent)

    assert set(statuses) == {201, 503}
    assert {one.answer.json["code"] for one in customers.sent if one.status == 503} == {"products_unavailable"}
    assert slowest <= 3.5 + customers.busier(stopped)
    seconds = wait_until(lambda: pending(shop) == 0, what=UNDECIDED)
    orders = check_account(shop, pen, account, stock)
    assert len(orders) == len(customers.sent)
    assert set(orders.values()) == {"confirmed"}
    refused = random.Random(1).sample([one for one in customers.sent if one.status == 503], 5)
    assert {send(shop, pen, account, key=one.key).status for one in refused} == {201}
    report(
        f"products hung and gone for 10 s: {len(during)} answers meanwhile, {dict(statuses)} in all, "
        f"slowest {slowest:.2f} s; all decided {seconds:.1f} s after the load"
    )


def test_the_stand_in_for_sns_and_sqs_is_killed_for_10_seconds(platform_run, shop, report):
    """Invariant 9. What SNS had already taken goes with the stand-in's memory, so nothing is under way before."""
    pen, account, stock = shop.sell(stock=1_000_000), str(uuid4()), 1_000_000
    wait_until(lambda: unsent(shop) == 0, what=UNPUBLISHED)
    platform_run.kill("The AWS stand-in")
    with Customers(shop, pen, account, number=2, pause=0.1) as customers:
        time.sleep(10)
    assert set(customers.by_status()) == {201}
    # A new stand-in has no subscription at first, and forgets what comes before; SNS itself is never without it.
    platform_run.send("The orders relay", signal.SIGSTOP)
    platform_run.start("The AWS stand-in")
    platform_run.send("The orders relay", signal.SIGCONT)
    started = time.monotonic()
    within = 15 + customers.busier(started)
    wait_until(lambda: unsent(shop) == 0, seconds=within, what=UNPUBLISHED)
    expected = {event for (event,) in events_of(shop, account)}
    wait_until(lambda: set(platform_run.notified(account)) >= expected, seconds=within, what=UNNOTIFIED)
    seconds = time.monotonic() - started

    notified = platform_run.notified(account)
    assert len(notified) == len(set(notified)) == len(expected) == len(customers.sent)
    check_account(shop, pen, account, stock)
    assert seconds <= within
    report(
        f"SNS, SQS and S3 gone for 10 s: {len(customers.sent)} orders went on, "
        f"each has one notification {seconds:.1f} s after the return"
    )


def events_of(shop, account):
    return shop.rows("SELECT id::text FROM orders.outbox WHERE event::json #>> '{order,account_id}' = %s", account)


def test_postgresql_is_killed_under_load(platform_run, shop, report):
    """Invariant 12."""
    pen, account, stock = shop.sell(stock=1_000_000), str(uuid4()), 1_000_000
    with Customers(shop, pen, account) as customers:
        killed = customers.wait_for_calm(2)
        platform_run.kill("PostgreSQL")
        time.sleep(2)
        platform_run.start_again("PostgreSQL")
        started = time.monotonic()
        back = started + 3 + customers.busier(killed)
        wait_until(lambda: any(one.at > back and one.status == 201 for one in customers.sent), what=NOT_BACK)
    recovered = min(one.at + one.seconds for one in customers.sent if one.at > killed and one.status == 201) - started
    statuses = customers.by_status()

    assert set(statuses) == {201, 503}
    assert all("retry-after" in one.answer.headers for one in customers.sent if one.status == 503)
    assert recovered <= back - started
    assert {one.status for one in customers.sent if one.at > back} == {201}
    wait_until(lambda: pending(shop) == 0, what=UNDECIDED)
    orders = check_account(shop, pen, account, stock)
    acknowledged = [one.key for one in customers.sent if one.status == 201]
    assert {orders.get(key) for key in acknowledged} == {"confirmed"}
    report(
        f"PostgreSQL killed: {dict(statuses)}; 0 of {len(acknowledged)} acknowledged orders lost, "
        f"the first one {recovered:.2f} s after its return"
    )


def test_the_last_unit_is_sold_once(shop, report):
    """Invariant 5, 20 times."""
    outcomes = race_for_the_last_unit(shop, rounds=20)

    assert outcomes == {"201 confirmed": 20, "409 insufficient_stock": 20 * 63}
    report(f"64 buyers of the last unit, 20 rounds: {dict(outcomes)}")


def test_one_key_is_one_order(shop, report):
    """Invariant 6, 5 times."""
    for _ in range(5):
        send_one_key_many_times(shop)

    report("one key sent 50 times at once, 5 rounds: one order, one reservation, one event, 50 equal bodies each")


def test_5_000_random_operations_keep_the_stock_whole(shop, report):
    """Invariant 4."""
    seed, started = random.SystemRandom().randrange(10**6), time.monotonic()
    trade = Trade(shop, seed)

    trade.run(operations=5_000)

    rate = 5_000 / (time.monotonic() - started)
    report(
        f"5,000 random operations, seed {seed}, {rate:.0f}/s: the stock adds up in {trade.samples} samples; "
        f"{dict(sorted(trade.outcomes.items()))}"
    )
