"""The comparison of counters and search index with the posts' rows, and their repair, while others write."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    String,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from post.database.reads import read
from post.database.writes import retried, transaction
from post.models import HIDDEN, OPEN, VISIBLE, Like, Media, Post, PostCount, Report, SearchGram, SearchTitle
from post.paging import VALUE_MAX
from post.services.counters import set_counter
from post.services.derived import ALL, AUTHOR, BLOCK, BLOCK_NUMBERS, CATEGORY, DAY, SHARDS, Count, add_to_counts
from post.services.posts import lock_post
from post.services.search_index import add_titles, grams_of, search_key

SEARCH_BATCH = 100_000  # posts whose pairs are added up at a time
SCAN_BATCH = 10_000  # suspects whose pairs are read by one scan of the index
REPAIR_BATCH = 200  # posts that one transaction locks
_SUBJECTS: dict[str, ColumnElement[Any]] = {
    ALL: literal(""),
    CATEGORY: cast(Post.category_id, String),
    AUTHOR: cast(Post.user_id, String),
    BLOCK: cast(Post.No // BLOCK_NUMBERS, String),
    DAY: cast(Post.created_day, String),
}
# The rows that each counter of a post counts.
_OF_POSTS = {
    "like_count": select(Like.post_id),
    "media_count": select(Media.post_id),
    "report_count": select(Report.post_id).where(Report.state == OPEN),
}
_TITLES = select(Post.id, Post.No, Post.status, Post.title).order_by(Post.No)
_KEPT_TITLES = select(SearchTitle.No, SearchTitle.title_key)
_KEPT_GRAMS = select(SearchGram.No, SearchGram.gram)
_KEPT_SUMS = select(SearchGram.No, func.count().label("size"), func.sum(SearchGram.gram).label("total"))


class Mismatch(NamedTuple):
    """
    A stored value that differs from its rows.

    Attributes:
        what: A scope of ``post_counts``, a counter of posts, or ``search``.
        of: Its subject and shard, its post's id, or a number that no post has.
        kept: The stored value; for ``post_counts``, of visible and hidden posts.
        counted: The value from the rows.
    """

    what: str
    of: str
    kept: Any
    counted: Any


def verify_counters(*, repair: bool) -> list[Mismatch]:
    """
    Compare every counter with its rows.

    Args:
        repair: Whether to correct wrong values. Only one caller may do that at a time.

    Returns:
        The wrong values.
    """
    wrong = [mismatch for scope in SHARDS for mismatch in _verify_counts(scope, repair=repair)]
    for name, rows in _OF_POSTS.items():
        for row in read(_miscounted(name, rows)):
            wrong.append(Mismatch(name, row.id, row.kept, row.counted))
            if repair:
                _recount(row.id, name, rows)
    return wrong


@retried
def _verify_counts(scope: str, *, repair: bool) -> list[Mismatch]:
    with transaction() as connection:
        # One statement finds the differences at one moment. Adding them keeps what others add meanwhile.
        differences = connection.execute(_differences(scope)).all()
        if repair:
            changes = {Count(scope, row.subject, row.shard): [int(row.visible), int(row.hidden)] for row in differences}
            add_to_counts(connection, changes)
    return [_mismatch(scope, row) for row in differences]


def _mismatch(scope: str, row: Row[Any]) -> Mismatch:
    visible, hidden = int(row.kept_visible), int(row.kept_hidden)
    counted = f"{visible + int(row.visible)}+{hidden + int(row.hidden)}"
    return Mismatch(scope, f"{row.subject}/{row.shard}", f"{visible}+{hidden}", counted)


def _differences(scope: str) -> Select[Any]:
    """Build the query for the differences of a scope's counts, by subject and shard."""
    subject, shard = _SUBJECTS[scope].label("subject"), (Post.No % SHARDS[scope]).label("shard")
    names = ("visible", "hidden", "kept_visible", "kept_hidden")
    visible, hidden = (func.sum(cast(Post.status == status, Integer)) for status in (VISIBLE, HIDDEN))
    amounts = zip((visible, hidden, literal(0), literal(0)), names, strict=True)
    counted = select(subject, shard, *(amount.label(name) for amount, name in amounts)).group_by(subject, shard)
    counted = counted.where(Post.status.in_([VISIBLE, HIDDEN]), subject.isnot(None))
    keys = PostCount.subject, PostCount.shard
    kept = select(*keys, -PostCount.visible, -PostCount.hidden, PostCount.visible, PostCount.hidden)
    both = union_all(counted, kept.where(PostCount.scope == scope)).subquery()
    sums = [func.sum(both.c[name]).label(name) for name in names]
    query = select(both.c.subject, both.c.shard, *sums).group_by(both.c.subject, both.c.shard)
    return query.having(or_(sums[0] != 0, sums[1] != 0))


