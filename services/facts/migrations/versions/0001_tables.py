"""Facts, results of validation, and requests that were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from services.farm.common.migrations import create, document, index_odd_rows, moment, needed, several, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    ("idx_facts_created_at", "facts", ["created_at"]),
    ("idx_facts_validation_status", "facts", ["validation_status"]),
    ("idx_facts_category", "facts", ["category", "outlive_position"]),
    ("idx_facts_verified", "facts", ["verified", "outlive_position"]),
    ("idx_facts_position", "facts", ["outlive_position"]),
    ("idx_validation_results_fact_id", "validation_results", ["fact_id"]),
    ("idx_validation_results_status", "validation_results", ["status", "confidence"]),
    ("idx_api_requests_created_at", "api_requests", ["created_at"]),
    ("idx_api_requests_endpoint", "api_requests", ["endpoint"]),
)


def upgrade() -> None:
    create(
        "facts",
        needed("id", words()),
        needed("category", words()),
        needed("content", words()),
        needed("verified", sa.Boolean),
        needed("created_at", moment()),
        needed("tags", several()),
        needed("metadata", document()),
        sa.Column("updated_at", moment()),
        sa.Column("validation_status", words()),
        sa.Column("validation_score", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_facts"),
    )
    create(
        "validation_results",
        needed("id", words()),
        needed("fact_id", words()),
        needed("status", words()),
        needed("confidence", sa.Double),
        needed("findings", JSONB),
        needed("metadata", document()),
        needed("deception_patterns", JSONB),
        needed("probability", sa.Double),
        needed("detected_at", moment()),
        sa.PrimaryKeyConstraint("id", name="pk_validation_results"),
    )
    create(
        "api_requests",
        needed("id", words()),
        needed("endpoint", words()),
        needed("method", words()),
        needed("response_code", sa.BigInteger),
        needed("duration_ms", sa.BigInteger),
        needed("created_at", moment()),
        sa.Column("user_agent", words()),
        sa.Column("ip_address", words()),
        sa.PrimaryKeyConstraint("id", name="pk_api_requests"),
    )
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    for column in ("metadata", "tags"):
        op.create_index(f"idx_facts_{column}", "facts", [column], postgresql_using="gin")
    for table in ("facts", "validation_results"):
        index_odd_rows(table)


def downgrade() -> None:
    for table in ("api_requests", "validation_results", "facts"):
        op.drop_table(table)
