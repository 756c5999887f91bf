"""Search in titles: by the pairs of characters that they have, which every database looks up alike."""

from sqlalchemy import Connection, delete, insert, select

from post.models import VISIBLE, SearchGram, SearchTitle
from post.search_grams import grams_of, search_key
from post.services.counts import Listed


def index_title(connection: Connection, before: Listed | None, after: Listed) -> None:
    """
    Bring the search up to date with a change of a post: it finds the visible ones.

    Args:
        connection: That of the transaction that changes the post, whose row it has locked.
        before: The post before the change; None for a new one.
        after: The post after it.
    """
    old = search_key(before.title) if before is not None and before.status == VISIBLE else None
    new = search_key(after.title) if after.status == VISIBLE else None
    if old == new:
        return
    if old is not None:
        forget_title(connection, after.number)
    if new is not None:
        add_titles(connection, {after.number: new})


def add_titles(connection: Connection, keys: dict[int, str]) -> None:
    """
    Make titles known to the search, within the caller's transaction.

    Args:
        connection: The transaction's.
        keys: What ``search_key`` gave of each title, by the post's number.
    """
    grams = sorted((gram, number) for number, key in keys.items() for gram in grams_of(key))
    connection.execute(insert(SearchTitle), [{"No": number, "title_key": key} for number, key in keys.items()])
    connection.execute(insert(SearchGram), [{"gram": gram, "No": number} for gram, number in grams])


def forget_title(connection: Connection, number: int) -> None:
    """Make the search forget a post, within the caller's transaction. Arguments as for ``add_titles``."""
    this = SearchTitle.No == number
    key = connection.scalar(select(SearchTitle.title_key).where(this))
    if key is None:
        return
    connection.execute(delete(SearchTitle).where(this))
    connection.execute(delete(SearchGram).where(SearchGram.No == number, SearchGram.gram.in_(grams_of(key))))
