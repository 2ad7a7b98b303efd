"""`python -m services.farm.field_ops.before`: serve on PORT, else 8080."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.field_ops.before.app:app", 8080)
