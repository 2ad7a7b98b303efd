"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds ${message}."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Takes ${message} away."""
    ${downgrades if downgrades else "pass"}
