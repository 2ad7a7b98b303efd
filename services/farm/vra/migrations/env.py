"""Alembic's way in: this service's table, in a version table of its own."""

from outlive.postgres import alembic_env
from services.farm.vra.models import Base

alembic_env.run(Base.metadata, version_table="vra_version")
