"""Brakes on guessing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from auth import accounts, attempts, passwords, sessions
from microservices.tests.callers import PASSWORD, Direct, new_address, new_email

WINDOW = attempts.WINDOW_SECONDS


@pytest.fixture
def cheap(monkeypatch):
    """Passwords that cost nothing: what is counted are attempts."""
    monkeypatch.setattr(passwords, "hash_password", lambda password: f"hash of {password}")
    monkeypatch.setattr(passwords, "verify_password", lambda password, _: password == PASSWORD)
    monkeypatch.setattr(passwords, "needs_rehash", lambda _: False)


def guess(api, email, times=1):
    return [api.log_in(email, "wrong password").status for _ in range(times)]


def test_ten_wrong_passwords_stop_an_address_at_an_account(api, cheap):
    ana, bo = api.person(), api.person()

    assert guess(api, ana.email, 10) == [401] * 10

    refused = api.log_in(ana.email)
    assert refused.error == (429, "too_many_attempts", "Too many attempts")
    assert 0 < int(refused.headers["retry-after"]) <= WINDOW
    assert api.log_in(bo.email).status == 200
    assert Direct().log_in(ana.email).status == 200
    assert api("GET", "/auth/verify", token=ana.token).status == 200


def test_a_refused_login_costs_no_hashing(api, cheap, monkeypatch):
    ana = api.person()
    guess(api, ana.email, 10)
    monkeypatch.setattr(passwords, "verify_password", None)

    assert guess(api, ana.email) == [429]


def test_the_brake_is_released_when_its_window_ends(api, cheap, later, set_clock):
    from shared import clock

    ana = api.person()
    set_clock(clock.now().replace(microsecond=0))
    guess(api, ana.email, 10)
    later(WINDOW - 1)
    refused = api.log_in(ana.email)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")

    later(1)

    assert api.log_in(ana.email).status == 200
    assert guess(api, ana.email, 11) == [401] * 10 + [429]


def test_a_right_password_is_not_counted_and_forgives_nothing(api, cheap):
    ana = api.person()

    assert [api.log_in(ana.email).status for _ in range(12)] == [200] * 12
    assert guess(api, ana.email, 9) == [401] * 9
    assert api.log_in(ana.email).status == 200
    assert guess(api, ana.email, 2) == [401, 429]


def test_a_hundred_wrong_passwords_stop_an_address_at_every_account(api, cheap):
    ana = api.person()

    assert [guess(api, new_email())[0] for _ in range(100)] == [401] * 100

    assert api.log_in(ana.email).error[:2] == (429, "too_many_attempts")
    assert Direct().log_in(ana.email).status == 200


def test_wrong_present_passwords_count_as_well(api, cheap):
    ana = api.person()
    change = {"currentPassword": "wrong password", "newPassword": "a new password"}

    assert [api("PUT", "/auth/password", change, token=ana.token).status for _ in range(11)] == [401] * 10 + [429]

    assert api.log_in(ana.email).status == 429


def test_an_address_written_otherwise_is_the_same_account(api, cheap):
    ana = api.person()
    guess(api, ana.email.upper(), 5)
    guess(api, f" {ana.email}", 5)

    assert api.log_in(ana.email).status == 429


def test_a_hundred_registrations_stop_an_address(api, cheap):
    ana = api.person()
    statuses = [api.register().status for _ in range(50)] + [api.register(ana.email).status for _ in range(50)]
    assert statuses == [201] * 50 + [409] * 50

    refused = api.register()

    assert refused.error == (429, "too_many_attempts", "Too many attempts")
    assert 0 < int(refused.headers["retry-after"]) <= WINDOW
    assert api.register(ana.email).status == 429
    assert Direct().register().status == 201
    assert api.log_in(ana.email).status == 200


def test_what_is_no_registration_is_not_counted(api, cheap):
    for _ in range(110):
        assert api("POST", "/auth/register", {"email": "x"}).status == 400

    assert api.register().status == 201


def test_guesses_at_once_are_ten_as_well(api, cheap):
    """Each of 64 has seen the counter at 0; none beyond the tenth is told that its password was wrong."""
    ana = api.person()

    def one(_):
        try:
            accounts.log_in(email=ana.email, password="wrong password", address=api.address)
        except accounts.InvalidCredentials:
            return 401
        except attempts.TooManyAttempts:
            return 429
        return 200

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(one, range(64)))

    assert sorted(statuses) == [401] * 10 + [429] * 54


def test_the_right_guess_among_many_at_once_is_refused_beyond_the_tenth(api, monkeypatch):
    ana = api.person()
    verify = passwords.verify_password

    def overtaken(password, stored):
        monkeypatch.setattr(passwords, "verify_password", lambda *_: False)
        assert guess(api, ana.email, 10) == [401] * 10
        return verify(password, stored)

    monkeypatch.setattr(passwords, "verify_password", overtaken)

    with pytest.raises(attempts.TooManyAttempts):
        accounts.log_in(email=ana.email, password=PASSWORD, address=api.address)


def test_registrations_at_once_are_a_hundred_as_well(api, cheap):
    address = new_address()

    def one(_):
        try:
            attempts.count_registration(address)
        except attempts.TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(160))) == 100


def test_a_new_window_begins_once_for_all_who_find_the_old_one_over(api, cheap, later):
    address = new_address()
    for _ in range(100):
        attempts.count_registration(address)
    later(WINDOW)

    def one(_):
        try:
            attempts.count_registration(address)
        except attempts.TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(160))) == 100


@pytest.mark.parametrize(
    ("addresses", "are_one"),
    [
        (["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"], True),
        (["2001:db8:1:2::1", "2001:db8:1:3::1"], False),
        (["192.0.2.7", "::ffff:192.0.2.7"], True),
        (["192.0.2.7", "192.0.2.8"], False),
    ],
)
def test_one_customers_addresses_are_one(aws, cheap, addresses, are_one):
    ana = Direct().person()
    for _ in range(10):
        Direct(addresses[0])("POST", "/auth/login", {"email": ana.email, "password": "wrong password"})

    assert Direct(addresses[1]).log_in(ana.email).status == (429 if are_one else 200)


def test_the_edges_word_on_the_address_wins(api, cheap):
    ana = api.person()
    viewer = {"x-viewer-address": new_address()}
    body = {"email": ana.email, "password": "wrong password"}
    statuses = [Direct()("POST", "/auth/login", body, headers=viewer).status for _ in range(11)]

    assert statuses == [401] * 10 + [429]


def test_what_the_edge_tells_and_is_no_address_is_not_believed(api, cheap):
    ana = api.person()
    body = {"email": ana.email, "password": "wrong password"}

    statuses = [
        api("POST", "/auth/login", body, headers={"x-viewer-address": f"no-address-{number}"}).status
        for number in range(11)
    ]

    assert statuses == [401] * 10 + [429]


def test_no_counter_is_a_session(api, aws, cheap):
    guess(api, new_email())
    pages = aws.get_paginator("scan").paginate(TableName="microservices-sessions")
    counters = [item for page in pages for item in page["Items"] if item["sessionId"]["S"].startswith("fail#")]

    assert counters
    assert all(item.keys() == {"sessionId", "attempts", "expiresAt"} for item in counters)
    assert not sessions._BEARER.fullmatch("Bearer fail#")
