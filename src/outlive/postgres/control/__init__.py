"""The Alembic environment of the schema `outlive`, shipped with the package."""
