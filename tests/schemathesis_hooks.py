"""What schemathesis cannot read in the document: a cursor is one that a list gave."""

import schemathesis
from hypothesis import strategies as st

from post.paging import Cursor

numbers = st.integers(min_value=0, max_value=2**31 - 1)
schemathesis.openapi.format(
    "cursor",
    st.builds(lambda direction, no: Cursor(direction, "latest", (no,)).encode(), st.sampled_from(["next", "prev"]), numbers),
)


@schemathesis.hook
def before_call(context, case, kwargs):
    """A cursor belongs to one order, which the document cannot say: these belong to ``latest``."""
    if case.query and "cursor" in case.query and case.query.get("sort") == "popular":
        case.query["sort"] = "latest"
