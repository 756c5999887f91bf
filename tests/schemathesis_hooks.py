"""What schemathesis cannot read in the document: a cursor is one that a list gave."""

import schemathesis
from hypothesis import strategies as st

from post.paging import Cursor

directions = st.sampled_from(["next", "prev"])
numbers = st.integers(min_value=0, max_value=2**31 - 1)
cursors = st.builds(lambda direction, number: Cursor(direction, "latest", (number,)), directions, numbers)
schemathesis.openapi.format("cursor", cursors.map(Cursor.encode))


@schemathesis.hook
def before_call(context, case, kwargs):
    """A cursor belongs to one order, which the document cannot say: these belong to ``latest``."""
    if case.query and "cursor" in case.query and case.query.get("sort") == "popular":
        case.query["sort"] = "latest"
