"""Search in titles: by the pairs of characters that they have, which every database looks up alike."""

from sqlalchemy import Connection, delete, insert, select

from post.models import VISIBLE, SearchGram, SearchTitle
from post.services.derived import Listed
from post.services.search_grams import grams_of, search_key


def index_title(connection: Connection, before: Listed | None, after: Listed) -> None:
    """
    Bring the search up to date with a change of a post: it finds the visible ones.

    Args:
        connection: That of the transaction that changes the post, whose row it has locked.
        before: The post before the change; None for a new one.
        after: The post after it.
    """
    new = search_key(after.title) if after.status == VISIBLE else None
    if before is not None and before.status == VISIBLE:
        if search_key(before.title) == new:
            return
        forget_title(connection, after.number, before.title)
    if new is not None:
        add_titles(connection, {after.number: new})


def add_titles(connection: Connection, keys: dict[int, str]) -> None:
    """
    Make titles known to the search, within the caller's transaction.

    Args:
        connection: The transaction's.
        keys: What ``search_key`` gave of each title, by the post's number.
    """
    titles = [{"No": number, "title_key": key} for number, key in keys.items()]
    grams = sorted((gram, number) for number, key in keys.items() for gram in grams_of(key))
    if titles:
        connection.execute(insert(SearchTitle), titles)
    if grams:  # a title that another program wrote may have no characters
        connection.execute(insert(SearchGram), [{"gram": gram, "No": number} for gram, number in grams])


def forget_title(connection: Connection, number: int, title: str) -> None:
    """
    Make the search forget a post, within the caller's transaction.

    Args:
        connection: The transaction's.
        number: The post's.
        title: The post's; what is known of it under another one is forgotten too.
    """
    this = SearchTitle.No == number
    stored = connection.scalar(select(SearchTitle.title_key).where(this)) or ""
    grams = {*grams_of(search_key(title)), *grams_of(stored)}
    connection.execute(delete(SearchTitle).where(this))
    connection.execute(delete(SearchGram).where(SearchGram.No == number, SearchGram.gram.in_(grams)))
