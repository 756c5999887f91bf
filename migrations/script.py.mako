"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


# One statement to a revision, since MySQL commits at each: a start that is cut off goes on from there.


def upgrade() -> None:
    """Bring the schema one step forward."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take that step back."""
    ${downgrades if downgrades else "pass"}
