"""The alert settings of each tenant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, index_odd_rows, isolate, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = create(
        "inventory_alert_settings",
        needed("tenant_id", words()),
        needed("expiry_warning_days", sa.BigInteger),
        needed("expiry_critical_days", sa.BigInteger),
        needed("enable_email_alerts", sa.Boolean),
        needed("enable_push_alerts", sa.Boolean),
        needed("alert_check_interval", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_inventory_alert_settings"),
    )
    isolate(table)
    index_odd_rows("inventory_alert_settings")


def downgrade() -> None:
    op.drop_table("inventory_alert_settings")
