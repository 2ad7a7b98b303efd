"""A tenant's providers, and the history of their changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.farm.common.migrations import create, index_odd_rows, isolate, moment, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    configs = create(
        "provider_configs",
        needed("tenant_id", words()),
        needed("map_providers", _json()),
        needed("weather_providers", _json()),
        needed("satellite_providers", _json()),
        needed("updated_at", moment()),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_provider_configs"),
    )
    history = create(
        "provider_config_history",
        needed("change_id", words()),
        needed("tenant_id", words()),
        needed("action", words()),
        needed("changed_at", moment()),
        sa.Column("config", _json()),
        sa.PrimaryKeyConstraint("change_id", name="pk_provider_config_history"),
    )
    isolate(configs)
    isolate(history)
    op.create_index("ix_provider_config_history_tenant_changed", "provider_config_history", ["tenant_id", "changed_at"])
    for table in ("provider_configs", "provider_config_history"):
        index_odd_rows(table)


def downgrade() -> None:
    op.drop_table("provider_config_history")
    op.drop_table("provider_configs")


def _json() -> sa.JSON:
    return sa.JSON(none_as_null=True)
