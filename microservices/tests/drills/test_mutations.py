"""
Tests of the tests: each mutation of the services takes one safeguard away, and the named tests must fail.

A mutation is made in a copy of the platform, whose tests use one stand-in for AWS.
"""

import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest

from microservices.tests.running import PROJECT


class Mutation(NamedTuple):
    """A text of one file in the place of another, and the tests that must see it."""

    name: str
    file: str
    old: str
    new: str
    tests: str  # pytest's -k
    test_file: str


ANY = "attribute_exists(#userId) OR attribute_not_exists(#userId)"
# A row a line, however long.
# ruff: noqa: E501
MUTATIONS = [
    # Registration
    Mutation("a second registration wins", "auth/accounts.py", "attribute_not_exists(#userId)", ANY, "32_registrations or taken", "test_registration.py"),
    Mutation("addresses keep their case", "shared/people.py", "return email.lower()", "return email", "one_however", "test_registration.py"),
    Mutation("passwords are not composed", "auth/bodies.py", 'normalize("NFC", text)', 'normalize("NFD", text)', "shortest", "test_registration.py"),
    Mutation("types are converted", "shared/people.py", "strict=True", "coerce_numbers_to_str=True", "wrong_is_named", "test_registration.py"),
    Mutation("a lost answer is a conflict", "auth/accounts.py", 'failure.item["accountId"] != account_id', "True", "answer_was_lost", "test_registration.py"),
    # Passwords
    Mutation("parameters are weaker", "auth/passwords.py", "time_cost=2", "time_cost=1", "owasps", "test_passwords.py"),
    Mutation("nobody costs nothing", "auth/passwords.py", "    try:\n        return _HASHER", "    if password_hash is None:\n        return False\n    try:\n        return _HASHER", "takes_as_long", "test_passwords.py"),
    Mutation("hashes are never renewed", "auth/accounts.py", "    if not passwords.needs_rehash(old):\n        return\n", "    if account:\n        return\n", "older_parameters", "test_passwords.py"),
    Mutation("a rehash overwrites", "auth/accounts.py", '"#passwordHash = :old"', '"attribute_exists(#userId) OR #passwordHash = :old"', "rehash_does_not_undo", "test_passwords.py"),
    # Sessions
    Mutation("the end is good", "auth/sessions.py", '.timestamp() >= found["expiresAt"]', '.timestamp() > found["expiresAt"]', "to_the_millisecond", "test_sessions.py"),
    Mutation("TTL is trusted", "auth/sessions.py", 'clock.now().timestamp() >= found["expiresAt"]', "False", "to_the_millisecond or is_a_setting", "test_sessions.py"),
    Mutation("epochs are not compared", "auth/sessions.py", "(account.account_id, account.epoch) != (found", "(account.account_id, found['sessionEpoch']) != (found", "everywhere or but_the_new_one", "test_sessions.py"),
    Mutation("accounts are not compared", "auth/sessions.py", "(account.account_id, account.epoch) != (found[\"accountId\"]", "(found['accountId'], account.epoch) != (found[\"accountId\"]", "anew", "test_sessions.py"),
    Mutation("a logout leaves the session", "auth/sessions.py", "    sessions().delete(session.key)", "    sessions()", "logout_ends", "test_sessions.py"),
    Mutation("a new password leaves sessions", "auth/accounts.py", " ADD #sessionEpoch :one", " SET #sessionEpoch = :epoch + :one - :one", "but_the_new_one", "test_sessions.py"),
    Mutation("a login takes the epoch late", "auth/sessions.py", '"sessionEpoch": account.epoch', '"sessionEpoch": (users().get(account.user_id, "sessionEpoch") or {})["sessionEpoch"]', "ran_during", "test_sessions.py"),
    Mutation("a change ignores the end of all", "auth/accounts.py", " AND #sessionEpoch = :epoch", " AND (#sessionEpoch = :epoch OR attribute_exists(#userId))", "loses_against", "test_sessions.py"),
    Mutation("tokens are stored", "auth/sessions.py", "return hashlib.sha256(token.encode()).hexdigest()", "return token", "no_token", "test_sessions.py"),
    Mutation("headers are searched for a token", "auth/sessions.py", "_BEARER.fullmatch(", "_BEARER.search(", "what_is_no_token", "test_sessions.py"),
    Mutation("schemes have a case", "auth/sessions.py", ", re.IGNORECASE", "", "however_the_header", "test_sessions.py"),
    Mutation("reads may be stale", "shared/dynamodb.py", ", ConsistentRead=True", "", "consistently", "test_sessions.py"),
    Mutation("a known session outlives its end", "auth/sessions.py", "return found, owner\n", 'return found or {**(owner or {}), "userId": _owners[key], "expiresAt": 9e9}, owner\n', "as_good_as", "test_sessions.py"),
    # Brakes
    Mutation("an eleventh guess", "auth/attempts.py", "#attempts < :limit", "#attempts <= :limit", "at_once_are_ten", "test_attempts.py"),
    Mutation("counters are not asked", "auth/attempts.py", '    if counter is not None and counter["attempts"] >= limit', "    if False", "costs_no_hashing", "test_attempts.py"),
    Mutation("parallel guesses slip through", "auth/accounts.py", "    brake.check_again()\n", "", "right_guess_among", "test_attempts.py"),
    Mutation("windows never end", "auth/attempts.py", " AND #expiresAt > :now", "", "released", "test_attempts.py"),
    Mutation("registrations have no brake", "auth/accounts.py", "    count_registration(address)\n", "", "hundred_registrations", "test_attempts.py"),
    Mutation("one for all accounts", "auth/attempts.py", "login#{address}#{account}", "login#{account}", "stop_an_address_at_an_account", "test_attempts.py"),
    # Requests
    Mutation("faults are told", "shared/http.py", '"error": "Internal server error"', '"error": "RuntimeError: on fire"', "fault_of_ours", "test_requests.py"),
    Mutation("base64 is not read", "shared/http.py", "    if not is_base64:\n", "    if True:\n", "base64", "test_requests.py"),
    Mutation("bodies have no limit", "shared/http.py", "len(content) > BODY_MAX_BYTES", "False", "64_kib", "test_requests.py"),
    Mutation("arrays are bodies", "shared/http.py", "if not isinstance(value, dict):", "if value is None:", "no_json_object", "test_requests.py"),
    Mutation("types are not looked at", "shared/http.py", '!= "application/json"', '== "application/xml"', "another_type", "test_requests.py"),
    Mutation("answers may be kept", "shared/lambda_api.py", '"Cache-Control": "no-store"', '"Cache-Control": "private"', "contracts_headers", "test_requests.py"),
    Mutation("methods are not told", "shared/lambda_api.py", "errors.MethodNotAllowed(allowed=allowed) if allowed else errors.NotFound()", "errors.NotFound()", "another_method", "test_requests.py"),
    Mutation("paths are routed", "shared/lambda_api.py", 'event.get("resource") or event["path"]', 'event["path"]', "prefix", "test_requests.py"),
    # Users
    Mutation("anybody reads anybody", "users/directory.py", "    if user_id != caller.user_id:\n        require_admin(caller)", "    if not user_id:\n        require_admin(caller)", "nobody_else", "test_users.py"),
    Mutation("everybody is an admin", "users/directory.py", "if not caller.is_admin:", "if not caller.role:", "for_admins or nobody_else", "test_users.py"),
    Mutation("changes bring users back", "users/directory.py", 'return "#accountId = :account", {"account": caller.account_id}', f'return "{ANY}", {{}}', "brings_a_deleted", "test_users.py"),
    Mutation("admins change their own role", "users/directory.py", "    if user_id == caller.user_id:\n        raise OwnRole\n", "", "own_role", "test_users.py"),
    Mutation("a demoted admin promotes", "users/directory.py", 'write_together(still_admin, {"Update": change})', 'write_together({"Update": change})', "demote", "test_users.py"),
    Mutation("a page ends at a megabyte", "shared/dynamodb.py", 'if len(items) > limit or "LastEvaluatedKey" not in answer:', "if True:", "megabyte", "test_users.py"),
    Mutation("the last page names a next", "shared/dynamodb.py", "items[:limit], len(items) > limit", 'items[:limit], "LastEvaluatedKey" in answer or len(items) >= limit', "names_no_next", "test_users.py"),
    Mutation("any cursor is taken", "shared/paging.py", "or not all(map(_is_text, values))", "", "cursor_is_one", "test_users.py"),
    Mutation("hashes are read", "users/directory.py", '"createdAt", "updatedAt")', '"createdAt", "updatedAt", "passwordHash")', "users_may_do", "test_table_rights.py"),
    Mutation("whole items are read", "shared/dynamodb.py", "projection = \", \".join(f\"#{name}\" for name in attributes)", "projection = None", "users_may_do", "test_table_rights.py"),
    Mutation("a meeting with a transaction is final", "shared/dynamodb.py", "            if not _is_conflict(exc):\n                raise\n", "            raise\n", "meets_a_transaction", "test_users.py"),
    # Products
    Mutation("the stock is not looked at", "products/reservations.py", "if stocks.get(product_id, -1) < quantity", "if product_id not in stocks", "64_buyers", "test_reservations.py"),
    Mutation("stock is reserved without a lock", "products/reservations.py", ".order_by(products.c.id)\n    .with_for_update(key_share=True)\n)\n_wanted", ".order_by(products.c.id)\n)\n_wanted", "64_buyers", "test_reservations.py"),
    Mutation("products are locked as they come", "products/reservations.py", ".order_by(products.c.id)\n    .with_for_update(key_share=True)\n)\n_wanted", ".order_by(func.random())\n    .with_for_update(key_share=True)\n)\n_wanted", "wait_in_a_circle", "test_reservations.py"),
    Mutation("a reservation is made again", "products/reservations.py", "wanted=Jsonb(wanted)).rowcount:", "wanted=Jsonb(wanted)).rowcount < 0:", "repeat_gets_the_first", "test_reservations.py"),
    Mutation("an order may ask for something else", "products/reservations.py", "if quantities not in (None, wanted):", "if quantities is wanted:", "something_else", "test_reservations.py"),
    Mutation("a release leaves no mark", "products/reservations.py", "        if _CLAIM.run(connection, order=order_id, state=RELEASED, wanted=None).rowcount:\n            return\n", "", "before_its_reservation", "test_reservations.py"),
    Mutation("stock is returned again", "products/reservations.py", ".where(_OF_ORDER, reservations.c.status == RESERVED)\n    .values(status=RELEASED)", ".where(_OF_ORDER)\n    .values(status=RELEASED)", "returns_the_stock_once or rejected_returns", "test_reservations.py"),
    Mutation("stock is changed without a lock", "products/services.py", "_LOCK = Statement(select(products.c.stock).where(*_THIS).with_for_update(key_share=True))", "_LOCK = Statement(select(products.c.stock).where(*_THIS))", "many_at_once", "test_products.py"),
    Mutation("stock has no floor", "products/migrations/versions/0001_products.py", " CONSTRAINT products_stock_not_negative CHECK (stock >= 0)", "", "is_negative", "test_products.py"),
    Mutation("money is binary", "shared/exact_json.py", 'orjson.Fragment(f"{value:f}")', "float(value)", "as_it_is_stored", "test_products.py"),
    Mutation("everybody changes products", "shared/web.py", "if not caller().is_admin:", "if not caller().role:", "only_admins", "test_products.py"),
    Mutation("any number is an id", "products/validators.py", " or int(text) > INTEGER_MAX", "", "no_product_has", "test_products.py"),
    Mutation("deleted products are listed", "products/services.py", "query = select(*_COLUMNS).where(products.c.deleted_at.is_(None))", "query = select(*_COLUMNS)", "deleted_product", "test_products.py"),
    Mutation("equal times have no order", "products/services.py", "products.c.created_at.desc(), products.c.id.desc()", "products.c.created_at.desc(), func.random()", "newest_first", "test_product_lists.py"),
    Mutation("a page begins with the last one's end", "products/services.py", "products.c.id) < place", "products.c.id) <= place", "newest_first", "test_product_lists.py"),
    Mutation("products are written again", "products/repeats.py", "print=_digest(key)).rowcount:", "print=_digest(key)).rowcount < 0:", "creation_asked_for_50", "test_product_repeats.py"),
    Mutation("keys of writes are everybody's", "products/repeats.py", "account=key.account_id", 'account="all"', "accounts_own", "test_product_repeats.py"),
    Mutation("a key is another request's, too", "products/repeats.py", "if digest != _digest(key):", "if not digest:", "another_request", "test_product_repeats.py"),
    Mutation("a refusal may become a success", "products/repeats.py", "except Conflict as error:\n            content, refusal = None, error", "except Conflict:\n            raise", "refusal_is_an_answer", "test_product_repeats.py"),
    Mutation("migrations run beside each other", "shared/migrations.py", "SELECT pg_advisory_lock(hashtext(:name))", "SELECT hashtext(:name)", "waits_for_another", "test_migrations.py"),
    # Orders
    Mutation("one key is many orders", "orders/migrations/versions/0001_orders.py", "UNIQUE (account_id, idempotency_key)", "UNIQUE (account_id, idempotency_key, id)", "one_key_sent_50", "orders/test_races.py"),
    Mutation("keys of orders are everybody's", "orders/migrations/versions/0001_orders.py", "UNIQUE (account_id, idempotency_key)", "UNIQUE (idempotency_key)", "one_account", "orders/test_placing.py"),
    Mutation("a key is another order's, too", "orders/placing.py", "if earlier.quantities != order.quantities:", "if not earlier.quantities:", "one_account", "orders/test_placing.py"),
    Mutation("a repeat is told what came later", "orders/placing.py", "Placed(order.as_decided(),", "Placed(order,", "answered_first", "orders/test_placing.py"),
    Mutation("quantities are not added up", "orders/validators.py", "quantities.get(item.product_id, 0) + item.quantity", "item.quantity", "named_twice", "orders/test_placing.py"),
    Mutation("totals are binary", "orders/order.py", "self.unit_price * self.quantity", "Decimal(float(self.unit_price) * self.quantity)", "names_prices", "orders/test_placing.py"),
    Mutation("a decision is written twice", "orders/store.py", ', orders.c.status == bindparam("was"))', ")", "decides_meanwhile or one_wins", "orders"),
    Mutation("products are asked once", "orders/reservations.py", "in TRIES_SECONDS:", "in TRIES_SECONDS[:1]:", "tried_once_more", "orders/test_reservations_client.py"),
    Mutation("the sweep does not wait", "orders/sweep.py", "until=clock.now() - pending_age()", "until=clock.now()", "15_seconds", "orders/test_sweep.py"),
    Mutation("sweeps wait for each other", "orders/store.py", "skip_locked=True", "skip_locked=False", "wait_for_nobody", "orders/test_sweep.py"),
    Mutation("expired orders keep their stock", "orders/sweep.py", "decided_at=now, stock_returned=False)", "decided_at=now)", "after_ten_minutes", "orders/test_sweep.py"),
    Mutation("cancelled orders keep their stock", "orders/services.py", "NotCancellable, stock_returned=False)", "NotCancellable)", "returns_its_stock", "orders/test_orders.py"),
    Mutation("the window has no end", "orders/services.py", " and _age(order) >= cancel_window()", " and False", "within_the_window", "orders/test_orders.py"),
    Mutation("anybody reads an order", "orders/services.py", "if not caller.is_admin and order.account_id != caller.account_id:", "if not caller.account_id:", "owners_and_admins", "orders/test_orders.py"),
    Mutation("everybody's orders are listed", "orders/services.py", "account = account_id if caller.is_admin else caller.account_id", "account = account_id", "callers_orders", "orders/test_orders.py"),
    Mutation("a page has the last one's end again", "orders/store.py", 'orders.c.id < bindparam("before")', 'orders.c.id <= bindparam("before")', "every_order_once", "orders/test_orders.py"),
    Mutation("relays take each other's events", "orders/outbox.py", "    .with_for_update(skip_locked=True)\n", "", "beside_each_other", "orders/test_outbox.py"),
    Mutation("events are marked before they are sent", "orders/outbox.py", '        taken = topic.publish(events)\n        faults.reach("published")\n        _sent.run(connection, ids=taken, now=clock.now())\n', '        _sent.run(connection, ids=[one.id for one in events], now=clock.now())\n    taken = topic.publish(events)\n    faults.reach("published")\n', "until_sns_has_it", "orders/test_outbox.py"),
    Mutation("refused events count as sent", "orders/outbox.py", "_sent.run(connection, ids=taken,", "_sent.run(connection, ids=[one.id for one in events],", "sns_refuses", "orders/test_outbox.py"),
    Mutation("events lose their trace", "orders/store.py", "traces.current().header or None", "None", "trace_of_the_request", "orders/test_outbox.py"),
    Mutation("events lose their request", "orders/store.py", 'REQUEST.get().get("request_id")', "None", "trace_of_the_request", "orders/test_outbox.py"),
    # Signals
    Mutation("everything is recorded", "shared/traces.py", " and found[3] == _RECORDED", "", "not_sampled", "test_traces.py"),
    Mutation("headers go on whole", "shared/traces.py", "return Span(found[0], found[1])", "return Span(header, found[1])", "what_is_x_rays", "test_traces.py"),
    Mutation("spans quote errors", "shared/traces.py", "span.note(error=type(exc).__name__)", "span.note(error=str(exc))", "by_its_kind", "test_traces.py"),
    Mutation("answers are given before spans", "shared/observability.py", "    finally:\n        traces.flush()", "    finally:\n        pass", "before_its_answer", "test_traces.py"),
    Mutation("metrics have a level", "shared/container_log.py", "    logger.handle(logger", "    if logger.isEnabledFor(level):\n        logger.handle(logger", "at_every_level", "test_traces.py"),
    # The gateway's part
    Mutation("no caller is needed", "shared/lambda_api.py", 'raise errors.AuthorizationRequired', 'return Caller("1", "a@b", "admin")', "without_an_authorizer", "test_sessions.py"),
    Mutation("clients tell who they are", "shared/lambda_api.py", 'user_id=found["userId"], role=found["role"]', 'user_id=found["userId"], role=(self.header("x-user-role") or found["role"]).lower()', "GET and other and users and not userId", "test_identity_over_http.py"),
    Mutation("clients tell their address", "local/gateway/edge.py", 'return with_header(headers, "X-Viewer-Address", viewer_address)', "return headers", "claimed_address", "test_identity_over_http.py"),
    Mutation("a route has no handler", "users/handler.py", '@app.delete("/users/{userId}")\n', "", "every_route_has", "test_routes.py"),
    Mutation("a handler has no route", "auth/handler.py", '@app.get("/auth/verify")\n', '@app.get("/auth/verify")\n@app.get("/auth/whoami")\n', "every_route_has", "test_routes.py"),
    # The gateway itself
    Mutation("an Allow beats a Deny", "local/gateway/authorizers.py", 'effects == {"Allow"}', '"Allow" in effects', "deny_wins", "gateway/test_authorizer_cache.py"),
    Mutation("policies of other paths count", "local/gateway/authorizers.py", "re.fullmatch(expression", "re.match(expression", "deny_wins", "gateway/test_authorizer_cache.py"),
    Mutation("kept answers never end", "local/gateway/authorizers.py", "return answer if self._clock() < until else None", "return answer", "once_until", "gateway/test_authorizer_cache.py"),
    Mutation("an empty header is an identity", "local/gateway/authorizers.py", "if not identity:", "if identity is None:", "refuses_in_the_services_shape", "gateway/test_answers.py"),
    Mutation("a client's account survives", "local/gateway/integrations.py", "headers[name] = value", "headers.setdefault(name, value)", "told_who_calls", "gateway/test_answers.py"),
    Mutation("bodies have no end", "local/gateway/server.py", "len(body) > MAX_BODY_BYTES", "False", "ten_megabytes", "gateway/test_answers.py"),
    Mutation("headers may be split", "local/gateway/integrations.py", "value.isprintable() and ", "", "refuses_in_the_services_shape", "gateway/test_answers.py"),
    Mutation("traces are not passed", "local/gateway/server.py", 'headers = with_header(request.headers, "X-Amzn-Trace-Id", trace)', "headers = request.headers", "trace", "gateway/test_answers.py"),
    Mutation("values are not repeated", "local/gateway/events.py", "values.setdefault(name, []).append(value)", "values[name] = [value]", "every_value", "gateway/test_events.py"),
    Mutation("paths are not decoded", "local/gateway/document.py", "{name: unquote(first)", "{name: first", "matched", "gateway/test_document.py"),
    Mutation("parameters beat literals", "local/gateway/document.py", "if first in node.children and", "if not node.parameter and first in node.children and", "literal", "gateway/test_document.py"),
    Mutation("half a document is served", "local/gateway/server.py", "raise WrongDocument(wrong)", "continue", "asks_for_more", "gateway/test_document.py"),
    Mutation("any request id is kept", "local/gateway/edge.py", "REQUEST_ID.fullmatch", "REQUEST_ID.match", "safe_request_id", "gateway/test_edge.py"),
    Mutation("buckets have one more", "local/gateway/throttle.py", "tokens >= 1", "tokens >= 0", "burst", "gateway/test_throttle.py"),
    Mutation("an authorizer is taken out", "openapi.yaml", "operationId: listUsers\n      summary: List users, for admins\n      tags: [users]\n      security: [{session: []}]", "operationId: listUsers\n      summary: List users, for admins\n      tags: [users]\n      security: []", "contracts_routes", "gateway/test_document.py"),
    # The stand-in, the Lambda host and the queue
    Mutation("DynamoDB's calls run side by side", "local/aws.py", "with self._lock:", "if self._lock:", "wait_for_each_other", "local/test_aws.py"),
    Mutation("children see the host", "local/lambda_host.py", "for name in inherited if name in os.environ", "for name in os.environ", "sees_nothing", "local/test_lambda_host.py"),
    Mutation("children live for ever", "local/lambda_host.py", "self.taken == INVOCATIONS_PER_CHILD", "self.taken < 0", "after_its_share", "local/test_lambda_host.py"),
    Mutation("large answers pass", "local/lambda_host.py", "len(result) > MAX_PAYLOAD_BYTES", "False", "larger_than_lambda", "local/test_lambda_host.py"),
    Mutation("failed records are deleted", "local/event_source.py", 'message["MessageId"] not in failed', "failed is not None", "comes_three_times", "local/test_event_source.py"),
    Mutation("nonsense finishes a batch", "local/event_source.py", "return named if named <= every else every", "return named", "comes_three_times", "local/test_event_source.py"),
    # Notifications
    Mutation("a copy of an event overwrites", "notifications/store.py", ', IfNoneMatch="*"', "", "comes_again_changes", "test_notifications_worker.py"),
    Mutation("any refusal counts as written", "notifications/store.py", '["HTTPStatusCode"] != 412', '["HTTPStatusCode"] < 400', "that_is_there_counts", "test_notifications_worker.py"),
    Mutation("a time is the clock's", "notifications/worker.py", "notification_id(event.occurred_at", "notification_id(clock.now()", "comes_again_changes", "test_notifications_worker.py"),
    Mutation("a failed record is swallowed", "notifications/worker.py", "    except Exception as exc:\n        span.note(error=type(exc).__name__)\n        raise\n", "    except ValueError:\n        return\n", "no_event_fails_alone", "test_notifications_worker.py"),
    Mutation("a failed batch is one failure", "notifications/worker.py", "raise_on_entire_batch_failure=False", "raise_on_entire_batch_failure=True", "record_by_record", "test_notifications_worker.py"),
    Mutation("malformed events are logged", "notifications/worker.py", ", hide_input_in_errors=True", "", "nothing_of_a_malformed", "test_notifications_worker.py"),
    Mutation("deleted ones come back", "notifications/store.py", 'client().put_object(Bucket=_bucket(), Key=_key(account_id, identifier), Body=b"")', "client().delete_object(Bucket=_bucket(), Key=_key(account_id, identifier))", "gone_for_good", "test_notifications.py"),
    Mutation("deleted ones fill pages", "notifications/store.py", ' if one["Size"])', ")", "leave_no_gaps", "test_notifications.py"),
    Mutation("one after the other is read", "notifications/store.py", "ThreadPoolExecutor(PARALLEL_READS)", "ThreadPoolExecutor(1)", "side_by_side", "test_notifications.py"),
    Mutation("ids lead anywhere", "notifications/store.py", "return _ID.fullmatch(text) is not None", 'return text != ""', "beside_the_callers or cursor_is_one", "test_notifications.py"),
    Mutation("any account's are read", "notifications/api.py", "store.get_notification(app.caller().account_id", 'store.get_notification(app.header("x-account-id") or app.caller().account_id', "GET and notifications and id and other", "test_identity_over_http.py"),
]  # fmt: skip


