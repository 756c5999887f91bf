"""A fault of the gateway itself is logged, and told in the services' shape."""

import io
import json
import logging

from microservices.local.gateway import server
from microservices.local.gateway.document import PATH
from microservices.local.gateway.server import Gateway, read_document, variables


def test_a_fault_of_the_gateway_is_a_500_without_its_words(monkeypatch, caplog):
    gateway = Gateway(read_document(PATH.read_text(), variables("http://p", "http://o")), "http://127.0.0.1:9")
    monkeypatch.setattr(server.current, "headers", [("X-Request-Id", "abc")], raising=False)
    monkeypatch.setattr(gateway, "_route", lambda _request: 1 / 0)
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/api/users",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(),
    }
    answered = []

    with caplog.at_level(logging.ERROR, logger="gunicorn.error"):
        (body,) = gateway(environ, lambda status, headers: answered.append((status, dict(headers))))

    assert answered[0][0] == "500 Internal Server Error"
    assert json.loads(body) == {"error": "Internal server error", "code": "internal_error", "request_id": "abc"}
    assert "ZeroDivisionError" in caplog.text
