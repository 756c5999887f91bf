"""Broken copies of a file: each is a few edits away from it, and a check must refuse it."""

import pytest


def broken(text: str, *edits: tuple[str, str]) -> str:
    """
    Return a broken copy.

    Args:
        text: The file.
        edits: What is replaced by what; each must find its place, once, so that no edit outlives what it breaks.
    """
    for old, new in edits:
        assert text.count(old) == 1, f"{text.count(old)} places for {old!r}"
        text = text.replace(old, new)
    return text


def mutations(*rows: tuple[str, str, str, str]) -> pytest.MarkDecorator:
    """Run a test for each broken copy: by its name, what is replaced by what, and the check that must notice."""
    return pytest.mark.parametrize(("old", "new", "check"), [pytest.param(*row, id=name) for name, *row in rows])
