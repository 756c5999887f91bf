"""Keys of categories, without letter case and invisible characters."""

import re
from collections.abc import Callable
from unicodedata import category, normalize

from alembic import op
from sqlalchemy import text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROWS = text("SELECT id, name, name_key FROM categories ORDER BY created_at, id")
# A key that another row has is left to it: both stay as they are.
SET_KEY = {
    "mysql": text("UPDATE IGNORE categories SET name_key = :key WHERE id = :id"),
    "sqlite": text("UPDATE OR IGNORE categories SET name_key = :key WHERE id = :id"),
}

# Names are read, and keys made, as in post/text.py.
IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e001f\U000e0080-\U000e0fff]"
)
VISIBLE_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]")
EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff"
JOINING = "\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
SEQUENCE = re.compile(
    f"(?<=[{EMOJI}\ufe0f])(\u200d)(?=[{EMOJI}])"
    f"|(?<=[{JOINING}])([\u200c\u200d])[\u200c\u200d]*(?=[{JOINING}])"
    "|(?<=\U0001f3f4)([\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f)"
    "|[\u200c\u200d\U000e0020-\U000e007f]"
)


def upgrade() -> None:
    """Set each key to what a post that names the category looks for."""
    _set_keys(_key)


def downgrade() -> None:
    """Set each key to the name without letter case."""
    _set_keys(lambda name: normalize("NFC", name.casefold()))


def _set_keys(key_of: Callable[[str], str]) -> None:
    connection = op.get_bind()
    for category_id, name, old_key in connection.execute(ROWS).all():
        key = key_of(name)
        if key not in ("", old_key):  # nobody can ask for a name that nobody can see
            connection.execute(SET_KEY[connection.dialect.name], {"id": category_id, "key": key})


def _key(name: str) -> str:
    seen = "".join(char for char in normalize("NFC", name) if not _is_dropped(char))
    seen = IGNORABLE.sub("", normalize("NFC", SEQUENCE.sub(r"\1\2\3", seen)))
    return normalize("NFC", " ".join(seen.split()).casefold())


def _is_dropped(char: str) -> bool:
    return category(char) == "Cf" and not VISIBLE_FORMATS.match(char) and not SEQUENCE.match(char)