def _miscounted(name: str, rows: Select[Any]) -> Select[Any]:
    (post_id,) = rows.selected_columns
    counted = rows.add_columns(func.count().label("counted")).group_by(post_id).subquery()
    right, kept = func.coalesce(counted.c.counted, 0), getattr(Post, name)
    query = select(Post.id, kept.label("kept"), right.label("counted"))
    return query.join(counted, counted.c.post_id == Post.id, isouter=True).where(kept != right)


@retried
def _recount(post_id: str, name: str, rows: Select[Any]) -> None:
    with transaction() as connection:
        lock_post(connection, post_id, None)  # under which its likes, images and reports are written
        of_post = rows.where(rows.selected_columns[0] == post_id).subquery()
        counted = select(func.count()).select_from(of_post).scalar_subquery()
        set_counter(connection, post_id, getattr(Post, name), counted)


def count_posts() -> int:
    """Return the number of posts, deleted ones included."""
    return int(read(select(func.count()).select_from(Post))[0][0])


def verify_search(*, repair: bool, advance: Callable[[int], None] = lambda _posts: None) -> list[Mismatch]:
    """
    Compare the search index with the titles of posts.

    Args:
        repair: Whether to correct wrong titles. Only one caller may do that at a time.
        advance: Called with the number of posts that are done, each time some are.

    Returns:
        The wrong titles.
    """
    wrong = []
    for posts, suspects in _suspects():
        advance(max(0, posts - len(suspects)))
        for numbers in _parts(suspects, SCAN_BATCH):
            # This reads the whole index, whose key begins with the pair.
            scanned = _grams_by_number(read(_KEPT_GRAMS.where(SearchGram.No.in_(numbers))))
            for few in _parts(numbers, REPAIR_BATCH):
                wrong += _verify_titles(few, scanned, repair=repair)
                advance(len(few))
    return wrong


def _suspects() -> Iterator[tuple[int, list[int]]]:
    """Return how many posts were read, and their numbers that seem wrong; a concurrent change may make a right one."""
    last, end = -1, 0
    while end < VALUE_MAX:
        posts = read(_TITLES.where(Post.No > last).limit(SEARCH_BATCH))
        end = posts[-1].No if len(posts) == SEARCH_BATCH else VALUE_MAX
        keys = _keys_of(posts)
        titles = {row.No: row.title_key for row in read(_KEPT_TITLES.where(SearchTitle.No.between(last + 1, end)))}
        kept_sums = read(_KEPT_SUMS.where(SearchGram.No.between(last + 1, end)).group_by(SearchGram.No))
        sums = {row.No: (int(row.size), int(row.total)) for row in kept_sums}
        suspects = []
        for number in sorted(keys.keys() | titles.keys() | sums.keys()):
            grams = grams_of(keys.get(number, ""))
            if titles.get(number) != keys.get(number) or sums.get(number, (0, 0)) != (len(grams), sum(grams)):
                suspects.append(number)
        yield len(posts), suspects
        last = end


def _parts(numbers: list[int], size: int) -> Iterator[list[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def _keys_of(posts: Iterable[Row[Any]]) -> dict[int, str]:
    return {post.No: search_key(post.title) for post in posts if post.status == VISIBLE}


def _grams_by_number(rows: Iterable[Row[Any]]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        found[row.No].add(row.gram)
    return found


@retried
def _verify_titles(numbers: list[int], scanned: dict[int, set[int]], *, repair: bool) -> list[Mismatch]:
    with transaction() as connection:
        posts = connection.execute(_TITLES.where(Post.No.in_(numbers)).with_for_update()).all()
        keys = _keys_of(posts)
        grams = {number: set(grams_of(keys.get(number, ""))) for number in numbers}
        kept_titles = connection.execute(_KEPT_TITLES.where(SearchTitle.No.in_(numbers)))
        titles = {row.No: row.title_key for row in kept_titles}
        # The pairs of the scan, and of the title: those that others have written since then.
        pairs = [(gram, number) for number in numbers for gram in scanned[number] | grams[number]]
        query = _KEPT_GRAMS.where(tuple_(SearchGram.gram, SearchGram.No).in_(pairs))
        kept = _grams_by_number(connection.execute(query) if pairs else ())
        wrong = [one for one in numbers if titles.get(one) != keys.get(one) or kept.get(one, set()) != grams[one]]
        if repair:
            connection.execute(delete(SearchTitle).where(SearchTitle.No.in_(wrong)))
            for number in kept.keys() & {*wrong}:
                connection.execute(delete(SearchGram).where(SearchGram.No == number, SearchGram.gram.in_(kept[number])))
            add_titles(connection, {number: keys[number] for number in wrong if number in keys})
    ids = {post.No: post.id for post in posts}
    return [Mismatch("search", ids.get(one, str(one)), titles.get(one), keys.get(one)) for one in wrong]
