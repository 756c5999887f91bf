"""The search index: the titles of visible posts, and each pair of characters in them (bigrams)."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from post.database.writes import Statement, send_last
from post.models import SearchGram, SearchTitle

CHARACTER_BITS = 21  # of a code point: up to 10FFFF (Unicode, 2.4)

_THIS = SearchTitle.No == bindparam("number")
_KEPT = _THIS & (SearchTitle.title_key == bindparam("kept"))
_ADD = Statement(insert(SearchTitle), "No", "title_key")
_CHANGE = Statement(update(SearchTitle).where(_KEPT), "title_key")
_REMOVE = Statement(delete(SearchTitle).where(_KEPT))


def search_key(text: str) -> str:
    """
    Fold the letter case of a text, character by character (Unicode, 3.13: simple case folding).

    A part of a text is so folded to a part of the whole's key.

    Args:
        text: A title or a search text, in NFC.

    Returns:
        As many characters.
    """
    return text.lower() if text.isascii() else "".join(map(_fold, text))


def _fold(char: str) -> str:
    return next((folded for folded in (char.casefold(), char.lower()) if len(folded) == 1), char)


def grams_of(key: str) -> list[int]:
    """
    Number each character of a title together with the next one; the last has none.

    Args:
        key: From ``search_key``.

    Returns:
        Distinct numbers, in the order of the text.
    """
    return pairs_of(key + "\0")


def pairs_of(key: str) -> list[int]:
    """Return the grams of two characters: those of every title that contains the text. Arguments as above."""
    return list(dict.fromkeys(code << CHARACTER_BITS | following for code, following in pairwise(map(ord, key))))


def grams_from(char: str) -> tuple[int, int]:
    """Return the first gram that begins with a character, and the first one after all of these."""
    return ord(char) << CHARACTER_BITS, (ord(char) + 1) << CHARACTER_BITS


def index_title(connection: Connection, number: int, *, before: str | None, after: str | None) -> None:
    """
    Update the index after a change of a post, whose row the transaction has locked.

    Args:
        connection: The transaction's.
        number: The post's.
        before: The title before the change; None if the post was not visible.
        after: The title now; None if the post is not visible.
    """
    old, new = (title if title is None else search_key(title) for title in (before, after))
    if old == new:
        return
    kept, wanted = (set[int]() if key is None else set(grams_of(key)) for key in (old, new))
    values = {"number": number, "kept": old, "title_key": new}
    if old is not None and not (_REMOVE if new is None else _CHANGE).run(connection, values).rowcount:
        # The stored key is of another title than the post's.
        _remove_grams(connection, number, kept | _remove_title(connection, number))
        old, kept = None, set()
    if old is None and new is not None:
        _ADD.run_last(connection, {"No": number, "title_key": new})
    _remove_grams(connection, number, kept - wanted)
    _add_grams(connection, number, wanted - kept)


def _remove_title(connection: Connection, number: int) -> set[int]:
    """Remove a title's key, whatever it is; returns its grams."""
    this = SearchTitle.No == number
    stored = connection.scalar(select(SearchTitle.title_key).where(this)) or ""
    connection.execute(delete(SearchTitle).where(this))
    return set(grams_of(stored))


# The numbers are written into the text: for so many parameters the driver would take longer than the server.


def _add_grams(connection: Connection, number: int, grams: Iterable[int]) -> None:
    if rows := ",".join(f"({gram:d},{number:d})" for gram in sorted(grams)):
        send_last(connection, f"INSERT INTO search_grams (gram, No) VALUES {rows}")  # noqa: S608 - of numbers alone


def _remove_grams(connection: Connection, number: int, grams: Iterable[int]) -> None:
    if listed := ",".join(f"{gram:d}" for gram in sorted(grams)):
        send_last(connection, f"DELETE FROM search_grams WHERE No = {number:d} AND gram IN ({listed})")  # noqa: S608 - likewise


def remove_titles(connection: Connection, titles: Mapping[int, str]) -> None:
    """
    Remove titles from the index, with whatever it has for their numbers.

    Args:
        connection: That of the transaction, which has locked the posts' rows.
        titles: Each title by its post's number; some hundred at most.
    """
    if not titles:
        return
    these = SearchTitle.No.in_(titles)
    found = connection.execute(select(SearchTitle.No, SearchTitle.title_key).where(these))
    stored = {row.No: row.title_key for row in found}
    connection.execute(delete(SearchTitle).where(these))
    for number, title in titles.items():
        keys = {search_key(title), stored.get(number, "")}
        _remove_grams(connection, number, {gram for key in keys for gram in grams_of(key)})


def add_titles(connection: Connection, keys: dict[int, str]) -> None:
    """
    Add titles to the index.

    Args:
        connection: The transaction's.
        keys: The ``search_key`` of each title, by the post's number.
    """
    titles = [{"No": number, "title_key": key} for number, key in keys.items()]
    grams = sorted((gram, number) for number, key in keys.items() for gram in grams_of(key))
    if titles:
        connection.execute(insert(SearchTitle), titles)
    if grams:  # a title that another program wrote may have no characters
        connection.execute(insert(SearchGram), [{"gram": gram, "No": number} for gram, number in grams])
