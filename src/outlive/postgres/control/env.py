"""Alembic's entry to the control schema; run by `outlive.postgres.migrate` and by the alembic command alike."""

from outlive.postgres.alembic_env import run

run(None, "schema_version", schema="outlive")
