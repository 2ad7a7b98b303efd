"""Alembic's way in: this service's tables, in a version table of its own."""

from outlive.postgres import alembic_env
from services.farm.field_chat.models import Base

alembic_env.run(Base.metadata, version_table="field_chat_version")
