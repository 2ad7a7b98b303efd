"""Prescription maps; with PostGIS also the shape of their zones, with its index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from services.farm.common.migrations import create, moment, needed, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The server decides, so that the printed migration does the same. A number that JSON alone does not give back stands as
# an object with a "$" name: such a map has no shape.
SHAPE = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') THEN
        ALTER TABLE vra_prescriptions ADD COLUMN shape geometry(MultiPolygon, 4326) GENERATED ALWAYS AS (
            CASE WHEN strpos(polygons::text, '$') = 0 THEN ST_SetSRID(
                ST_GeomFromGeoJSON('{"type":"MultiPolygon","coordinates":' || polygons::text || '}'), 4326
            ) END
        ) STORED;
        CREATE INDEX ix_prescriptions_shape ON vra_prescriptions USING gist (shape);
    END IF;
END $$
"""


def upgrade() -> None:
    create(
        "vra_prescriptions",
        needed("id", sa.Uuid),
        needed("field_id", words()),
        needed("vra_type", words()),
        needed("created_at", moment()),
        needed("target_rate", sa.Double),
        needed("min_rate", sa.Double),
        needed("max_rate", sa.Double),
        needed("unit", words()),
        needed("num_zones", sa.BigInteger),
        needed("zone_method", words()),
        needed("total_area_ha", sa.Double),
        needed("total_product_needed", sa.Double),
        needed("flat_rate_product", sa.Double),
        needed("savings_percent", sa.Double),
        needed("savings_amount", sa.Double),
        sa.Column("cost_savings", sa.Double),
        sa.Column("notes", words()),
        sa.Column("notes_ar", words()),
        needed("zones", JSONB(none_as_null=True)),
        needed("polygons", JSONB(none_as_null=True)),
        sa.PrimaryKeyConstraint("id", name="pk_vra_prescriptions"),
    )
    op.create_index("ix_prescriptions_field", "vra_prescriptions", ["field_id", "created_at"])
    kept = sa.text("outlive_extra IS NOT NULL")
    op.create_index("ix_prescriptions_extra", "vra_prescriptions", ["outlive_position"], postgresql_where=kept)
    op.execute(SHAPE)


def downgrade() -> None:
    op.drop_table("vra_prescriptions")