# Of each kind: handlers alone, the stand-in for AWS, PostgreSQL, and products as a process.
UNMUTATED = ("test_routes.py", "test_sessions.py", "test_product_repeats.py", "orders/test_outbox.py")


@pytest.fixture(scope="module")
def copy():
    """A copy of the platform and all tests; not in pytest's own folder, which PostgreSQL's user may not reach."""
    folder = PROJECT / "instance" / f"mutations-{os.getpid()}"
    for name in ("microservices", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[re.sub(r"\W", "_", one.name) for one in MUTATIONS])
def test_a_test_sees_every_mutation(copy, stand_in, mutation):
    path = copy / "microservices" / mutation.file
    text = path.read_text()
    assert text.count(mutation.old) >= 1, "the mutated text is gone: name what has taken its place"
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", mutation.tests, f"microservices/tests/{mutation.test_file}"],
            cwd=copy,
            env={**os.environ, "STAND_IN": stand_in},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )  # fmt: skip
    finally:
        path.write_text(text)
    assert done.returncode == 1, done.stdout[-2000:]
    assert re.search(r"\d+ failed", done.stdout), done.stdout[-2000:]


def test_without_a_mutation_the_copys_tests_pass(copy, stand_in):
    """The rest would prove nothing if the copy failed for a reason of its own."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(f"microservices/tests/{name}" for name in UNMUTATED)],
        cwd=copy,
        env={**os.environ, "STAND_IN": stand_in},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:]
