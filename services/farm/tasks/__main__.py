"""`python -m services.farm.tasks`: serve on PORT, else 8103."""

from __future__ import annotations

from services.farm.common.app import serve

if __name__ == "__main__":
    serve("services.farm.tasks.api:app", 8103)
