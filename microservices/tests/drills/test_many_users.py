"""The list of users where there are many, through the gateway."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from microservices.tests.callers import Http


@pytest.fixture
def api(platform, aws):
    return Http(platform)


def test_25_000_users_are_reached_once_each_while_100_register(users_table, api, admin, aws, platform, capsys):
    """More than 1 MB of users, in pages of 100; those who come meanwhile are seen once, or not at all."""
    known = {f"user{number:05}@example.com" for number in range(25_000)}
    item = {"name": {"S": "x" * 40}, "createdAt": {"S": "2026-01-01T00:00:00.000Z"}}
    emails = sorted(known)
    for start in range(0, len(emails), 25):
        puts = [{"PutRequest": {"Item": {"userId": {"S": email}, **item}}} for email in emails[start : start + 25]]
        assert aws.batch_write_item(RequestItems={"microservices-users": puts})["UnprocessedItems"] == {}
    added = [f"user{number * 250:05}x@example.com" for number in range(100)]

    with ThreadPoolExecutor(1) as pool:
        joining = Http(platform)
        registered = pool.submit(lambda: [joining.register(email).status for email in added])
        seen, pages, query = [], 0, "?limit=100"
        while query:
            page = api("GET", f"/users{query}", token=admin.token)
            assert page.status == 200
            seen += [entry["userId"] for entry in page.json]
            pages += 1
            query = page.headers["link"].partition(">")[0].removeprefix("<") if "link" in page.headers else None
        assert registered.result() == [201] * 100

    assert len(seen) == len(set(seen))
    assert known | {admin.email} <= set(seen)
    assert set(seen) - known - {admin.email} <= set(added)
    met = len(set(seen) & set(added))
    with capsys.disabled():
        print(
            f"\n  25,001 users in {pages} pages, each once; of 100 who registered meanwhile {met} were met, once each"
        )
