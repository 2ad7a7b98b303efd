"""The seven indexes of the requirement (question 5).

The tables of a home are small, so the indexes are built inside the transaction; a failed migration leaves nothing.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = (
    ("idx_expenses_date", "expenses", ["date"]),
    ("idx_expenses_category", "expenses", ["category"]),
    ("idx_expenses_account", "expenses", ["account"]),
    ("idx_incomes_date", "incomes", ["date"]),
    ("idx_incomes_category", "incomes", ["category"]),
    ("idx_incomes_account", "incomes", ["account"]),
    ("idx_expenses_date_category", "expenses", ["date", "category"]),
)


def upgrade() -> None:
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
