"""Alembic's way in: this service's tables, in a version table of its own."""

from outlive.postgres import alembic_env
from services.facts.models import Base

alembic_env.run(Base.metadata, version_table="facts_version")
