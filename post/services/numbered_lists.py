"""Lists of moderators: rows by their number ``No``, the newest first; pages by number and by cursor."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import Integer, Select, bindparam, func, select

from post.database.reads import Prepared
from post.paging import PageRequest
from post.services.pages import ListPage, new_page

TOTAL_MAX = 10_000

Direction = Literal["first", "next", "prev"]


class Filter(NamedTuple):
    """A column that must have a value, and the index of it and ``No``."""

    column: Any
    index_name: str


class NumberedList:
    """
    A table's rows by ``No``, the newest first.

    An index gives the numbers of a page, and only their rows are read. Rows are counted up to ``TOTAL_MAX``.
    """

    def __init__(self, query: Select[Any], table: Any, filters: Mapping[str, Filter]) -> None:
        """
        Describe a list.

        Args:
            query: The columns of a row, ``No`` among them, and the tables that they come from.
            table: The model whose rows are listed.
            filters: By their names, which are those of their parameters; that with the fewest rows first, whose index
                is used.
        """
        self._query, self._table, self._filters = query, table, filters
        self._page_query, self._total_query = lru_cache(self._build_page), lru_cache(self._build_total)

    def page(
        self,
        wanted: PageRequest,
        values: Mapping[str, Any],
        *,
        show: Callable[[Sequence[Any]], list[dict[str, Any]]],
    ) -> ListPage:
        """
        Read a page.

        Args:
            wanted: The client's request.
            values: Those of the wanted filters, by their names.
            show: Returns rows as the API's objects.
        """
        names, cursor = frozenset(values), wanted.cursor
        direction: Direction = "first" if cursor is None else cursor.direction
        place = {"limit": wanted.per_page + 1, "offset": wanted.offset, "number": cursor.values[0] if cursor else 0}
        rows = self._page_query(names, direction).read({**values, **place})
        found = self._total_query(names).read({**values, "maximum": TOTAL_MAX + 1})[0].total
        rows = sorted(rows, key=lambda row: row.No, reverse=True)
        return new_page(wanted, rows, min(found, TOTAL_MAX), is_capped=found > TOTAL_MAX, show=show)

    def _build_page(self, names: frozenset[str], direction: Direction) -> Prepared:
        number, keys = self._table.No, self._keys(names)
        if direction != "first":
            keys = keys.where(number > _number("number") if direction == "prev" else number < _number("number"))
        keys = keys.order_by(number.asc() if direction == "prev" else number.desc())
        page = keys.limit(_number("limit")).offset(_number("offset")).subquery()
        return Prepared(self._query.where(number == page.c.No))

    def _build_total(self, names: frozenset[str]) -> Prepared:
        some = self._keys(names).limit(_number("maximum")).subquery()
        return Prepared(select(func.count().label("total")).select_from(some))

    def _keys(self, names: frozenset[str]) -> Select[Any]:
        wanted = {name: each for name, each in self._filters.items() if name in names}
        keys = select(self._table.No).where(*(each.column == bindparam(name) for name, each in wanted.items()))
        for each in list(wanted.values())[:1]:
            keys = keys.with_hint(self._table, f"FORCE INDEX ({each.index_name})", "mysql")
        return keys


def _number(name: str) -> Any:
    return bindparam(name, type_=Integer)
