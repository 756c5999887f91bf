"""The time, from one place that tests can set."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present time, with its zone (UTC)."""
    return datetime.now(UTC)


def isoformat(moment: datetime) -> str:
    """
    Return a time in the API's format.

    Args:
        moment: Time with its zone.

    Returns:
        ISO 8601 in UTC with milliseconds, such as ``2026-01-02T03:04:05.678Z``.
    """
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
