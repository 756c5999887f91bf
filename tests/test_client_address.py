"""The client's address: one key for views, rate limits and the log, in every spelling and behind every proxy."""

import time

import pytest
import requests

from post.shared.memory import SharedCounters
from post.shared.rate_windows import MemoryRateWindows
from post.web.client_address import HEADER_MAX_CHARS, client_key
from tests.nginx import proxied_service
from tests.servers import HANG_SECONDS, wait_until

POSTS = "/api/v1/posts"
V4, V6 = "203.0.113.9", "2001:db8:1:2::/64"


def key(peer: str = "10.0.0.1", *, hops: int = 0, header: str = "x-forwarded-for", value: str | None = None) -> str:
    environ = {"REMOTE_ADDR": peer}
    if value is not None:
        environ["HTTP_" + header.upper().replace("-", "_")] = value
    return client_key(environ, hops=hops, header=header)


SPELLINGS = {
    "203.0.113.9": V4,
    "203.0.113.9:1111": V4,
    "::ffff:203.0.113.9": V4,
    "::FFFF:cb00:7109": V4,
    "[::ffff:203.0.113.9]:1111": V4,
    "::ffff:203.0.113.9%eth0": V4,
    "0:0:0:0:0:ffff:203.0.113.9": V4,
    "::203.0.113.9": V4,
    "::ffff:0:203.0.113.9": V4,
    "64:ff9b::203.0.113.9": V4,
    "2002:cb00:7109::1": V4,
    "2002:cb00:7109:ffff::1": V4,
    "2001:db8:1:2::1": V6,
    "2001:DB8:1:2:ffff:ffff:ffff:ffff": V6,
    "[2001:db8:1:2::7]": V6,
    "[2001:db8:1:2::7]:65535": V6,
    "2001:db8:1:2::7%eth0": V6,
    " 2001:db8:1:2::7 ": V6,
    "2001:db8:1:3::1": "2001:db8:1:3::/64",
    "::1": "::/64",
    "::": "::/64",
}


@pytest.mark.parametrize(("written", "expected"), SPELLINGS.items(), ids=SPELLINGS)
def test_an_address_has_one_key_however_it_is_written(written, expected):
    assert key(written) == expected
    assert key(hops=1, value=written) == expected
    assert key(hops=1, header="forwarded", value=f'for="{written}"') == expected


@pytest.mark.parametrize("peer", ["", "unix:", V6, "nonsense", "203.0.113.999"])
def test_a_peer_without_an_address_is_its_own_key(peer):
    assert key(peer) == peer


def test_a_key_is_the_same_for_its_key():
    assert [key(key(written)) for written in SPELLINGS] == list(SPELLINGS.values())


def test_without_trusted_proxies_no_header_counts():
    for header in ("x-forwarded-for", "forwarded", "cloudfront-viewer-address"):
        assert key(V4, header=header, value="for=198.51.100.1") == V4


# Where a proxy's header has the address: its value, and the key behind one, two and three proxies.

FORWARDED_FOR = {
    "203.0.113.9": (V4, None, None),
    "198.51.100.7, 203.0.113.9": (V4, "198.51.100.7", None),
    "198.51.100.7,203.0.113.9:80 ,[2001:db8:1:2::1]:80": (V6, V4, "198.51.100.7"),
    "203.0.113.9, unknown": (None, V4, None),
    "unknown, 203.0.113.9": (V4, V4, None),
    "": (None, None, None),
    "garbage": (None, None, None),
}
FORWARDED = {
    "for=203.0.113.9": (V4, None, None),
    "For=203.0.113.9;proto=https;by=10.0.0.9": (V4, None, None),
    'for="203.0.113.9:47011"': (V4, None, None),
    'for="[2001:db8:1:2::17]:4711"': (V6, None, None),
    "for=[2001:db8:1:2::17]:4711": (V6, None, None),
    'proto=https; for="[2001:db8:1:2::17]" ;host=x': (V6, None, None),
    "for=198.51.100.7, for=203.0.113.9": (V4, "198.51.100.7", None),
    # As API Gateway's HTTP APIs write it behind CloudFront, and then nginx.
    "for=198.51.100.7,for=203.0.113.9;by=[10.0.0.9];host=x.execute-api;proto=https, for=10.1.1.1": (
        "10.1.1.1", V4, "198.51.100.7",
    ),
    "for=_hidden, for=203.0.113.9": (V4, V4, None),
    "for=203.0.113.9, for=unknown": (None, V4, None),
    'for=203.0.113.9, for="_SEVKISEK"': (None, V4, None),
    'for=203.0.113.9;secret="a, b;for=198.51.100.7"': (V4, None, None),
    'secret="\\", for=198.51.100.7, \\"";for=203.0.113.9': (V4, None, None),
    "by=203.0.113.9": (None, None, None),
    "203.0.113.9": (None, None, None),
    # A client opens a quote, or escapes, before what our proxies add.
    'for=192.0.2.1;x=", for=203.0.113.9': (V4, "192.0.2.1", None),
    'for=192.0.2.1;x="\\, for="[2001:db8:1:2::1]", for=203.0.113.9': (V4, V6, V6),
    'for=192.0.2.1;x=", for="[2001:db8:1:2::1]", for="[2001:db8:1:2::2]"': (V6, V6, "192.0.2.1"),
    ", , for=203.0.113.9, ,": (V4, None, None),
}  # fmt: skip
VIEWER_ADDRESS = {
    "203.0.113.9:46532": (V4,) * 3,
    "2001:db8:1:2::7:46532": (V6,) * 3,
    "2001:db8:1:2::7:443": (V6,) * 3,
    "2001:db8:0:0:1:2:3:4:443": ("2001:db8::/64",) * 3,
    "2001:db8::1:2:3:4:443": ("2001:db8::/64",) * 3,
    "[2001:db8:1:2::7]:46532": (V6,) * 3,
    "203.0.113.9": (V4,) * 3,
    "2001:db8:1:2::7": (V6,) * 3,
    "192.0.2.1:80,203.0.113.9:46532": (V4,) * 3,
    "garbage": (None,) * 3,
}
HEADERS = {"x-forwarded-for": FORWARDED_FOR, "forwarded": FORWARDED, "cloudfront-viewer-address": VIEWER_ADDRESS}
CASES = [(header, value, keys) for header, cases in HEADERS.items() for value, keys in cases.items()]


