"""The pool's keys while their endpoint is down, hangs, dribbles or rotates: with a real one, under gunicorn."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from post.auth_utils import jwks
from post.auth_utils.jwks import JwksClient, fetch_jwks
from post.errors import AuthUnavailable
from tests.drills.aftermath import assert_nothing_is_lost
from tests.load import API, reader, under_load, writer
from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, UNLIMITED, JwksServer, running_service, wait_until
from tests.test_auth import CLIENT, POOL, REGION, KeyPair, claims_of

ANSWERED_SECONDS = 2  # less than any of the fetches that hang takes


@pytest.fixture(scope="module")
def key():
    return KeyPair("pool-key")


@pytest.fixture(scope="module")
def next_key():
    return KeyPair("next-pool-key")


@pytest.fixture
def endpoint(key):
    server = JwksServer(key)
    yield server
    server.close()


@pytest.fixture
def service(server, endpoint, tmp_path):
    settings = {"COGNITO_USER_POOL_ID": POOL, "COGNITO_REGION": REGION, "COGNITO_CLIENT_ID": CLIENT}
    own = {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": endpoint.url, "WEB_CONCURRENCY": "2", "WEB_THREADS": "4"}
    with running_service(
        tmp_path, DATABASE_URL=server.url, **settings, **PATIENT_WITH_MYSQL, **UNLIMITED, **own
    ) as service:
        yield service


def look(service, token):
    """Ask for what a token is needed for; returns the status, and how long it took."""
    began = time.monotonic()
    answer = requests.get(
        f"{service.url}{API}/posts/my", headers={"Authorization": f"Bearer {token}"}, timeout=HANG_SECONDS
    )
    return answer.status_code, time.monotonic() - began


def give_keys_to_every_worker(service, endpoint, key):
    """Until each has fetched the set once."""

    def all_have_fetched():
        assert look(service, key.sign(claims_of()))[0] == 200
        return endpoint.asked == service.workers

    wait_until(all_have_fetched, what="not every worker has asked for keys")


def flood(service, key, requests_):
    """Send made-up key ids, many at once; returns what became of each."""
    with ThreadPoolExecutor(24) as pool:
        tokens = [key.sign(claims_of(), kid=f"made-up-{number}") for number in range(requests_)]
        return [*pool.map(lambda token: look(service, token), tokens)]


def honest_clients(service, key):
    """Clients whose tokens are good, each a user's own."""
    tokens = [key.sign(claims_of(sub=f"user-{number}")) for number in range(8)]
    first, *others = [{"Authorization": f"Bearer {token}"} for token in tokens]
    readers = [reader(service.url, f"{API}/posts/my", pause_seconds=0.02, **headers) for headers in others]
    return [writer(service.url, "ana", first), *readers]


@pytest.mark.parametrize("fault", [None, "fail", "hang", "dribble"])
def test_a_flood_of_unknown_key_ids_has_one_thread_of_a_worker_fetch_and_holds_up_nobody_else(
    fault, server, service, endpoint, key, make_app
):
    give_keys_to_every_worker(service, endpoint, key)
    endpoint.fault, before = fault, endpoint.asked

    with under_load(*honest_clients(service, key)) as load:
        wait_until(lambda: load.created, what="nobody writes")
        flooded = time.monotonic()
        answers = flood(service, key, 100)
        time.sleep(0.5)

    waited = sorted(seconds for _, seconds in answers)
    more = {"unknown": len(answers), "fetches": endpoint.asked - before}
    more |= {"slowest unknown": " and ".join(f"{seconds:.2f} s" for seconds in waited[-3:])}
    assert_nothing_is_lost(f"JWKS {fault or 'well'}", server, load, make_app, **more)
    assert {status for status, _ in answers} == {401}
    # But for the one of each worker that fetched.
    assert waited[-3] < load.bound(jwks.WAIT_FOR_FETCH_SECONDS, calm_until=flooded)
    assert waited[-1] < load.bound(jwks.FETCH_SECONDS + 3, calm_until=flooded)
    assert 1 <= endpoint.asked - before <= service.workers
    assert {sample.status for sample in load.samples} == {200, 201}
    assert max(sample.seconds for sample in load.samples) < load.bound(ANSWERED_SECONDS, calm_until=flooded)
    assert len(load.created) > 5


def test_a_rotation_is_picked_up_by_every_worker_without_a_restart(service, endpoint, key, next_key):
    give_keys_to_every_worker(service, endpoint, key)
    endpoint.publish(key, next_key)

    statuses = {look(service, next_key.sign(claims_of()))[0] for _ in range(20)}  # whichever worker answers

    assert statuses == {200}
    assert endpoint.asked <= 2 * service.workers


def test_the_first_keys_are_fetched_once_by_each_worker(service, endpoint, key):
    with ThreadPoolExecutor(16) as pool:
        answers = [*pool.map(lambda _: look(service, key.sign(claims_of())), range(32))]

    assert {200} <= {status for status, _ in answers} <= {200, 503}
    # On a busy machine the keys may come later than anybody waits.
    assert all(seconds >= jwks.WAIT_FOR_FETCH_SECONDS for status, seconds in answers if status == 503)
    assert 1 <= endpoint.asked <= service.workers


def test_without_any_key_nobody_waits_for_a_fetch_that_has_hung_for_a_while(endpoint, key):
    endpoint.fault = "hang"
    client = JwksClient(lambda: fetch_jwks(endpoint.url))
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(client.key, key.kid)
        time.sleep(jwks.WAIT_FOR_FETCH_SECONDS + 0.3)
        began = time.monotonic()

        for _ in range(10):
            with pytest.raises(AuthUnavailable):
                client.key(key.kid)
        waited_seconds, was_fetching = time.monotonic() - began, not fetching.done()

    assert waited_seconds < jwks.WAIT_FOR_FETCH_SECONDS
    assert was_fetching
    assert isinstance(fetching.exception(), AuthUnavailable)


def test_a_set_that_comes_too_slowly_is_given_up(endpoint):
    endpoint.fault = "dribble"
    endpoint.publish(KeyPair("long" * 30))
    began = time.monotonic()

    with pytest.raises(requests.RequestException):
        fetch_jwks(endpoint.url)

    assert time.monotonic() - began < jwks.FETCH_SECONDS + 3


def test_a_set_that_is_too_long_is_refused(endpoint):
    endpoint.publish(*[KeyPair("pool-key")] * 200)

    with pytest.raises(ValueError, match="longer than"):
        fetch_jwks(endpoint.url)
