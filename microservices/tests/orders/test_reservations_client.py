"""The client of the products service: its tries, and answers that are not as agreed."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from microservices.tests.running import PATIENCE_SECONDS, PATIENT_TRIES
from tests.servers import wait_until

RESERVED = (200, {"status": "reserved", "items": [{"product_id": 1, "name": "Pen", "quantity": 2, "unit_price": 1.1}]})
SILENCE = None


class Scripted(ThreadingHTTPServer):
    """A products service that gives the answers of a list, and says what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Script)
        self.answers, self.asked, self.ended = [], [], threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Script(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(body) if body else None))
        answer = self.server.answers.pop(0)
        if answer is SILENCE:
            self.server.ended.wait()
            return
        status, body = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_DELETE = answer

    def log_message(self, *arguments):
        pass


@pytest.fixture
def products():
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def give(monkeypatch):
    """Set the seconds of both tries."""
    from orders import reservations

    return lambda *seconds: monkeypatch.setattr(reservations, "TRIES_SECONDS", seconds)


@pytest.fixture
def client(products, give):
    from orders.reservations import Reservations

    give(*PATIENT_TRIES)
    return Reservations(products.url)


@pytest.fixture
def order():
    from orders.order import PENDING, Line, Order
    from shared import clock

    now = clock.now()
    return Order("01a22207-d3ab-700b-bdd2-fa01ca200adc", "ana", "r", PENDING, (Line(1, 2),), (), now, now)


def test_the_order_is_asked_for_by_its_id(client, products, order):
    products.answers = [RESERVED]

    [line] = client.reserve(order).lines

    assert (line.name, str(line.unit_price), str(line.total)) == ("Pen", "1.1", "2.2")
    items = {"items": [{"product_id": 1, "quantity": 2}]}
    assert products.asked == [("PUT", f"/internal/reservations/{order.id}", items)]


@pytest.mark.parametrize("first", [(500, {}), (503, {}), SILENCE])
def test_a_failure_is_tried_once_more(client, products, order, give, first):
    give(0.2 if first is SILENCE else PATIENCE_SECONDS, PATIENCE_SECONDS)
    products.answers = [first, RESERVED]

    assert client.reserve(order).lines[0].name == "Pen"
    assert len(products.asked) == 2


def test_both_tries_and_the_database_fit_into_the_3_and_a_half_seconds_of_a_503():
    from orders.reservations import TRIES_SECONDS

    assert TRIES_SECONDS[0] == 2
    assert sum(TRIES_SECONDS) <= 3.3


def test_a_third_try_is_not_made(client, products, order):
    from orders.errors import ProductsUnavailable

    products.answers = [(500, {}), (500, {}), RESERVED]

    with pytest.raises(ProductsUnavailable):
        client.reserve(order)
    assert len(products.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"no JSON"),
        (200, []),
        (200, {"items": []}),
        (200, {"items": [{"product_id": 1, "name": "Pen"}]}),
        (200, {"items": [{"product_id": 1, "name": "Pen", "quantity": 2, "unit_price": "free"}]}),
        (200, {"items": [{"product_id": 1, "name": "Pen", "quantity": 2, "unit_price": None}]}),
        (409, {"status": "rejected"}),
        (409, {"reasons": [{"product": 1}]}),
        (404, {"error": "Not found"}),
        (422, {"error": "…"}),
        (302, {}),
    ],
)
def test_an_answer_that_is_not_as_agreed_decides_nothing(client, products, order, answer):
    from orders.errors import ProductsUnavailable

    products.answers = [answer]

    with pytest.raises(ProductsUnavailable):
        client.reserve(order)


@pytest.mark.parametrize("answer", [(500, {}), (404, {})])
def test_a_release_counts_once_it_is_acknowledged(client, products, order, answer):
    from orders.errors import ProductsUnavailable

    products.answers = [answer, answer]
    with pytest.raises(ProductsUnavailable):
        client.release(order.id)

    products.answers = [(200, {"status": "released"})]
    client.release(order.id)


def test_after_silence_the_next_callers_do_not_wait(client, products, order, give, monkeypatch):
    """A service that hangs must not take up every thread of this one."""
    from orders import reservations
    from orders.errors import ProductsUnavailable

    moments = iter([0.0, 10.0, 10.5, 11.0])
    monkeypatch.setattr(reservations, "monotonic", lambda: next(moments))
    products.answers = [SILENCE, SILENCE]
    give(0.2, 0.1)
    with pytest.raises(ProductsUnavailable):
        client.reserve(order)
    wait_until(lambda: products.answers == [], what="the second was never sent")  # the server may hear it only now
    give(*PATIENT_TRIES)

    with pytest.raises(ProductsUnavailable):
        client.reserve(order)
    assert len(products.asked) == 2

    products.answers = [RESERVED]
    assert client.reserve(order).lines[0].name == "Pen"