@pytest.mark.parametrize(("header", "value", "keys"), CASES, ids=[f"{header}: {value}" for header, value, _ in CASES])
def test_proxies_are_counted_from_the_right(header, value, keys):
    found = tuple(key(hops=hops, header=header, value=value) for hops in (1, 2, 3))

    assert found == tuple(expected or "10.0.0.1" for expected in keys)


@pytest.mark.parametrize("piece", ["a", ",", '"', '\\"', ";", "for=", "=", " ", "for=1.2.3.4;", ':"', '",'])
@pytest.mark.parametrize("header", HEADERS)
def test_the_longest_header_costs_no_more_than_a_plain_one(header, piece):
    value = piece * (16_000 // len(piece))

    started = time.thread_time()
    for _ in range(20):
        key(hops=10, header=header, value=value)

    assert (time.thread_time() - started) / 20 < 0.005


def test_of_a_long_header_the_end_counts():
    value = 'for="' + "a" * 2 * HEADER_MAX_CHARS + ", for=203.0.113.9, for=10.1.1.1"

    assert [key(hops=hops, header="forwarded", value=value) for hops in (1, 2, 3)] == ["10.1.1.1", V4, "10.0.0.1"]
    assert key(hops=3, value=", ".join(["198.51.100.7"] * 2000 + [V4, "10.1.1.1", "10.1.1.2"])) == V4


# In the application

SAME = ["203.0.113.9", "203.0.113.9:1111", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]:7"]
OTHERS = [f"::ffff:203.0.113.{number}" for number in range(1, 8)]
ONE_NETWORK = [f"2001:db8:1:2::{number}" for number in range(1, 8)]
SENT = {
    "x-forwarded-for": lambda address: {"X-Forwarded-For": address},
    "forwarded": lambda address: {"Forwarded": f'for="{address}";proto=https'},
    "cloudfront-viewer-address": lambda address: {"CloudFront-Viewer-Address": address + ":4711"},
}


@pytest.fixture(params=SENT)
def behind_a_proxy(request, make_app, database_url):
    """A client of an app with a limit of two reads, and what gives a request an address."""
    app = make_app(
        DATABASE_URL=database_url, RATELIMIT_READ="2/minute", TRUSTED_PROXY_HOPS="1", TRUSTED_PROXY_HEADER=request.param
    )
    app.extensions["post"].limiter.windows = MemoryRateWindows(SharedCounters())
    return app.test_client(), SENT[request.param]


def test_a_limit_is_one_for_each_key(app, behind_a_proxy):
    client, sent = behind_a_proxy

    def statuses(addresses: list[str]) -> list[int]:
        return [client.get(POSTS, headers=sent(address)).status_code for address in addresses]

    assert statuses([V4, f"::ffff:{V4}", "2002:cb00:7109::1"]) == [200, 200, 429]
    assert statuses(OTHERS) == [200] * 7
    assert statuses(ONE_NETWORK) == [200] * 2 + [429] * 5


@pytest.mark.parametrize(("addresses", "views"), [(SAME, 1), (OTHERS, 7), (ONE_NETWORK, 1)])
def test_a_view_counts_once_for_each_key(client, make_post, addresses, views):
    post_id = make_post()

    for address in addresses:
        last = client.get(f"{POSTS}/{post_id}", environ_base={"REMOTE_ADDR": address})

    assert last.json["data"]["view_count"] == views


# Through nginx, which adds who called it


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("hops", "headers", "client"),
    [
        ("1", {"Forwarded": "for=203.0.113.9"}, "127.0.0.1"),
        ("2", {"Forwarded": 'for=192.0.2.1;x=", for="203.0.113.9:80"'}, "203.0.113.9"),
        ("2", {"Forwarded": 'for="[2001:db8:1:2::9]:80";proto=https'}, "2001:db8:1:2::/64"),
        ("2", {"X-Forwarded-For": "203.0.113.9"}, "127.0.0.1"),
        ("3", {"Forwarded": "for=203.0.113.9,for=198.51.100.7;host=a;proto=https"}, "203.0.113.9"),
    ],
)
def test_nginx_adds_its_peer_to_forwarded(method, hops, headers, client, tmp_path):
    settings = {"TRUSTED_PROXY_HOPS": hops, "TRUSTED_PROXY_HEADER": "forwarded"}
    with proxied_service(tmp_path, WEB_CONCURRENCY="1", **settings) as proxied:
        answer = requests.request(method, f"{proxied.url}{POSTS}", headers=headers, timeout=HANG_SECONDS)
        request_id = answer.headers["X-Request-ID"]
        wait_until(lambda: request_id in proxied.service.log, what="no line")

        (line,) = [line for line in proxied.service.log.splitlines() if request_id in line]

    assert f" client={client} " in line
