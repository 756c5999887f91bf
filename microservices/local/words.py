"""Lines for the person at the terminal."""

import sys


def say(text: str, *, seconds: float | None = None) -> None:
    """
    Print one line of progress, at once.

    Args:
        text: The line.
        seconds: How long the step took.
    """
    took = "" if seconds is None else f" ({seconds:.1f} s)"
    sys.stdout.write(f"{text}{took}\n")
    sys.stdout.flush()
