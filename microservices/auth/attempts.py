"""Brakes on guessing: counters of a window that begins with the first attempt, in the table of sessions."""

import hashlib

from auth.tables import sessions
from shared import clock
from shared.dynamodb import ConditionFailed, Item, get_together
from shared.errors import TooMany
from shared.metrics import ATTEMPTS_THROTTLED
from shared.observability import count

WINDOW_SECONDS = 15 * 60
FAILURES_PER_ACCOUNT = 10  # and address: for an account alone, anybody could lock its owner out
FAILURES_PER_ADDRESS = 100
REGISTRATIONS_PER_ADDRESS = 100  # a taken address is told, so asking has a brake


class TooManyAttempts(TooMany):
    """The brake holds until the window's end."""

    code, text = "too_many_attempts", "Too many attempts"


def count_registration(address: str) -> None:
    """
    Count a registration.

    Args:
        address: Key of the viewer's address.

    Raises:
        TooManyAttempts: The address has used up its registrations.
    """
    _count(f"fail#register#{address}", REGISTRATIONS_PER_ADDRESS)


class LoginBrake:
    """
    The two counters of wrong passwords that one login has to pass.

    Args:
        email: Address of the account, which need not exist.
        address: Key of the viewer's address.
    """

    def __init__(self, email: str, address: str) -> None:
        account = hashlib.sha256(email.encode()).hexdigest()
        self._limits = {
            f"fail#login#{address}#{account}": FAILURES_PER_ACCOUNT,
            f"fail#login#{address}": FAILURES_PER_ADDRESS,
        }

    def reads(self) -> list[Item]:
        """Return the arguments that read the counters, for ``get_together``."""
        return [sessions().to_get(key, "attempts", "expiresAt") for key in self._limits]

    def check(self, counters: list[Item | None]) -> None:
        """
        Refuse if a counter is used up.

        Args:
            counters: The items of ``reads``.

        Raises:
            TooManyAttempts: A counter is used up.
        """
        for counter, limit in zip(counters, self._limits.values(), strict=True):
            if counter is not None and counter["attempts"] >= limit:
                _refuse_until(counter["expiresAt"])

    def check_again(self) -> None:
        """
        Refuse a right password if wrong ones that were tried beside it have used a counter up.

        Without this, as many guesses as fit into the time of one would each find the counters as they were before.

        Raises:
            TooManyAttempts: A counter is used up.
        """
        self.check(get_together(*self.reads()))

    def count_failure(self) -> None:
        """
        Count a wrong password.

        Raises:
            TooManyAttempts: A counter was used up meanwhile.
        """
        for key, limit in self._limits.items():
            _count(key, limit)


def _count(key: str, limit: int) -> None:
    """Add one to a counter; the condition and the addition are one step, so no two attempts share a place."""
    now = clock.now().timestamp()
    end = int(now) + WINDOW_SECONDS
    try:
        sessions().update(
            key,
            "SET #expiresAt = if_not_exists(#expiresAt, :end) ADD #attempts :one",
            condition="attribute_not_exists(#attempts) OR (#attempts < :limit AND #expiresAt > :now)",
            return_old=True,
            one=1,
            end=end,
            limit=limit,
            now=int(now),
        )
    except ConditionFailed as failure:
        _count_anew(key, limit, failure.item)


def _count_anew(key: str, limit: int, counter: Item | None) -> None:
    """Begin a new window in the place of one that is over."""
    if counter is not None:
        _refuse_until(counter["expiresAt"])
    now = int(clock.now().timestamp())
    try:
        sessions().update(
            key,
            "SET #expiresAt = :end, #attempts = :one",
            condition="#expiresAt <= :now",
            one=1,
            end=now + WINDOW_SECONDS,
            now=now,
        )
    except ConditionFailed:  # somebody else has begun it
        _count(key, limit)


def _refuse_until(end: int) -> None:
    seconds = end - int(clock.now().timestamp())
    if seconds > 0:
        count(ATTEMPTS_THROTTLED)
        raise TooManyAttempts(retry_after_seconds=seconds)
