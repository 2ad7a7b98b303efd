"""Diagnoses, a partition a quarter; with PostGIS also where they were made, as a point with its index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from outlive.postgres.partitions import create_ahead
from services.farm.common.migrations import create, moment, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_diagnoses_created", ["created_at"]),
    ("ix_diagnoses_governorate", ["governorate", "created_at"]),
    ("ix_diagnoses_field", ["field_id", "created_at"]),
    ("ix_diagnoses_farmer", ["farmer_id", "created_at"]),
    ("ix_diagnoses_status", ["status", "created_at"]),
    ("ix_diagnoses_severity", ["severity", "created_at"]),
    ("ix_diagnoses_disease", ["disease_id", "created_at"]),
    ("ix_diagnoses_place", ["lat", "lng"]),
    ("ix_diagnoses_position", ["outlive_position"]),
)
# The server decides, so that the printed migration does the same; numbers that are no place on the earth have no point.
POINT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') THEN
        ALTER TABLE crop_diagnoses ADD COLUMN location geography(Point, 4326) GENERATED ALWAYS AS (
            CASE WHEN lat BETWEEN -90 AND 90 AND lng BETWEEN -180 AND 180
            THEN ST_SetSRID(ST_MakePoint(lng, lat), 4326)::geography END
        ) STORED;
        CREATE INDEX ix_diagnoses_location ON crop_diagnoses USING gist (location);
    END IF;
END $$
"""


def upgrade() -> None:
    create(
        "crop_diagnoses",
        needed("id", sa.Uuid),
        sa.Column("image_url", words()),
        sa.Column("thumbnail_url", words()),
        needed("disease_id", words()),
        needed("disease_name", words()),
        needed("disease_name_ar", words()),
        needed("confidence", sa.Double),
        needed("severity", words()),
        sa.Column("crop_type", words()),
        sa.Column("field_id", words()),
        sa.Column("governorate", words()),
        sa.Column("lat", sa.Double),
        sa.Column("lng", sa.Double),
        needed("status", words()),
        sa.Column("farmer_id", words()),
        sa.Column("expert_notes", words()),
        needed("created_at", moment()),
        sa.Column("updated_at", moment()),
        sa.PrimaryKeyConstraint("id", "created_at", name="pk_crop_diagnoses"),
        postgresql_partition_by="RANGE (created_at)",
    )
    create_ahead(op, "crop_diagnoses", "quarter")
    for name, columns in INDEXES:
        op.create_index(name, "crop_diagnoses", columns)
    totals = ["status", "severity", "disease_name_ar", "governorate"]
    op.create_index(
        "ix_diagnoses_totals", "crop_diagnoses", totals, postgresql_include=["outlive_position"],
        postgresql_where="outlive_extra IS NULL",
    )  # fmt: skip
    kept = sa.text("outlive_extra IS NOT NULL")
    op.create_index("ix_diagnoses_extra", "crop_diagnoses", ["outlive_position"], postgresql_where=kept)
    op.execute(POINT)


def downgrade() -> None:
    op.drop_table("crop_diagnoses")
